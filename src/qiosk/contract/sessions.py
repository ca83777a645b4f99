"""Sessions: jobs that belong together, and end together if one of them fails.

``SessionService`` (in this process) and a remote client both implement :class:`SessionsApi`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any, Protocol

from qiosk.contract.items import ItemQuery
from qiosk.contract.jobs import ErrorData, JobView
from qiosk.contract.paging import DEFAULT_PAGE, Page


class SessionStatus(StrEnum):
    """State of a session, as written on the wire. Compares equal to its string."""

    WAITING = "Waiting"
    """No job yet."""
    EXECUTING = "Executing"
    """There was a job, and none has failed."""
    FAILURES = "Failure(s)"
    """A job has failed, and the session goes on."""
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    TIMED_OUT = "TimedOut"

    @property
    def is_final(self) -> bool:
        """Whether a session in this state never changes again, and takes no more jobs."""
        return self in (SessionStatus.SUCCEEDED, SessionStatus.FAILED, SessionStatus.TIMED_OUT)


class JobFailurePolicy(StrEnum):
    """What a failed job means for its session."""

    ABORT = "Abort"
    """The session fails at once; its other jobs are cancelled."""
    CONTINUE = "Continue"
    """The session takes more jobs, and fails when it is closed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenSession:
    """A session to be opened.

    Opening the same definition under the same ``id`` again returns the existing session; a different one under that
    id is refused with ``SessionAlreadyExists``.
    """

    name: str
    provider_id: str
    target: str
    id: str | None = None
    job_failure_policy: JobFailurePolicy = JobFailurePolicy.ABORT
    tags: Sequence[str] = ()
    priority: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionView:
    """Every property of a session. Times are aware UTC."""

    id: str
    name: str
    provider_id: str
    target: str
    status: SessionStatus
    creation_time: datetime
    job_failure_policy: JobFailurePolicy
    begin_execution_time: datetime | None = None
    end_execution_time: datetime | None = None
    error_data: ErrorData | None = None
    cost_estimate: Mapping[str, Any] | None = None
    item_type: str = "Session"
    tags: Sequence[str] = ()
    priority: str | None = None


class SessionsApi(Protocol):
    """A workspace's sessions. Every method is safe to call from several threads and processes at once."""

    def open(self, command: OpenSession) -> SessionView:
        """Open a session. Raises InvalidJobDefinition (ProviderNotFound, InvalidTarget) or SessionAlreadyExists."""
        ...

    def get(self, session_id: str) -> SessionView:
        """The session as it is now. Raises SessionNotFound."""
        ...

    def close(self, session_id: str) -> SessionView:
        """End a session; its jobs run on. One that has ended is left alone. Raises SessionNotFound."""
        ...

    def page(
        self, query: ItemQuery, *, top: int = DEFAULT_PAGE, skip: int = 0, token: str | None = None
    ) -> Page[SessionView]:
        """At most ``top`` matching sessions, the first ``skip`` left out; ``token`` is the ``next`` of the page before.

        Raises InvalidFilter.
        """
        ...

    def items(
        self, query: ItemQuery, *, top: int = DEFAULT_PAGE, skip: int = 0, token: str | None = None
    ) -> Page[JobView | SessionView]:
        """As ``page``, for sessions and jobs without a session, in one order. Raises InvalidFilter."""
        ...
