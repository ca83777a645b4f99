"""Jobs as users see them, and the commands and queries of clients.

The records are structs that are encoded and decoded as they are: see :mod:`qiosk.contract.codec`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any

from msgspec import Struct, field

from qiosk.contract.paging import ItemOrder
from qiosk.contract.provenance import Provenance
from qiosk.contract.times import AwareTime

QIO_INPUT_FORMAT = "microsoft.qio.v2"
QIO_OUTPUT_FORMAT = "microsoft.qio-results.v2"
QIO_OUTPUT_FORMAT_V1 = "microsoft.qio-results.v1"  # 1QBit's

INPUT_BLOB = "inputData"
OUTPUT_BLOB = "rawOutputData"
CONTAINER_PREFIX = "job-"
"""Start of the name of a container that belongs to one job only."""
ACCOUNT = "qiosk"
"""Storage account of the blobs that a server offers: the first segment of their paths, which Azure clients expect."""


class JobStatus(StrEnum):
    """State of a job, as in requests and replies. Compares equal to its string."""

    WAITING = "Waiting"
    EXECUTING = "Executing"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def is_final(self) -> bool:
        """Whether a job in this state never changes again."""
        return self in (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


class ErrorData(Struct, rename="camel", frozen=True, kw_only=True):
    """Why a job failed: a category and a message, which contains the AZQ number if there is one."""

    code: str
    message: str


class BoundPoint(Struct, array_like=True, frozen=True):
    """A better lower bound: seconds since the solver began, and a cost that none is below. In JSON a row of two."""

    seconds: float
    bound: float


MOST_BOUND_POINTS = 32
"""Points that are kept: they are part of the properties of every job."""


def with_bound(points: Sequence[BoundPoint], seconds: float, bound: float | None) -> tuple[BoundPoint, ...]:
    """The points and a further one, if its bound is better than the last one's.

    Of more than ``MOST_BOUND_POINTS`` the one goes that changes the curve least; the first and the last stay.
    """
    if bound is None or (points and bound <= points[-1].bound):
        return tuple(points)
    longer = [*points, BoundPoint(seconds, bound)]
    if len(longer) > MOST_BOUND_POINTS:
        del longer[min(range(1, len(longer) - 1), key=lambda k: longer[k].bound - longer[k - 1].bound)]
    return tuple(longer)


class JobProgress(Struct, rename="camel", frozen=True, kw_only=True):
    """Progress of a running job.

    ``fraction`` is 0..1 of the planned work or of the time limit, whichever is reached first; ``best_cost`` is None
    before the first configuration was evaluated; ``seconds`` is the time since the solver began. ``bound`` is a cost
    that no configuration is below; None if none was computed. ``bounds`` has a point for every better one, of many only
    those that changed most. ``activity`` is what the run does instead of searching,
    such as ``compiling kernels (once)…``; None while it searches.
    """

    fraction: float = 0.0
    sweeps: int = 0
    best_cost: float | None = None
    seconds: float = 0.0
    bound: float | None = None
    bounds: tuple[BoundPoint, ...] = ()
    activity: str | None = None

    @property
    def gap(self) -> float | None:
        """How far the best cost is above the bound, as a share of its size; None if that is not known, or infinite."""
        if self.best_cost is None or self.bound is None:
            return None
        if self.best_cost <= self.bound:
            return 0.0
        return (self.best_cost - self.bound) / abs(self.best_cost) if self.best_cost else None


class TracePoint(Struct, array_like=True, frozen=True):
    """An improvement of the best cost: seconds since the solver began, sweeps done, cost. In JSON a row of three."""

    seconds: float
    sweep: int
    cost: float


class SubmitJob(Struct, rename="camel", frozen=True, kw_only=True):
    """Command to queue a job. Exactly one of ``input_data`` (bytes to store) and ``input_data_uri`` is given.

    Submitting the same definition under the same ``id`` again returns the existing job; a different one under that id
    raises ``JobAlreadyExists``. Requests contain no ``input_data``: over HTTP the input is stored before the job.
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
    tags: tuple[str, ...] = ()
    priority: str | None = None
    session_id: str | None = None


