"""Statistics for operators: how long jobs wait and run, how they end, and how many sweeps they do."""

from __future__ import annotations

import bisect
import threading
from collections import Counter, defaultdict, deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple, Protocol, final

from qiosk.forks import PerProcess
from qiosk.service.jobs.job import JobState
from qiosk.service.ports import Clock

REFRESH_S = 2.0
"""Largest age of the numbers."""
PAST_S = 60.0
"""Largest age of the numbers of hours that are over."""
RECENT = 50
"""Number of jobs of a target whose waiting times are averaged."""
BOUNDS_S = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 60.0, 300.0, 1800.0, 3600.0)
"""Upper bounds of the buckets in which times are counted; one more bucket has no bound."""

_FIRST = 500
_BATCH = 1000
_WORKSPACES = 100
"""Workspaces whose past hours are kept."""
_OVERLAP = timedelta(seconds=30)  # for differing clocks of hosts, and transactions that commit late


class EndedJob(NamedTuple):
    """A job that has ended. ``begun_at`` is None if it never ran; ``seconds`` is the solver's time."""

    workspace: str
    id: str
    target: str
    state: JobState
    created_at: datetime
    begun_at: datetime | None
    ended_at: datetime
    attempts: int
    sweeps: int
    seconds: float


class EndedJobs(NamedTuple):
    """Jobs of one workspace that ended in one hour, for one target, in one state. ``hour`` is its beginning.

    ``begun`` is how many of them ran; these waited ``wait_s`` together. ``solver_s`` is the solvers' time, ``lost`` the
    number of attempts that were lost.
    """

    hour: datetime
    target: str
    state: JobState
    jobs: int
    begun: int
    wait_s: float
    solver_s: float
    lost: int


class StatisticsStore(Protocol):
    """Counts of the jobs of all workspaces."""

    def counts(self, workspace: str | None = None) -> Mapping[JobState, int]:
        """How many jobs there are in each state, in one workspace or in all."""
        ...

    def ended_by_hour(self, workspace: str, since: datetime) -> Sequence[EndedJobs]:
        """The jobs of a workspace that ended at ``since`` or later, by hour, target and state, in this order."""
        ...

    def by_workspace(self, only: Collection[str] | None = None) -> Mapping[str, int]:
        """How many jobs each workspace has that has any; with ``only``, each of these workspaces."""
        ...

    def oldest_waiting(self, workspace: str | None = None) -> datetime | None:
        """When the job that has waited longest was created, in one workspace or in all; None if none waits."""
        ...

    def ended_since(self, since: datetime, limit: int) -> Sequence[EndedJob]:
        """At most ``limit`` jobs that ended at ``since`` or later, the first ones first."""
        ...

    def last_ended(self, limit: int) -> Sequence[EndedJob]:
        """The last ``limit`` jobs that ended, the first ones first."""
        ...


@dataclass(slots=True)
class Times:
    """How many times are in each bucket, and their sum [s]."""

    buckets: list[int] = field(default_factory=lambda: [0] * (len(BOUNDS_S) + 1))
    total_s: float = 0.0

    def add(self, seconds: float) -> None:
        """Count a time."""
        self.buckets[bisect.bisect_left(BOUNDS_S, seconds)] += 1
        self.total_s += seconds


@dataclass(slots=True)
class Totals:
    """Jobs that have ended since this process began, by target."""

    ended: Counter[tuple[str, JobState]] = field(default_factory=Counter)
    lost: Counter[str] = field(default_factory=Counter)
    sweeps: Counter[str] = field(default_factory=Counter)
    solver_s: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    waited: defaultdict[str, Times] = field(default_factory=lambda: defaultdict(Times))
    ran: defaultdict[str, Times] = field(default_factory=lambda: defaultdict(Times))

    def add(self, job: EndedJob) -> None:
        """Count a job."""
        self.ended[job.target, job.state] += 1
        self.lost[job.target] += max(0, job.attempts - 1)
        self.sweeps[job.target] += job.sweeps
        self.solver_s[job.target] += job.seconds
        if job.begun_at is not None:
            self.waited[job.target].add(_seconds(job.begun_at - job.created_at))
            self.ran[job.target].add(_seconds(job.ended_at - job.begun_at))


