"""Jobs as their users see them, and the interface through which a workspace reaches them.

``JobService`` (in this process) and a remote client both implement :class:`JobsApi`; ``Workspace`` cannot tell which
one it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

from qiosk.contract.paging import DEFAULT_PAGE, ItemOrder, Page
from qiosk.contract.quotas import QuotaView

if TYPE_CHECKING:
    from qiosk.contract.sessions import SessionsApi

QIO_INPUT_FORMAT = "microsoft.qio.v2"
QIO_OUTPUT_FORMAT = "microsoft.qio-results.v2"
QIO_OUTPUT_FORMAT_V1 = "microsoft.qio-results.v1"  # 1QBit's

INPUT_BLOB = "inputData"
OUTPUT_BLOB = "rawOutputData"
ACCOUNT = "qiosk"
"""First segment of the paths under which a server offers blobs, as clients of Azure expect one."""


class JobStatus(StrEnum):
    """State of a job, as written on the wire. Compares equal to its string."""

    WAITING = "Waiting"
    EXECUTING = "Executing"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        """Whether a job in this state never changes again."""
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


@dataclass(frozen=True, slots=True, kw_only=True)
class ErrorData:
    """Why a job failed: a category and a message that carries the AZQ number, if there is one."""

    code: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobProgress:
    """How far a running job has come.

    ``fraction`` is 0..1 of the planned work or of the time limit, whichever ends first; ``best_cost`` is None before
    the first configuration was evaluated; ``seconds`` is time since the solver began.
    """

    fraction: float = 0.0
    sweeps: int = 0
    best_cost: float | None = None
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class TracePoint:
    """A new best: seconds since the solver began, sweeps done, cost."""

    seconds: float
    sweep: int
    cost: float


@dataclass(frozen=True, slots=True, kw_only=True)
class SubmitJob:
    """A job to be queued. Exactly one of ``input_data`` (bytes to store) and ``input_data_uri`` is given.

    Submitting the same definition under the same ``id`` again returns the existing job; a different one under that id
    is refused with ``JobAlreadyExists``.
    """

    name: str
    provider_id: str
    target: str
    id: str | None = None
    input_data: bytes | None = None
    input_data_uri: str | None = None
    input_data_format: str = QIO_INPUT_FORMAT
    output_data_format: str = QIO_OUTPUT_FORMAT
    input_params: Any = None
    container_uri: str | None = None
    metadata: Mapping[str, str] | None = None
    job_type: str = "Optimization"
    tags: Sequence[str] = ()
    priority: str | None = None
    session_id: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class JobView:
    """Every property of the job table. Times are aware UTC."""

    id: str
    name: str
    container_uri: str
    input_data_uri: str
    input_data_format: str
    input_params: Any
    provider_id: str
    target: str
    metadata: Mapping[str, str] | None
    output_data_uri: str | None
    output_data_format: str
    status: JobStatus
    creation_time: datetime
    begin_execution_time: datetime | None = None
    end_execution_time: datetime | None = None
    cancellation_time: datetime | None = None
    error_data: ErrorData | None = None
    cost_estimate: Mapping[str, Any] | None = None
    is_cancelling: bool = False
    has_results: bool = False
    item_type: str = "Job"
    job_type: str = "Optimization"
    tags: Sequence[str] = ()
    priority: str | None = None
    session_id: str | None = None
    attempts: int = 0
    progress: JobProgress = field(default_factory=JobProgress)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobQuery:
    """Which jobs to list, and in which order. Conditions left at None do not restrict.

    Letter case does not count. ``name_prefix`` is literal text of at most 200 characters; ``created_after`` and
    ``created_before`` are inclusive; ``is_top_level`` leaves out the jobs of sessions. Jobs whose sort keys are equal
    are sorted by creation, in the same direction.
    """

    name_prefix: str | None = None
    statuses: Sequence[JobStatus] | None = None
    job_types: Sequence[str] | None = None
    provider_ids: Sequence[str] | None = None
    targets: Sequence[str] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    session_id: str | None = None
    is_top_level: bool = False
    order_by: ItemOrder = ItemOrder.CREATION_TIME
    descending: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class JobUpdate:
    """A job at one moment, and the new bests since the update before.

    ``trace_start`` is the place of the first new best in the whole trace. A run that goes on from a checkpoint
    may find its latest bests anew: then that is a place that had been filled before.
    """

    view: JobView
    trace_start: int = 0
    new_trace: Sequence[TracePoint] = ()

    @property
    def status(self) -> JobStatus:
        """State of the job."""
        return self.view.status

    @property
    def progress(self) -> JobProgress:
        """How far it has come."""
        return self.view.progress


@dataclass(frozen=True, slots=True, kw_only=True)
class JobPatch:
    """Changes to a job's descriptive members; None leaves a member as it is."""

    name: str | None = None
    tags: Sequence[str] | None = None
    priority: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetView:
    """A solver that jobs can be sent to."""

    id: str
    provider_id: str
    current_availability: str = "Available"
    average_queue_time: int = 0