class JobView(Struct, rename="camel", frozen=True, kw_only=True):
    """All properties of a job, as users see it. Times are in UTC.

    ``submitter`` is the user and the machine of an embedded workspace; on a server the name of the key, or the subject
    of the token. ``provenance`` is None before the job's run has reported for the first time. ``parent_id`` is the job
    that this one extends; ``can_extend``, whether this one has a checkpoint from which another job could go on.
    """

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
    creation_time: AwareTime
    begin_execution_time: AwareTime | None = None
    end_execution_time: AwareTime | None = None
    cancellation_time: AwareTime | None = None
    error_data: ErrorData | None = None
    cost_estimate: Mapping[str, Any] | None = None
    is_cancelling: bool = False
    has_results: bool = False
    item_type: str = "Job"
    job_type: str = "Optimization"
    tags: tuple[str, ...] = ()
    priority: str | None = None
    session_id: str | None = None
    attempts: int = 0
    progress: JobProgress = field(default_factory=JobProgress)
    submitter: str | None = None
    provenance: Provenance | None = None
    parent_id: str | None = None
    can_extend: bool = False


class ExtendJob(Struct, rename="camel", frozen=True, kw_only=True):
    """Command to let a job that has ended go on, as a new job, for ``timeout`` seconds more.

    ``id`` is that of the new job; repeating the command with the same one has no further effect.
    """

    timeout: float
    id: str | None = None


class JobQuery(Struct, frozen=True, kw_only=True):
    """Which jobs to list, and in which order. Conditions left at None do not restrict.

    Letter case is ignored, except in ids and tags. ``id_prefix`` is the beginning of ids, ``name_prefix`` is literal
    text of at most 200 characters; every job has all of the ``tags``; ``created_after`` and ``created_before`` are
    inclusive; ``parent_id`` is the job that the jobs extend; ``is_top_level`` leaves out the jobs of sessions. Jobs
    whose sort keys are equal are sorted by creation, in the same direction.
    """

    id_prefix: str | None = None
    name_prefix: str | None = None
    tags: Sequence[str] = ()
    statuses: Sequence[JobStatus] | None = None
    job_types: Sequence[str] | None = None
    provider_ids: Sequence[str] | None = None
    targets: Sequence[str] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    session_id: str | None = None
    parent_id: str | None = None
    is_top_level: bool = False
    order_by: ItemOrder = ItemOrder.CREATION_TIME
    descending: bool = True


class JobUpdate(
    Struct,
    rename={"view": "job", "trace_start": "traceStart", "new_trace": "trace"},
    frozen=True,
    kw_only=True,
):
    """A job at one moment, and the improvements of its best cost since the previous update.

    ``trace_start`` is the index of the first of these in the whole trace. A run that continues from a checkpoint may
    repeat its latest improvements; then earlier updates contained that index already.
    """

    view: JobView
    trace_start: int
    new_trace: Sequence[TracePoint]

    @property
    def status(self) -> JobStatus:
        """State of the job."""
        return self.view.status

    @property
    def progress(self) -> JobProgress:
        """Progress of the job."""
        return self.view.progress


class PatchJob(Struct, rename="camel", omit_defaults=True, frozen=True, kw_only=True):
    """Command to change descriptive members of a job, as a merge patch; None leaves a member unchanged."""

    name: str | None = None
    tags: tuple[str, ...] | None = None
    priority: str | None = None


class TargetView(Struct, rename="camel", frozen=True, kw_only=True):
    """A solver that jobs can be sent to."""

    id: str
    provider_id: str
    current_availability: str = "Available"
    average_queue_time: int = 0


class WorkspaceView(Struct, frozen=True, kw_only=True):
    """A workspace in a list: its key, and how many jobs it has."""

    workspace: str
    jobs: int


def own_container(job_id: str) -> str:
    """Name of the container that belongs to this job only."""
    return f"{CONTAINER_PREFIX}{job_id}"


def not_completed(job_id: str, timeout_s: float | None, status: JobStatus | None) -> TimeoutError:
    """The error if a job has not ended after ``timeout_s`` [s]; ``status`` is its last known state."""
    where = "its status is not known" if status is None else f"status is {status}"
    return TimeoutError(f"job {job_id}: not completed after {timeout_s} s, {where}")
