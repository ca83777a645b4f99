"""From a cost function to protobuf messages of 1000 terms each; ``protobuf_codec`` describes them.

All terms are encoded at once, with NumPy: first the size of every part is computed, then byte k of all numbers is
written for k = 0, 1, …
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.errors import InvalidValue
from qiosk.formats.qio import protobuf_wire as wire
from qiosk.formats.qio import tar
from qiosk.model.cost_function import F64, I64, CostFunction

TERMS_PER_MESSAGE = 1000
_FILE_NAME = "gzipinputfile_pb_{}.pb"
_COEFFICIENT, _PACKED_IDS, _TERM = 9, 18, 26  # tags: field * 8 + wire type

U8 = NDArray[np.uint8]


def write(cost_function: CostFunction) -> bytes:
    """A gzipped tar archive of the messages. Raises InvalidValue."""
    return tar.pack((_FILE_NAME.format(m), message) for m, message in enumerate(messages(cost_function)))


def messages(cost_function: CostFunction) -> list[bytes]:
    """The messages; there is at least one. Raises InvalidValue if there are squared linear combinations."""
    if len(cost_function.groups):
        raise InvalidValue(f"protobuf: must have no squared linear combinations, found {len(cost_function.groups)}")
    data, ends = _encode_terms(cost_function.coefficients, cost_function.indptr, cost_function.ids)
    bounds = [*ends[:-1:TERMS_PER_MESSAGE].tolist(), int(ends[-1])]
    parts = [data[start:stop].tobytes() for start, stop in itertools.pairwise(bounds)] or [b""]
    first = wire.length_field(1, _head(cost_function) + parts[0]) + wire.length_field(2, _metadata(cost_function))
    return [first, *(wire.length_field(1, part) for part in parts[1:])]


def _head(cost_function: CostFunction) -> bytes:
    """The members of CostFunction except its terms."""
    initial = cost_function.initial_configuration
    head = wire.varint_field(1, 1) if cost_function.problem_type.is_ising else b""  # pubo is 0, the default
    head += wire.length_field(2, b"1.0" if initial is None else b"1.1")
    for variable, value in (initial or {}).items():
        entry = wire.length_field(1, str(variable).encode()) + wire.varint_field(2, value)
        head += wire.length_field(4, entry)
    return head


def _metadata(cost_function: CostFunction) -> bytes:
    metadata = dict(cost_function.metadata)
    if cost_function.name:
        metadata["name"] = cost_function.name
    return wire.write_struct(metadata)


def _encode_terms(coefficients: F64, indptr: I64, ids: I64) -> tuple[U8, I64]:
    """The fields ``terms`` of all terms, and where each begins, with the end of the last one."""
    bits = np.ascontiguousarray(coefficients, np.float64).view(np.uint64)
    has_c = bits != 0  # zeros are not written
    id_ends = np.concatenate([[0], np.cumsum(_sizes(ids))])
    packed = id_ends[indptr[1:]] - id_ends[indptr[:-1]]
    has_ids = packed > 0
    packed_head = np.where(has_ids, 1 + _sizes(packed), 0)
    body = np.where(has_c, 9, 0) + packed_head + packed
    head = 1 + _sizes(body)
    ends: I64 = np.concatenate([[0], np.cumsum(head + body)])
    data = np.zeros(int(ends[-1]), np.uint8)
    starts = ends[:-1]
    data[starts] = _TERM
    _put_varints(data, starts + 1, body)
    at_c = (starts + head)[has_c]
    data[at_c] = _COEFFICIENT
    for b in range(8):
        data[at_c + 1 + b] = (bits[has_c] >> np.uint64(8 * b)).astype(np.uint8)
    at_ids = starts + head + np.where(has_c, 9, 0)
    data[at_ids[has_ids]] = _PACKED_IDS
    _put_varints(data, at_ids[has_ids] + 1, packed[has_ids])
    shift = at_ids + packed_head - id_ends[indptr[:-1]]
    _put_varints(data, id_ends[:-1] + np.repeat(shift, np.diff(indptr)), ids)
    return data, ends


def _sizes(numbers: I64) -> I64:
    """Number of bytes of each number as a varint; numbers must be >= 0."""
    sizes = np.ones(len(numbers), np.int64)
    for bits in range(7, 63, 7):
        larger = numbers >= 1 << bits
        if not larger.any():
            break
        sizes += larger
    return sizes


def _put_varints(data: U8, where: I64, numbers: I64) -> None:
    """Write each number as a varint, starting at its position in ``where``."""
    rest: NDArray[Any] = numbers
    while len(rest):
        more = rest > 0x7F
        data[where] = (rest & 0x7F) | np.where(more, 0x80, 0)
        where, rest = where[more] + 1, rest[more] >> 7
