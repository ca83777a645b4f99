"""The life of a session, as a table and a pure function, and what is done about it.

::

    WAITING ──SUBMIT──▶ EXECUTING ──NOTE_FAILURE──▶ FAILURES        (SUBMIT leaves EXECUTING and FAILURES as they are)
       │CLOSE            │CLOSE │ABORT                 │CLOSE
       ▼                 ▼      ▼                      ▼
    SUCCEEDED        SUCCEEDED  FAILED               FAILED         (TIME_OUT: any of the upper row ──▶ TIMED_OUT)

Nobody tells a session that one of its jobs has failed, or that ten minutes have passed: whoever looks at it finds out,
and so does a sweep, once a second, while a supervisor runs. Both call :func:`settle`, which may be called by anybody at
any time, and repeated.

A session that was aborted stays *unsettled* for a minute: a job that was admitted just before may be stored just
after the others were cancelled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, NamedTuple, Protocol

from qiosk.contract.items import ItemQuery, ItemType
from qiosk.contract.jobs import ErrorData, JobQuery, JobStatus
from qiosk.contract.paging import ItemOrder
from qiosk.contract.sessions import JobFailurePolicy, SessionStatus
from qiosk.errors import IllegalTransition, JobNotFound, SessionClosed
from qiosk.service.jobs import Job
from qiosk.service.paging import Cursor, cursor_of, name_key
from qiosk.service.ports import JobStore
from qiosk.service.removal import request_cancellation

TIMEOUT = timedelta(minutes=10)
"""A session without a new job for so long has timed out."""
ABORT_WATCH = timedelta(minutes=1)
"""How long jobs are cancelled that turn up in a session after it was aborted."""
_SWEEP = 100


class SessionEvent(StrEnum):
    """What can happen to a session."""

    SUBMIT = "submit"
    """A job is admitted."""
    CLOSE = "close"
    """Its user is done."""
    ABORT = "abort"
    """A job failed, and the policy is to abort."""
    NOTE_FAILURE = "note failure"
    """A job failed, and the policy is to continue."""
    TIME_OUT = "time out"
    """No job came for ``TIMEOUT``."""


_S, _E = SessionStatus, SessionEvent
TRANSITIONS: Mapping[tuple[SessionStatus, SessionEvent], SessionStatus] = {
    (_S.WAITING, _E.SUBMIT): _S.EXECUTING,
    (_S.WAITING, _E.CLOSE): _S.SUCCEEDED,
    (_S.WAITING, _E.TIME_OUT): _S.TIMED_OUT,
    (_S.EXECUTING, _E.SUBMIT): _S.EXECUTING,
    (_S.EXECUTING, _E.CLOSE): _S.SUCCEEDED,
    (_S.EXECUTING, _E.ABORT): _S.FAILED,
    (_S.EXECUTING, _E.NOTE_FAILURE): _S.FAILURES,
    (_S.EXECUTING, _E.TIME_OUT): _S.TIMED_OUT,
    (_S.FAILURES, _E.SUBMIT): _S.FAILURES,
    (_S.FAILURES, _E.CLOSE): _S.FAILED,
    (_S.FAILURES, _E.TIME_OUT): _S.TIMED_OUT,
}
OPEN = tuple(status for status in SessionStatus if not status.is_final)


class SessionKey(NamedTuple):
    """What names a session: ids are unique within a workspace only."""

    workspace: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Everything that is stored about a session. Times are aware UTC.

    ``active_at`` is when it was opened or last admitted a job; ``is_settled`` is False while jobs that turn up have to
    be cancelled. ``definition`` and ``revision`` are as those of a job.
    """

    workspace: str
    id: str
    name: str
    provider_id: str
    target: str
    policy: JobFailurePolicy
    tags: tuple[str, ...]
    priority: str | None
    definition: str
    created_at: datetime
    active_at: datetime
    status: SessionStatus = SessionStatus.WAITING
    begun_at: datetime | None = None
    ended_at: datetime | None = None
    error: ErrorData | None = None
    is_settled: bool = True
    revision: int = 0

    @property
    def key(self) -> SessionKey:
        """The session's name in the store."""
        return SessionKey(self.workspace, self.id)

    def on(self, event: SessionEvent, *, at: datetime, error: ErrorData | None = None) -> Session:
        """The session after ``event``; ``error`` says which job failed.

        Raises IllegalTransition if the event cannot happen in this state.
        """
        status = TRANSITIONS.get((self.status, event))
        if status is None:
            raise IllegalTransition(
                f"session {self.id}: {event} is impossible while it is {self.status}", session_id=self.id
            )
        return replace(self, status=status, error=error or self.error, **self._effects(event, status, at))

    def _effects(self, event: SessionEvent, status: SessionStatus, at: datetime) -> dict[str, Any]:
        if status.is_final:
            # A clock that was set back must not make a session end before it began.
            return {
                "ended_at": max(at, self.begun_at or self.created_at),
                "is_settled": event is not SessionEvent.ABORT,
            }
        if event is SessionEvent.SUBMIT:
            return {"active_at": max(at, self.active_at), "begun_at": self.begun_at or max(at, self.created_at)}
        return {}


