"""The folder of an embedded workspace: its files, and which process is its supervisor.

::

    HOME/jobs.db            jobs and traces (SQLite)
    HOME/blobs/WORKSPACE/…  inputs, results, attachments
    HOME/secret.key         signs links to blobs; made when a server first needs it
    HOME/home.id            identifies this home among others that share its database; do not copy it
    HOME/supervisor.lock    locked by the supervisor while it runs; contains its process id and how to recognize it
    HOME/supervisor.boot    locked, shared, by supervisors that were started and do not hold their lock yet
    HOME/supervisor.beat    changes while the supervisor works; contains why it cannot work, if it cannot
    HOME/supervisor.stop    asks the supervisor that it names to stop, where a signal cannot
    HOME/supervisor.tmp     its socket, and all its temporary files if there is no other place for them
    HOME/server.lock        locked, shared, by every running server of the home
    HOME/supervisor.bell    a named pipe; writing to it wakes the supervisor
    HOME/supervisor.log     log of the supervisor; HOME/supervisor.log.1 contains older lines

**Locks.** Whether a supervisor or a server runs is decided by file locks (``flock``) and not by process ids: the kernel
releases a lock when its holder ends, however it ends, and ids may be used again. Whether a lock is held is found out by
taking it and releasing it at once, a *probe*. The supervisor's lock is exclusive, so probes of it are shared, lest they
take each other for a supervisor; servers share their lock, so probes of it are exclusive, and wait for other probes.
"""

from __future__ import annotations

import fcntl
import logging
import os
import re
import time
import uuid
from pathlib import Path
from typing import final

from qiosk.adapters import private
from qiosk.adapters.denied import explained, explains_denials
from qiosk.adapters.home.holder import Holder, holder_of, this_process

LOCK_TIMEOUT_S = 0.5
"""How long a supervisor tries to take its lock: probes hold it for microseconds."""
PROBE_TIMEOUT_S = 0.05
"""How long an exclusive probe waits for other probes."""
_RETRY_S = 0.005

log = logging.getLogger(__name__)


@final
@explains_denials
class Home:
    """Paths in a home, which is created readable for its owner alone."""

    def __init__(self, path: Path) -> None:
        private.make_folder(path)
        self.path = path.resolve()
        private.check_folder(self.path, "home")
        self.database = self.path / "jobs.db"
        self.blobs = self.path / "blobs"
        self.lock = self.path / "supervisor.lock"
        self.boot_lock = self.path / "supervisor.boot"
        self.heartbeat = self.path / "supervisor.beat"
        self.stop_request = self.path / "supervisor.stop"
        self.wakeup_pipe = self.path / "supervisor.bell"
        self.log = self.path / "supervisor.log"
        self.server_lock = self.path / "server.lock"

    def identity(self) -> str:
        """Sixteen hexadecimal digits that no other home has. Only the home's supervisor may ask for them."""
        file = self.path / "home.id"
        text = file.read_text().strip() if file.is_file() else ""
        if not re.fullmatch("[0-9a-f]{16}", text):  # none yet, or its writer was killed
            text = uuid.uuid4().hex[:16]
            private.write_text(file, f"{text}\n")
        return text

    def is_served(self) -> bool:
        """Whether a server of this home runs; True takes ``PROBE_TIMEOUT_S``."""
        return is_locked(self.server_lock, fcntl.LOCK_EX, PROBE_TIMEOUT_S)


def is_locked(path: Path, mode: int, timeout_s: float = 0.0) -> bool:
    """Probe a file, which is created if it is missing: whether a lock of this ``mode`` cannot be had for so long."""
    file = _open(path)
    try:
        return not _try_lock(file, mode, timeout_s)
    finally:
        close_lock(file)  # which also unlocks


_locked: set[int] = set()


def _open(path: Path) -> int:
    with explained(path):
        file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    _locked.add(file)
    return file


def close_lock(file: int) -> None:
    """Close a file that may be locked; nothing happens in a forked child, where it is closed already."""
    if file in _locked:  # else it is the parent's
        _locked.remove(file)
        os.close(file)


def _close_in_child() -> None:
    """Close a parent's files: a lock is held while any process has the file open."""
    while _locked:
        os.close(_locked.pop())


os.register_at_fork(after_in_child=_close_in_child)


def _try_lock(file: int, mode: int, timeout_s: float) -> bool:
    """Lock an open file; False if that is not possible for so long."""
    deadline = time.monotonic() + timeout_s
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
    """A running server's hold on its home: while there is one, the supervisor does not exit when idle."""

    def __init__(self, home: Home) -> None:
        self._file: int | None = _open(home.server_lock)
        fcntl.flock(self._file, fcntl.LOCK_SH)  # waits for probes, which take microseconds

    def end(self) -> None:
        """Release the home; nothing happens the second time."""
        if self._file is not None:
            close_lock(self._file)
            self._file = None


@final
class SupervisorLock:
    """The right to supervise a home."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None
        self.token = ""
        """What others call this hold of the lock."""

    def is_held(self) -> bool:
        """Whether a supervisor runs, in this process or another."""
        return is_locked(self._path, fcntl.LOCK_SH)

    def acquire(self) -> bool:
        """Become the supervisor; False if another one runs."""
        file = _open(self._path)
        if not _try_lock(file, fcntl.LOCK_EX, LOCK_TIMEOUT_S):
            close_lock(file)
            return False
        self._file = file
        holder = this_process()
        try:
            os.ftruncate(file, 0)
            os.pwrite(file, holder.to_text().encode(), 0)
        except OSError as error:  # such as a full disk: it can supervise, but others cannot tell it to stop
            log.warning("%s does not show who holds it: %s", self._path, error)
        self.token = holder.token
        return True

    def release(self) -> None:
        """Release the lock; nothing happens if it is not held here."""
        if self._file is not None:
            if self._file in _locked:
                os.ftruncate(self._file, 0)
            close_lock(self._file)
            self._file = None

    def is_still_ours(self) -> bool:
        """Whether the locked file is the one that other processes see: the home may have been removed."""
        if self._file is None:
            return False
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return False
        return os.path.samestat(found, os.fstat(self._file))

    def holder(self) -> int | None:
        """Process id of the current supervisor, or the last one if that was killed; None if unknown."""
        described = self.described_holder()
        return None if described is None else described.pid

    def described_holder(self) -> Holder | None:
        """As ``holder``, with all that identifies the process."""
        try:
            return holder_of(self._path.read_text())
        except FileNotFoundError:
            return None


def share_lock(path: Path) -> int:
    """A file that this process and its heirs lock, shared, until the last of them closes it."""
    file = _open(path)
    fcntl.flock(file, fcntl.LOCK_SH)
    return file


@final
class StopRequest:
    """A request in a home that its supervisor stop, for those that cannot send it a signal."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def make(self, token: str) -> None:
        """Ask the supervisor whose hold of the lock has this token. Raises OSError."""
        private.write_text(self._path, token)

    def is_for(self, token: str) -> bool:
        """Whether the holder with this token is asked to stop."""
        try:
            return self._path.read_text() == token
        except OSError:  # there is none, or it cannot be read now
            return False

    def clear(self) -> None:
        """Forget what was asked."""
        self._path.unlink(missing_ok=True)
