"""Settings, read once from the environment; those of a server alone are in ``qiosk.server.settings``.

A setting is a member of a dataclass, declared by ``setting`` with the function that converts and checks its text. Its
variable is its name in upper case after ``QIOSK_``. ``read_environment`` reads all members of such a class.

=====================  =======================================================================================
variable               meaning
=====================  =======================================================================================
QIOSK_HOME             folder of jobs and blobs; default: the user's data folder
QIOSK_CACHE_DIR        folder of compiled kernels, read by ``qiosk.kernels.compiler``; default: the user's cache
                       folder, or one in the home if there is none that can be written to
QIOSK_STORAGE          URL of the place of blobs; default: a folder in the home
QIOSK_DATABASE         URL of the database of jobs; default: a SQLite file in the home
QIOSK_EXECUTOR         where jobs run: ``local``, as processes of this machine, or ``ray``, on a Ray cluster; default:
                       ``local``
QIOSK_RAY_ADDRESS      the cluster: ``HOST:PORT`` of its head, or ``auto``, which finds the one that this machine is a
                       node of; default: ``auto``
QIOSK_RAY_RESOURCES    what each job asks Ray for beside its CPUs, such as ``GPU=1,fast=0.5``; default: nothing
QIOSK_CONCURRENT_JOBS  jobs that run at once; default: one for each CPU of the machine, or of the cluster
QIOSK_THREADS          threads of one job; default: its share of the CPUs when it starts
QIOSK_MEMORY_LIMIT     memory of one job, in bytes or with a suffix K, M, G or T; 0: unlimited; default: 80 %
                       of the machine's that it runs on; on Linux only
QIOSK_MAX_ATTEMPTS     how often a job's process may be lost before the job fails; default: 20
QIOSK_HANG_SECONDS     seconds without a message after which a job's process is killed; default: 600
QIOSK_CANCEL_SECONDS   how long a cancelled job may take to stop before its process is killed; default: 5
QIOSK_STOP_SECONDS     how long running jobs may take to save their state when the supervisor stops, and before that
                       a server's open requests to end; default: 10
QIOSK_IDLE_SECONDS     how long a supervisor without work waits for some before it exits; default: 60
QIOSK_RETENTION        age at which ended jobs, ended sessions and orphaned data are removed, such as 30d or
                       12h; default: never
QIOSK_KEPT_CHECKPOINT  largest checkpoint that is kept with a job that a time limit or a user ended, in bytes or with a
                       suffix, so that it can be extended; 0: none is; default: 64M
QIOSK_LIMIT_JOB_HOURS, QIOSK_LIMIT_CONCURRENT_JOBS, QIOSK_LIMIT_QUEUED_JOBS, QIOSK_LIMIT_OPEN_SESSIONS,
QIOSK_LIMIT_STORED_BYTES
                       what a workspace without limits of its own may use; default: any amount
QIOSK_LIMIT_RUN_SECONDS
                       how long a job of such a workspace may run; then it ends with the best that it has found;
                       default: unlimited, and a day if a server runs
=====================  =======================================================================================
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import platformdirs

from qiosk.errors import InvalidValue
from qiosk.machine import physical_memory

MEMORY_SHARE = 0.8
"""Part of the machine's memory that one job may use by default."""

STOP_SECONDS = 10.0
"""How long running jobs, and a server's open requests, may take to stop by default."""

SERVER_RUN_SECONDS = 86_400.0
"""How long a job may run by default where a server runs."""

STORAGE_SCHEMES = ("file", "s3", "az")
"""What the URL of a storage begins with; ``bootstrap.storage`` opens it."""

MAX_DURATION = timedelta(days=36_500)
"""Longest time that a setting or option may name."""

DATABASE_SCHEMES = ("postgresql://", "postgresql+psycopg://", "postgres://", "sqlite:////")
"""What the URL of a database begins with; ``adapters.sql.databases.database`` opens it."""

_UNITS = {
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
    "w": timedelta(weeks=1),
}
_SECRET = re.compile("QIOSK_(.*_)?(KEY|SECRET|TOKEN|PASSWORD|DATABASE)")  # a database's URL may contain a password
_SUFFIXES = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30, "T": 2**40}

Reader = Callable[[str, str], Any]
"""Converts the text (second) of a variable (first). Raises InvalidValue, naming the variable, the rule and the text."""

_Settings = TypeVar("_Settings")


def setting(read: Reader, default: Any = MISSING, *, factory: Any = MISSING, is_secret: bool = False) -> Any:
    """A member of a dataclass of settings, with its default, or a function that returns it; secrets are not printed."""
    return field(default=default, default_factory=factory, repr=not is_secret, metadata={"read": read})


