"""Rows as their tables declare them, whatever is stored: SQLite keeps any value in any column, and any bytes as text.

A value of another kind than its column's is replaced, with a warning in the log, so that one damaged row never blocks
a list. A row whose primary key is damaged cannot be addressed and is left out of lists.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from enum import Enum
from functools import cache, partial
from typing import Any, TypeVar

import sqlalchemy as sa

from qiosk.contract.plain import is_storable

E = TypeVar("E", bound=Enum)

_log = logging.getLogger(__name__)

_INSTEAD: Mapping[type, Any] = {str: "", int: 0, float: 0.0}


decode_text = partial(str, encoding="utf-8", errors="surrogateescape")
"""Text of SQLite; bytes that are no UTF-8 become halves of surrogates, by which they are recognized."""


def readable(table: sa.Table, row: Mapping[Any, Any]) -> dict[str, Any]:
    """The values of a row, those that are damaged replaced."""
    values = dict(row)
    for name, kind, nullable in _columns(table):
        if name not in values:
            continue
        value = values[name]
        if type(value) is kind and _is_sound(value):
            continue
        if value is None and nullable:
            continue
        values[name] = found = _repaired(value, kind, nullable=nullable)
        if found != value:
            names = " ".join(_shown(values.get(key.name)) for key in table.primary_key)
            _log.warning("%s %s: its %s cannot be read", table.name, names, name)
    return values


def has_key(table: sa.Table, row: Mapping[Any, Any]) -> bool:
    """Whether a row can be addressed: its primary key is sound."""
    return all(type(row[name]) is kind and _is_sound(row[name]) for name, kind in _keys(table))


def is_text(value: Any) -> bool:
    """Whether a value is text that can be stored and sent."""
    return type(value) is str and _is_sound(value)


def choice(kind: type[E], row: Mapping[Any, Any], column: str, otherwise: E) -> E:
    """The member of an enumeration in a column; ``otherwise``, with a warning, if it has no such value."""
    try:
        return kind(row[column])
    except ValueError as error:
        _log.warning("%s: %s: %s", _shown(row.get("id")), column, error)
        return otherwise


@cache
def _columns(table: sa.Table) -> Sequence[tuple[str, type, bool]]:
    """Of each column its name, the type of its values, and whether it may be NULL."""
    return [(column.name, column.type.python_type, bool(column.nullable)) for column in table.columns]


@cache
def _keys(table: sa.Table) -> Sequence[tuple[str, type]]:
    """The columns of the primary key, likewise."""
    return [(column.name, column.type.python_type) for column in table.primary_key]


def _is_sound(value: Any) -> bool:
    if type(value) is str:
        return is_storable(value)
    return type(value) is int or math.isfinite(value)


def _repaired(value: Any, kind: type, *, nullable: bool) -> Any:
    if kind is float and type(value) is int:
        return float(value)
    if kind is str and isinstance(value, (bytes, str)):
        data = value if isinstance(value, bytes) else value.encode("utf-8", "surrogateescape")
        return data.decode("utf-8", "replace").replace("\x00", "\N{SYMBOL FOR NULL}")
    return None if nullable else _INSTEAD[kind]


def _shown(value: Any) -> str:
    return ascii(value)[:200]
