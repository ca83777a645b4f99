"""The folder of an embedded workspace: what lies where, and who of all processes is its supervisor.

::

    HOME/jobs.db            jobs and traces (SQLite)
    HOME/blobs/WORKSPACE/…  inputs, results, attachments
    HOME/supervisor.lock    locked by the supervisor as long as it lives; holds its process id
    HOME/supervisor.log     what it has to say, and HOME/supervisor.log.1 what it said before

The lock is the kernel's (flock), so it ends with its holder, however that dies.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import final

LOCK_PATIENCE_S = 0.5
"""A probe holds the lock for microseconds; whoever wants to keep it tries a little longer than that."""


@final
class Home:
    """Paths in a home, which is created readable for its owner alone."""

    def __init__(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path.resolve()
        self.database = self.path / "jobs.db"
        self.blobs = self.path / "blobs"
        self.lock = self.path / "supervisor.lock"
        self.log = self.path / "supervisor.log"


@final
class SupervisorLock:
    """The right to supervise a home."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def is_held_by_anybody(self) -> bool:
        """Whether a supervisor lives."""
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(file)  # which also unlocks
        return False

    def acquire(self) -> bool:
        """Become the supervisor; False if another one lives."""
        deadline = time.monotonic() + LOCK_PATIENCE_S
        file = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    os.close(file)
                    return False
                time.sleep(0.005)
        os.ftruncate(file, 0)
        os.pwrite(file, f"{os.getpid()}\n".encode(), 0)
        self._file = file
        return True

    def release(self) -> None:
        """Step down; nothing happens to one who is not the supervisor."""
        if self._file is not None:
            os.close(self._file)
            self._file = None

    def is_still_ours(self) -> bool:
        """Whether the file we locked is the one that others see: somebody may have removed the whole home."""
        if self._file is None:
            return False
        try:
            there = self._path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(there, os.fstat(self._file))

    def holder(self) -> int | None:
        """Process id of the last one who became the supervisor; None if there never was one."""
        try:
            return int(self._path.read_text())
        except (FileNotFoundError, ValueError):
            return None
