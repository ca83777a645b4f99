"""Limits on what a workspace may use.

An administrator sets default limits, and limits of single workspaces. Hours, queued jobs, open sessions and bytes are
checked before anything is stored, so simultaneous requests together may exceed a limit. The number of running jobs is
exact, because the transaction that claims a job checks it. A job that runs as long as is allowed ends with the best
that it has found.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Protocol, final

from qiosk.contract.quotas import UNLIMITED, Dimension, QuotaView
from qiosk.errors import InvalidValue, QuotaExceeded
from qiosk.forks import PerProcess
from qiosk.service.ports import Clock, JobStore
from qiosk.service.sessions.session import SessionStore
from qiosk.settings import Settings

CACHE_S = 5.0
"""Largest age of the limits and hours that a submission is checked against."""
MEASURE_S = 60.0
"""Largest age of the measured size of a workspace's blobs; bytes written since are added."""
QUEUE_RETRY_S = 5
"""When to try again if the queue is full; clients wait this long by themselves."""
RETRY_S = 10
"""When to try again if hours or bytes are used up. Not the end of the month: clients would sleep until then."""
PROVIDER = "Microsoft"
_COUNTED = 1_000_000
"""Largest number of waiting jobs, and of open sessions, that a view of the quotas shows."""


class LimitStore(Protocol):
    """Limits of single workspaces, which replace the defaults. None: no limit."""

    def all(self) -> Mapping[str, Mapping[Dimension, float | None]]:
        """The limits of every workspace that has its own."""
        ...

    def set(self, workspace: str, dimension: Dimension, limit: float | None) -> None:
        """Set a workspace's own limit; None: no limit."""
        ...

    def unset(self, workspace: str, dimension: Dimension) -> None:
        """Remove a workspace's own limit, so that the default applies; does nothing if it has none."""
        ...


class QuotaGate(Protocol):
    """Checks whether a workspace may use more, and shows what it uses."""

    def check_submit(self, workspace: str) -> None:
        """Raise QuotaExceeded if the workspace may not submit a job now."""
        ...

    def check_bytes(self, workspace: str, extra: int) -> None:
        """Reserve ``extra`` bytes that will be written. Raises QuotaExceeded if they are too many."""
        ...

    def run_limit(self) -> float | None:
        """How long the jobs of a workspace without a limit of its own may run that are submitted now [s]."""
        ...

    def check_open(self, workspace: str) -> None:
        """Raise QuotaExceeded if the workspace may not open a session now."""
        ...

    def view(self, workspace: str) -> Sequence[QuotaView]:
        """Every quota of the workspace."""
        ...


@final
class _NoLimits:
    """``QuotaGate`` that allows everything and counts nothing."""

    def check_submit(self, workspace: str) -> None:
        """Allow it."""

    def check_bytes(self, workspace: str, extra: int) -> None:
        """Allow them."""

    def run_limit(self) -> None:
        """Any time."""

    def check_open(self, workspace: str) -> None:
        """Allow it."""

    def view(self, workspace: str) -> Sequence[QuotaView]:
        """None."""
        return ()


NO_LIMITS: Final[QuotaGate] = _NoLimits()


@dataclass(slots=True)
class _Measured:
    """Bytes of a workspace: measured at a time, plus those written since."""

    at: float
    stored: int


