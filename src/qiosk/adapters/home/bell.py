"""A bell that wakes a home's supervisor when there is something to do: a named pipe.

It makes things fast, not right. Whoever listens also looks by itself now and then, so a ring may get lost: nobody may
listen yet, or the file system may have no pipes.
"""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import final

_READ = 1 << 16  # what a pipe holds

log = logging.getLogger(__name__)


def ring(path: Path) -> None:
    """Wake the listener; nothing happens if there is none."""
    with suppress(OSError):  # no pipe, nobody who listens, or so many rings that nobody heard yet
        file = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(file, b"!")
        finally:
            os.close(file)


@final
class BellListener:
    """The one who hears the bell, of all processes. A context manager, which can be waited on while ``is_open``."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = -1

    def __enter__(self) -> BellListener:
        try:
            _make(self._path)
            # For writing, too: a pipe that nobody has open for writing always looks as if there were something to read.
            self._file = os.open(self._path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            log.warning("no bell here, new jobs are looked for instead: %s", error)
        return self

    def __exit__(self, *_: object) -> None:
        file, self._file = self._file, -1
        if file >= 0:
            os.close(file)
            self._path.unlink(missing_ok=True)  # programs that copy folders do not like to meet a pipe

    @property
    def is_open(self) -> bool:
        """Whether the bell can be heard."""
        return self._file >= 0

    def fileno(self) -> int:
        """What becomes readable when somebody rings."""
        return self._file

    def hush(self) -> None:
        """Take notice of all rings so far."""
        if self.is_open:
            with suppress(BlockingIOError):
                os.read(self._file, _READ)


def _make(path: Path) -> None:
    with suppress(FileNotFoundError):
        if stat.S_ISFIFO(path.stat().st_mode):
            return
        path.unlink()
    with suppress(FileExistsError):
        os.mkfifo(path, 0o600)
