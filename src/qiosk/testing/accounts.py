"""Sessions, keys and limits in memory."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import final

from qiosk.contract.items import ItemQuery
from qiosk.contract.jobs import JobQuery, JobStatus
from qiosk.contract.quotas import Dimension
from qiosk.contract.sessions import SessionStatus
from qiosk.errors import KeyNotFound, SessionAlreadyExists, SessionNotFound
from qiosk.forks import PerProcess
from qiosk.service.accounts.keys import ApiKey, revoked
from qiosk.service.paging import Cursor, name_key
from qiosk.service.ports import JobStore
from qiosk.service.sessions.session import Session, SessionKey, place_of
from qiosk.testing.jobs import is_among, sorted_after


@final
class MemorySessionStore:
    """``SessionStore`` over a dictionary and a lock; ``jobs`` contains the jobs of its sessions.

    >>> from qiosk.contract.items import ItemQuery
    >>> from qiosk.testing import MemoryJobStore, MemorySessionStore
    >>> MemorySessionStore(MemoryJobStore()).page("default", ItemQuery(), None, limit=10)
    []
    """

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self._sessions: dict[SessionKey, Session] = {}
        self._lock = PerProcess(threading.RLock)

    def add(self, session: Session) -> None:
        """Store a new session. Raises SessionAlreadyExists."""
        with self._lock.get():
            if session.key in self._sessions:
                raise SessionAlreadyExists(
                    f"session {session.id}: the id belongs to another session", session_id=session.id
                )
            self._sessions[session.key] = session

    def get(self, key: SessionKey) -> Session:
        """The session as it is now. Raises SessionNotFound."""
        with self._lock.get():
            try:
                return self._sessions[key]
            except KeyError:
                raise SessionNotFound(f"session {key.id} was not found", session_id=key.id) from None

    def swap(self, session: Session, *, expected: Session) -> bool:
        """Store ``session`` in place of ``expected``, if that is still there."""
        with self._lock.get():
            current = self._sessions.get(session.key)
            if current is None or current.revision != expected.revision:
                return False
            self._sessions[session.key] = replace(session, revision=current.revision + 1)
            return True

    def page(
        self, workspace: str, query: ItemQuery, after: Cursor | None, limit: int, *, skip: int = 0
    ) -> Sequence[Session]:
        """At most ``limit`` matching sessions, ``skip`` after ``after``."""
        with self._lock.get():
            found = [s for s in self._sessions.values() if s.workspace == workspace and _matches(s, query)]
        placed = [(place_of(session, query.order_by), session) for session in found]
        return sorted_after(placed, after, descending=query.descending)[skip : skip + limit]

    def due(self, idle_since: datetime, limit: int, *, workspace: str | None = None) -> Sequence[Session]:
        """Sessions that have to be settled or ended."""
        with self._lock.get():
            sessions = [s for s in self._sessions.values() if workspace in (None, s.workspace)]
        return [session for session in sessions if self._is_due(session, idle_since)][:limit]

    def count_open(self, workspace: str, limit: int) -> int:
        """How many sessions have not ended, counted no further than ``limit``."""
        with self._lock.get():
            sessions = [session for session in self._sessions.values() if session.workspace == workspace]
        return min(limit, sum(not session.status.is_final for session in sessions))

    def delete_ended(self, before: datetime) -> int:
        """Remove sessions that ended before this time and have no job any more."""
        with self._lock.get():
            old = [
                s for s in self._sessions.values() if s.ended_at is not None and s.ended_at < before and s.is_settled
            ]
            empty = [s.key for s in old if not self._has_job(s, None)]
            for key in empty:
                del self._sessions[key]
        return len(empty)

    def close(self) -> None:
        """Nothing to release."""

    def _is_due(self, session: Session, idle_since: datetime) -> bool:
        if session.status.is_final:
            return not session.is_settled
        if session.active_at <= idle_since:
            return True
        return session.status is SessionStatus.EXECUTING and self._has_job(session, JobStatus.FAILED)

    def _has_job(self, session: Session, status: JobStatus | None) -> bool:
        query = JobQuery(session_id=session.id, statuses=None if status is None else (status,))
        return bool(self._jobs.page(session.workspace, query, None, 1))


def _matches(session: Session, query: ItemQuery) -> bool:
    return (
        session.id.startswith(query.id_prefix or "")
        and set(query.tags).issubset(session.tags)
        and (query.name_prefix is None or name_key(session.name).startswith(name_key(query.name_prefix)))
        and (query.statuses is None or session.status in query.statuses)
        and is_among(session.provider_id, query.provider_ids)
        and is_among(session.target, query.targets)
        and (query.created_after is None or session.created_at >= query.created_after)
        and (query.created_before is None or session.created_at <= query.created_before)
    )


@final
class MemoryKeyStore:
    """``KeyStore`` over a dictionary and a lock.

    >>> from qiosk.testing import MemoryKeyStore
    >>> MemoryKeyStore().is_empty()
    True
    """

    def __init__(self) -> None:
        self._keys: dict[str, ApiKey] = {}
        self._lock = PerProcess(threading.Lock)

    def add(self, key: ApiKey) -> None:
        """Store a new key."""
        with self._lock.get():
            self._keys[key.id] = key

    def get(self, key_id: str) -> ApiKey:
        """The key with this id. Raises KeyNotFound."""
        with self._lock.get():
            return self._get(key_id)

    def list(self) -> Sequence[ApiKey]:
        """All keys, oldest first."""
        with self._lock.get():
            return sorted(self._keys.values(), key=lambda key: (key.created_at, key.id))

    def revoke(self, key_id: str, at: datetime) -> ApiKey:
        """The key, revoked. Raises KeyNotFound."""
        with self._lock.get():
            key = self._keys[key_id] = revoked(self._get(key_id), at)
            return key

    def is_empty(self) -> bool:
        """Whether there never was a key."""
        return not self._keys

    def _get(self, key_id: str) -> ApiKey:
        try:
            return self._keys[key_id]
        except KeyError:
            raise KeyNotFound(f"API key {key_id} was not found", key_id=key_id) from None


@final
class MemoryLimitStore:
    """``LimitStore`` over a dictionary and a lock.

    >>> from qiosk.contract.quotas import Dimension
    >>> from qiosk.testing import MemoryLimitStore
    >>> limits = MemoryLimitStore()
    >>> limits.set("default", Dimension.QUEUED_JOBS, 10)
    >>> limits.all()["default"][Dimension.QUEUED_JOBS]
    10
    """

    def __init__(self) -> None:
        self._limits: dict[str, dict[Dimension, float | None]] = {}
        self._lock = PerProcess(threading.Lock)

    def all(self) -> Mapping[str, Mapping[Dimension, float | None]]:
        """The limits of every workspace that has its own."""
        with self._lock.get():
            return {workspace: dict(limits) for workspace, limits in self._limits.items() if limits}

    def set(self, workspace: str, dimension: Dimension, limit: float | None) -> None:
        """Set a workspace's own limit; None: unlimited."""
        with self._lock.get():
            self._limits.setdefault(workspace, {})[dimension] = limit

    def unset(self, workspace: str, dimension: Dimension) -> None:
        """Let the default limit apply to a workspace."""
        with self._lock.get():
            self._limits.get(workspace, {}).pop(dimension, None)
