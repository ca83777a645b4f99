"""Scans the terms of protobuf messages directly into columns.

The scanner accepts the fields that the service's clients write and stops at anything else; the caller then uses the
general parser. Coefficients are returned as the bits of their float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.compiler import inlined, kernel
from qiosk.kernels.scan import DONE, FULL, STOPPED

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
U64 = NDArray[np.uint64]

_COEFFICIENT, _PACKED_IDS, _ONE_ID = 9, 18, 16  # tags of a term: field * 8 + wire type
_TERM, _TYPE, _VERSION, _INITIAL = 26, 8, 18, 34  # tags of a cost function
_SEVEN = np.uint64(7)


@inlined()
def _varint(data: Any, i: Any, stop: Any) -> Any:
    """A number and the position after it; the position is -1 if the number is longer than ten bytes or the data."""
    value, shift = np.uint64(0), np.uint64(0)
    for place in range(i, min(stop, i + 10)):
        value |= np.uint64(data[place] & 0x7F) << shift
        if data[place] < 0x80:
            return value, place + 1
        shift += _SEVEN
    return value, -1


@inlined()
def _length(data: Any, i: Any, stop: Any) -> Any:
    """Start and stop of a field that is preceded by its length; -1, -1 if it is longer than the data."""
    length, start = _varint(data, i, stop)
    if start < 0 or length > np.uint64(stop - start):
        return -1, -1
    return start, start + np.int64(length)


@inlined()
def _fixed64(data: Any, i: Any) -> Any:
    bits = np.uint64(0)
    for b in range(8):
        bits |= np.uint64(data[i + b]) << np.uint64(8 * b)
    return bits


@inlined()
def _scan_term(data: Any, i: Any, stop: Any, ids: Any, k: Any) -> Any:
    """Bits of the coefficient, and the number of ids so far; -1 if the term has an unknown field."""
    bits = np.uint64(0)
    while i < stop:
        tag = data[i]
        i += 1
        if tag == _COEFFICIENT and stop - i >= 8:
            bits = _fixed64(data, i)
            i += 8
        elif tag == _PACKED_IDS:
            i, end = _length(data, i, stop)
            if i < 0:
                return bits, -1
            while i < end:
                value, i = _varint(data, i, end)
                if i < 0:
                    return bits, -1
                ids[k] = np.int64(value)
                k += 1
        elif tag == _ONE_ID:
            value, i = _varint(data, i, stop)
            if i < 0:
                return bits, -1
            ids[k] = np.int64(value)
            k += 1
        else:
            return bits, -1
    return bits, k


@inlined()
def _field(data: Any, i: Any, stop: Any) -> Any:
    """Tag of a cost function's field, start and stop of its content; -1, -1 for an unknown field."""
    tag = np.int64(data[i])
    if tag == _TYPE:
        _, end = _varint(data, i + 1, stop)
        return tag, i + 1, end
    if tag in (_TERM, _VERSION, _INITIAL):
        start, end = _length(data, i + 1, stop)
        return tag, start, end
    return tag, -1, -1


@kernel
def scan_cost_functions(data: U8, spans: I64, coefficients: U64, indptr: I64, ids: I64, others: I64, state: I64) -> int:
    """Read the terms of ``CostFunction`` messages, one message after the other, starting at ``state``.

    Args:
        data: (b,) uint8, all bytes.
        spans: (S, 2) int64, start and stop of each message within ``data``.
        coefficients: (T,) uint64, bits of float64; filled.
        indptr: (T,) int64, number of ids up to and including term t; filled.
        ids: (k,) int64; filled.
        others: (U, 4) int64, fields that are not terms: span, tag, start and stop of their content; filled.
        state: (5,) int64: span, position within ``data`` (0: start of the span), number of terms, of ids and of other
            fields; updated, so that a call with larger columns continues.
    Returns DONE, FULL or STOPPED.
    """
    s, i, t, k, u = state[0], state[1], state[2], state[3], state[4]
    outcome = DONE
    while s < len(spans):
        i, stop = max(i, spans[s, 0]), spans[s, 1]
        if i == stop:
            s, i = s + 1, 0
            continue
        tag, start, end = _field(data, i, stop)
        if end < 0:
            outcome = STOPPED
            break
        if tag == _TERM:
            if t == len(coefficients) or end - start > len(ids) - k:
                outcome = FULL
                break
            coefficients[t], k = _scan_term(data, start, end, ids, k)
            if k < 0:
                outcome = STOPPED
                break
            indptr[t] = k
            t += 1
        else:
            if u == len(others):
                outcome = FULL
                break
            others[u, 0], others[u, 1], others[u, 2], others[u, 3] = s, tag, start, end
            u += 1
        i = end
    state[0], state[1], state[2], state[3], state[4] = s, i, t, k, u
    return outcome
