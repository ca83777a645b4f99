"""Progress bars of jobs and of large transfers, on standard error if that is a terminal.

Rich is imported only when a bar is shown.
"""

from __future__ import annotations

import os
import sys
import threading
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING

from qiosk.contract.jobs import JobProgress
from qiosk.forks import PerProcess

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn, TaskID

SHOWN_FROM_BYTES = 8 << 20
"""Smallest transfer that gets a bar."""


class ProgressBar:
    """One line that shows state, fraction, sweeps, best cost and time; silent unless stderr is a terminal.

    A context manager; :meth:`update` may be called any number of times.
    """

    def __init__(self, *, enabled: bool = True) -> None:
        self._enabled = enabled and is_terminal(sys.stderr)
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __enter__(self) -> ProgressBar:
        if self._enabled:
            self._bar = _job_bar()
            self._task = self._bar.add_task("Waiting", total=1.0, sweeps=0, best="-")
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, state: str, progress: JobProgress) -> None:
        """Show a job's state and progress."""
        if self._bar is None or self._task is None:
            return
        best = "-" if progress.best_cost is None else f"{progress.best_cost:g}"
        fraction = 1.0 if state == "Succeeded" else progress.fraction
        self._bar.update(self._task, description=state, completed=fraction, sweeps=progress.sweeps, best=best)


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


def is_terminal(stream: object) -> bool:
    """Whether a stream is a terminal. Programs without a console have None or objects of their own for streams."""
    try:
        return bool(stream.isatty())  # type: ignore[attr-defined]
    except (AttributeError, OSError, ValueError):  # there is none, or it is closed
        return False


def _job_bar() -> Progress:
    from rich.progress import BarColumn, TaskProgressColumn, TextColumn, TimeElapsedColumn

    return _bar(
        TextColumn("{task.description:<9}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("sweeps {task.fields[sweeps]:,}"),
        TextColumn("best {task.fields[best]}"),
        TimeElapsedColumn(),
    )


def _transfer_bar() -> Progress:
    from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn

    return _bar(TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn(), redirect=False)


def _bar(*columns: ProgressColumn, redirect: bool = True) -> Progress:
    """A bar on standard error. Without ``redirect``, text for stdout stays there: it may be a file."""
    from rich.console import Console
    from rich.progress import Progress

    return Progress(
        *columns,
        console=Console(stderr=True),
        refresh_per_second=8,
        redirect_stdout=redirect,
        redirect_stderr=redirect,
    )
