"""A progress bar for large up- and downloads on standard error, when that is a terminal."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

SHOWN_FROM = 8 << 20
"""Bytes from which on a transfer is worth a bar."""


class TransferBar:
    """Shows one transfer at a time, from its first bytes to its last; silent unless stderr is a terminal."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._what: str | None = None
        self._bar: Progress | None = None
        self._task: TaskID | None = None

    def __call__(self, what: str, size: int, total: int) -> None:
        """Bytes so far, and all of them (0: not known)."""
        if total < SHOWN_FROM or not sys.stderr.isatty():
            return
        with self._lock:
            if self._bar is None:
                self._what, self._bar = what, _bar()
                self._task = self._bar.add_task(what, total=total)
                self._bar.start()
            if self._what == what and self._task is not None:
                self._bar.update(self._task, completed=size)
                if size >= total:
                    self._bar.stop()
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
    )
