"""Tables on standard output, one line a row, that fit the terminal."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import typer

from qiosk.console.status_line import is_terminal

if TYPE_CHECKING:
    from qiosk.contract.jobs import JobView

GAP = 2
COLOURS = {
    "Waiting": "yellow",
    "Executing": "cyan",
    "Cancelling": "magenta",
    "Succeeded": "green",
    "Failed": "red",
    "TimedOut": "red",
    "Cancelled": "magenta",
}


class Cell(NamedTuple):
    """A text, and a shorter one for terminals: the first characters of an id, the age instead of a time."""

    full: str
    short: str


class Column(NamedTuple):
    """A column. When the table is too wide, those of the highest ``rank`` are cut first, to ``least`` characters, and
    then left out. Rank 0 is never cut.
    """

    title: str
    rank: int = 0
    least: int = 0


def status_word(job: JobView) -> str:
    """The state of a job in tables: ``Cancelling`` while it runs on after it was cancelled."""
    return "Cancelling" if job.is_cancelling and not job.status.is_final else str(job.status)


def print_table(columns: Sequence[Column], rows: Iterable[Sequence[str | Cell]], *, colour: str | None = None) -> None:
    """Print a table; the cells of the column ``colour`` are coloured on a terminal.

    The width is ``COLUMNS``, or the terminal's; without either nothing is cut. Short cells are used on a terminal, and
    where the full ones do not fit.
    """
    given = [[cell if isinstance(cell, Cell) else Cell(cell, cell) for cell in row] for row in rows]
    titles = [column.title for column in columns]
    width = _width()
    lines = [titles, *([printable(cell.full) for cell in row] for row in given)]
    if is_terminal(sys.stdout) or _length(lines) > width:
        lines = [titles, *([printable(cell.short) for cell in row] for row in given)]
    widths = fitted(columns, natural_widths(lines), width)
    painted = None if colour is None or os.environ.get("NO_COLOR") else titles.index(colour)
    for line in lines:
        cells = [
            _painted(fill(text, w), text) if k == painted else fill(text, w)
            for k, (text, w) in enumerate(zip(line, widths, strict=True))
            if w
        ]
        typer.echo((" " * GAP).join(cells).rstrip())


def _width() -> int:
    if os.environ.get("COLUMNS", "").isdecimal() or is_terminal(sys.stdout):
        return shutil.get_terminal_size().columns
    return sys.maxsize


def fitted(columns: Sequence[Column], natural: Sequence[int], width: int) -> list[int]:
    """The width of each column in a line of ``width``; 0 leaves it out. ``natural`` are those that need no cuts."""
    widths = list(natural)
    by_rank = sorted((k for k in range(len(columns)) if columns[k].rank), key=lambda k: -columns[k].rank)
    for k in by_rank:
        widths[k] = min(widths[k], max(columns[k].least, widths[k] - (_total(widths) - width)))
    for k in by_rank:
        if _total(widths) > width:
            widths[k] = 0
    for k in reversed(by_rank):  # what was left out makes room
        if widths[k]:
            widths[k] = min(natural[k], max(widths[k], widths[k] + width - _total(widths)))
    return widths


def _total(widths: Sequence[int]) -> int:
    shown = [w for w in widths if w]
    return sum(shown) + GAP * (len(shown) - 1)


def natural_widths(lines: Sequence[Sequence[str]]) -> list[int]:
    """The width of the widest cell of each column."""
    from rich.cells import cell_len

    return [max(map(cell_len, column)) for column in zip(*lines, strict=True)]


def _length(lines: Sequence[Sequence[str]]) -> int:
    return _total(natural_widths(lines))


def fill(text: str, width: int) -> str:
    """A text of exactly ``width`` columns of the terminal; a cut one ends in ``…``."""
    from rich.cells import cell_len, set_cell_size

    return set_cell_size(text, width) if cell_len(text) <= width else set_cell_size(text, width - 1) + "…"


def printable(text: str) -> str:
    """A text without line breaks, and without characters that would control the terminal."""
    return "".join(c if c.isprintable() else " " for c in text)


def _painted(text: str, state: str) -> str:
    return typer.style(text, fg=COLOURS[state]) if state in COLOURS else text
