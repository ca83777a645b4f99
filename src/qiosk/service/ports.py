"""What the service needs from the outside, as protocols. Their docstrings are the guarantees.

Every implementation may be used from several threads at once; stores also from several processes, unless
they live in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

from qiosk.contract.jobs import JobProgress, JobQuery, TargetView, TracePoint
from qiosk.service.jobs import BlobRef, Job, JobKey, JobState


class Cursor(NamedTuple):
    """The last job of a page; the next page begins behind it."""

    created_at: datetime
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunUpdate:
    """What a run has to say while it goes on. Members left at None do not change the job.

    ``trace`` replaces the stored trace from index ``trace_start`` on, so a run that resumes from a
    checkpoint drops what its predecessor found later.
    """

    progress: JobProgress | None = None
    trace: Sequence[TracePoint] = ()
    trace_start: int | None = None
    best_blob: str | None = None
    best_cost: float | None = None
    checkpoint_blob: str | None = None


class JobStore(Protocol):
    """Rows of jobs of all workspaces, and their traces."""

    def add(self, job: Job) -> None:
        """Store a new job, durable against the death of this process. Raises JobAlreadyExists if its key is
        taken.
        """
        ...

    def get(self, key: JobKey) -> Job:
        """The job as it is now. Raises JobNotFound."""
        ...

    def page(self, workspace: str, query: JobQuery, after: Cursor | None, limit: int) -> Sequence[Job]:
        """At most ``limit`` matching jobs behind ``after``, sorted by (created_at, id) in the query's
        direction.

        Paging on yields every job that exists throughout, once, whatever is added or removed meanwhile.
        """
        ...

    def swap(self, job: Job, *, expected: Job) -> bool:
        """Store ``job`` in place of ``expected``; False, and nothing stored, if that is not what is there
        any more.
        """
        ...

    def claim(self, *, worker: str, now: datetime, lease_expires_at: datetime) -> Job | None:
        """Give the first waiting job to exactly one caller, as ``Job.on(CLAIM)``; None if there is none.

        Urgent jobs come first, then older ones.
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

    def running(self) -> Sequence[Job]:
        """All jobs that somebody has claimed and not finished, of all workspaces."""
        ...

    def waiting(self, limit: int) -> int:
        """How many jobs wait in all workspaces, counted no further than ``limit``."""
        ...

    def version(self) -> int:
        """A number that differs from the last one whenever anybody has changed the store since. Cheap: for
        polling.
        """
        ...

    def close(self) -> None:
        """Release connections."""
        ...


class BlobStore(Protocol):
    """Blobs of one workspace, in containers. Raises InvalidValue for names that ``service.names`` refuses."""

    def create(self, container: str) -> None:
        """Make a container; nothing happens if it exists."""
        ...

    def put(self, ref: BlobRef, data: bytes, *, overwrite: bool = True) -> None:
        """Store a blob, and its container if need be. Readers see the old content or the new, nothing
        between.

        Raises BlobAlreadyExists if it exists and may not be overwritten: of several such callers one
        succeeds.
        """
        ...

    def get(self, ref: BlobRef) -> bytes:
        """Content of a blob. Raises BlobNotFound."""
        ...

    def list(self, container: str) -> Sequence[str]:
        """Names of a container's blobs, sorted; none if the container does not exist."""
        ...

    def delete(self, ref: BlobRef) -> None:
        """Remove a blob; nothing happens if there is none."""
        ...

    def delete_container(self, container: str) -> None:
        """Remove a container and all its blobs; nothing happens if there is none."""
        ...

    def uri(self, container: str, name: str | None = None) -> str:
        """URI of a container or blob, whether it exists or not."""
        ...

    def resolve(self, uri: str) -> tuple[str, str | None]:
        """Container and blob of a URI that ``uri`` could have returned; else raises InvalidValue."""
        ...


class Executor(Protocol):
    """Whoever runs waiting jobs."""

    def wake(self) -> None:
        """A job was stored: make sure that somebody will run it. Raises SupervisorUnavailable if nobody
        can.
        """
        ...

    def ensure(self) -> None:
        """As ``wake``, for callers that merely saw an unfinished job; may check less often than it is
        called.
        """
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
        """Raise ProviderNotFound or InvalidTarget unless the provider offers the target; letter case is
        ignored.
        """
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOutcome:
    """A run that has a result: the blob it is in, and why the solver stopped."""

    output_blob: str
    stop_reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """All that a job process is told about its job. ``threads`` None leaves the number to the solver."""

    workspace: str
    id: str
    fence: int
    container: str
    input: BlobRef
    target: str
    input_params: Any
    input_data_format: str
    output_data_format: str
    threads: int | None = None
    checkpoint_blob: str | None = None
    best_blob: str | None = None
    best_cost: float | None = None
    input_data_uri: str = ""


class ChunkReport(Protocol):
    """What a solver says between two chunks of work."""

    @property
    def progress(self) -> JobProgress:
        """How far it has come."""
        ...

    @property
    def new_trace(self) -> Sequence[TracePoint]:
        """New bests since the previous report; the first one of a resumed run begins with its checkpoint's."""
        ...

    @property
    def best(self) -> Callable[[], bytes]:
        """Makes the best solution so far, in the results format."""
        ...

    @property
    def checkpoint(self) -> Callable[[], bytes]:
        """Makes all that is needed to continue from here."""
        ...


class RunResult(Protocol):
    """What a solver returns."""

    @property
    def stop_reason(self) -> str:
        """``finished``, ``converged``, ``target``, ``timeout`` or ``cancelled``."""
        ...

    @property
    def cost(self) -> float:
        """Cost of the best solution."""
        ...

    @property
    def trace(self) -> Sequence[TracePoint]:
        """All new bests."""
        ...

    def to_json(self) -> str:
        """The results blob."""
        ...


class JobRunner(Protocol):
    """Reads a problem and solves it, in the job's own process. Found by its dotted name, so a plain function.

    Its mistakes are exceptions: a QioskError becomes the job's ``errorData``, MemoryError a lack of
    resources, anything else an internal error.
    """

    def __call__(
        self,
        spec: JobSpec,
        data: bytes,
        *,
        is_cancelled: Callable[[], bool],
        on_chunk: Callable[[ChunkReport], None],
        resume: bytes | None,
    ) -> RunResult:
        """Solve the problem in ``data``; ``resume`` is an earlier checkpoint, or None to begin afresh."""
        ...