class _Past(NamedTuple):
    """Jobs that ended before an hour began. It may be used until a time of the monotonic clock."""

    hour: datetime
    until: float
    rows: Sequence[EndedJobs]


@final
class JobStatistics:
    """Numbers about jobs. Reading them updates them, from the jobs that have ended since the last update."""

    def __init__(self, store: StatisticsStore, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = PerProcess(threading.Lock)
        self._fresh_until = float("-inf")
        self._since: datetime | None = None
        self._seen: dict[tuple[str, str], datetime] = {}
        self._waits: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=RECENT))
        self._totals = Totals()
        self._past: dict[tuple[str, timedelta], _Past] = {}

    def queue_times(self) -> Mapping[str, float]:
        """Seconds that recent jobs have waited on average, by target; targets without jobs are missing."""
        with self._lock.get():
            self._refresh()
            return {target: sum(waits) / len(waits) for target, waits in self._waits.items()}

    def totals(self) -> Totals:
        """Jobs that have ended since this object was made. Callers must not change it."""
        with self._lock.get():
            self._refresh()
            return self._totals

    def counts(self, workspace: str | None = None) -> Mapping[JobState, int]:
        """How many jobs there are in every state, in one workspace or in all."""
        return {**dict.fromkeys(JobState, 0), **self._store.counts(workspace)}

    def ended_by_hour(self, workspace: str, span: timedelta) -> Sequence[EndedJobs]:
        """The jobs of a workspace that ended within the last ``span``, by hour, target and state, in this order.

        The store is asked for this hour only, while the numbers of the others are younger than ``PAST_S``.
        """
        now, monotonic = self._clock.now(), self._clock.monotonic()
        since = now - span
        hour = (now - _OVERLAP).replace(minute=0, second=0, microsecond=0)
        past = self._past.get((workspace, span))
        if past is not None and past.hour == hour and monotonic < past.until:
            return [*past.rows, *self._store.ended_by_hour(workspace, max(since, hour))]
        rows = self._store.ended_by_hour(workspace, since)
        if len(self._past) >= _WORKSPACES:
            self._past.clear()
        self._past[workspace, span] = _Past(hour, monotonic + PAST_S, [row for row in rows if row.hour < hour])
        return rows

    def by_workspace(self, only: Collection[str] | None = None) -> Mapping[str, int]:
        """How many jobs each workspace has that has any; with ``only``, each of these workspaces."""
        return self._store.by_workspace(only)

    def oldest_waiting_s(self, workspace: str | None = None) -> float:
        """How long the oldest waiting job has waited, in one workspace or in all; 0 if none waits."""
        created_at = self._store.oldest_waiting(workspace)
        return 0.0 if created_at is None else _seconds(self._clock.now() - created_at)

    def _refresh(self) -> None:
        now = self._clock.monotonic()
        if now < self._fresh_until:
            return
        if self._since is None:
            self._begin()
        else:
            self._catch_up(self._since)
        self._fresh_until = now + REFRESH_S

    def _begin(self) -> None:
        """Jobs that ended earlier are part of the queue times only."""
        self._since = self._clock.now()
        for job in self._store.last_ended(_FIRST):
            self._note(job)

    def _catch_up(self, since: datetime) -> None:
        begin = since - _OVERLAP
        while found := self._store.ended_since(begin, _BATCH):
            for job in found:
                if (job.workspace, job.id) not in self._seen:
                    self._note(job)
                    self._totals.add(job)
            if len(found) < _BATCH or found[-1].ended_at == begin:
                break
            begin = found[-1].ended_at
        self._since = max(since, *(at for at in self._seen.values())) if self._seen else since
        horizon = self._since - 2 * _OVERLAP
        self._seen = {key: at for key, at in self._seen.items() if at >= horizon}

    def _note(self, job: EndedJob) -> None:
        self._seen[job.workspace, job.id] = job.ended_at
        if job.begun_at is not None:
            self._waits[job.target].append(_seconds(job.begun_at - job.created_at))


def _seconds(span: timedelta) -> float:
    return max(0.0, span.total_seconds())
