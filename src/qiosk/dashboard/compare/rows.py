"""Tables whose columns are jobs, and which of their rows differ."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Iterator, Sequence
from enum import Enum, StrEnum
from typing import Any, Final, NamedTuple

import msgspec


class Gap(Enum):
    """Why a cell has no value."""

    UNKNOWN = "not known, or not yet"
    ABSENT = "the job has none"


class Kind(StrEnum):
    """How the values of a row are shown."""

    COST = "cost"
    SECONDS = "seconds"
    COUNT = "count"
    AMOUNT = "amount"
    SHARE = "share"
    DIGEST = "digest"
    TARGET = "target"
    VALUE = "value"


class Row(NamedTuple):
    """A property of jobs: a value for each, or why there is none. ``notes`` are further words for each value."""

    label: str
    kind: Kind
    values: tuple[Any, ...]
    notes: tuple[str, ...] = ()

    @property
    def differs(self) -> bool:
        """Whether the jobs have different values, as far as these are known."""
        known = [value for value in self.values if value is not Gap.UNKNOWN]
        return any(not is_same(known[0], value) for value in known[1:])


class Section(NamedTuple):
    """Rows below a heading."""

    title: str
    rows: Sequence[Row]


def is_same(one: Any, other: Any) -> bool:
    """Whether two JSON values are equal: 1 and 1.0 are, 1 and true are not.

    >>> is_same([1, {"a": 2}], [1.0, {"a": 2.0}]), is_same(1, True), is_same([0], [False])
    (True, False, False)
    """
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(is_same(one[name], other[name]) for name in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(is_same, one, other))
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)


def differing(sections: Iterable[Section]) -> list[Section]:
    """The rows that differ, without sections that have none."""
    kept = [Section(title, [row for row in rows if row.differs]) for title, rows in sections]
    return [section for section in kept if section.rows]


def as_csv(ids: Sequence[str], names: Sequence[str], sections: Iterable[Section]) -> Iterator[str]:
    """The lines of a table: section, property, whether it differs, and a column for each job, whose head is its id."""
    yield _line(["section", "property", "differs", *ids])
    yield _line(["", "Name", "", *map(_safe, names)])
    for title, rows in sections:
        for row in rows:
            yield _line([title, _safe(row.label), "yes" if row.differs else "no", *map(_cell, row.values)])


def _cell(value: Any) -> str:
    if isinstance(value, Gap) or value is None or (isinstance(value, float) and not math.isfinite(value)):
        return ""
    if isinstance(value, str):
        return _safe(value)
    return repr(value) if isinstance(value, float) else msgspec.json.encode(value).decode()


_FORMULAS: Final = ("=", "+", "-", "@", "\t", "\r")


def _safe(text: str) -> str:
    """A text that no program for spreadsheets takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULAS) else text


def _line(cells: Sequence[str]) -> str:
    file = io.StringIO()
    csv.writer(file).writerow(cells)
    return file.getvalue()