@final
class QuotaService:
    """``QuotaGate`` for all workspaces; one for each process, because it keeps numbers for a while.

    ``defaults`` are the limits of workspaces without their own, ``stored_bytes`` measures a workspace's blobs.
    """

    def __init__(
        self,
        *,
        jobs: JobStore,
        sessions: SessionStore,
        limits: LimitStore,
        defaults: Mapping[Dimension, float | None],
        clock: Clock,
        stored_bytes: Callable[[str], int],
    ) -> None:
        self._jobs = jobs
        self._sessions = sessions
        self._limits = limits
        self._defaults = defaults
        self._clock = clock
        self._stored_bytes = stored_bytes
        self._lock = PerProcess(threading.Lock)
        self._overrides: Mapping[str, Mapping[Dimension, float | None]] = {}
        self._overrides_until = -math.inf
        self._hours: dict[str, tuple[float, float]] = {}
        self._measured: dict[str, _Measured] = {}

    def limit(self, workspace: str, dimension: Dimension) -> float | None:
        """The workspace's limit; None if there is none."""
        now = self._clock.monotonic()
        if now >= self._overrides_until:
            self._overrides = self._limits.all()
            self._overrides_until = now + CACHE_S
        return self._overrides.get(workspace, {}).get(dimension, self._defaults.get(dimension))

    def concurrent_jobs(self, workspace: str) -> int | None:
        """How many jobs of the workspace may run at the same time; None: no limit."""
        limit = self.limit(workspace, Dimension.CONCURRENT_JOBS)
        return None if limit is None else int(limit)

    def run_limit(self) -> float | None:
        """The default limit of ``run_seconds``, which is stored with a job that is submitted now."""
        return self._defaults.get(Dimension.RUN_SECONDS)

    def run_seconds(self, workspace: str, run_limit: float | None = None) -> float | None:
        """How long a job of the workspace may run [s]; None: any time.

        A limit of the workspace's own counts alone. Without one it is the least of this process's default and the
        job's ``run_limit``, which is the default of the process that accepted it: jobs that a server accepts are
        limited by its settings, also if another program started the supervisor.
        """
        found = self.limit(workspace, Dimension.RUN_SECONDS)
        if Dimension.RUN_SECONDS in self._overrides.get(workspace, {}):
            return found
        return min((limit for limit in (found, run_limit) if limit is not None), default=None)

    def check_submit(self, workspace: str) -> None:
        """Raise QuotaExceeded if the hours are used up or the queue is full."""
        hours = self.limit(workspace, Dimension.JOB_HOURS)
        if hours is not None and (used := self._recent_hours(workspace)) >= hours:
            raise QuotaExceeded(
                f"job hours: at most {hours:g} a month are allowed, found {used:.4g}",
                dimension=Dimension.JOB_HOURS.value,
                retry_after_s=RETRY_S,
            )
        queued = self.limit(workspace, Dimension.QUEUED_JOBS)
        if queued is not None and (found := self._jobs.waiting(int(queued), workspace=workspace)) >= queued:
            raise QuotaExceeded(
                f"queued jobs: at most {queued:.0f} are allowed, found {found}",
                dimension=Dimension.QUEUED_JOBS.value,
                retry_after_s=QUEUE_RETRY_S,
            )

    def check_open(self, workspace: str) -> None:
        """Raise QuotaExceeded if too many sessions are open."""
        limit = self.limit(workspace, Dimension.OPEN_SESSIONS)
        if limit is not None and (found := self._sessions.count_open(workspace, int(limit))) >= limit:
            raise QuotaExceeded(
                f"open sessions: at most {limit:.0f} are allowed, found {found}",
                dimension=Dimension.OPEN_SESSIONS.value,
                retry_after_s=RETRY_S,
            )

    def check_bytes(self, workspace: str, extra: int) -> None:
        """Reserve ``extra`` bytes that will be written. Raises QuotaExceeded if they are too many."""
        limit = self.limit(workspace, Dimension.STORED_BYTES)
        if limit is None:
            return
        measured = self._measure(workspace)
        if measured.stored + extra > limit:
            raise QuotaExceeded(
                f"stored bytes: at most {limit:.0f} are allowed, found {measured.stored} and {extra} more",
                dimension=Dimension.STORED_BYTES.value,
                retry_after_s=RETRY_S,
            )
        with self._lock.get():
            measured.stored += extra

    def view(self, workspace: str) -> Sequence[QuotaView]:
        """Every quota of the workspace, now."""
        now = self._clock.now()
        running = [job for job in self._jobs.running() if job.workspace == workspace]
        seconds = [(now - job.begun_at).total_seconds() for job in running if job.begun_at is not None]
        longest = max([0.0, *seconds, *(job.spent_seconds for job in running)])
        held = sum(seconds)
        return (
            self._quota(workspace, Dimension.JOB_HOURS, self._hours_until(workspace, now), "Monthly", held / 3600.0),
            self._quota(workspace, Dimension.CONCURRENT_JOBS, len(running)),
            self._quota(workspace, Dimension.QUEUED_JOBS, self._jobs.waiting(_COUNTED, workspace=workspace)),
            self._quota(workspace, Dimension.STORED_BYTES, self._measure(workspace).stored),
            self._quota(workspace, Dimension.OPEN_SESSIONS, self._sessions.count_open(workspace, _COUNTED)),
            self._quota(workspace, Dimension.RUN_SECONDS, longest),
        )

    def _quota(
        self, workspace: str, dimension: Dimension, used: float, period: str = "None", holds: float = 0.0
    ) -> QuotaView:
        limit = self.limit(workspace, dimension)
        return QuotaView(
            dimension=dimension.value,
            scope="Workspace",
            provider_id=PROVIDER,
            utilization=float(used),
            holds=max(0.0, holds),
            limit=UNLIMITED if limit is None else float(limit),
            period=period,
        )

    def _hours_until(self, workspace: str, now: datetime) -> float:
        return self._jobs.run_seconds(workspace, month_of(now)) / 3600.0

    def _recent_hours(self, workspace: str) -> float:
        now = self._clock.monotonic()
        until, hours = self._hours.get(workspace, (-math.inf, 0.0))
        if now >= until:
            hours = self._hours_until(workspace, self._clock.now())
            self._hours[workspace] = (now + CACHE_S, hours)
        return hours

    def _measure(self, workspace: str) -> _Measured:
        now = self._clock.monotonic()
        measured = self._measured.get(workspace)
        if measured is None or now - measured.at >= MEASURE_S:
            measured = self._measured[workspace] = _Measured(now, self._stored_bytes(workspace))
        return measured


