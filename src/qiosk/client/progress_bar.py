"""Progress bars of jobs and of large transfers, on standard error if that is a terminal.

Rich is imported only when a transfer's bar is shown.
"""

from __future__ import annotations

import os
import sys
import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from qiosk.client.status_line import StatusLine, is_terminal
from qiosk.contract.jobs import JobProgress
from qiosk.forks import PerProcess

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SHOWN_FROM_BYTES = 8 << 20
"""Smallest transfer that gets a bar."""
REDRAW_S = 0.1
"""Least time between two drawings of a bar whose state is the same."""
BAR_WIDTH = 30
"""Most characters of the bar itself."""


class ProgressBar:
    """One line that shows state, fraction, sweeps, best cost and time: on standard error if that is a terminal, or in
    the cell of a notebook; otherwise silent.

    A context manager; :meth:`update` may be called any number of times.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self._line = StatusLine(self._text) if enabled else None
        self._state, self._progress = "Waiting", JobProgress()
        self._began = self._drawn = time.monotonic()

    def __enter__(self) -> ProgressBar:
        if self._line is not None:
            self._line.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._line is not None:
            self._line.stop()

    def update(self, state: str, progress: JobProgress) -> None:
        """Show a job's state and progress."""
        is_due = state != self._state or time.monotonic() - self._drawn >= REDRAW_S
        self._state, self._progress = state, progress
        if self._line is not None and is_due:
            self._drawn = time.monotonic()
            self._line.draw()

    def _text(self, width: int) -> str:
        progress = self._progress
        fraction = 1.0 if self._state == "Succeeded" else progress.fraction
        best = "-" if progress.best_cost is None else f"{progress.best_cost:g}"
        seconds = int(time.monotonic() - self._began)
        passed = f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
        after = f"{fraction:4.0%}  sweeps {progress.sweeps:,}  best {best}  {passed}"
        room = min(BAR_WIDTH, width - len(after) - 12)
        done = round(room * fraction)
        bar = "━" * done + "─" * (room - done) + "  " if room >= 4 else ""
        return f"{self._state:<9}  {bar}{after}"[:width]


class TransferBar:
    """Shows one upload or download at a time, from its first bytes to its end."""

    def __init__(self) -> None:
        self._process = PerProcess(_ShownTransfer)

    def __call__(self, name: str, size: int, total: int) -> None:
        """Show a transfer's bytes so far and in all (0: unknown); 0 of 0 ends a transfer that failed."""
        self._process.get().update(name, size, total)


class _ShownTransfer:
    """The bar of one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._name: str | None = None
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._stop: Callable[[], object] = lambda: None

    def update(self, name: str, size: int, total: int) -> None:
        if not is_terminal(sys.stderr):
            return
        has_ended = size >= total if total else size == 0
        with self._lock:
            if self._bar is None and not has_ended and max(size, total) >= SHOWN_FROM_BYTES:
                self._name, self._bar = name, _transfer_bar()
                self._task = self._bar.add_task(name, total=None)
                self._stop = weakref.finalize(
                    self, _stop, self._bar, os.getpid()
                )  # at exit, too: the bar hides the cursor
                self._bar.start()
            if self._bar is not None and self._task is not None and self._name == name:
                if size:
                    self._bar.update(self._task, completed=size, total=total or None)
                if has_ended:
                    self._stop()
                    self._bar = None


def _stop(bar: Progress, process: int) -> None:
    if os.getpid() == process:  # a forked child does not draw
        bar.stop()


def _transfer_bar() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        refresh_per_second=8,
        redirect_stdout=False,
        redirect_stderr=False,
    )