def read_environment(kind: type[_Settings], environ: Mapping[str, str], overrides: Mapping[str, Any]) -> _Settings:
    """Settings of a class; empty variables count as missing, ``overrides`` that are not None win.

    Overrides are the options of a command; those that are paths are taken as they are. Raises InvalidValue, naming the
    option or the variable, the rule and the value, but not the value of a secret.
    """
    values: dict[str, Any] = {}
    for member in fields(kind):  # type: ignore[arg-type]
        value, name = overrides.get(member.name), f"--{member.name.replace('_', '-')}"
        if value is None:
            value, name = environ.get(variable(member.name), "").strip() or None, variable(member.name)
        if value is not None:
            is_path = isinstance(value, Path)
            values[member.name] = value if is_path else member.metadata["read"](name, str(value))
    return kind(**values)


def variable(name: str) -> str:
    """The environment variable of a member."""
    return f"QIOSK_{name.upper()}"


def is_secret_variable(name: str) -> bool:
    """Whether an environment variable contains a secret of Qiosk's, be it of this class, of a server or of a client."""
    return _SECRET.fullmatch(name) is not None


def text(_: str, found: str) -> str:
    """Any text."""
    return found


def absolute_path(name: str, found: str) -> Path:
    """A path; ``~`` is the user's home."""
    try:
        path = Path(found).expanduser()
    except RuntimeError as error:
        raise InvalidValue(f"{name}: the user's home folder is unknown, found {found!r}") from error
    if not path.is_absolute():
        raise InvalidValue(f"{name}: must be an absolute path, found {found!r}")
    return path


def integer(least: int, most: int | None = None) -> Reader:
    """Integers in a range; ``most`` is included."""
    rule = f"of at least {least}" if most is None else f"from {least} to {most}"

    def read(name: str, found: str) -> int:
        if not re.fullmatch(r"[0-9]{1,15}", found) or not least <= int(found) <= (math.inf if most is None else most):
            raise InvalidValue(f"{name}: must be an integer {rule}, found {found!r}")
        return int(found)

    return read


def number(unit: str, *, is_zero_allowed: bool = True) -> Reader:
    """Numbers of a unit that are finite and not negative."""

    def read(name: str, found: str) -> float:
        try:
            value = float(found)
        except ValueError:
            value = math.nan
        if not 0.0 <= value < math.inf or (value == 0.0 and not is_zero_allowed):
            rule = "of at least 0" if is_zero_allowed else "above 0"
            raise InvalidValue(f"{name}: must be a number of {unit} {rule}, found {found!r}")
        return value

    return read


def one_of(*words: str) -> Reader:
    """One of some words."""

    def read(name: str, found: str) -> str:
        if found not in words:
            raise InvalidValue(f"{name}: must be {' or '.join(words)}, found {found!r}")
        return found

    return read


def number_of_bytes(least: int = 0) -> Reader:
    """Sizes such as ``1000``, ``800M`` or ``4 GiB``."""
    rule = f", at least {least}" if least else ""

    def read(name: str, found: str) -> int:
        match = re.fullmatch(r"([0-9]{1,18})\s*([KMGT]?)(i?B)?", found, re.IGNORECASE)
        size = -1 if match is None else int(match[1]) * _SUFFIXES[match[2].upper()]
        if size < least:
            raise InvalidValue(f"{name}: must be a number of bytes such as 800M or 4G{rule}, found {found!r}")
        return size

    return read


def parse_duration(what: str, found: str) -> timedelta:
    """A length of time such as ``90s``, ``15m``, ``12h``, ``30d`` or ``2w``. Raises InvalidValue, naming ``what``."""
    match = re.fullmatch(r"([0-9]{1,10})\s*([smhdw])", found.strip(), re.IGNORECASE)
    if match is None:
        raise InvalidValue(f"{what}: must be a length of time such as 90s, 15m, 12h, 30d or 2w, found {found!r}")
    length = _UNITS[match[2].lower()]
    if int(match[1]) > MAX_DURATION // length:
        raise InvalidValue(f"{what}: must be at most {MAX_DURATION.days}d, found {found!r}")
    return int(match[1]) * length


def _storage(name: str, found: str) -> str:
    parts = urlsplit(found)
    if "@" in parts.netloc:
        raise InvalidValue(f"{name}: must hold no credentials, found some before '@'")
    if parts.scheme not in STORAGE_SCHEMES:
        raise InvalidValue(f"{name}: must begin with file://, s3:// or az://, found {found!r}")
    return found


def read_ray_address(name: str, found: str) -> str:
    """The address of a Ray cluster, of the setting or argument ``name``. Raises InvalidValue."""
    if found != "auto" and not re.fullmatch(r"([A-Za-z0-9_.-]+|\[[0-9A-Fa-f:.]+\]):[0-9]{1,5}", found):
        raise InvalidValue(f"{name}: must be HOST:PORT or auto, found {found!r}")
    return found


