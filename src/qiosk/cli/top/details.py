"""Draws one job of the live table: its facts, its costs over time, and the end of its log."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from qiosk.cli.table import COLOURS, printable
from qiosk.cli.top.rows import Row, Snapshot
from qiosk.cli.top.screen import Screen
from qiosk.cli.top.view import DETAIL_KEYS, Around, cost_text, cut, footer, framed, gap_text, header, progress_text
from qiosk.console.progress_bar import clock
from qiosk.console.spark_line import spark_line

if TYPE_CHECKING:
    from rich.text import Text

_LABEL: Final = 11
_BAR: Final = 35


def details_screen(screen: Screen, row: Row, snapshot: Snapshot, around: Around, width: int, height: int) -> list[Text]:
    """The lines of one job's details: as many as the terminal has; the log gets what the facts leave."""
    lines = header(screen, around, width)
    for label, text in facts(row, width):
        line = cut(f"{label:<{_LABEL}} {text}", width)
        line.stylize("bold", 0, _LABEL)
        if label == "status":
            line.stylize(COLOURS.get(row.status, ""), _LABEL + 1)
        lines.append(line)
    room = height - len(lines) - 2
    if room > 0:
        lines += [cut("", width), *(cut(text, width, style="dim") for text in _log(row, snapshot)[-room:])]
    return framed(lines, footer(screen, DETAIL_KEYS, width), width, height)


def facts(row: Row, width: int) -> list[tuple[str, str]]:
    """Labels and texts; those that are not known are left out."""
    view, progress = row.view, row.view.progress
    found = {
        "id": view.id,
        "name": view.name,
        "status": row.status,
        "target": view.target,
        "progress": progress_text(row, _BAR),
        "best": cost_text(progress.best_cost),
        "bound": cost_text(progress.bound),
        "gap": gap_text(progress.gap),
        "trend": spark_line(row.trend, progress.seconds, min(60, width - _LABEL - 1)),
        "sweeps": f"{progress.sweeps:,}" if progress.sweeps else "",
        "elapsed": clock(row.elapsed_s),
        "created": f"{view.creation_time.astimezone():%Y-%m-%d %H:%M:%S}",
        "attempts": str(view.attempts) if view.attempts > 1 else "",
        "tags": ", ".join(view.tags),
        "submitter": view.submitter or "",
        "error": "" if view.error_data is None else f"{view.error_data.code}: {view.error_data.message}",
    }
    return [(label, printable(text)) for label, text in found.items() if text]


def _log(row: Row, snapshot: Snapshot) -> Sequence[str]:
    if snapshot.log_of != row.view.id:
        return []
    return [
        f"{line.time.astimezone():%H:%M:%S} {line.level} {part}"
        for line in snapshot.log
        for part in line.text.splitlines() or [""]
    ]
