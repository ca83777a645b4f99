"""Jobs in memory."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import accumulate
from operator import itemgetter
from typing import TypeVar, final

from msgspec import structs

from qiosk.contract.jobs import JobQuery, TracePoint
from qiosk.contract.logs import MAX_LOG_BYTES, LogLine
from qiosk.errors import JobAlreadyExists, JobNotFound
from qiosk.forks import PerProcess
from qiosk.service.accounts.quotas import month_of
from qiosk.service.jobs.job import BlobRef, HeldClaim, Job, JobEvent, JobKey, JobState
from qiosk.service.jobs.runs import RunUpdate
from qiosk.service.paging import PAGE_BYTES, Cursor, cursor_of, name_key, weight

Item = TypeVar("Item")


@final
class MemoryJobStore:
    """``JobStore`` over a dictionary and a lock.

    >>> from qiosk.contract.jobs import JobQuery
    >>> from qiosk.testing import MemoryJobStore
    >>> MemoryJobStore().page("default", JobQuery(), None, limit=10)
    []
    """

    def __init__(self) -> None:
        self._jobs: dict[JobKey, Job] = {}
        self._traces: dict[JobKey, list[TracePoint]] = {}
        self._logs: dict[JobKey, list[LogLine]] = {}
        self._run_seconds: dict[tuple[str, str], float] = defaultdict(float)
        self._version = 0
        self._lock = PerProcess(threading.RLock)

    def add(self, job: Job) -> None:
        """Store a new job. Raises JobAlreadyExists."""
        with self._lock.get():
            if job.key in self._jobs:
                raise JobAlreadyExists(f"job {job.id}: the id belongs to another job", job_id=job.id)
            self._put(job)
            self._traces[job.key] = []
            self._logs[job.key] = []

    def get(self, key: JobKey) -> Job:
        """The job as it is now. Raises JobNotFound."""
        with self._lock.get():
            try:
                return self._jobs[key]
            except KeyError:
                raise JobNotFound(f"job {key.id} was not found", job_id=key.id) from None

    def page(
        self, workspace: str, query: JobQuery, after: Cursor | None, limit: int, *, skip: int = 0
    ) -> Sequence[Job]:
        """At most ``limit`` matching jobs, ``skip`` after ``after``."""
        with self._lock.get():
            jobs = [job for job in self._jobs.values() if job.workspace == workspace and _matches(job, query)]
        placed = [(cursor_of(job, query.order_by), job) for job in jobs]
        found = sorted_after(placed, after, descending=query.descending)[skip : skip + limit]
        reached = accumulate(map(weight, found))
        return found[: 1 + next((place for place, total in enumerate(reached) if total >= PAGE_BYTES), limit)]

    def swap(self, job: Job, *, expected: Job, log: Sequence[LogLine] = ()) -> bool:
        """Store ``job`` in place of ``expected``, if that is still there."""
        with self._lock.get():
            current = self._jobs.get(job.key)
            if current is None or current.revision != expected.revision:
                return False
            self._put(job)
            self._append(job.key, log)
            if job.ended_at is not None and current.ended_at is None and job.begun_at is not None:
                booked = (job.ended_at - job.begun_at).total_seconds()
                self._run_seconds[job.workspace, month_of(job.ended_at)] += booked
            return True

    def claim(
        self,
        *,
        worker: str,
        now: datetime,
        lease_expires_at: datetime,
        limit_of: Callable[[str], int | None] | None = None,
    ) -> Job | None:
        """Give the first waiting job to exactly one caller."""
        with self._lock.get():
            running = Counter(job.workspace for job in self._jobs.values() if job.state.is_running)
            waiting = [job for job in self._jobs.values() if job.state is JobState.WAITING]
            limits = {} if limit_of is None else {job.workspace: limit_of(job.workspace) for job in waiting}
            allowed = [job for job in waiting if _is_below(limits.get(job.workspace), running[job.workspace])]
            if not allowed:
                return None
            heads: dict[str, Job] = {}
            for job in sorted(allowed, key=lambda job: (not job.is_urgent, job.created_at, job.id)):
                heads.setdefault(job.workspace, job)
            first = min(heads.values(), key=lambda job: (running[job.workspace], job.created_at, job.workspace))
            return self._put(first.on(JobEvent.CLAIM, at=now, worker=worker, lease_expires_at=lease_expires_at))

    def record(self, key: JobKey, fence: int, update: RunUpdate, *, lease_expires_at: datetime) -> JobState | None:
        """Store what a claimant reports, unless its fence is stale."""
        with self._lock.get():
            job = self._jobs.get(key)
            if job is None or job.fence != fence or not job.state.is_running:
                return None
            self._put(_updated(job, update, lease_expires_at))
            if update.trace_start is not None:
                self._traces[key][update.trace_start :] = update.trace
            self._append(key, update.log)
            return job.state

    def trace(self, key: JobKey, after: int) -> Sequence[TracePoint]:
        """Trace points from index ``after`` on. Raises JobNotFound."""
        with self._lock.get():
            self.get(key)
            return self._traces[key][after:]

    def log(self, key: JobKey, after: int) -> Sequence[LogLine]:
        """The kept lines after position ``after``. Raises JobNotFound."""
        with self._lock.get():
            self.get(key)
            return [line for line in self._logs[key] if line.position > after]

    def delete(self, key: JobKey) -> None:
        """Remove a job, its trace and its log. Raises JobNotFound."""
        with self._lock.get():
            self.get(key)
            del self._jobs[key], self._traces[key], self._logs[key]
            self._version += 1

    def is_needed(self, key: JobKey, container: str, blob: str | None = None) -> bool:
        """Whether another job has its input or its output here."""
        with self._lock.get():
            others = [job for job in self._jobs.values() if job.workspace == key.workspace and job.id != key.id]
        if blob is not None:
            return any(job.input == BlobRef(container, blob) for job in others)
        return any(container in (job.container, job.input.container) for job in others)

    def running(self, *, home: str | None = None, is_cancelling: bool = False) -> Sequence[Job]:
        """All running jobs, or those that a worker of ``home`` has claimed, or those that are being cancelled."""
        with self._lock.get():
            running = [job for job in self._jobs.values() if job.state.is_running]
        if is_cancelling:
            running = [job for job in running if job.state is JobState.CANCELLING]
        return [job for job in running if home is None or (job.worker or "").startswith(f"{home}/")]

    def claims(self) -> Sequence[HeldClaim]:
        """The claims of all running jobs."""
        return [HeldClaim(job.key, job.fence, job.revision) for job in self.running()]

    def waiting(self, limit: int, *, workspace: str | None = None) -> int:
        """How many jobs wait, counted no further than ``limit``."""
        with self._lock.get():
            jobs = [job for job in self._jobs.values() if workspace in (None, job.workspace)]
        return min(limit, sum(job.state is JobState.WAITING for job in jobs))

    def run_seconds(self, workspace: str, month: str) -> float:
        """How long the workspace's jobs ran, of those that ended in this month."""
        with self._lock.get():
            return self._run_seconds[workspace, month]

    def ended_before(self, before: datetime, limit: int, *, after: Job | None = None) -> Sequence[Job]:
        """Jobs that ended before a time, after ``after``."""
        with self._lock.get():
            ended = [(_end_of(job), job) for job in self._jobs.values() if job.ended_at and job.ended_at < before]
        ended.sort(key=itemgetter(0))
        return [job for end, job in ended if after is None or end > _end_of(after)][:limit]

    def all(self) -> Sequence[Job]:
        """Every job of every workspace."""
        with self._lock.get():
            return list(self._jobs.values())

    def version(self) -> int:
        """A number that grows with every change."""
        return self._version

    def close(self) -> None:
        """Nothing to release."""

    def _append(self, key: JobKey, lines: Sequence[LogLine]) -> None:
        kept = self._logs[key]
        for line in lines:
            start = kept[-1].position if kept else 0
            kept.append(structs.replace(line, position=start + line.size))
        self._logs[key] = [line for line in kept if line.position > kept[-1].position - MAX_LOG_BYTES]

    def _put(self, job: Job) -> Job:
        self._version += 1
        stored = self._jobs[job.key] = replace(job, revision=self._version)
        return stored


