"""Configurations as pages show them: some values at a time, and all of them as a picture."""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil, isqrt
from typing import Any, Final

import numpy as np

from qiosk.errors import InvalidFilter
from qiosk.formats.qio.results import SolutionColumns
from qiosk.model.cost_function import I8

PAGE_VALUES: Final = 200
"""Values on a page."""
_PART: Final = re.compile(r"(\d{1,18})(?:\s*-\s*(\d{1,18}))?")
_COLOURS: Final = bytes((0x9A, 0xA5, 0xB1, 0x0B, 0x7E, 0x7E, 0xD0, 0x8A, 0x2E, 0x9A, 0xA5, 0xB1))
"""Of the values 0, 1 and -1, and of no value."""
_LEAST_SIDE: Final = 8


@dataclass(frozen=True, slots=True)
class ValuesPage:
    """Some of the values that match a search: pairs of a variable's id or name, and its value."""

    rows: Sequence[tuple[int | str, Any]]
    matches: int
    number: int
    """Of this page, from 1."""
    pages: int


def values_by_id(solution: SolutionColumns, text: str, value: int | None, page: int) -> ValuesPage:
    """A page of the values by id. ``text`` has ids and ranges such as ``3, 10-20``; empty for all.

    Raises InvalidFilter.

    >>> import numpy as np
    >>> values_by_id((np.arange(100), np.ones(100, np.int8), -1.0), "98-200, 3", None, 1).rows
    [(3, 1), (98, 1), (99, 1)]
    """
    ids, values, _ = solution
    chosen = np.full(len(ids), not text.strip())
    for first, last in _ranges(text):
        chosen[np.searchsorted(ids, first) : np.searchsorted(ids, last, side="right")] = True
    if value is not None:
        chosen &= values == value
    places = np.flatnonzero(chosen)

    def rows(start: int, stop: int) -> list[tuple[int | str, Any]]:
        shown = places[start:stop]
        return list(zip(ids[shown].tolist(), values[shown].tolist(), strict=True))

    return _page(len(places), page, rows)


def values_by_name(values: Mapping[str, Any], text: str, page: int) -> ValuesPage:
    """A page of the values of a model's variables whose names contain ``text``, in any case."""
    sought = text.strip().casefold()
    found = [(name, value) for name, value in values.items() if sought in name.casefold()]
    return _page(len(found), page, lambda start, stop: found[start:stop])


def _page(matches: int, page: int, rows: Callable[[int, int], Sequence[tuple[int | str, Any]]]) -> ValuesPage:
    pages = max(1, ceil(matches / PAGE_VALUES))
    number = min(max(1, page), pages)
    return ValuesPage(rows((number - 1) * PAGE_VALUES, number * PAGE_VALUES), matches, number, pages)


def _ranges(text: str) -> list[tuple[int, int]]:
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _PART.fullmatch(part)
        if match is None:
            raise InvalidFilter(f"q: must have ids and ranges such as '3, 10-20', found {part[:100]!r}")
        found.append((int(match[1]), int(match[2] or match[1])))
    return found


def chosen(solutions: Sequence[SolutionColumns], text: str | None) -> SolutionColumns:
    """The solution of this number, from 0; by default the best. Raises InvalidFilter."""
    number = text or "0"
    if not (number.isascii() and number.isdigit() and len(number) < 10 and int(number) < len(solutions)):
        raise InvalidFilter(f"solution: must be 0 to {len(solutions) - 1}, found {number[:100]!r}")
    return solutions[int(number)]


def counts(solution: SolutionColumns) -> dict[int, int]:
    """How many variables have each value."""
    found, numbers = np.unique(solution[1], return_counts=True)
    return dict(zip(found.tolist(), numbers.tolist(), strict=True))


def distances(solutions: Sequence[SolutionColumns]) -> list[int | None]:
    """In how many variables each solution differs from the first; None if it has others."""
    return [
        int(np.count_nonzero(values != solutions[0][1])) if np.array_equal(ids, solutions[0][0]) else None
        for ids, values, _ in solutions
    ]


def picture(values: I8) -> bytes:
    """A PNG with one pixel for each value, row by row, as square as possible."""
    width = max(_LEAST_SIDE, isqrt(max(0, len(values) - 1)) + 1)
    height = max(1, ceil(len(values) / width))
    pixels = np.full(height * width, 3, np.uint8)
    pixels[: len(values)] = np.where(values < 0, 2, values)
    rows = np.zeros((height, width + 1), np.uint8)  # a row begins with the number of its filter, which is none
    rows[:, 1:] = pixels.reshape(height, width)
    header = struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)
    parts = [(b"IHDR", header), (b"PLTE", _COLOURS), (b"tRNS", b"\xff\xff\xff\x00")]
    parts += [(b"IDAT", zlib.compress(rows.tobytes(), 6)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
