"""Reads text formats line by line; errors name the line that is wrong."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from qiosk.errors import UnreadableInput
from qiosk.model.cost_function import F64, I64

_MAX_EXACT = 2.0**53  # integers up to this are exact in float64
_SHOWN_CHARACTERS = 60


class Line(NamedTuple):
    """A line and its number, starting at 1."""

    number: int
    text: str


class Lines:
    """The lines of a text that are neither empty nor comments, read one after the other.

    ``form`` is the name of the format in errors. Lines that begin with one of ``comments`` are skipped; ``remarks``
    lists them without that prefix, ``content`` is the number of bytes.
    """

    def __init__(self, data: bytes, form: str, comments: tuple[str, ...] = ()) -> None:
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise UnreadableInput(f"{form}: not a text in UTF-8: {error}") from error
        self.form = form
        self.content = len(data)
        self.remarks: list[str] = []
        self._lines: list[Line] = []
        for number, raw in enumerate(text.splitlines(), 1):
            line = raw.strip()
            mark = next((mark for mark in comments if line.startswith(mark)), None)
            if mark is not None:
                self.remarks.append(line.removeprefix(mark).strip())
            elif line:
                self._lines.append(Line(number, line))
        self._at = 0

    def __iter__(self) -> Iterator[Line]:
        while self._at < len(self._lines):
            yield self.take("a line")

    @property
    def left(self) -> int:
        """Number of lines that are not read yet."""
        return len(self._lines) - self._at

    def peek(self) -> Line | None:
        """The next line, which is not taken; None at the end."""
        return self._lines[self._at] if self.left else None

    def take(self, what: str) -> Line:
        """The next line. Raises UnreadableInput at the end of the text, naming ``what`` the line should contain."""
        if not self.left:
            raise UnreadableInput(f"{self.form}: the file ends where {what} should be")
        self._at += 1
        return self._lines[self._at - 1]

    def fail(self, line: Line, rule: str) -> UnreadableInput:
        """The error for a line that breaks a rule."""
        shown = line.text if len(line.text) <= _SHOWN_CHARACTERS else line.text[:_SHOWN_CHARACTERS] + "…"
        return UnreadableInput(f"{self.form}: line {line.number}: {rule}, found {shown!r}")

    def integers(self, what: str, count: int) -> list[int]:
        """The ``count`` integers >= 0 of the next line."""
        line = self.take(what)
        words = line.text.split()
        if len(words) != count or not all(map(is_count, words)):
            raise self.fail(line, f"must be {what}: {count} integers of at least 0")
        return [int(word) for word in words]

    def number(self, what: str) -> float:
        """The one finite number at the beginning of the next line."""
        line = self.take(what)
        value = to_number(line.text.split()[0])
        if value is None:
            raise self.fail(line, f"must be {what}: a number")
        return value

    def table(self, count: int, what: str, columns: Sequence[int], *, has_remarks: bool = False) -> F64:
        """The next ``count`` lines as numbers, shape (count, k); k is one of ``columns`` and equal in all lines.

        ``has_remarks``: what follows the first numbers of a line is ignored.
        """
        if count > self.left:
            raise UnreadableInput(f"{self.form}: {count} lines of {what} are announced, found {self.left}")
        lines = self._lines[self._at : self._at + count]
        self._at += count
        if not lines:
            return np.empty((0, max(columns)))
        width = min(len(lines[0].text.split()), max(columns)) if has_remarks else len(lines[0].text.split())
        if width not in columns:
            raise self.fail(lines[0], f"must be {what}: {' or '.join(map(str, columns))} numbers")
        used = range(width) if has_remarks else None
        try:
            rows = np.loadtxt(io.StringIO("\n".join(line.text for line in lines)), ndmin=2, comments=None, usecols=used)
        except ValueError:
            rows = np.empty((0, 0))
        if rows.shape != (count, width) or not np.isfinite(rows).all():
            raise self._first_wrong(lines, width, what, has_remarks=has_remarks)
        return rows

    def _first_wrong(self, lines: Sequence[Line], width: int, what: str, *, has_remarks: bool) -> UnreadableInput:
        for line in lines:
            values = [to_number(text) for text in line.text.split()[: width if has_remarks else None]]
            if len(values) != width or None in values:
                return self.fail(line, f"must be {what}: {width} numbers, as in the lines before")
        return self.fail(lines[0], f"must be {what}: {width} numbers, from here on")

    def indices(self, column: F64, what: str, low: int, high: int) -> I64:
        """A column of a table as integers in low..high. Raises UnreadableInput, naming the first other value."""
        is_good = (column == np.floor(column)) & (column >= low) & (column <= high) & (np.abs(column) < _MAX_EXACT)
        if not is_good.all():
            wrong = column[np.argmin(is_good)]
            raise UnreadableInput(f"{self.form}: {what} must be an integer from {low} to {high}, found {wrong:g}")
        return column.astype(np.int64)

    def index_pairs(self, table: F64, what: str, low: int, high: int) -> tuple[I64, I64]:
        """The first two columns of a table as integers in low..high. Raises UnreadableInput."""
        pairs = self.indices(table[:, :2].ravel(), what, low, high).reshape(-1, 2)
        return pairs[:, 0], pairs[:, 1]


def is_count(word: str) -> bool:
    """Whether a word is an integer >= 0 that fits into int64."""
    return word.isdecimal() and len(word) < 19


def to_number(text: str) -> float | None:
    """A finite number in decimal notation; None for anything else."""
    if "_" in text:
        return None
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def shown(value: float) -> str:
    """The shortest text that is read as the same number; integers without a point."""
    return str(int(value)) if value == int(value) and abs(value) < _MAX_EXACT else repr(float(value))


def word_of(name: str) -> str:
    """A problem's name as one word of letters, digits and underscores; ``problem`` if it has none."""
    return "".join(c if c.isalnum() else "_" for c in name) or "problem"
