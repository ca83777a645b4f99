"""Draws the live table: lines of exactly the width of the terminal, in which names are text and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

from qiosk.cli.commands.jobs import target_cell
from qiosk.cli.table import COLOURS, GAP, Column, fill, fitted, natural_widths, printable
from qiosk.cli.top.rows import Row, counts
from qiosk.cli.top.screen import Screen
from qiosk.console.progress_bar import bar, clock
from qiosk.console.spark_line import spark_line
from qiosk.contract.jobs import JobStatus

if TYPE_CHECKING:
    from rich.text import Text

COLUMNS: Final = (
    Column("NAME", rank=1, least=10),
    Column("ID", rank=2, least=8),
    Column("STATUS", rank=1, least=9),
    Column("TARGET", rank=8, least=10),
    Column("PROGRESS", rank=6, least=9),
    Column("BEST", rank=3, least=8),
    Column("GAP", rank=5, least=6),
    Column("ELAPSED", rank=4, least=7),
    Column("TREND", rank=7, least=6),
)
_AT: Final = {column.title: k for k, column in enumerate(COLUMNS)}
_WORDS: Final = ("Executing", "Cancelling", "Waiting", "Succeeded", "Failed", "Cancelled")
_TITLES: Final = ["  NAME", *(column.title for column in COLUMNS[1:])]
_RIGHT: Final = ("BEST", "GAP", "ELAPSED")
AROUND: Final = 4
"""Lines of the screen besides the rows: the counts, where the jobs are, the titles, and the footer."""
_BAR: Final = 10
_PERCENT: Final = 5
_TREND: Final = 12
_LEAST_NAME: Final = 12
_KEYS: Final = "↑↓ select  Enter details  c cancel  s sort  q quit"
DETAIL_KEYS: Final = "↑↓ next job  Esc back  c cancel  q quit"


class Around(NamedTuple):
    """What stands above the rows: where the jobs are, what is wrong with reading them, and whether some are missing."""

    where: str
    trouble: str = ""
    is_cut: bool = False


def table_screen(screen: Screen, around: Around, width: int, height: int) -> list[Text]:
    """The lines of the table: as many as the terminal has."""
    widths = _widths(screen.visible, width)
    selected = screen.selected
    lines = [
        *header(screen, around, width),
        _titles(widths, width),
        *(_line(row, widths, width, is_selected=row is selected) for row in screen.visible),
    ]
    return framed(lines, footer(screen, _KEYS, width), width, height)


def header(screen: Screen, around: Around, width: int) -> list[Text]:
    """Two lines: how many jobs are in each state, and where they are, or why nothing new is known of them."""
    from rich.text import Text

    first = Text(no_wrap=True)
    first.append("qiosk top", style="bold")
    found = counts(screen.rows)
    for word in sorted(found, key=_WORDS.index):
        first.append("  ")
        first.append(f"{found[word]} {word}", style=COLOURS[word])
    if not screen.rows:
        first.append("  no jobs run or wait")
    if around.is_cut:
        first.append("  and more")
    place = f"{screen.order} first" if screen.order == "newest" else f"by {screen.order}"
    second = f"{around.where}, {place}"
    return [first, cut(around.trouble or second, width, style="red" if around.trouble else "dim")]


def footer(screen: Screen, keys: str, width: int) -> Text:
    """The keys, a message, or the question whether to cancel a job."""
    if screen.asked is not None:
        question = " Cancel it? y/n"
        name = f"{screen.asked.short_id} {printable(screen.asked.view.name)}"
        return cut(_within(name, max(0, width - len(question))) + question, width, style="bold")
    return cut(screen.note, width, style="bold") if screen.note else cut(keys, width, style="dim")


def framed(lines: Sequence[Text], last: Text, width: int, height: int) -> list[Text]:
    """Exactly ``height`` lines of which the last one is ``last``."""
    from rich.text import Text

    room = max(0, height - 1)
    shown = [*lines[:room], *(Text("") for _ in range(room - len(lines))), last][-height:]
    for line in shown:
        line.truncate(width)
    return shown


def plain_cells(row: Row) -> list[str]:
    """The cells of a row for output that is printed once: all but the last column."""
    return [cell.strip() for cell in _cells(row, 0, 0)[:-1]]


def cut(text: str, width: int, *, style: str = "") -> Text:
    """A text in a line of ``width``; one that is too long ends in ``…``."""
    from rich.text import Text

    return Text(_within(printable(text), width), style=style, no_wrap=True)


def progress_text(row: Row, width: int) -> str:
    """How far a job is, as a bar and a number; or what it does instead of searching."""
    if row.view.progress.activity and not row.view.status.is_final:
        return printable(row.view.progress.activity)
    if row.view.begin_execution_time is None:
        return ""
    return f"{bar(row.fraction, width - _PERCENT).rstrip()}{row.fraction:{_PERCENT}.0%}"


def cost_text(cost: float | None) -> str:
    """A cost with at most ten digits."""
    return "" if cost is None else f"{cost:.10g}"


def gap_text(gap: float | None) -> str:
    """A share, in percent."""
    return "" if gap is None else f"{100 * gap:.3g} %"


def _within(text: str, width: int) -> str:
    return fill(text, width).rstrip() if width > 0 else ""


def _widths(rows: Sequence[Row], width: int) -> list[int]:
    natural = natural_widths([_TITLES, *(_cells(row, _BAR + _PERCENT, 0) for row in rows)])
    natural[_AT["NAME"]] = min(natural[_AT["NAME"]], max(_LEAST_NAME, width // 4))
    natural[_AT["ID"]] = min(natural[_AT["ID"]], _LEAST_NAME)
    natural[_AT["PROGRESS"]] = _BAR + _PERCENT
    natural[_AT["TREND"]] = _TREND
    return fitted(COLUMNS, natural, width)


def _cells(row: Row, progress: int, trend: int) -> list[str]:
    view = row.view
    is_running = view.status == JobStatus.EXECUTING
    return [
        "  " + printable(view.name),
        printable(row.short_id),
        row.status,
        printable(target_cell(view.target).short),
        progress_text(row, progress),
        cost_text(view.progress.best_cost),
        gap_text(view.progress.gap),
        clock(row.elapsed_s),
        spark_line(row.trend, view.progress.seconds, trend) if is_running else "",
    ]


def _titles(widths: Sequence[int], width: int) -> Text:
    return cut(_joined(_TITLES, widths), width, style="bold")


def _line(row: Row, widths: Sequence[int], width: int, *, is_selected: bool) -> Text:
    """A row; the selected one is marked by a sign too, for terminals that show no reverse video."""
    from rich.text import Text

    cells = _cells(row, widths[_AT["PROGRESS"]], widths[_AT["TREND"]])
    if is_selected:
        cells[0] = "› " + cells[0][2:]
    text = fill(_joined(cells, widths), width)
    line = Text(text, style="reverse" if is_selected else "", no_wrap=True)
    if widths[_AT["STATUS"]] and row.status in COLOURS:
        before = _joined(cells[: _AT["STATUS"]], widths)
        start = len(before) + GAP if before else 0
        line.stylize(COLOURS[row.status], start, start + len(row.status))
    return line


def _joined(cells: Sequence[str], widths: Sequence[int]) -> str:
    shown = []
    for text, width, column in zip(cells, widths, COLUMNS, strict=False):
        if width:
            shown.append(fill(text.rjust(width) if column.title in _RIGHT else text, width))
    return (" " * GAP).join(shown)
