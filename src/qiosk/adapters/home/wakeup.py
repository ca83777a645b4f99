"""The wake-up pipe: who submits a job writes to a named pipe of the home, and the home's supervisor wakes up.

Correctness does not depend on it. The supervisor also polls the database, so a wake-up may be lost: no supervisor may
be running, the pipe may be full, or the file system may not support pipes. Then a job starts up to a poll later.
"""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import final

_CAPACITY = 1 << 16  # bytes that a pipe holds

log = logging.getLogger(__name__)


def wake(path: Path) -> None:
    """Wake the supervisor that reads from this pipe; nothing happens if there is none."""
    with suppress(OSError):  # no pipe, no reader, or so many wake-ups that the pipe is full
        file = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(file, b"!")
        finally:
            os.close(file)


@final
class WakeupPipe:
    """The reading end, of which a home has one. A context manager, which can be waited on while ``is_open``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def __enter__(self) -> WakeupPipe:
        try:
            _make(self._path)
            # For writing, too: a pipe that no process has open for writing always counts as readable.
            self._file = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            log.warning("no wake-up pipe, new jobs are found by polling alone: %s", error)
        return self

    def __exit__(self, *_: object) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)
            with suppress(OSError):
                self._path.unlink()  # programs that copy folders may block on a pipe

    @property
    def is_open(self) -> bool:
        """Whether wake-ups arrive."""
        return self._file >= 0

    def fileno(self) -> int:
        """The file descriptor, which becomes readable with a wake-up."""
        return self._file

    def drain(self) -> None:
        """Take all wake-ups so far from the pipe."""
        if self.is_open:
            with suppress(OSError):  # it is empty
                os.read(self._file, _CAPACITY)


def _make(path: Path) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISFIFO(path.stat().st_mode):
            return
        path.unlink()
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
