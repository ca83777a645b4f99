"""Every port of the service in memory: for tests, and for notebooks that keep nothing."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import final

from qiosk.contract.jobs import JobQuery, TracePoint
from qiosk.errors import BlobAlreadyExists, BlobNotFound, InvalidValue, JobAlreadyExists, JobNotFound
from qiosk.service.attempts import Attempt, claim_next
from qiosk.service.jobs import BlobRef, Job, JobEvent, JobKey, JobState
from qiosk.service.names import check_blob, check_container
from qiosk.service.ports import BlobStore, Clock, Cursor, JobRunner, JobStore, RunOutcome, RunUpdate
from qiosk.service.worker import run_to_last_word


@final
class MemoryJobStore:
    """``JobStore`` over a dictionary and a lock."""

    def __init__(self) -> None:
        self._jobs: dict[JobKey, Job] = {}
        self._traces: dict[JobKey, list[TracePoint]] = {}
        self._version = 0
        self._lock = threading.RLock()

    def add(self, job: Job) -> None:
        """Store a new job. Raises JobAlreadyExists."""
        with self._lock:
            if job.key in self._jobs:
                raise JobAlreadyExists(f"job {job.id}: the id belongs to another job", job_id=job.id)
            self._put(job)
            self._traces[job.key] = []

    def get(self, key: JobKey) -> Job:
        """The job as it is now. Raises JobNotFound."""
        with self._lock:
            try:
                return self._jobs[key]
            except KeyError:
                raise JobNotFound(f"job {key.id} was not found", job_id=key.id) from None

    def page(self, workspace: str, query: JobQuery, after: Cursor | None, limit: int) -> Sequence[Job]:
        """At most ``limit`` matching jobs behind ``after``."""
        with self._lock:
            jobs = [job for job in self._jobs.values() if job.workspace == workspace and _matches(job, query)]
        jobs.sort(key=_cursor, reverse=not query.oldest_first)
        if after is not None:
            jobs = [job for job in jobs if (_cursor(job) > after) == query.oldest_first and _cursor(job) != after]
        return jobs[:limit]

    def swap(self, job: Job, *, expected: Job) -> bool:
        """Store ``job`` in place of ``expected``, if that is still there."""
        with self._lock:
            current = self._jobs.get(job.key)
            if current is None or current.revision != expected.revision:
                return False
            self._put(job)
            return True

    def claim(self, *, worker: str, now: datetime, lease_expires_at: datetime) -> Job | None:
        """Give the first waiting job to exactly one caller."""
        with self._lock:
            waiting = [job for job in self._jobs.values() if job.state is JobState.WAITING]
            if not waiting:
                return None
            first = min(waiting, key=lambda job: (not job.is_urgent, job.created_at, job.workspace, job.id))
            return self._put(first.on(JobEvent.CLAIM, at=now, worker=worker, lease_expires_at=lease_expires_at))

    def record(self, key: JobKey, fence: int, update: RunUpdate, *, lease_expires_at: datetime) -> JobState | None:
        """Store what a claimant reports, unless its fence is stale."""
        with self._lock:
            job = self._jobs.get(key)
            if job is None or job.fence != fence or not job.state.is_running:
                return None
            self._put(_updated(job, update, lease_expires_at))
            if update.trace_start is not None:
                self._traces[key][update.trace_start :] = update.trace
            return job.state

    def trace(self, key: JobKey, after: int) -> Sequence[TracePoint]:
        """Trace points from index ``after`` on. Raises JobNotFound."""
        with self._lock:
            self.get(key)
            return self._traces[key][after:]

    def delete(self, key: JobKey) -> None:
        """Remove a job and its trace. Raises JobNotFound."""
        with self._lock:
            self.get(key)
            del self._jobs[key], self._traces[key]
            self._version += 1

    def running(self) -> Sequence[Job]:
        """All jobs that somebody has claimed and not finished."""
        with self._lock:
            return [job for job in self._jobs.values() if job.state.is_running]

    def waiting(self, limit: int) -> int:
        """How many jobs wait, counted no further than ``limit``."""
        with self._lock:
            return min(limit, sum(job.state is JobState.WAITING for job in self._jobs.values()))

    def version(self) -> int:
        """A number that grows with every change."""
        return self._version

    def close(self) -> None:
        """Nothing to release."""

    def _put(self, job: Job) -> Job:
        self._version += 1
        stored = self._jobs[job.key] = replace(job, revision=self._version)
        return stored


def _updated(job: Job, update: RunUpdate, lease_expires_at: datetime) -> Job:
    said = {
        "progress": update.progress,
        "best_blob": update.best_blob,
        "best_cost": update.best_cost,
        "checkpoint_blob": update.checkpoint_blob,
    }
    changes = {member: value for member, value in said.items() if value is not None}
    return replace(job, lease_expires_at=lease_expires_at, **changes)  # type: ignore[arg-type]


def _cursor(job: Job) -> Cursor:
    return Cursor(job.created_at, job.id)


def _matches(job: Job, query: JobQuery) -> bool:
    return (
        (query.name_prefix is None or job.name.startswith(query.name_prefix))
        and (query.statuses is None or job.state.status in query.statuses)
        and _is_among(job.provider_id, query.provider_ids)
        and _is_among(job.target, query.targets)
        and (query.created_after is None or job.created_at >= query.created_after)
        and (query.created_before is None or job.created_at <= query.created_before)
    )


def _is_among(value: str, choices: Sequence[str] | None) -> bool:
    return choices is None or value.lower() in [choice.lower() for choice in choices]


@final
class MemoryBlobStore:
    """``BlobStore`` over a dictionary; its URIs are ``memory://CONTAINER/BLOB``."""

    def __init__(self) -> None:
        self._containers: dict[str, dict[str, bytes]] = {}
        self._lock = threading.Lock()

    def create(self, container: str) -> None:
        """Make a container."""
        check_container(container)
        with self._lock:
            self._containers.setdefault(container, {})

    def put(self, ref: BlobRef, data: bytes, *, overwrite: bool = True) -> None:
        """Store a blob. Raises BlobAlreadyExists."""
        _check(ref)
        with self._lock:
            blobs = self._containers.setdefault(ref.container, {})
            if ref.name in blobs and not overwrite:
                raise BlobAlreadyExists(f"blob {ref.container}/{ref.name} exists")
            blobs[ref.name] = bytes(data)

    def get(self, ref: BlobRef) -> bytes:
        """Content of a blob. Raises BlobNotFound."""
        _check(ref)
        with self._lock:
            try:
                return self._containers[ref.container][ref.name]
            except KeyError:
                raise BlobNotFound(f"blob {ref.container}/{ref.name} was not found") from None

    def list(self, container: str) -> Sequence[str]:
        """Names of a container's blobs, sorted."""
        check_container(container)
        with self._lock:
            return sorted(self._containers.get(container, {}))

    def delete(self, ref: BlobRef) -> None:
        """Remove a blob."""
        _check(ref)
        with self._lock:
            self._containers.get(ref.container, {}).pop(ref.name, None)

    def delete_container(self, container: str) -> None:
        """Remove a container and all its blobs."""
        check_container(container)
        with self._lock:
            self._containers.pop(container, None)

    def uri(self, container: str, name: str | None = None) -> str:
        """URI of a container or blob."""
        check_container(container)
        if name is None:
            return f"memory://{container}"
        check_blob(name)
        return f"memory://{container}/{name}"

    def resolve(self, uri: str) -> tuple[str, str | None]:
        """Container and blob of one of our URIs."""
        scheme, _, path = uri.partition("://")
        if scheme != "memory":
            raise InvalidValue(f"blob uri: must begin with 'memory://', found {uri!r}")
        container, separator, name = path.partition("/")
        check_container(container)
        if separator:
            check_blob(name)
        return container, name if separator else None


