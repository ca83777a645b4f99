"""The protobuf form of ``microsoft.qio.v2``: a tar archive of messages of about 1000 terms each.

::

    message Problem      { CostFunction cost_function = 1;  google.protobuf.Struct metadata = 2; }
    message CostFunction { ProblemType type = 1; string version = 2; repeated Term terms = 3;
                           map<string, int64> init_config = 4; }
    message Term         { double c = 1;  repeated int64 ids = 2; }
    enum ProblemType     { PUBO = 0; ISING = 1; MAXSAT = 2; SOFTSPIN = 3; }

The names of the files end in ``_0.pb``, ``_1.pb`` … and the files are read in the order of these numbers. Type,
version, metadata and initial configuration are those of the first message; in the others they have the defaults of
proto3 and are ignored. Squared linear combinations have no protobuf form.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np

from qiosk.errors import InvalidValue, UnreadableInput
from qiosk.formats.qio import protobuf_wire as wire
from qiosk.formats.qio import tar
from qiosk.formats.qio.document import Columns, cost_function_from
from qiosk.formats.qio.scanner import fill, is_worthwhile
from qiosk.model.cost_function import CostFunction, ProblemType

_FILE = re.compile(r"(?:.*/)?[^/]*_([0-9]{1,9})\.pb", re.DOTALL)
_TYPES = {0: ProblemType.pubo, 1: ProblemType.ising}
_TERMS, _TYPE, _VERSION, _INITIAL = 3, 1, 2, 4  # fields of CostFunction

Spans = Sequence[tuple[int, int]]
"""Start and stop of messages within the data."""


def read(content: bytes) -> CostFunction:
    """The cost function in a tar archive of messages, not compressed.

    Raises InvalidInput: UnreadableInput (AZQ105) for a broken archive or message, and for a wrong problem what the
    JSON reader raises.
    """
    return _read(content, _in_order(tar.members(content)))


def read_messages(messages: Iterable[bytes]) -> CostFunction:
    """The cost function in messages without an archive. Raises InvalidInput."""
    parts = list(messages)
    ends = np.cumsum([0, *map(len, parts)]).tolist()
    return _read(b"".join(parts), list(itertools.pairwise(ends)))


def _in_order(members: Iterable[tar.Member]) -> Spans:
    """Start and stop of the messages, in the order of the numbers in their names."""
    spans: dict[int, tuple[int, int]] = {}
    for member in members:
        match = _FILE.fullmatch(member.name)
        if match is None:
            raise UnreadableInput(f"tar: files must be called NAME_0.pb, NAME_1.pb …, found {member.name!r}")
        number = int(match[1])
        if number in spans:
            raise UnreadableInput(f"tar: two files have the number {number}, one is {member.name!r}")
        spans[number] = member.start, member.stop
    missing = next((n for n in range(len(spans)) if n not in spans), None)
    if missing is not None:
        raise UnreadableInput(f"tar: files must be numbered from 0 on, number {missing} of {len(spans)} is missing")
    if not spans:
        raise UnreadableInput("tar: the archive is empty")
    return [spans[n] for n in range(len(spans))]


def _read(data: bytes, messages: Spans) -> CostFunction:
    document: dict[str, Any] = {}
    spans: list[tuple[int, int]] = []
    n_first = 0  # number of spans in the first message: a field may be split into several parts
    for m, (start, stop) in enumerate(messages):
        for field in wire.fields(data, start, stop):
            if field.number == 1:
                wire.expect(field, wire.LENGTH, "cost_function")
                spans.append((field.start, field.stop))
                n_first += m == 0
            elif field.number == 2 and m == 0:
                wire.expect(field, wire.LENGTH, "metadata")
                document.setdefault("metadata", {}).update(wire.read_struct(data, field.start, field.stop))
    columns, others = _scan(data, spans) or _walk(data, spans)
    if n_first:
        document["cost_function"] = _section(data, (field for s, field in others if s < n_first))
    return cost_function_from(document, columns)


def _section(data: bytes, fields: Iterable[wire.Field]) -> dict[str, Any]:
    """The members of ``cost_function`` except its terms, as in the JSON document."""
    number, version = 0, ""
    initial: dict[str, int] = {}
    for field in fields:
        if field.number == _TYPE:
            number = wire.expect(field, wire.VARINT, "type").value
        elif field.number == _VERSION:
            version = wire.text(data, field, "version")
        elif field.number == _INITIAL:
            variable, value = _initial_value(data, wire.expect(field, wire.LENGTH, "init_config"))
            initial[variable] = value
    if number not in _TYPES:
        raise InvalidValue(f"`type` must be 0 (pubo) or 1 (ising), found {number}")
    section: dict[str, Any] = {"type": _TYPES[number].value, "terms": []}
    if version:  # in proto3 an empty string equals a missing one
        section["version"] = version
    if initial:
        section["initial_configuration"] = initial
    return section


def _initial_value(data: bytes, entry: wire.Field) -> tuple[str, int]:
    variable, value = "", 0
    for field in wire.fields(data, entry.start, entry.stop):
        if field.number == 1:
            variable = wire.text(data, field, "init_config")
        elif field.number == 2:
            value = wire.signed(wire.expect(field, wire.VARINT, "init_config").value)
    return variable, value


Others = Sequence[tuple[int, wire.Field]]
"""Fields that are not terms, each with the number of its span."""


def _scan(data: bytes, spans: Spans) -> tuple[Columns, Others] | None:
    """Terms and other fields of ``CostFunction`` messages by the fast scanner; None if it cannot be used."""
    if not is_worthwhile(len(data)):
        return None
    from qiosk.kernels import compiler
    from qiosk.kernels.scan import STOPPED, protobuf_terms

    if not compiler.jit_enabled():
        return None  # interpreted, it is not faster than the general parser
    view, places = np.frombuffer(data, np.uint8), np.array(spans, np.int64).reshape(-1, 2)
    scan = partial(protobuf_terms.scan_cost_functions, view, places)
    outcome, (bits, indptr, ids), others = fill(scan, len(data) // 16 + 16, np.uint64, 4, np.zeros(5, np.int64))
    if outcome == STOPPED:
        return None
    found = [(s, _other(data, tag, start, stop)) for s, tag, start, stop in others.tolist()]
    return (bits.view(np.float64), indptr, ids), found


def _other(data: bytes, tag: int, start: int, stop: int) -> wire.Field:
    value = wire.varint(data, start, stop)[0] if tag & 7 == wire.VARINT else 0
    return wire.Field(tag >> 3, tag & 7, value, start, stop)


def _walk(data: bytes, spans: Spans) -> tuple[Columns, Others]:
    """The same by the general parser, whose errors name what is wrong. Raises UnreadableInput."""
    coefficients: list[float] = []
    indptr, ids = [0], []
    others = []
    for s, (start, stop) in enumerate(spans):
        for field in wire.fields(data, start, stop):
            if field.number != _TERMS:
                others.append((s, field))
                continue
            c, some = _term(data, wire.expect(field, wire.LENGTH, "terms"))
            coefficients.append(c)
            ids += some
            indptr.append(len(ids))
    return (np.array(coefficients, np.float64), np.array(indptr, np.int64), np.array(ids, np.int64)), others


def _term(data: bytes, term: wire.Field) -> tuple[float, list[int]]:
    c, ids = 0.0, []
    for field in wire.fields(data, term.start, term.stop):
        if field.number == 1:
            c = wire.double(data, wire.expect(field, wire.FIXED64, "c"))
        elif field.number == 2 and field.wire_type == wire.VARINT:
            ids.append(wire.signed(field.value))
        elif field.number == 2:
            i = wire.expect(field, wire.LENGTH, "ids").start
            while i < field.stop:
                value, i = wire.varint(data, i, field.stop)
                ids.append(wire.signed(value))
    return c, ids
