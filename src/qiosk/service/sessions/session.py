"""The life cycle of a session: a table of transitions, and the functions that apply them.

::

    WAITING ──SUBMIT──▶ EXECUTING ──NOTE_FAILURE──▶ FAILURES        (SUBMIT does not change EXECUTING and FAILURES)
       │CLOSE            │CLOSE │ABORT                 │CLOSE
       ▼                 ▼      ▼                      ▼
    SUCCEEDED        SUCCEEDED  FAILED               FAILED         (TIME_OUT: from all of the upper row to TIMED_OUT)

Theory of operation. Sessions are not notified when one of their jobs fails or ``TIMEOUT`` has passed. Instead
:func:`settle` compares a session with its jobs and the clock, and stores what follows. It is called whenever a session
is read, and for all sessions once a second while a supervisor runs; calling it more often does no harm.

An aborted session stays *unsettled* for ``ABORT_WATCH``: a job that was admitted just before the session was aborted
may be stored just after the other jobs were cancelled, and must be cancelled, too.
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
from qiosk.service.jobs.job import Job
from qiosk.service.jobs.removal import request_cancellation
from qiosk.service.paging import Cursor, cursor_of, name_key
from qiosk.service.ports import JobStore

TIMEOUT = timedelta(minutes=10)
"""A session times out after this time without a new job."""
ABORT_WATCH = timedelta(minutes=1)
"""How long new jobs of a session are still cancelled after it was aborted."""
_SWEEP = 100


class SessionEvent(StrEnum):
    """Events that change the state of a session."""

    SUBMIT = "submit"
    """A job joins it."""
    CLOSE = "close"
    """A user closes it."""
    ABORT = "abort"
    """A job failed, and the policy is to abort."""
    NOTE_FAILURE = "note failure"
    """A job failed, and the policy is to continue."""
    TIME_OUT = "time out"
    """It had no new job for ``TIMEOUT``."""


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
    """The key of a session: ids are unique only within a workspace."""

    workspace: str
    id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """Everything that is stored about a session. Times are in UTC.

    ``active_at`` is when it was opened or a job last joined it; ``is_settled`` is False while its new jobs must be
    cancelled. ``definition`` and ``revision`` are as for a job.
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
        """The session's key in the store."""
        return SessionKey(self.workspace, self.id)

    def on(self, event: SessionEvent, *, at: datetime, error: ErrorData | None = None) -> Session:
        """The session after ``event``; ``error`` contains which job failed, and why.

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
    """A session's place in a list sorted by ``order``, which may also contain jobs."""
    keys = {
        ItemOrder.NAME: name_key(session.name),
        ItemOrder.ITEM_TYPE: ItemType.SESSION.value,
        ItemOrder.PROVIDER_ID: session.provider_id.lower(),
        ItemOrder.TARGET: session.target.lower(),
        ItemOrder.STATE: session.status.value,
    }
    return Cursor(keys.get(order, ""), session.created_at, session.id)


class SessionStore(Protocol):
    """Sessions of all workspaces, with the guarantees of ``JobStore``."""

    def add(self, session: Session) -> None:
        """Store a new session. Raises SessionAlreadyExists if its key is taken."""
        ...

    def get(self, key: SessionKey) -> Session:
        """The session as it is now. Raises SessionNotFound."""
        ...

    def swap(self, session: Session, *, expected: Session) -> bool:
        """Replace ``expected`` by ``session``; False, and nothing changed, if the stored one is another."""
        ...

    def page(
        self, workspace: str, query: ItemQuery, after: Cursor | None, limit: int, *, skip: int = 0
    ) -> Sequence[Session]:
        """At most ``limit`` matching sessions, after ``after`` and ``skip`` more, sorted by ``place_of``."""
        ...

    def due(self, idle_since: datetime, limit: int, *, workspace: str | None = None) -> Sequence[Session]:
        """At most ``limit`` sessions that ``settle`` would change, of one workspace or of all.

        They are open without a new job since ``idle_since``, or have a failed job that is not noted yet, or are not
        settled.
        """
        ...

    def count_open(self, workspace: str, limit: int) -> int:
        """How many sessions of a workspace have not ended; ``limit`` if there are more."""
        ...

    def delete_ended(self, before: datetime) -> int:
        """Remove sessions that ended before this time and have no jobs; returns how many."""
        ...

    def close(self) -> None:
        """Close the connections."""
        ...


def sweep(sessions: SessionStore, jobs: JobStore, now: datetime, *, workspace: str | None = None) -> None:
    """Call ``settle`` for at most ``_SWEEP`` sessions that need it, of one workspace or of all."""
    for session in sessions.due(now - TIMEOUT, _SWEEP, workspace=workspace):
        settle(session, sessions, jobs, now)


def settle(session: Session, sessions: SessionStore, jobs: JobStore, now: datetime) -> Session:
    """The session after everything that has happened until now; stores it if that changed it.

    Cancels the jobs of an aborted session.
    """
    while not session.status.is_final:
        changed = _updated(session, jobs, now)
        if changed is session:
            return session
        sessions.swap(changed, expected=session)  # or another process has changed it first
        session = sessions.get(session.key)
    if not session.is_settled:
        _cancel_jobs(session, sessions, jobs, now)
    return session


def _updated(session: Session, jobs: JobStore, now: datetime) -> Session:
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
    """Let a new job join a session. Raises SessionNotFound; SessionClosed if the session has ended."""
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