def not_completed(job_id: str, timeout_s: float | None, status: JobStatus | None) -> TimeoutError:
    """What is raised when a job goes on after ``timeout_s`` [s]; ``status`` is its last known state."""
    where = "the server did not say where it stands" if status is None else f"status is {status}"
    return TimeoutError(f"job {job_id}: not completed after {timeout_s} s, {where}")


class BlobUpload(Protocol):
    """A blob being stored piece by piece; nobody sees it before ``commit``. Used by one thread at a time."""

    def write(self, data: bytes) -> None:
        """Append."""
        ...

    def commit(self, metadata: Mapping[str, str] | None = None) -> str:
        """Put the blob in its place, with metadata; returns its URI.

        Raises BlobAlreadyExists; InvalidValue, and nothing happens, for metadata that no header can hold.
        """
        ...

    def abort(self) -> None:
        """Forget what was written; nothing happens after ``commit``."""
        ...


class JobsApi(Protocol):
    """A workspace's jobs. Every method is safe to call from several threads and processes at once."""

    @property
    def sessions(self) -> SessionsApi:
        """The workspace's sessions."""
        ...

    def submit(self, command: SubmitJob) -> JobView:
        """Queue a job; when this returns the job is stored and will reach a final state.

        Raises InvalidJobDefinition (ProviderNotFound, InvalidTarget) or JobAlreadyExists before anything is stored;
        the jobs of a server store the input first, and leave it there.
        """
        ...

    def get(self, job_id: str) -> JobView:
        """The job as it is now. Raises JobNotFound."""
        ...

    def list(self, query: JobQuery) -> Iterator[JobView]:
        """Matching jobs in the query's order; pages are fetched as they are needed. Raises InvalidFilter."""
        ...

    def page(
        self, query: JobQuery, *, top: int = DEFAULT_PAGE, skip: int = 0, token: str | None = None
    ) -> Page[JobView]:
        """At most ``top`` matching jobs: the first ones, or those behind the page that came with ``token``. Large jobs
        make a page end early.

        ``skip`` passes over that many jobs more. Paging on yields every job that exists throughout, once, whatever is
        added or removed meanwhile. Raises InvalidFilter.
        """
        ...

    def cancel(self, job_id: str) -> JobView:
        """Ask a job to stop. Waiting jobs are cancelled at once, running ones soon; final ones are left alone.

        Raises JobNotFound.
        """
        ...

    def delete(self, job_id: str) -> None:
        """Remove a job and its data; one that still runs is cancelled first. Raises JobNotFound."""
        ...

    def update(self, job_id: str, patch: JobPatch) -> JobView:
        """Change descriptive members. Raises JobNotFound."""
        ...

    def wait(self, job_id: str, timeout_s: float) -> JobView:
        """The job, as soon as it changed state or made progress, at the latest after ``timeout_s``."""
        ...

    def updates(self, job_id: str, after: int = 0, timeout_s: float | None = None) -> Iterator[JobUpdate]:
        """The job now, with its bests from the ``after``-th on; then whenever something changed; its end last.

        Raises JobNotFound; TimeoutError after ``timeout_s`` (None waits for ever), the job itself goes on.
        """
        ...

    def results(self, job_id: str) -> bytes:
        """The results blob. Raises JobNotFound; BlobNotFound if the job has none (yet)."""
        ...

    def best(self, job_id: str) -> bytes | None:
        """Best solution so far in the results format, also while the job runs; None if there is none yet."""
        ...

    def trace(self, job_id: str, after: int = 0) -> Sequence[TracePoint]:
        """New bests in order, from the ``after``-th on. Raises JobNotFound."""
        ...

    def targets(self) -> Sequence[TargetView]:
        """Every target this service can run."""
        ...

    def quotas(self) -> Sequence[QuotaView]:
        """What the workspace may use, and has used."""
        ...

    def container_uri(self, container: str) -> str:
        """URI of a container, which is created if it does not exist."""
        ...

    def put_blob(self, container: str, name: str, data: bytes, *, overwrite: bool = True) -> str:
        """Store a blob; returns its URI. Raises BlobAlreadyExists if it exists and may not be overwritten."""
        ...

    def upload_blob(self, container: str, name: str, *, overwrite: bool = True) -> BlobUpload:
        """A blob to be stored piece by piece, of any size. Raises BlobAlreadyExists, here or at its commit."""
        ...

    def get_blob(self, container: str, name: str) -> bytes:
        """Content of a blob. Raises BlobNotFound."""
        ...

    def list_blobs(self, container: str) -> Sequence[str]:
        """Names of a container's blobs, sorted."""
        ...

    def locate(self, blob_uri: str) -> tuple[str, str]:
        """Container and name of the blob that a URI of this workspace names. Raises InvalidValue if it names none."""
        ...

    def close(self) -> None:
        """Release connections. Jobs go on."""
        ...
