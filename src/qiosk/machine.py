"""Facts about this machine: the CPUs and the memory that this process may use, and the clock.

Linux limits processes through control groups. Groups contain groups, and a limit applies to everything below it, so the
smallest limit counts of all groups from the process's own one up to the one where the hierarchy is mounted:

========================  ============================================================================================
file                      content
========================  ============================================================================================
``/proc/self/cgroup``     the process's group in each hierarchy: one of version 2, any number of version 1
``/proc/self/mountinfo``  where each hierarchy is mounted, and which group is the mounted folder: in a container often
                          not the uppermost
``cpu.max``               version 2: microseconds of CPU time in each period, and the period
``cpu.cfs_quota_us``      version 1: the same, and ``cpu.cfs_period_us``
``memory.max``            version 2: bytes; above ``memory.high`` processes are slowed down
``memory.limit_in_bytes`` version 1: bytes
========================  ============================================================================================
"""

from __future__ import annotations

import getpass
import math
import os
import platform
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import final

_ROOT = Path("/")


def cpu_count(root: Path = _ROOT) -> int:
    """CPUs this process may use: those it may run on, or fewer where a control group limits their time.

    ``root`` is the folder in which ``proc`` and ``sys`` are.
    """
    runnable_on = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quotas = [math.ceil(quota) for folder in _groups(root, "cpu") for quota in _cpu_quotas(folder)]
    return min([runnable_on, *quotas])


def processor(root: Path = _ROOT) -> str:
    """Name of the processor as its maker gives it, else of its architecture; ``root`` as for ``cpu_count``."""
    for line in _lines(root / "proc/cpuinfo"):
        name, _, value = line.partition(":")
        if name.strip() == "model name" and value.strip():
            return value.strip()
    return platform.processor() or platform.machine()


def physical_memory(root: Path = _ROOT) -> int:
    """Memory of this machine, or less where a control group limits it, in bytes; 0 if unknown.

    ``root`` is the folder in which ``proc`` and ``sys`` are.
    """
    try:
        size = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError):
        return 0
    names = ("memory.max", "memory.high", "memory.limit_in_bytes")
    limits = [limit for folder in _groups(root, "memory") for name in names for limit in _numbers(folder / name)]
    return min([size, *limits])


def available_memory(root: Path = _ROOT) -> int:
    """Memory in bytes that may be allocated without taking it from other programs; 0 if unknown.

    ``root`` is the folder in which ``proc`` and ``sys`` are.
    """
    free = [1024 * size for line in _lines(root / "proc/meminfo") for size in _available(line)]
    for folder in _groups(root, "memory"):
        for limit, used in (("memory.max", "memory.current"), ("memory.limit_in_bytes", "memory.usage_in_bytes")):
            limits, uses = _numbers(folder / limit), _numbers(folder / used)
            free += [max(0, limits[0] - uses[0])] if limits and uses else []
    return min(free, default=0)


def _available(line: str) -> Sequence[int]:
    """The kilobytes of the line ``MemAvailable``; nothing of other lines."""
    name, _, size = line.partition(":")
    return [int(size.split()[0])] if name == "MemAvailable" else []


@lru_cache  # limits may change while a process runs, but hardly its groups
def _groups(root: Path, controller: str) -> Sequence[Path]:
    """Folders of this process's control groups that may have limits of a controller, inner groups first."""
    found = []
    groups = dict(_own_groups(root))
    for line in _lines(root / "proc/self/mountinfo"):
        mount, _, filesystem = line.partition(" - ")
        kind, _, options = filesystem.split(" ", 2)
        group = groups.get("" if kind == "cgroup2" else controller)
        if group is None or (kind != "cgroup2" and not (kind == "cgroup" and controller in options.split(","))):
            continue
        mounted_group, mount_point = mount.split(" ")[3:5]
        folder = top = root / mount_point.lstrip("/")
        if group.is_relative_to(mounted_group) and ".." not in group.parts:  # else it is not visible from here
            folder = top / group.relative_to(mounted_group)
        found += [folder, *folder.parents[: len(folder.parents) - len(top.parents)]]
    return found


def _own_groups(root: Path) -> Iterator[tuple[str, PurePosixPath]]:
    """Each controller's group that this process is in; the one of version 2 has an empty name."""
    for line in _lines(root / "proc/self/cgroup"):
        _, controllers, group = line.split(":", 2)
        for controller in controllers.split(","):
            yield controller, PurePosixPath(group)


def _cpu_quotas(folder: Path) -> Iterator[float]:
    """How many CPUs' time a group may take; nothing if that is not limited."""
    limits = _numbers(folder / "cpu.max") or [
        *_numbers(folder / "cpu.cfs_quota_us"),
        *_numbers(folder / "cpu.cfs_period_us"),
    ]
    if len(limits) == 2:
        quota, period = limits
        yield quota / period


def _numbers(path: Path) -> Sequence[int]:
    """The positive integers of a file; none if it is missing or contains anything else, such as ``max`` or ``-1``."""
    words = [word for line in _lines(path) for word in line.split()]
    return [int(word) for word in words] if all(word.isdecimal() and int(word) > 0 for word in words) else []


def _lines(path: Path) -> Sequence[str]:
    try:
        return path.read_text().splitlines()
    except OSError:  # another system, or this kind of group is not in use
        return []


def user_and_host() -> str:
    """The user of this process and the machine, as ``user@host``; the user's number where it has no name."""
    try:
        user = getpass.getuser()
    except (OSError, KeyError, ImportError):
        user = str(os.getuid()) if hasattr(os, "getuid") else "unknown"
    return f"{user}@{platform.node()}".encode("utf-8", "replace").decode()


@final
class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """Aware UTC wall time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        time.sleep(seconds)
