"""Ports: protocols of what the service uses, such as a job store. Implementations guarantee what the docstrings say.

Every implementation may be used by several threads at the same time; stores also by several processes, unless they are
in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from qiosk.contract.jobs import JobQuery, TargetView, TracePoint
from qiosk.contract.logs import LogLine
from qiosk.service.jobs.job import HeldClaim, Job, JobKey, JobState
from qiosk.service.jobs.runs import RunUpdate
from qiosk.service.paging import Cursor


class JobStore(Protocol):
    """Rows of jobs of all workspaces, and their traces."""

    def add(self, job: Job) -> None:
        """Store a new job, so that it survives a crash of this process. Raises JobAlreadyExists if its key is taken."""
        ...

    def get(self, key: JobKey) -> Job:
        """The job as it is now. Raises JobNotFound."""
        ...

    def page(
        self, workspace: str, query: JobQuery, after: Cursor | None, limit: int, *, skip: int = 0
    ) -> Sequence[Job]:
        """At most ``limit`` matching jobs, after ``after`` and ``skip`` more, in the query's order (``cursor_of``).

        Fewer than ``limit`` are the last ones, or they are ``is_heavy``; then they end with the job that makes them so.
        All pages together contain every job that exists the whole time once, even if other jobs are added or removed.
        """
        ...

    def swap(self, job: Job, *, expected: Job, log: Sequence[LogLine] = ()) -> bool:
        """Replace ``expected`` by ``job``; False, and nothing changed, if the stored job is no longer ``expected``.

        In the same transaction ``log`` is appended to the job's log.
        """
        ...

    def claim(
        self,
        *,
        worker: str,
        now: datetime,
        lease_expires_at: datetime,
        limit_of: Callable[[str], int | None] | None = None,
    ) -> Job | None:
        """Claim the first waiting job for exactly one caller, by ``Job.on(CLAIM)``; None if there is none.

        The first workspace is the one with the fewest running jobs, then the one whose next job has waited longest.
        Within a workspace urgent jobs are first, then older ones. ``limit_of`` returns how many jobs of a workspace may
        run at the same time (None: any number); workspaces at their limit are skipped.
        """
        ...

    def record(self, key: JobKey, fence: int, update: RunUpdate, *, lease_expires_at: datetime) -> JobState | None:
        """Store a claimant's update and renew its lease; returns the job's state.

        None, and nothing changed, if the job was removed, is not running, or has another fence.
        """
        ...

    def trace(self, key: JobKey, after: int) -> Sequence[TracePoint]:
        """Trace points from index ``after`` on. Raises JobNotFound."""
        ...

    def log(self, key: JobKey, after: int) -> Sequence[LogLine]:
        """The kept lines of a job's log whose positions are larger than ``after``, in order. Raises JobNotFound."""
        ...

    def delete(self, key: JobKey) -> None:
        """Remove a job, its trace and its log. Raises JobNotFound."""
        ...

    def is_needed(self, key: JobKey, container: str, blob: str | None = None) -> bool:
        """Whether a job other than ``key``, which need not exist, has its input or output in a container.

        With ``blob``: whether this blob of the container is the input of another job.
        """
        ...

    def running(self, *, home: str | None = None, is_cancelling: bool = False) -> Sequence[Job]:
        """All running jobs, of all workspaces. With ``home``: only those claimed by its workers, whose names start with
        ``home`` and a slash. With ``is_cancelling``: only those that are being cancelled, which are few.
        """
        ...

    def claims(self) -> Sequence[HeldClaim]:
        """The claims of all running jobs, of all workspaces: a small part of what ``running`` reads."""
        ...

    def waiting(self, limit: int, *, workspace: str | None = None) -> int:
        """How many jobs wait in one workspace or in all; ``limit`` if there are more."""
        ...

    def run_seconds(self, workspace: str, month: str) -> float:
        """Seconds that the jobs of a workspace ran that ended in a month (``quotas.month_of``), deleted ones too.

        A swap to a final state adds the time from ``begun_at`` to ``ended_at`` in the same transaction.
        """
        ...

    def ended_before(self, before: datetime, limit: int, *, after: Job | None = None) -> Sequence[Job]:
        """At most ``limit`` jobs, of all workspaces, that ended before a time, after the job ``after``.

        Sorted by (ended_at, workspace, id). An empty sequence is the end; a short one need not be.
        """
        ...

    def version(self) -> int:
        """A number that is different after every change of the store, by any process, and perhaps without one.

        Cheap, so that it can be polled.
        """
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


class Watcher(NamedTuple):
    """A worker in one of the seats of those that look at the claims of all; each write increases the revision."""

    seat: int
    worker: str
    revision: int


class Watchers(Protocol):
    """The seats of those workers that look at the claims of all, for supervisors that share a database."""

    def all(self) -> Sequence[Watcher]:
        """Those seats that are taken, in their order."""
        ...

    def sit(self, seat: int, worker: str, expected: int | None) -> bool:
        """Give a seat to a worker, or let it keep it: if its revision is ``expected``, or if it is free for None.

        Returns whether it was so. Of several that sit down at the same time one is given the seat.
        """
        ...

    def leave(self, worker: str) -> None:
        """Free the seat of a worker, if it has one."""
        ...


class Executor(Protocol):
    """Makes sure that a supervisor runs waiting jobs."""

    def wake(self) -> None:
        """A job was stored: wake the supervisor, or start one. Raises SupervisorUnavailable if that is impossible."""
        ...

    def ensure(self) -> None:
        """As ``wake``, for callers that have read an unfinished job; may do nothing if called again soon."""
        ...


class Clock(Protocol):
    """Time, and waiting for it."""

    def now(self) -> datetime:
        """The time of day, in UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds of a clock that never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        ...


class TargetCatalogue(Protocol):
    """The solvers that jobs can be sent to."""

    def targets(self) -> Sequence[TargetView]:
        """All of them."""
        ...

    def with_timeout(self, name: str, input_params: Any, seconds: float) -> Any:
        """The ``input_params`` of a job with another time limit [s]. Raises InvalidTarget, InvalidValue."""
        ...

    def check(self, provider_id: str, target: str) -> None:
        """Raise ProviderNotFound or InvalidTarget unless the provider offers the target; letter case is ignored."""
        ...
