"""Which process holds a home's lock, and signals that reach that process or none.

A process id alone proves nothing: it may be used again, and in another container it is another process's. So the file
of the lock contains what identifies its holder: the process id, and when that process started (both as ``/proc`` shows
them), the boot of the machine, and the namespace of process ids. A signal is sent only if all of that is found again.
"""

from __future__ import annotations

import logging
import os
import signal
import uuid
from dataclasses import dataclass
from pathlib import Path

_PROC = Path("/proc")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Holder:
    """A process that holds or held the lock. ``token`` is another one each time that the lock is taken."""

    pid: int
    token: str
    started: str = ""
    boot: str = ""
    namespace: str = ""

    def to_text(self) -> str:
        """One member per line, the process id first."""
        return f"{self.pid}\n{self.token}\n{self.started}\n{self.boot}\n{self.namespace}\n"


def holder_of(text: str) -> Holder | None:
    """The holder that the text of a lock's file describes; None if it describes none."""
    pid, *others = text.splitlines() or [""]
    return Holder(int(pid), *(others or [""])[:4]) if pid.isdecimal() else None


def this_process() -> Holder:
    """This process, with a new token."""
    pid = os.getpid()
    return Holder(pid, uuid.uuid4().hex, _started(pid), _boot(), _namespace())


def send(holder: Holder, *numbers: signal.Signals) -> bool:
    """Send signals to a holder; False, and nothing sent, unless it is proven that the process still is that one."""
    if not _is_here(holder):
        return False
    try:
        process = os.pidfd_open(holder.pid)  # it stays this process, even if the id is used again
    except (AttributeError, OSError) as error:
        log.info("process %d cannot be signalled: %s", holder.pid, error)
        return False
    try:
        if _started(holder.pid) != holder.started:
            return False
        for number in numbers:
            signal.pidfd_send_signal(process, number)
    except OSError as error:  # it has just ended, or belongs to another user
        log.info("process %d cannot be signalled: %s", holder.pid, error)
        return False
    finally:
        os.close(process)
    return True


def is_stopped(holder: Holder) -> bool:
    """Whether it is proven that a signal (``SIGSTOP``) or a debugger has stopped the holder."""
    fields = _stat(holder.pid)
    return _is_here(holder) and bool(fields) and fields[19] == holder.started and fields[0] in "Tt"


def _is_here(holder: Holder) -> bool:
    """Whether process ids of this process mean the same as the holder's, and enough is known of the holder."""
    is_near = (holder.boot, holder.namespace) == (_boot(), _namespace())
    return is_near and "" not in (holder.started, holder.boot, holder.namespace)


def _started(pid: int) -> str:
    """The clock tick in which a process started; empty if unknown."""
    fields = _stat(pid)
    return fields[19] if fields else ""


def _stat(pid: int) -> list[str]:
    """What ``/proc`` shows of a process, from its state on; empty if unknown."""
    _, _, fields = _read(_PROC / str(pid) / "stat").rpartition(")")  # the name before it may contain anything
    return fields.split()


def _boot() -> str:
    return _read(_PROC / "sys/kernel/random/boot_id").strip()


def _namespace() -> str:
    try:
        return str(os.readlink(_PROC / "self/ns/pid"))
    except OSError:  # not Linux
        return ""


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:  # not Linux, or there is no such process
        return ""
