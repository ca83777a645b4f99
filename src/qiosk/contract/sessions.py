"""Sessions: groups of jobs, which can be cancelled together when one of them fails."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

from msgspec import Struct

from qiosk.contract.jobs import ErrorData
from qiosk.contract.times import AwareTime


class SessionStatus(StrEnum):
    """State of a session, as in requests and replies. Compares equal to its string."""

    WAITING = "Waiting"
    """No job yet."""
    EXECUTING = "Executing"
    """It has had a job, and none has failed."""
    FAILURES = "Failure(s)"
    """A job has failed, and the session continues."""
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TIMED_OUT = "TimedOut"

    @property
    def is_final(self) -> bool:
        """Whether a session in this state never changes again and accepts no more jobs."""
        return self in (SessionStatus.SUCCEEDED, SessionStatus.FAILED, SessionStatus.TIMED_OUT)


class JobFailurePolicy(StrEnum):
    """What happens to a session when one of its jobs fails."""

    ABORT = "Abort"
    """The session fails at once; its other jobs are cancelled."""
    CONTINUE = "Continue"
    """The session accepts more jobs, and fails when it is closed."""


class OpenSession(Struct, rename="camel", frozen=True, kw_only=True):
    """Command to open a session.

    Opening the same definition under the same ``id`` again returns the existing session; a different one under that
    id raises ``SessionAlreadyExists``.
    """

    name: str
    provider_id: str
    target: str
    id: str | None = None
    job_failure_policy: JobFailurePolicy = JobFailurePolicy.ABORT
    tags: tuple[str, ...] = ()
    priority: str | None = None


class SessionView(Struct, rename="camel", frozen=True, kw_only=True):
    """All properties of a session, as users see it. Times are in UTC."""

    id: str
    name: str
    provider_id: str
    target: str
    status: SessionStatus
    creation_time: AwareTime
    job_failure_policy: JobFailurePolicy
    begin_execution_time: AwareTime | None = None
    end_execution_time: AwareTime | None = None
    error_data: ErrorData | None = None
    cost_estimate: Mapping[str, Any] | None = None
    item_type: str = "Session"
    tags: tuple[str, ...] = ()
    priority: str | None = None
