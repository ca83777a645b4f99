"""Progress bars of jobs and of large transfers, on standard error if that is a terminal."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from types import TracebackType

from qiosk.console.status_line import StatusLine
from qiosk.contract.jobs import JobProgress
from qiosk.forks import PerProcess

SHOWN_FROM_BYTES = 8 << 20
"""Smallest transfer that gets a bar."""
REDRAW_S = 0.1
"""Least time between two drawings of a bar whose state is the same."""
BAR_WIDTH = 30
"""Most characters of the bar itself."""
LEAST_BAR_WIDTH = 4
MEGABYTE = 1_000_000


class ProgressBar:
    """One line that shows state, fraction, sweeps, best cost and time: on standard error if that is a terminal, or in
    the cell of a notebook; otherwise silent.

    A run that has done nothing yet is shown as ``Preparing``: its problem is read. A run that compiles kernels shows
    that instead. A context manager; :meth:`update` may be called any number of times.
    """

    def __init__(self, *, enabled: bool = True, state: str = "Waiting") -> None:
        self._line = StatusLine(self._text) if enabled else None
        self._state, self._progress = state, JobProgress()
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
        is_new = (state, progress.activity) != (self._state, self._progress.activity)
        is_due = is_new or time.monotonic() - self._drawn >= REDRAW_S
        self._state, self._progress = state, progress
        if self._line is not None and is_due:
            self._drawn = time.monotonic()
            self._line.draw()

    def _text(self, width: int) -> str:
        progress = self._progress
        fraction = 1.0 if self._state == "Succeeded" else progress.fraction
        if progress.activity is not None:
            return f"{progress.activity}  {self._passed()}"[:width]
        best = "-" if progress.best_cost is None else f"{progress.best_cost:g}"
        best += "" if progress.bound is None else f" ≥ {progress.bound:g}"
        after = f"{fraction:4.0%}  sweeps {progress.sweeps:,}  best {best}  {self._passed()}"
        state = "Preparing" if self._state == "Executing" and progress == JobProgress() else self._state
        return f"{state:<9}  {bar(fraction, width - len(after) - 13)}{after}"[:width]

    def _passed(self) -> str:
        return clock(time.monotonic() - self._began)


def clock(span: float) -> str:
    """A time [s] in hours, minutes and seconds.

    >>> clock(3725.8)
    '1:02:05'
    """
    seconds = int(span)
    return f"{seconds // 3600}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"


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
        self._transfer: _Transfer | None = None
        self._stop: Callable[[], object] = lambda: None

    def update(self, name: str, size: int, total: int) -> None:
        has_ended = size >= total if total else size == 0
        with self._lock:
            if self._transfer is None and not has_ended and max(size, total) >= SHOWN_FROM_BYTES:
                self._transfer = _Transfer(name)
                self._transfer.show(size, total)
                self._transfer.line.start()
                self._stop = weakref.finalize(self, self._transfer.line.stop)
            if self._transfer is not None and self._transfer.name == name:
                if size:
                    self._transfer.show(size, total)
                if has_ended:
                    self._stop()
                    self._transfer = None


class _Transfer:
    """What a bar shows of one upload or download."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.line = StatusLine(self._text)
        self._size = self._total = 0
        self._began = time.monotonic()
        self._drawn = -REDRAW_S

    def show(self, size: int, total: int) -> None:
        self._size, self._total = size, total
        if time.monotonic() - self._drawn >= REDRAW_S:
            self._drawn = time.monotonic()
            self.line.draw()

    def _text(self, width: int) -> str:
        speed = self._size / MEGABYTE / max(time.monotonic() - self._began, 0.1)
        of = f"/{self._total / MEGABYTE:.1f}" if self._total else ""
        after = f"{self._size / MEGABYTE:.1f}{of} MB  {speed:.1f} MB/s"
        fraction = min(1.0, self._size / self._total) if self._total else 0.0
        return f"{self.name}  {bar(fraction, width - len(self.name) - len(after) - 4)}{after}"[:width]


def bar(fraction: float, room: int) -> str:
    """A bar of at most ``room`` characters with two blanks after it; nothing where there is no room."""
    length = min(BAR_WIDTH, room)
    done = round(length * fraction)
    return "━" * done + "─" * (length - done) + "  " if length >= LEAST_BAR_WIDTH else ""
