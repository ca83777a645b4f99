"""The fast reader of large documents: a kernel scans the terms into columns, the JSON parser reads the rest.

The array of terms is found by a regular expression, scanned, and replaced in the document by a random string. The JSON
parser then reads the remaining short text. If the random string is the value of ``terms``, the regular expression had
found the right array and the whole document was valid JSON. In every other case, and if a term has another shape than
the scanner knows, the JSON parser reads the whole document from the start, and its errors name what is wrong.
"""

from __future__ import annotations

import math
import re
import secrets
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from qiosk.formats.qio.document import Columns, cost_function_from
from qiosk.model.cost_function import F64, I64, CostFunction

SCAN_FROM_BYTES = 1 << 16
"""Smallest document that is scanned faster than parsed, if Numba is loaded already."""

_SCAN_FROM_BYTES_COLD = 1 << 22  # loading Numba takes as long as parsing about 10 MB

_TERMS = re.compile(rb'"terms"[ \t\r\n]*:[ \t\r\n]*\[')


def is_worthwhile(size_bytes: int) -> bool:
    """Whether a document is large enough to be scanned."""
    return size_bytes >= (SCAN_FROM_BYTES if "numba" in sys.modules else _SCAN_FROM_BYTES_COLD)


def read(data: bytes) -> CostFunction | None:
    """The cost function in a document, or None if the JSON parser has to read it."""
    start = _TERMS.search(data)
    if start is None:
        return None
    scanned = scan(data, start.end())
    if scanned is None:
        return None
    columns, end = scanned
    marker = secrets.token_hex(16)
    rest = data[: start.end() - 1] + b'"' + marker.encode() + b'"' + data[end:]
    try:
        document = msgspec.json.decode(rest)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    section = document.get("cost_function") if isinstance(document, dict) else None
    if not isinstance(section, dict) or section.get("terms") != marker:
        return None
    section["terms"] = []
    return cost_function_from(document, columns)


def scan(data: bytes, position: int) -> tuple[Columns, int] | None:
    """The terms of the array that begins just before ``position``, and where it ends; None for another shape."""
    from qiosk.kernels import compiler
    from qiosk.kernels.scan import DONE, json_terms

    if not compiler.jit_enabled():
        return None  # interpreted, scanning is slower than parsing
    state = np.array([position, 0, 0, 0], np.int64)
    scan_terms = partial(json_terms.scan_terms, np.frombuffer(data, np.uint8), json_terms.powers_of_five())
    n_terms = (len(data) - position) // 24 + 16  # a short term has 24 bytes
    outcome, columns, undecided = fill(scan_terms, n_terms, np.float64, 3, state)
    if outcome != DONE or not _decide(data, columns[0], undecided):
        return None
    return columns, int(state[0])


def fill(
    scan: Callable[..., int], n_terms: int, dtype: type, n_members: int, state: I64
) -> tuple[int, tuple[NDArray[Any], I64, I64], I64]:
    """Call a scanner until it stops, each time with larger columns if they were full.

    Its arguments are coefficients (T,) of ``dtype``, ends (T,), ids (K,), other items (U, ``n_members``), and the
    state, which ends with the numbers of terms, ids and others so far. At first T is ``n_terms``. Returns the outcome,
    the columns with ``indptr`` for the ends, and the others.
    """
    from qiosk.kernels.scan import FULL

    coefficients: NDArray[Any] = np.empty(n_terms, dtype)
    indptr = np.zeros(n_terms + 1, np.int64)
    ids, others = np.empty(2 * n_terms, np.int64), np.empty((1024, n_members), np.int64)
    while True:
        outcome = scan(coefficients, indptr[1:], ids, others, state)
        t, k, u = state[-3:].tolist()
        if outcome != FULL:
            return outcome, (coefficients[:t], indptr[: t + 1], ids[:k]), others[:u]
        if t == len(coefficients):
            coefficients, indptr = doubled(coefficients), doubled(indptr)
        elif u == len(others):
            others = doubled(others)
        else:
            ids = doubled(ids)


def _decide(data: bytes, coefficients: F64, undecided: I64) -> bool:
    """Convert the numbers that the scanner could not round; returns whether all of them are finite."""
    for t, start, end in undecided.tolist():
        coefficients[t] = float(data[start:end])
        if not math.isfinite(coefficients[t]):
            return False
    return True


def doubled(column: NDArray[Any]) -> NDArray[Any]:
    """A column of twice the length that begins with the same rows; the added rows are zero."""
    grown = np.zeros((2 * len(column), *column.shape[1:]), column.dtype)
    grown[: len(column)] = column
    return grown