def _end_of(job: Job) -> tuple[datetime | None, str, str]:
    return (job.ended_at, job.workspace, job.id)


def _is_below(limit: int | None, running: int) -> bool:
    return limit is None or running < limit


def _updated(job: Job, update: RunUpdate, lease_expires_at: datetime) -> Job:
    reported = {
        "progress": update.progress,
        "best_blob": update.best_blob,
        "best_cost": update.best_cost,
        "checkpoint_blob": update.checkpoint_blob,
        "provenance": update.provenance,
        "spent_seconds": update.spent_seconds,
    }
    changes = {member: value for member, value in reported.items() if value is not None}
    return replace(job, lease_expires_at=lease_expires_at, **changes)  # type: ignore[arg-type]


def _matches(job: Job, query: JobQuery) -> bool:
    return (
        job.id.startswith(query.id_prefix or "")
        and set(query.tags).issubset(job.tags)
        and (query.name_prefix is None or name_key(job.name).startswith(name_key(query.name_prefix)))
        and (query.statuses is None or job.state.status in query.statuses)
        and is_among(job.job_type, query.job_types)
        and is_among(job.provider_id, query.provider_ids)
        and is_among(job.target, query.targets)
        and (query.created_after is None or job.created_at >= query.created_after)
        and (query.created_before is None or job.created_at <= query.created_before)
        and (query.session_id is None or job.session_id == query.session_id)
        and (query.parent_id is None or job.parent_id == query.parent_id)
        and (not query.is_top_level or job.session_id is None)
    )


def sorted_after(placed: list[tuple[Cursor, Item]], after: Cursor | None, *, descending: bool) -> list[Item]:
    """The items whose places come after ``after``, sorted by place."""
    placed.sort(key=itemgetter(0), reverse=descending)
    return [item for at, item in placed if after is None or (at < after if descending else at > after)]


def is_among(value: str, choices: Sequence[str] | None) -> bool:
    """Whether a value is one of those that a query names, in any letter case; all are if it names none."""
    return choices is None or value.lower() in [choice.lower() for choice in choices]
