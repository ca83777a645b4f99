"""The sessions of one workspace, in this process: every method of ``SessionsApi``, over the ports."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from heapq import merge
from itertools import islice
from typing import NamedTuple, final

from qiosk.contract.items import ItemQuery, ItemType
from qiosk.contract.jobs import JobView
from qiosk.contract.paging import DEFAULT_PAGE, MAX_PAGE, Page
from qiosk.contract.plain import plain_session
from qiosk.contract.sessions import JobFailurePolicy, OpenSession, SessionView
from qiosk.errors import InvalidJobDefinition, QuotaExceeded, SessionAlreadyExists, SessionNotFound
from qiosk.service.accounts.quotas import NO_LIMITS, QuotaGate
from qiosk.service.filters import check_query, to_job_query
from qiosk.service.jobs.definition import check_name, check_priority, check_tags
from qiosk.service.jobs.job import Job
from qiosk.service.jobs.views import session_view
from qiosk.service.names import is_job_id
from qiosk.service.paging import Cursor, check_window, cursor_of, decode_token, encode_token, is_heavy
from qiosk.service.ports import Clock, JobStore, TargetCatalogue
from qiosk.service.sessions.session import (
    Session,
    SessionEvent,
    SessionKey,
    SessionStore,
    place_of,
    settle,
    sweep,
)


@final
class SessionService:
    """A workspace's sessions, in this process. Implements ``contract.api.SessionsApi``.

    ``view_job`` makes the view of a job.
    """

    def __init__(
        self,
        *,
        workspace: str,
        sessions: SessionStore,
        jobs: JobStore,
        targets: TargetCatalogue,
        clock: Clock,
        new_id: Callable[[], str],
        view_job: Callable[[Job], JobView],
        quotas: QuotaGate = NO_LIMITS,
    ) -> None:
        self._workspace = workspace
        self._sessions = sessions
        self._jobs = jobs
        self._targets = targets
        self._clock = clock
        self._new_id = new_id
        self._view_job = view_job
        self._quotas = quotas

    def open(self, command: OpenSession) -> SessionView:
        """Open a session; see ``SessionsApi``."""
        self._targets.check(command.provider_id, command.target)
        session_id = self._new_id() if command.id is None else command.id
        session = wanted = define_session(session_id, command, workspace=self._workspace, at=self._clock.now())
        try:
            self._check_open()
            self._sessions.add(session)
        except (SessionAlreadyExists, QuotaExceeded) as error:
            try:  # the same request again is answered as it was before
                session = self._sessions.get(session.key)
            except SessionNotFound:
                raise error from None
            if session.definition != wanted.definition:
                raise
        return session_view(session)

    def _check_open(self) -> None:
        """Raise QuotaExceeded if too many sessions are open, not counting those that end now."""
        try:
            self._quotas.check_open(self._workspace)
        except QuotaExceeded:
            sweep(self._sessions, self._jobs, self._clock.now(), workspace=self._workspace)
            self._quotas.check_open(self._workspace)

    def get(self, session_id: str) -> SessionView:
        """The session as it is now. Raises SessionNotFound."""
        return session_view(self._settled(session_id))

    def close(self, session_id: str) -> SessionView:
        """Close a session; see ``SessionsApi``."""
        while True:
            session = self._settled(session_id)
            if session.status.is_final:
                return session_view(session)
            closed = session.on(SessionEvent.CLOSE, at=self._clock.now())
            if self._sessions.swap(closed, expected=session):
                return session_view(closed)

    def page(
        self, query: ItemQuery, *, top: int = DEFAULT_PAGE, skip: int = 0, token: str | None = None
    ) -> Page[SessionView]:
        """At most ``top`` matching sessions; see ``SessionsApi``."""
        limit, after = self._window(query, top, skip, token)
        found = self._page_of_sessions(query, after, limit + 1, skip)
        shown = found[:limit]
        last = place_of(shown[-1], query.order_by) if len(found) > limit else None
        return Page(tuple(map(session_view, shown)), _token(last, query))

    def items(
        self, query: ItemQuery, *, top: int = DEFAULT_PAGE, skip: int = 0, token: str | None = None
    ) -> Page[JobView | SessionView]:
        """Sessions, and jobs without one; see ``SessionsApi``."""
        limit, after = self._window(query, top, skip, token)
        placed = merge(
            self._placed_sessions(query, after, skip + limit),
            self._placed_jobs(query, after, skip + limit),
            key=lambda item: item.place,
            reverse=query.descending,
        )
        next(islice(placed, skip, skip), None)  # skips to the end of the items at most, however large the number is
        shown: list[_Placed] = []
        part: int | None = None
        for item in placed:
            part = item.part if part is None else part
            is_full = len(shown) >= limit or item.part not in (None, part)
            # A job and a session with equal cursors must be on one page: no token could separate them.
            if is_full and item.place != shown[-1].place:
                return Page(tuple(map(self._view_item, shown)), _token(shown[-1].place, query))
            shown.append(item)
        return Page(tuple(map(self._view_item, shown)), None)

    def _settled(self, session_id: str) -> Session:
        if not is_job_id(session_id):  # some other texts cannot be sent to a database
            raise SessionNotFound(f"session {session_id[:100]!r} was not found", session_id=session_id[:100])
        session = self._sessions.get(SessionKey(self._workspace, session_id))
        return settle(session, self._sessions, self._jobs, self._clock.now())

    def _window(self, query: ItemQuery, top: int, skip: int, token: str | None) -> tuple[int, Cursor | None]:
        check_query(to_job_query(query))
        limit = check_window(top, skip)
        sweep(self._sessions, self._jobs, self._clock.now(), workspace=self._workspace)
        return limit, None if token is None else decode_token(token, query.order_by, descending=query.descending)

    def _page_of_sessions(self, query: ItemQuery, after: Cursor | None, limit: int, skip: int = 0) -> Sequence[Session]:
        has_none = query.job_types is not None
        if has_none or (query.item_types is not None and ItemType.SESSION not in query.item_types):
            return ()
        return self._sessions.page(self._workspace, query, after, limit, skip=skip)

    def _placed_sessions(self, query: ItemQuery, after: Cursor | None, wanted: int) -> Iterator[_Placed]:
        size = min(wanted + 1, MAX_PAGE)
        while found := self._page_of_sessions(query, after, size):
            for session in found:
                after = place_of(session, query.order_by)
                yield _Placed(after, session, None)
            if len(found) < size:
                return

    def _placed_jobs(self, query: ItemQuery, after: Cursor | None, wanted: int) -> Iterator[_Placed]:
        size = min(wanted + 1, MAX_PAGE)
        conditions = to_job_query(query, is_top_level=True)
        part = 0
        while found := self._jobs.page(self._workspace, conditions, after, size):
            for job in found:
                after = cursor_of(job, query.order_by)
                yield _Placed(after, job, part)
            if len(found) < size and not is_heavy(found):
                return
            part += len(found) < size

    def _view_item(self, placed: _Placed) -> JobView | SessionView:
        return self._view_job(placed.item) if isinstance(placed.item, Job) else session_view(placed.item)


class _Placed(NamedTuple):
    """An item and its place in the list. ``part`` numbers groups of jobs, each as heavy as a page may be:
    a page contains jobs of one group only. None for sessions.
    """

    place: Cursor
    item: Job | Session
    part: int | None


def define_session(session_id: str, command: OpenSession, *, workspace: str, at: datetime) -> Session:
    """The session that ``command`` describes. Raises InvalidJobDefinition, which names the member."""
    if not is_job_id(session_id):
        raise InvalidJobDefinition(
            f"session id: 1 to 100 letters, digits, '-' or '_' are allowed, found {session_id[:100]!r}"
        )
    command = plain_session(command)
    try:
        policy = JobFailurePolicy(command.job_failure_policy)
    except ValueError:
        allowed = ", ".join(JobFailurePolicy)
        raise InvalidJobDefinition(
            f"job_failure_policy: must be one of {allowed}, found {command.job_failure_policy!r}"
        ) from None
    return Session(
        workspace=workspace,
        id=session_id,
        name=check_name(command.name),
        provider_id=command.provider_id,
        target=command.target,
        policy=policy,
        tags=check_tags(command.tags),
        priority=check_priority(command.priority),
        definition=_digest(command),
        created_at=at,
        active_at=at,
    )


def _digest(command: OpenSession) -> str:
    members = [command.name, command.provider_id, command.target, str(command.job_failure_policy)]
    text = json.dumps([*members, list(command.tags), command.priority])
    return hashlib.sha256(text.encode()).hexdigest()


def _token(place: Cursor | None, query: ItemQuery) -> str | None:
    return None if place is None else encode_token(place, query.order_by, descending=query.descending)
