"""The wire format of protocol buffers: fields of messages, and ``google.protobuf.Struct``.

Encoding: https://protobuf.dev/programming-guides/encoding/. Only proto3 is supported, so groups are refused.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from qiosk.errors import UnreadableInput, WrongType

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
"""Wire types."""

_MAX_DEPTH = 64
_WORD = (1 << 64) - 1


class Field(NamedTuple):
    """A field of a message: its number, its wire type, and its content.

    ``value`` is the number of a VARINT; for other types the content is ``data[start:stop]``.
    """

    number: int
    wire_type: int
    value: int
    start: int
    stop: int


def fields(data: bytes, start: int, stop: int) -> Iterator[Field]:
    """The fields of the message ``data[start:stop]``, in order. Raises UnreadableInput."""
    i = start
    while i < stop:
        tag, i = varint(data, i, stop)
        number, wire_type = tag >> 3, tag & 7
        if number == 0:
            raise UnreadableInput(f"protobuf: byte {i}: field number 0")
        value, begin, i = _content(data, i, stop, wire_type)
        yield Field(number, wire_type, value, begin, i)


def expect(field: Field, wire_type: int, name: str) -> Field:
    """The field, if it has this wire type. Raises UnreadableInput."""
    if field.wire_type != wire_type:
        raise UnreadableInput(f"protobuf: `{name}` must have wire type {wire_type}, found {field.wire_type}")
    return field


def varint(data: bytes, start: int, stop: int) -> tuple[int, int]:
    """An unsigned 64-bit number, and the position after it. Raises UnreadableInput."""
    value = 0
    for place in range(start, min(stop, start + 10)):
        value |= (data[place] & 0x7F) << (7 * (place - start))
        if data[place] < 0x80:
            return value & _WORD, place + 1
    raise UnreadableInput(f"protobuf: the number at byte {start} does not end")


def signed(value: int) -> int:
    """An int64 from its 64 bits."""
    return value - (1 << 64) if value >> 63 else value


def double(data: bytes, field: Field) -> float:
    """The content of a FIXED64 as float64."""
    (number,) = struct.unpack_from("<d", data, field.start)
    return float(number)


def text(data: bytes, field: Field, name: str) -> str:
    """The content of a LENGTH as a string. Raises UnreadableInput."""
    expect(field, LENGTH, name)
    try:
        return data[field.start : field.stop].decode()
    except UnicodeDecodeError as error:
        raise UnreadableInput(f"protobuf: `{name}` must be UTF-8: {error}") from error


def read_struct(data: bytes, start: int, stop: int, depth: int = 0) -> dict[str, Any]:
    """A ``google.protobuf.Struct`` as an object of JSON values. Raises UnreadableInput."""
    if depth > _MAX_DEPTH:
        raise UnreadableInput(f"protobuf: `metadata` is nested more than {_MAX_DEPTH} deep")
    members: dict[str, Any] = {}
    for entry in fields(data, start, stop):
        if entry.number != 1:
            continue
        expect(entry, LENGTH, "metadata")
        key, value = "", None
        for field in fields(data, entry.start, entry.stop):
            if field.number == 1:
                key = text(data, field, "metadata")
            elif field.number == 2:
                expect(field, LENGTH, "metadata")
                value = _read_value(data, field.start, field.stop, depth + 1)
        members[key] = value
    return members


def write_struct(members: Mapping[str, Any]) -> bytes:
    """A ``google.protobuf.Struct`` from an object of JSON values. Raises WrongType."""
    entries = (
        length_field(1, key.encode()) + length_field(2, _write_value(key, value)) for key, value in members.items()
    )
    return b"".join(length_field(1, entry) for entry in entries)


def length_field(number: int, content: bytes) -> bytes:
    """A field whose content is preceded by its length."""
    return varint_bytes(number << 3 | LENGTH) + varint_bytes(len(content)) + content


def varint_field(number: int, value: int) -> bytes:
    """A field with an integer; negative ones are written as int64."""
    return varint_bytes(number << 3 | VARINT) + varint_bytes(value & _WORD)


def varint_bytes(value: int) -> bytes:
    """An unsigned number as a varint, seven bits per byte."""
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _content(data: bytes, i: int, stop: int, wire_type: int) -> tuple[int, int, int]:
    """Value, start and stop of a field's content."""
    if wire_type == VARINT:
        value, end = varint(data, i, stop)
        return value, i, end
    if wire_type == LENGTH:
        length, i = varint(data, i, stop)
    elif wire_type in (FIXED64, FIXED32):
        length = 8 if wire_type == FIXED64 else 4
    else:
        raise UnreadableInput(f"protobuf: byte {i}: wire type {wire_type} is not allowed")
    if length > stop - i:
        raise UnreadableInput(f"protobuf: the {length} bytes from byte {i} on are not all there")
    return 0, i, i + length


def _read_value(data: bytes, start: int, stop: int, depth: int) -> Any:
    value: Any = None
    for field in fields(data, start, stop):
        if field.number == 1:
            value = None
        elif field.number == 2:
            value = double(data, expect(field, FIXED64, "metadata"))
        elif field.number == 3:
            value = text(data, field, "metadata")
        elif field.number == 4:
            value = bool(expect(field, VARINT, "metadata").value)
        elif field.number == 5:
            expect(field, LENGTH, "metadata")
            value = read_struct(data, field.start, field.stop, depth)
        elif field.number == 6:
            expect(field, LENGTH, "metadata")
            value = _read_list(data, field.start, field.stop, depth)
    return value


def _read_list(data: bytes, start: int, stop: int, depth: int) -> list[Any]:
    if depth > _MAX_DEPTH:
        raise UnreadableInput(f"protobuf: `metadata` is nested more than {_MAX_DEPTH} deep")
    items = (expect(field, LENGTH, "metadata") for field in fields(data, start, stop) if field.number == 1)
    return [_read_value(data, item.start, item.stop, depth + 1) for item in items]


def _write_value(key: str, value: Any) -> bytes:
    if value is None:
        return varint_field(1, 0)
    if isinstance(value, bool):
        return varint_field(4, int(value))
    if isinstance(value, int | float) and math.isfinite(value):
        return varint_bytes(2 << 3 | FIXED64) + struct.pack("<d", value)
    if isinstance(value, str):
        return length_field(3, value.encode())
    if isinstance(value, Mapping):
        return length_field(5, write_struct(value))
    if isinstance(value, list | tuple):
        return length_field(6, b"".join(length_field(1, _write_value(key, item)) for item in value))
    raise WrongType(f"metadata `{key}`: must be a JSON value, found {type(value).__name__} {value!r}")
