"""Settings, read once from the environment.

=====================  =======================================================================================
variable               meaning
=====================  =======================================================================================
QIOSK_HOME             folder of jobs and blobs; default: the user's data folder
QIOSK_STORAGE          URL of where blobs are kept; default: a folder in the home
QIOSK_DATABASE         URL of where jobs are kept; default: a SQLite file in the home
QIOSK_CONCURRENT_JOBS  jobs that run at once; default: the number of CPUs
QIOSK_THREADS          threads of one job; default: its share of the CPUs when it starts
QIOSK_MEMORY_LIMIT     memory of one job, in bytes or with a suffix K, M, G or T; 0: unlimited; default: 80 %
                       of the machine's; on Linux only
QIOSK_MAX_ATTEMPTS     how often a job's process may vanish before the job fails; default: 20
QIOSK_HANG_SECONDS     silence after which a job's process is given up; default: 600
QIOSK_CANCEL_SECONDS   how long a cancelled job may take to stop by itself before it is killed; default: 5
QIOSK_STOP_SECONDS     how long running jobs may take to save their state when the supervisor stops, and the open
                       requests of a server, before that, to end; default: 10
QIOSK_IDLE_SECONDS     how long a supervisor without work stays; default: 60
QIOSK_RETENTION        age at which ended jobs, ended sessions and orphaned data are removed, such as 30d or
                       12h; default: never
QIOSK_LIMIT_JOB_HOURS, QIOSK_LIMIT_CONCURRENT_JOBS, QIOSK_LIMIT_QUEUED_JOBS, QIOSK_LIMIT_STORED_BYTES
                       what each workspace may use that has no limit of its own; default: any amount
=====================  =======================================================================================
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import platformdirs

from qiosk.errors import InvalidValue
from qiosk.machine import cpu_count, physical_memory

MEMORY_SHARE = 0.8
"""Part of the machine's memory that one job may use by default."""

STOP_SECONDS = 10.0
"""How long what runs may take to come to a stop by default."""

STORAGE_SCHEMES = ("file", "s3", "az")
"""What the URL of a storage begins with; ``bootstrap.storage`` opens it."""

MAX_DURATION = timedelta(days=36_500)
"""Longest time that a setting or option may name."""

DATABASE_SCHEMES = ("postgresql://", "postgresql+psycopg://", "postgres://", "sqlite:////")
"""What the URL of a database begins with; ``adapters.sql.database`` opens it."""

_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_SUFFIXES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}


def default_home() -> Path:
    """The per-user data folder."""
    return Path(platformdirs.user_data_dir("qiosk", appauthor=False))


def default_memory_limit() -> int:
    """``MEMORY_SHARE`` of the memory there is, in bytes; 0 if unknown."""
    return int(MEMORY_SHARE * physical_memory())


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What can be chosen by whoever runs Qiosk. See the module for units, variables and defaults."""

    home: Path = field(default_factory=default_home)
    storage: str | None = None
    database: str | None = field(default=None, repr=False)  # may hold a password
    concurrent_jobs: int = field(default_factory=cpu_count)
    threads: int | None = None
    memory_limit: int = field(default_factory=default_memory_limit)
    max_attempts: int = 20
    hang_seconds: float = 600.0
    cancel_seconds: float = 5.0
    stop_seconds: float = STOP_SECONDS
    idle_seconds: float = 60.0
    retention: timedelta | None = None
    limit_job_hours: float | None = None
    limit_concurrent_jobs: int | None = None
    limit_queued_jobs: int | None = None
    limit_stored_bytes: int | None = None

    def to_environ(self) -> dict[str, str]:
        """The variables that ``read_settings`` turns into these settings."""
        values = {_variable(member.name): getattr(self, member.name) for member in fields(self)}
        return {name: _text(value) for name, value in values.items() if value is not None}


def _text(value: object) -> str:
    return f"{value // timedelta(seconds=1)}s" if isinstance(value, timedelta) else str(value)


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


def choose_settings(home: Path | None, settings: Settings | None) -> Settings:
    """The given settings, else the environment's; a ``home`` that is not None wins over theirs. Raises InvalidValue."""
    chosen = settings if settings is not None else read_settings(os.environ)
    return chosen if home is None else replace(chosen, home=home)


def _variable(name: str) -> str:
    return f"QIOSK_{name.upper()}"


def _path(variable: str, text: str) -> Path:
    path = Path(text).expanduser()
    if not path.is_absolute():
        raise InvalidValue(f"{variable}: must be an absolute path, found {text!r}")
    return path


def _storage(variable: str, text: str) -> str:
    parts = urlsplit(text)
    if "@" in parts.netloc:
        raise InvalidValue(f"{variable}: must hold no credentials, found some before '@'")
    if parts.scheme not in STORAGE_SCHEMES:
        raise InvalidValue(f"{variable}: must begin with file://, s3:// or az://, found {text!r}")
    return text


def _database(variable: str, text: str) -> str:
    if not text.startswith(DATABASE_SCHEMES):
        raise InvalidValue(f"{variable}: must begin with postgresql:// or sqlite:////")  # the value may hold a password
    return text


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


def _hours(variable: str, text: str) -> float:
    try:
        hours = float(text)
    except ValueError:
        hours = math.nan
    if not 0.0 <= hours < math.inf:
        raise InvalidValue(f"{variable}: must be a number of hours of at least 0, found {text!r}")
    return hours


def _whole(variable: str, text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise InvalidValue(f"{variable}: must be an integer of at least 0, found {text!r}")
    return int(text)


def parse_duration(what: str, text: str) -> timedelta:
    """A length of time such as ``90s``, ``15m``, ``12h``, ``30d`` or ``2w``. Raises InvalidValue, naming ``what``."""
    match = re.fullmatch(r"([0-9]{1,10})\s*([smhdw])", text.strip(), re.IGNORECASE)
    if match is None:
        raise InvalidValue(f"{what}: must be a length of time such as 90s, 15m, 12h, 30d or 2w, found {text!r}")
    length = _UNITS[match[2].lower()]
    if int(match[1]) > MAX_DURATION // length:
        raise InvalidValue(f"{what}: must be at most {MAX_DURATION.days}d, found {text!r}")
    return int(match[1]) * length


def _bytes(variable: str, text: str) -> int:
    match = re.fullmatch(r"([0-9]{1,18})\s*([KMGT]?)(i?B)?", text, re.IGNORECASE)
    if match is None:
        raise InvalidValue(f"{variable}: must be a number of bytes such as 800M or 4G, found {text!r}")
    return int(match[1]) * _SUFFIXES[match[2].upper()]


_PARSERS: Mapping[str, Callable[[str, str], Any]] = {
    "home": _path,
    "storage": _storage,
    "database": _database,
    "concurrent_jobs": _count,
    "threads": _count,
    "memory_limit": _bytes,
    "max_attempts": _count,
    "hang_seconds": _seconds,
    "cancel_seconds": _seconds,
    "stop_seconds": _seconds,
    "idle_seconds": _seconds,
    "retention": parse_duration,
    "limit_job_hours": _hours,
    "limit_concurrent_jobs": _whole,
    "limit_queued_jobs": _whole,
    "limit_stored_bytes": _bytes,
}