def _check(ref: BlobRef) -> None:
    check_container(ref.container)
    check_blob(ref.name)


@final
class ManualClock:
    """A clock that moves when it is told to, and by sleeping."""

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._seconds = 0.0

    def now(self) -> datetime:
        """The start, plus what passed."""
        return self._start + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        """Seconds that passed."""
        return self._seconds

    def sleep(self, seconds: float) -> None:
        """Let ``seconds`` pass at once."""
        self._seconds += seconds


@final
class InlineExecutor:
    """``Executor`` that runs waiting jobs in the thread that submits them, before ``submit`` returns."""

    def __init__(self, jobs: JobStore, blobs: BlobStore, clock: Clock, runner: JobRunner) -> None:
        self._jobs = jobs
        self._blobs = blobs
        self._clock = clock
        self._runner = runner

    def wake(self) -> None:
        """Run every waiting job to its end."""
        while (job := claim_next(self._jobs, self._clock, worker="inline")) is not None:
            attempt = Attempt(job, jobs=self._jobs, blobs=self._blobs, clock=self._clock)
            self._run(attempt)

    def ensure(self) -> None:
        """As ``wake``."""
        self.wake()

    def _run(self, attempt: Attempt) -> None:
        state: JobState | None = JobState.EXECUTING

        def send(update: RunUpdate) -> None:
            nonlocal state
            state = attempt.report(update)

        last_word = run_to_last_word(
            attempt.spec(threads=1),
            self._blobs,
            self._runner,
            send=send,
            is_cancelled=lambda: state is not JobState.EXECUTING,
            monotonic=self._clock.monotonic,
        )
        if isinstance(last_word, RunOutcome):
            attempt.finish(last_word)
        else:
            attempt.fail(last_word)
