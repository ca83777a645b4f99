"""Limits of a job's process, and how many processes Linux killed for memory.

Containers and hardened services forbid some of the system calls and files that limits need. A limit that cannot be set
is logged, and the job runs without it.
"""

from __future__ import annotations

import ctypes
import faulthandler
import logging
import resource
import signal
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

from qiosk.machine import available_memory

_PR_SET_PDEATHSIG = 1
_M_ARENA_MAX = -8
_ARENAS = 2
_OOM_SCORE = "800"
_OOM_SCORE_FILE = Path("/proc/self/oom_score_adj")
_STATM = Path("/proc/self/statm")
_OOM_COUNTERS = (
    "/sys/fs/cgroup/memory.events",
    "/sys/fs/cgroup/memory/memory.oom_control",
    "/proc/vmstat",
)


log = logging.getLogger(__name__)


def set_limits(memory_limit: int) -> None:
    """Set all limits that this machine allows to set, and let crashes be logged. Raises nothing."""
    steps: dict[str, Callable[[], object]] = {
        "it may outlive the supervisor": die_with_parent,
        "the machine may kill other processes before it": raise_oom_score,
        "crashes leave no traceback": faulthandler.enable,
        "its memory is not limited": partial(limit_memory, memory_limit),
    }
    for loss, step in steps.items():
        try:
            step()
        except Exception as error:  # noqa: BLE001 - whatever it is, the job can do without
            log.warning("the job's process goes on, but %s: %s", loss, error)


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies. Elsewhere only the thread that reads the pipe ends it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def raise_oom_score() -> None:
    """If the machine runs out of memory, let Linux kill this process rather than its supervisor."""
    if _OOM_SCORE_FILE.exists():
        _OOM_SCORE_FILE.write_text(_OOM_SCORE)


def limit_memory(size_bytes: int) -> None:
    """Let this process allocate ``size_bytes`` more than it has now; 0 is no limit.

    Allocations over the limit raise MemoryError. The limit is on addresses, so what the interpreter and its libraries
    have mapped, used or not, is added to it. Only Linux reports how much that is; elsewhere memory is not limited.
    """
    if size_bytes <= 0 or not _STATM.exists():
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc; each thread would otherwise reserve 64 MB of addresses
        libc.mallopt(_M_ARENA_MAX, _ARENAS)
    mapped = int(_STATM.read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = mapped + size_bytes
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def is_own_limit_tighter() -> bool:
    """Whether this process may allocate less memory than the machine has: what does not fit then will never fit."""
    limit, _ = resource.getrlimit(resource.RLIMIT_AS)
    if limit == resource.RLIM_INFINITY or not _STATM.exists():
        return False
    mapped = int(_STATM.read_text().split()[0]) * resource.getpagesize()
    return limit - mapped <= available_memory()


def peak_memory(pid: int | None) -> int:
    """The most memory in bytes that a process has used; 0 if that is unknown, or the process has exited."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))
    except (OSError, ValueError):
        return 0


def oom_kills() -> int:
    """How many processes were killed for lack of memory, on this machine and in this control group; 0 if unknown."""
    total = 0
    for path in _OOM_COUNTERS:
        try:
            lines = Path(path).read_text().splitlines()
            pairs = [line.partition(" ") for line in lines]
            total += sum(int(value) for name, _, value in pairs if name == "oom_kill")
        except (OSError, ValueError):
            continue  # this kind of control group is not in use, or cannot be read
    return total
