"""A progress bar for large up- and downloads on standard error, when that is a terminal."""

from __future__ import annotations

import sys
import threading
import weakref
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SHOWN_FROM = 8 << 20
"""Bytes from which on a transfer is worth a bar."""


class TransferBar:
    """Shows one transfer at a time, from its first bytes to its end; silent unless stderr is a terminal."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._what: str | None = None
        self._bar: Progress | None = None
        self._task: TaskID | None = None
        self._stop: Callable[[], object] = lambda: None

    def __call__(self, what: str, size: int, total: int) -> None:
        """Bytes so far, and all of them (0: not known); 0 of 0 ends a transfer that failed."""
        if not sys.stderr.isatty():
            return
        is_over = size >= total if total else size == 0
        with self._lock:
            if self._bar is None and not is_over and max(size, total) >= SHOWN_FROM:
                self._what, self._bar = what, _bar()
                self._task = self._bar.add_task(what, total=None)
                self._stop = weakref.finalize(self, self._bar.stop)  # at exit, too: it hides the cursor
                self._bar.start()
            if self._bar is not None and self._task is not None and self._what == what:
                if size:
                    self._bar.update(self._task, completed=size, total=total or None)
                if is_over:
                    self._stop()
                    self._bar = None


def _bar() -> Progress:
    # Rich is loaded only by those who see the bar
    from rich.console import Console
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        console=Console(stderr=True),
        refresh_per_second=8,
        redirect_stdout=False,  # it may be a file, while the bar is on stderr
        redirect_stderr=False,
    )
