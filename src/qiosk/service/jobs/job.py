"""The life cycle of a job: a table of transitions, and a function that applies them.

::

    WAITING ──CLAIM──▶ EXECUTING ──SUCCEED──▶ SUCCEEDED
       ▲  │               │  │  └───FAIL────▶ FAILED
       │  │CANCEL         │  CANCEL
       │  ▼               │  ▼
       │ CANCELLED ◀─STOP─┼─ CANCELLING   (LOSE leads to CANCELLED from here)
       └──────LOSE────────┘

Every claim increases the job's *fence*, and every later write of the claimant contains it. A write with an older fence
comes from a claimant that was presumed dead, and is rejected; see :mod:`qiosk.service.jobs.attempts`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import StrEnum
from typing import Any, NamedTuple

from msgspec import structs

from qiosk.contract.jobs import ErrorData, JobProgress, JobStatus
from qiosk.contract.provenance import CUT_SHORT, Provenance
from qiosk.errors import IllegalTransition
from qiosk.service.jobs.fences import claims_of


class JobState(StrEnum):
    """State of a job as it is stored."""

    WAITING = "Waiting"
    EXECUTING = "Executing"
    CANCELLING = "Cancelling"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    CANCELLED = "Cancelled"

    @property
    def status(self) -> JobStatus:
        """The state as users see it: a job that is being cancelled is still executing."""
        return JobStatus.EXECUTING if self is JobState.CANCELLING else JobStatus(self.value)

    @property
    def is_final(self) -> bool:
        """Whether a job in this state never changes again."""
        return self.status.is_final

    @property
    def is_running(self) -> bool:
        """Whether a supervisor has a claim on a job in this state."""
        return self in (JobState.EXECUTING, JobState.CANCELLING)


class JobEvent(StrEnum):
    """Events that change the state of a job."""

    CLAIM = "claim"
    """A supervisor claims it."""
    CANCEL = "cancel"
    """A user cancels it."""
    SUCCEED = "succeed"
    """Its results are stored."""
    FAIL = "fail"
    """It ended without results."""
    STOP = "stop"
    """Its run stopped because it was cancelled."""
    LOSE = "lose"
    """Its run was lost: the process or its supervisor died, or the lease expired."""


TRANSITIONS: Mapping[tuple[JobState, JobEvent], JobState] = {
    (JobState.WAITING, JobEvent.CLAIM): JobState.EXECUTING,
    (JobState.WAITING, JobEvent.CANCEL): JobState.CANCELLED,
    (JobState.EXECUTING, JobEvent.SUCCEED): JobState.SUCCEEDED,
    (JobState.EXECUTING, JobEvent.FAIL): JobState.FAILED,
    (JobState.EXECUTING, JobEvent.CANCEL): JobState.CANCELLING,
    (JobState.EXECUTING, JobEvent.LOSE): JobState.WAITING,
    (JobState.CANCELLING, JobEvent.STOP): JobState.CANCELLED,
    (JobState.CANCELLING, JobEvent.LOSE): JobState.CANCELLED,
}


class JobKey(NamedTuple):
    """The key of a job: ids are unique only within a workspace."""

    workspace: str
    id: str


class HeldClaim(NamedTuple):
    """A running job's claim, and the revision of its row, which each report of the claimant increases."""

    key: JobKey
    fence: int
    revision: int


class BlobRef(NamedTuple):
    """The place of a blob within a workspace."""

    container: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Everything that is stored about a job, except its trace. Times are in UTC.

    ``definition`` is a digest of the submission, by which a repeated one is recognized. The store increases
    ``revision`` with every write. ``fence`` grows by 1 with every claim (:mod:`qiosk.service.jobs.fences`). ``losses``
    counts claims that ended because the job's process died, ``supervisor_deaths`` those whose supervisor died.
    ``spent_seconds`` is how long its attempts have run, ``run_limit`` how long they may [s] by the settings of the
    process that accepted it; see ``QuotaService.run_seconds``. ``parent_id`` is the job that this one extends.
    """

    workspace: str
    id: str
    name: str
    provider_id: str
    target: str
    job_type: str
    input_params: Any
    metadata: Mapping[str, str] | None
    tags: tuple[str, ...]
    priority: str | None
    session_id: str | None
    container: str
    input: BlobRef
    input_data_format: str
    output_data_format: str
    definition: str
    created_at: datetime
    state: JobState = JobState.WAITING
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    cancelled_at: datetime | None = None
    error: ErrorData | None = None
    fence: int = 0
    losses: int = 0
    supervisor_deaths: int = 0
    spent_seconds: float = 0.0
    run_limit: float | None = None
    worker: str | None = None
    lease_expires_at: datetime | None = None
    progress: JobProgress = field(default_factory=JobProgress)
    best_blob: str | None = None
    best_cost: float | None = None
    checkpoint_blob: str | None = None
    output_blob: str | None = None
    submitter: str | None = None
    provenance: Provenance | None = None
    parent_id: str | None = None
    revision: int = 0

    @property
    def key(self) -> JobKey:
        """The job's key in the store."""
        return JobKey(self.workspace, self.id)

    @property
    def attempts(self) -> int:
        """How often the job was claimed."""
        return claims_of(self.fence)

    @property
    def is_urgent(self) -> bool:
        """Whether this job is claimed before those that are not urgent."""
        return self.priority == "High"

    @property
    def was_cut(self) -> bool:
        """Whether a time limit or a user ended it, so that more time could have found more."""
        if self.state is JobState.CANCELLED or self.provenance is None:
            return self.state is JobState.CANCELLED
        rounds = self.provenance.statistics.get("rounds")  # of a model: the last one tells
        reason = rounds[-1] if rounds else self.provenance.stop_reason
        return self.state.is_final and reason in CUT_SHORT

    @property
    def can_extend(self) -> bool:
        """Whether another job could go on from its checkpoint."""
        return self.was_cut and self.checkpoint_blob is not None and not self.is_divided

    @property
    def is_divided(self) -> bool:
        """Whether its run was one over several nodes."""
        return self.provenance is not None and self.provenance.given.get("nodes", 1) != 1

    def on(self, event: JobEvent, *, at: datetime, **changes: Any) -> Job:
        """The job after ``event``; ``changes`` are further members that change with it.

        These are ``worker`` and ``lease_expires_at`` for CLAIM, ``output_blob`` for SUCCEED and perhaps STOP, ``error``
        for FAIL. Raises IllegalTransition if the event cannot happen in this state.
        """
        state = TRANSITIONS.get((self.state, event))
        if state is None:
            raise IllegalTransition(
                f"job {self.id}: {event} is impossible while it is {self.state}",
                job_id=self.id,
                state=self.state,
            )
        return replace(self, state=state, **{**self._effects(state, at), **changes})

    def _effects(self, state: JobState, at: datetime) -> dict[str, Any]:
        progress = structs.replace(self.progress, activity=None)
        released: dict[str, Any] = {"worker": None, "lease_expires_at": None, "progress": progress}
        # A clock that was set back must not make a job end before it began.
        ended = {"ended_at": max(at, self.begun_at or at), **released}
        match state:
            case JobState.EXECUTING:
                return {"fence": self.fence + 1, "begun_at": max(at, self.created_at)}
            case JobState.WAITING:
                return {"begun_at": None, **released}
            case JobState.SUCCEEDED | JobState.FAILED:
                return ended
            case JobState.CANCELLED:
                return {**ended, "cancelled_at": ended["ended_at"], "output_blob": self.best_blob}
            case JobState.CANCELLING:
                return {}
