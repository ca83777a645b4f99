"""A table of a study's progress: how many trials of each solver are in each state."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from qiosk.console.status_line import is_terminal
from qiosk.studies.rows import NOT_SUBMITTED, UNREADABLE
from qiosk.studies.running import Counts

if TYPE_CHECKING:
    from rich.table import Table

STATES = (NOT_SUBMITTED, "Waiting", "Executing", "Succeeded", "Failed", "Cancelled", UNREADABLE)


def shown_states(counts: Counts) -> list[str]:
    """The states that have a column: those of a job that may be reached, others where a trial is in them."""
    always = (NOT_SUBMITTED, "Executing", "Succeeded")
    return [state for state in STATES if state in always or any(counts[key] for key in counts if key[1] == state)]


def title(state: str) -> str:
    """A state as the title of a column: ``NOT SUBMITTED``."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", state).upper()


def count_rows(counts: Counts) -> list[tuple[str, ...]]:
    """A row for each solver: its name, and the numbers in the columns of ``shown_states``; with a total of several."""
    solvers = list(dict.fromkeys(solver for solver, _ in counts))
    states = shown_states(counts)
    rows = [(solver, *(str(counts.get((solver, state), 0)) for state in states)) for solver in solvers]
    if len(solvers) > 1:
        totals = (sum(counts.get((solver, state), 0) for solver in solvers) for state in states)
        rows.append(("all", *map(str, totals)))
    return rows


class ProgressTable:
    """The table on standard error, if that is a terminal; otherwise silent. A context manager."""

    def __init__(self, name: str, *, enabled: bool = True) -> None:
        self._name = name
        self._live: Any = None
        if enabled and is_terminal(sys.stderr):
            from rich.console import Console
            from rich.live import Live

            self._live = Live(console=Console(stderr=True), auto_refresh=False, transient=True)

    def __enter__(self) -> ProgressTable:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._live is not None:
            self._live.stop()

    def update(self, counts: Counts) -> None:
        """Show other counts."""
        if self._live is not None:
            self._live.update(_table(self._name, shown_states(counts), count_rows(counts)), refresh=True)


def _table(name: str, states: Sequence[str], rows: Sequence[Sequence[str]]) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(f"study {name}"), title_justify="left", box=None)
    table.add_column("SOLVER")
    for state in states:
        table.add_column(title(state), justify="right")
    for row in rows:
        table.add_row(*map(Text, row))
    return table
