"""What the service needs from the outside, as protocols. Their docstrings are the guarantees.

Every implementation may be used from several threads at once; stores also from several processes, unless
they live in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from qiosk.contract.jobs import JobQuery, TargetView, TracePoint
from qiosk.service.jobs import Job, JobKey, JobState
from qiosk.service.paging import Cursor
from qiosk.service.runs import RunUpdate


class JobStore(Protocol):
    """Rows of jobs of all workspaces, and their traces."""

    def add(self, job: Job) -> None:
        """Store a new job, durable against the death of this process. Raises JobAlreadyExists if its key is taken."""
        ...

    def get(self, key: JobKey) -> Job:
        """The job as it is now. Raises JobNotFound."""
        ...

    def page(
        self, workspace: str, query: JobQuery, after: Cursor | None, limit: int, *, skip: int = 0
    ) -> Sequence[Job]:
        """At most ``limit`` matching jobs, ``skip`` behind ``after``, sorted by ``cursor_of`` in the query's direction.

        Fewer are all that are left, or ``is_heavy``: then they end with the first one that makes them so. Paging on
        yields every job that exists throughout, once, whatever is added or removed meanwhile.
        """
        ...

    def swap(self, job: Job, *, expected: Job) -> bool:
        """Store ``job`` in place of ``expected``; False, and nothing stored, if that is not what is there any more."""
        ...

    def claim(
        self,
        *,
        worker: str,
        now: datetime,
        lease_expires_at: datetime,
        limit_of: Callable[[str], int | None] | None = None,
    ) -> Job | None:
        """Give the first waiting job to exactly one caller, as ``Job.on(CLAIM)``; None if there is none.

        Of the workspaces the one with the fewest running comes first; then the one whose next job waits longest. Within
        a workspace urgent jobs come first, then older ones. ``limit_of`` tells how many jobs a workspace may have
        running at once, None: any number; workspaces that do are passed over.
        """
        ...

    def record(self, key: JobKey, fence: int, update: RunUpdate, *, lease_expires_at: datetime) -> JobState | None:
        """Store what a claimant reports and extend its lease; returns the job's state.

        None, and nothing stored, if the job is gone, is not running, or has another fence.
        """
        ...

    def trace(self, key: JobKey, after: int) -> Sequence[TracePoint]:
        """Trace points from index ``after`` on. Raises JobNotFound."""
        ...

    def delete(self, key: JobKey) -> None:
        """Remove a job and its trace. Raises JobNotFound."""
        ...

    def is_needed(self, key: JobKey, container: str, blob: str | None = None) -> bool:
        """Whether another job of the workspace than ``key``, which need not exist, has its input or its output in a
        container; with ``blob``: whether this blob of it is another job's input.
        """
        ...

    def running(self, *, home: str | None = None) -> Sequence[Job]:
        """All jobs that somebody has claimed and not finished, of all workspaces; ``home``: only by its workers,
        whose names are ``home``, a slash and anything.
        """
        ...

    def expired(self, now: datetime) -> Sequence[Job]:
        """Running jobs, of all workspaces, whose claimants have let their leases run out."""
        ...

    def waiting(self, limit: int, *, workspace: str | None = None) -> int:
        """How many jobs wait in one workspace or in all, counted no further than ``limit``."""
        ...

    def run_seconds(self, workspace: str, month: str) -> float:
        """Seconds that a workspace's jobs ran, of those that ended in a month (``quotas.month_of``), deleted ones too.

        A swap to a final state books the time from ``begun_at`` to ``ended_at`` together with the state, or neither.
        """
        ...

    def ended_before(self, before: datetime, limit: int, *, after: Job | None = None) -> Sequence[Job]:
        """At most ``limit`` jobs, of all workspaces, that ended before a time and stand behind ``after``.

        Sorted by (ended_at, workspace, id). There may be more behind them unless there are none.
        """
        ...

    def version(self) -> int:
        """A number that differs from the last one whenever anybody has changed the store since, and may differ
        although nobody has. Cheap: for polling.
        """
        ...

    def close(self) -> None:
        """Release connections."""
        ...


class Executor(Protocol):
    """Whoever runs waiting jobs."""

    def wake(self) -> None:
        """A job was stored: make sure that somebody will run it. Raises SupervisorUnavailable if nobody can."""
        ...

    def ensure(self) -> None:
        """As ``wake``, for callers that merely saw an unfinished job; may check less often than it is called."""
        ...


class Clock(Protocol):
    """Time, and waiting for it."""

    def now(self) -> datetime:
        """Aware UTC wall time."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        ...


class TargetCatalogue(Protocol):
    """The solvers that jobs can be sent to."""

    def targets(self) -> Sequence[TargetView]:
        """All of them."""
        ...

    def check(self, provider_id: str, target: str) -> None:
        """Raise ProviderNotFound or InvalidTarget unless the provider offers the target; letter case is ignored."""
        ...
