"""A progress bar on standard error, when that is a terminal."""

from __future__ import annotations

import sys
from types import TracebackType
from typing import TYPE_CHECKING

from qiosk.contract.jobs import JobProgress

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID


class ProgressBar:
    """One line that shows state, fraction, sweeps, best cost and time; silent unless stderr is a terminal.

    Use as a context manager; :meth:`update` as often as you like.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self._enabled = enabled and sys.stderr.isatty()
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressBar:
        if self._enabled:
            self._bar = _bar()
            self._task = self._bar.add_task("Waiting", total=1.0, sweeps=0, best="-")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, state: str, progress: JobProgress) -> None:
        """Show a state and how far the job has come."""
        if self._bar is None or self._task is None:
            return
        best = "-" if progress.best_cost is None else f"{progress.best_cost:g}"
        fraction = 1.0 if state == "Succeeded" else progress.fraction
        self._bar.update(self._task, description=state, completed=fraction, sweeps=progress.sweeps, best=best)


def _bar() -> Progress:
    # Rich is loaded only by those who see the bar
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description:<9}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("sweeps {task.fields[sweeps]:,}"),
        TextColumn("best {task.fields[best]}"),
        TimeElapsedColumn(),
        console=Console(stderr=True),
        refresh_per_second=8,
    )
