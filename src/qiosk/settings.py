"""Settings, read once from the environment.

=====================  =======================================================================================
variable               meaning
=====================  =======================================================================================
QIOSK_HOME             folder of jobs and blobs; default: the user's data folder
QIOSK_CONCURRENT_JOBS  jobs that run at once; default: the number of CPUs
QIOSK_THREADS          threads of one job; default: its share of the CPUs when it starts
QIOSK_MEMORY_LIMIT     memory of one job, in bytes or with a suffix K, M, G or T; 0: unlimited; default: 80 %
                       of the machine's
QIOSK_MAX_ATTEMPTS     how often a job's process may vanish before the job fails; default: 20
QIOSK_HANG_SECONDS     silence after which a job's process is given up; default: 600
QIOSK_CANCEL_SECONDS   how long a cancelled job may take to stop by itself before it is killed; default: 5
QIOSK_IDLE_SECONDS     how long a supervisor without work stays; default: 60
=====================  =======================================================================================
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import platformdirs

from qiosk.errors import InvalidValue

MEMORY_SHARE = 0.8
"""Part of the machine's memory that one job may use by default."""

_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")
_SUFFIXES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def default_home() -> Path:
    """The per-user data folder."""
    return Path(platformdirs.user_data_dir("qiosk", appauthor=False))


def cpu_count() -> int:
    """CPUs this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_memory_limit() -> int:
    """``MEMORY_SHARE`` of the machine's or container's memory, whichever is smaller, in bytes; 0 if
    unknown.
    """
    try:
        sizes = [os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")]
    except (OSError, ValueError):
        return 0
    texts = [path.read_text().strip() for path in map(Path, _CGROUP_LIMITS) if path.is_file()]
    sizes += [int(text) for text in texts if text.isdecimal()]  # else "max"
    return int(MEMORY_SHARE * min(sizes))


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What can be chosen by whoever runs Qiosk. See the module for units, variables and defaults."""

    home: Path = field(default_factory=default_home)
    concurrent_jobs: int = field(default_factory=cpu_count)
    threads: int | None = None
    memory_limit: int = field(default_factory=default_memory_limit)
    max_attempts: int = 20
    hang_seconds: float = 600.0
    cancel_seconds: float = 5.0
    idle_seconds: float = 60.0

    def to_environ(self) -> dict[str, str]:
        """The variables that ``read_settings`` turns into these settings."""
        values = {_variable(member.name): getattr(self, member.name) for member in fields(self)}
        return {name: str(value) for name, value in values.items() if value is not None}


def read_settings(environ: Mapping[str, str], **overrides: Any) -> Settings:
    """Settings from environment variables; empty ones count as missing, ``overrides`` that are not None win.

    Raises InvalidValue, naming the variable, the rule and the value.
    """
    values: dict[str, Any] = {}
    for name, parse in _PARSERS.items():
        text = environ.get(_variable(name), "").strip()
        if text:
            values[name] = parse(_variable(name), text)
    values.update({name: value for name, value in overrides.items() if value is not None})
    return Settings(**values)


def _variable(name: str) -> str:
    return f"QIOSK_{name.upper()}"


def _path(variable: str, text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise InvalidValue(f"{variable}: must be an absolute path, found {text!r}")
    return path


def _count(variable: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) < 1:
        raise InvalidValue(f"{variable}: must be an integer of at least 1, found {text!r}")
    return int(text)


def _seconds(variable: str, text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not 0.0 <= seconds < math.inf:
        raise InvalidValue(f"{variable}: must be a number of seconds of at least 0, found {text!r}")
    return seconds


def _bytes(variable: str, text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,18})\s*([KMGT]?)(i?B)?", text, re.IGNORECASE)
    if match is None:
        raise InvalidValue(f"{variable}: must be a number of bytes such as 800M or 4G, found {text!r}")
    return int(match[1]) * _SUFFIXES[match[2].upper()]


_PARSERS: Mapping[str, Callable[[str, str], Any]] = {
    "home": _path,
    "concurrent_jobs": _count,
    "threads": _count,
    "memory_limit": _bytes,
    "max_attempts": _count,
    "hang_seconds": _seconds,
    "cancel_seconds": _seconds,
    "idle_seconds": _seconds,
}