def month_of(at: datetime) -> str:
    """The calendar month of an aware UTC time, such as ``2026-05``."""
    return f"{at:%Y-%m}"


def check_limit(dimension: Dimension, limit: float) -> float:
    """The same limit. Raises InvalidValue unless it is at least 0 and, except for hours and seconds, a whole
    number; seconds are above 0.
    """
    if not 0 <= limit < UNLIMITED:
        raise InvalidValue(f"{dimension}: must be at least 0, found {limit!r}")
    if dimension is Dimension.RUN_SECONDS and limit == 0:
        raise InvalidValue(f"{dimension}: must be above 0, found {limit!r}")
    if dimension not in (Dimension.JOB_HOURS, Dimension.RUN_SECONDS) and limit != int(limit):
        raise InvalidValue(f"{dimension}: must be a whole number, found {limit!r}")
    return limit


def parse_limit(dimension: Dimension, text: str) -> float | None:
    """A limit as people write it, a number or ``unlimited`` (None). Raises InvalidValue."""
    if text == "unlimited":
        return None
    try:
        number = float(text)
    except ValueError:
        raise InvalidValue(f"{dimension}: must be a number, 'unlimited' or 'default', found {text[:100]!r}") from None
    return check_limit(dimension, number)


def default_limits(settings: Settings) -> Mapping[Dimension, float | None]:
    """The limits of workspaces that have none of their own."""
    return {
        Dimension.JOB_HOURS: settings.limit_job_hours,
        Dimension.CONCURRENT_JOBS: settings.limit_concurrent_jobs,
        Dimension.QUEUED_JOBS: settings.limit_queued_jobs,
        Dimension.STORED_BYTES: settings.limit_stored_bytes,
        Dimension.OPEN_SESSIONS: settings.limit_open_sessions,
        Dimension.RUN_SECONDS: None if settings.limit_run_seconds == math.inf else settings.limit_run_seconds,
    }