def _resources(name: str, found: str) -> Mapping[str, float]:
    amounts: dict[str, float] = {}
    for part in found.split(","):
        resource, equals, amount = (text.strip() for text in part.partition("="))
        if not re.fullmatch(r"[A-Za-z0-9_.:/-]+", resource) or not equals or resource in (*amounts, "CPU", "memory"):
            rule = "must be distinct names with amounts such as GPU=1,fast=0.5, without CPU and memory"
            raise InvalidValue(f"{name}: {rule}, found {found!r}")
        amounts[resource] = number("units", is_zero_allowed=False)(f"{name}: {resource}", amount)
    return amounts


def _database(name: str, found: str) -> str:
    if not found.startswith(DATABASE_SCHEMES):
        raise InvalidValue(f"{name}: must begin with postgresql:// or sqlite:////")  # the value may hold a password
    return found


def _seconds_or_unlimited(name: str, found: str) -> float:
    if found.lower() in ("unlimited", "inf"):
        return math.inf
    return float(number("seconds", is_zero_allowed=False)(name, found))


def default_home() -> Path:
    """The per-user data folder. Raises InvalidValue if it is unknown where the user's home is."""
    try:
        path = Path(platformdirs.user_data_dir("qiosk", appauthor=False))
    except RuntimeError:  # what some releases of platformdirs do; others return "~/…"
        path = Path("~")
    if not path.is_absolute():
        raise InvalidValue("QIOSK_HOME: must be set, because the user's home folder is unknown")
    return path


def default_memory_limit() -> int:
    """``MEMORY_SHARE`` of the memory there is, in bytes; 0 if unknown."""
    return int(MEMORY_SHARE * physical_memory())


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """What can be chosen about jobs and where they are kept. See the module for units, variables and defaults."""

    home: Path = setting(absolute_path, factory=default_home)
    storage: str | None = setting(_storage, None)
    database: str | None = setting(_database, None, is_secret=True)  # it may contain a password
    executor: str = setting(one_of("local", "ray"), "local")
    ray_address: str = setting(read_ray_address, "auto")
    ray_resources: Mapping[str, float] = setting(_resources, factory=dict)
    concurrent_jobs: int | None = setting(integer(1), None)
    threads: int | None = setting(integer(1), None)
    memory_limit: int | None = setting(number_of_bytes(), None)
    max_attempts: int = setting(integer(1), 20)
    hang_seconds: float = setting(number("seconds"), 600.0)
    cancel_seconds: float = setting(number("seconds"), 5.0)
    stop_seconds: float = setting(number("seconds"), STOP_SECONDS)
    idle_seconds: float = setting(number("seconds"), 60.0)
    retention: timedelta | None = setting(parse_duration, None)
    kept_checkpoint: int = setting(number_of_bytes(), 64 << 20)
    limit_job_hours: float | None = setting(number("hours"), None)
    limit_concurrent_jobs: int | None = setting(integer(0), None)
    limit_queued_jobs: int | None = setting(integer(0), None)
    limit_open_sessions: int | None = setting(integer(0), None)
    limit_stored_bytes: int | None = setting(number_of_bytes(), None)
    limit_run_seconds: float | None = setting(_seconds_or_unlimited, None)

    @property
    def has_database_server(self) -> bool:
        """Whether the database is a server, which may be started later than those who use it."""
        return self.database is not None and not self.database.startswith("sqlite:")

    def memory_limit_here(self) -> int:
        """Bytes that a job may use that runs on this machine; 0: any number."""
        return default_memory_limit() if self.memory_limit is None else self.memory_limit

    def to_environ(self) -> dict[str, str]:
        """The variables that ``read_settings`` turns into these settings."""
        values = {variable(member.name): getattr(self, member.name) for member in fields(self)}
        return {name: _text_of(value) for name, value in values.items() if value is not None}


def _text_of(value: object) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{name}={amount!r}" for name, amount in value.items())
    return f"{value // timedelta(seconds=1)}s" if isinstance(value, timedelta) else str(value)


def read_settings(environ: Mapping[str, str], **overrides: Any) -> Settings:
    """Settings from environment variables; see ``read_environment``."""
    return read_environment(Settings, environ, overrides)


def of_server(settings: Settings) -> Settings:
    """These settings with the defaults of a server where they leave something open."""
    return (
        settings if settings.limit_run_seconds is not None else replace(settings, limit_run_seconds=SERVER_RUN_SECONDS)
    )


def choose_settings(home: Path | None, settings: Settings | None) -> Settings:
    """The given settings, else the environment's; a ``home`` that is not None wins over theirs. Raises InvalidValue."""
    chosen = settings if settings is not None else read_settings(os.environ)
    return chosen if home is None else replace(chosen, home=home.expanduser())
