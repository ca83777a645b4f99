"""The folder of an embedded workspace: what lies where, and who of all processes is its supervisor.

::

    HOME/jobs.db            jobs and traces (SQLite)
    HOME/blobs/WORKSPACE/…  inputs, results, attachments
    HOME/secret.key         signs links to blobs; made when a server first needs it
    HOME/home.id            tells this home from others that share its database; do not copy it
    HOME/supervisor.lock    locked by the supervisor as long as it lives; holds its process id
    HOME/server.lock        locked, shared, by every server of the home as long as it lives
    HOME/supervisor.bell    a named pipe; who submits a job writes to it, and the supervisor wakes up
    HOME/supervisor.log     what it has to say, and HOME/supervisor.log.1 what it said before

The lock is the kernel's (flock), so it ends with its holder, however that dies.
"""

from __future__ import annotations

import fcntl
import os
import re
import time
import uuid
from pathlib import Path
from typing import final

LOCK_PATIENCE_S = 0.5
"""A probe holds the lock for microseconds; whoever wants to keep it tries a little longer than that."""
PROBE_PATIENCE_S = 0.05
"""How long a probe that cannot share a lock lets others pass."""
_RETRY_S = 0.005


@final
class Home:
    """Paths in a home, which is created readable for its owner alone."""

    def __init__(self, path: Path) -> None:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.path = path.resolve()
        self.database = self.path / "jobs.db"
        self.blobs = self.path / "blobs"
        self.lock = self.path / "supervisor.lock"
        self.bell = self.path / "supervisor.bell"
        self.log = self.path / "supervisor.log"
        self.server_lock = self.path / "server.lock"

    def identity(self) -> str:
        """Sixteen hexadecimal digits that no other home has. To be asked for by its supervisor only."""
        file = self.path / "home.id"
        text = file.read_text().strip() if file.is_file() else ""
        if not re.fullmatch("[0-9a-f]{16}", text):  # none yet, or one whose writer was killed
            text = uuid.uuid4().hex[:16]
            file.write_text(f"{text}\n")
        return text

    def is_served(self) -> bool:
        """Whether a server of this home lives; while one does it takes ``PROBE_PATIENCE_S`` to say so.

        Servers share their lock, so that a probe must want it alone, and let other probes pass.
        """
        return is_locked(self.server_lock, fcntl.LOCK_EX, PROBE_PATIENCE_S)


def is_locked(path: Path, mode: int, patience_s: float = 0.0) -> bool:
    """Whether anybody's hold on a file keeps a lock of this ``mode`` away for so long; the file is created if need be.

    It is asked by taking the lock, and giving it up at once.
    """
    file = _open(path)
    try:
        return not _locks(file, mode, patience_s)
    finally:
        os.close(file)  # which also unlocks


def _open(path: Path) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)


def _locks(file: int, mode: int, patience_s: float) -> bool:
    """Lock an open file; False if that is not possible for so long."""
    deadline = time.monotonic() + patience_s
    while True:
        try:
            fcntl.flock(file, mode | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(_RETRY_S)
        else:
            return True


@final
class ServerPresence:
    """Tells the supervisor of a home that a server lives, so that it stays though there is nothing to do."""

    def __init__(self, home: Home) -> None:
        self._file: int | None = _open(home.server_lock)
        fcntl.flock(self._file, fcntl.LOCK_SH)  # waits for those who look, which takes microseconds

    def end(self) -> None:
        """The server goes; nothing happens the second time."""
        if self._file is not None:
            os.close(self._file)
            self._file = None


@final
class SupervisorLock:
    """The right to supervise a home."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def is_held_by_anybody(self) -> bool:
        """Whether a supervisor lives. Probes do not see each other, for they share the lock."""
        return is_locked(self._path, fcntl.LOCK_SH)

    def acquire(self) -> bool:
        """Become the supervisor; False if another one lives."""
        file = _open(self._path)
        if not _locks(file, fcntl.LOCK_EX, LOCK_PATIENCE_S):
            os.close(file)
            return False
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
