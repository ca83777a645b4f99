"""What a job's process may do to the machine, and what the machine did to it."""

from __future__ import annotations

import ctypes
import resource
import signal
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_M_ARENA_MAX = -8
_ARENAS = 2
_OOM_SCORE = "800"
_STATM = Path("/proc/self/statm")
_OOM_COUNTERS = (
    "/sys/fs/cgroup/memory.events",
    "/sys/fs/cgroup/memory/memory.oom_control",
    "/proc/vmstat",
)


def die_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies. Elsewhere the watchdog on the pipe has to do."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def volunteer_for_oom() -> None:
    """If the machine runs out of memory, let it kill this process rather than the one that supervises it."""
    score = Path("/proc/self/oom_score_adj")
    if score.exists():
        score.write_text(_OOM_SCORE)


def limit_memory(size_bytes: int) -> None:
    """Let this process allocate ``size_bytes`` more than it has now; 0 is no limit.

    What is over the limit raises MemoryError. The limit is on addresses, so what the interpreter and its
    libraries have mapped, used or not, must not count. Only Linux says how much that is; elsewhere nothing
    is limited.
    """
    if size_bytes <= 0 or not _STATM.exists():
        return
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):  # glibc; each thread would otherwise set 64 MB of addresses aside
        libc.mallopt(_M_ARENA_MAX, _ARENAS)
    mapped = int(_STATM.read_text().split()[0]) * resource.getpagesize()
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    limit = mapped + size_bytes
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    resource.setrlimit(resource.RLIMIT_AS, (limit, hard))


def oom_kills() -> int:
    """How many processes this machine, or our control group, has killed for want of memory; 0 where nobody counts."""
    total = 0
    for path in _OOM_COUNTERS:
        try:
            lines = Path(path).read_text().splitlines()
        except OSError:
            continue  # this kind of control group is not in use here
        total += sum(int(value) for name, _, value in (line.partition(" ") for line in lines) if name == "oom_kill")
    return total