def place_of(session: Session, order: ItemOrder) -> Cursor:
    """A session's place in the list that is sorted by ``order``; jobs may stand in the same list."""
    keys = {
        ItemOrder.NAME: name_key(session.name),
        ItemOrder.ITEM_TYPE: ItemType.SESSION.value,
        ItemOrder.PROVIDER_ID: session.provider_id.lower(),
        ItemOrder.TARGET: session.target.lower(),
        ItemOrder.STATE: session.status.value,
    }
    return Cursor(keys.get(order, ""), session.created_at, session.id)


class SessionStore(Protocol):
    """Sessions of all workspaces. The guarantees are those of ``JobStore``."""

    def add(self, session: Session) -> None:
        """Store a new session. Raises SessionAlreadyExists if its key is taken."""
        ...

    def get(self, key: SessionKey) -> Session:
        """The session as it is now. Raises SessionNotFound."""
        ...

    def swap(self, session: Session, *, expected: Session) -> bool:
        """Store ``session`` in place of ``expected``; False, and nothing stored, if that is not there any more."""
        ...

    def page(
        self, workspace: str, query: ItemQuery, after: Cursor | None, limit: int, *, skip: int = 0
    ) -> Sequence[Session]:
        """At most ``limit`` matching sessions, ``skip`` behind ``after``, sorted by ``place_of``."""
        ...

    def due(self, idle_since: datetime, limit: int, *, workspace: str | None = None) -> Sequence[Session]:
        """Sessions about which ``settle`` would do something, of one workspace or of all, at most ``limit``.

        They are the open ones that have had no job since ``idle_since``, those in which a job has failed without being
        noted, and those that are not settled.
        """
        ...

    def delete_ended(self, before: datetime) -> int:
        """Remove sessions that ended before this time and have no job any more; how many."""
        ...

    def close(self) -> None:
        """Release connections."""
        ...


def sweep(sessions: SessionStore, jobs: JobStore, now: datetime, *, workspace: str | None = None) -> None:
    """``settle`` every session, of one workspace or of all, that needs it now; at most ``_SWEEP`` of them."""
    for session in sessions.due(now - TIMEOUT, _SWEEP, workspace=workspace):
        settle(session, sessions, jobs, now)


def settle(session: Session, sessions: SessionStore, jobs: JobStore, now: datetime) -> Session:
    """The session after all that has happened to it until now, which is stored.

    Jobs of a session that was aborted are cancelled.
    """
    while not session.status.is_final:
        changed = _caught_up(session, jobs, now)
        if changed is session:
            return session
        sessions.swap(changed, expected=session)  # or somebody else was quicker
        session = sessions.get(session.key)
    if not session.is_settled:
        _cancel_jobs(session, sessions, jobs, now)
    return session


def _caught_up(session: Session, jobs: JobStore, now: datetime) -> Session:
    if session.status is SessionStatus.EXECUTING and (failed := _failed_job(session, jobs)) is not None:
        is_fatal = session.policy is JobFailurePolicy.ABORT
        message = failed.error.message if failed.error is not None else "no reason is known"
        error = ErrorData(code="JobFailed", message=f"job {failed.id} failed: {message}")
        return session.on(SessionEvent.ABORT if is_fatal else SessionEvent.NOTE_FAILURE, at=now, error=error)
    if now - session.active_at >= TIMEOUT:
        return session.on(SessionEvent.TIME_OUT, at=now)
    return session


def _failed_job(session: Session, jobs: JobStore) -> Job | None:
    query = JobQuery(session_id=session.id, statuses=(JobStatus.FAILED,))
    return next(iter(jobs.page(session.workspace, query, None, 1)), None)


def _cancel_jobs(session: Session, sessions: SessionStore, jobs: JobStore, now: datetime) -> None:
    query = JobQuery(session_id=session.id, statuses=(JobStatus.WAITING, JobStatus.EXECUTING))
    after: Cursor | None = None
    is_quiet = True
    while unfinished := jobs.page(session.workspace, query, after, _SWEEP):
        is_quiet = False
        after = cursor_of(unfinished[-1], query.order_by)
        for job in unfinished:
            with suppress(JobNotFound):  # deleted by its user
                request_cancellation(jobs, job, now)
    if is_quiet and now - (session.ended_at or now) >= ABORT_WATCH:
        sessions.swap(replace(session, is_settled=True), expected=session)


def admit_job(sessions: SessionStore, jobs: JobStore, key: SessionKey, at: datetime) -> None:
    """Note in a session that a new job joins it. Raises SessionNotFound, SessionClosed."""
    while True:
        session = settle(sessions.get(key), sessions, jobs, at)
        if session.status.is_final:
            raise SessionClosed(
                f"session {session.id}: takes no more jobs, it is {session.status}",
                session_id=session.id,
                status=session.status.value,
            )
        if sessions.swap(session.on(SessionEvent.SUBMIT, at=at), expected=session):
            return
