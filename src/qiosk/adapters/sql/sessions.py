"""The session store over SQL, next to the jobs of its sessions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from qiosk.adapters.sql.conditions import item_conditions
from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.databases.readable import choice, has_key, readable
from qiosk.adapters.sql.paging import Place, read_page
from qiosk.adapters.sql.tables import (
    TEXT,
    from_error,
    from_tags,
    from_time,
    jobs,
    metadata,
    to_error,
    to_tags,
    to_time,
)
from qiosk.contract.items import ItemQuery
from qiosk.contract.paging import ItemOrder
from qiosk.contract.sessions import JobFailurePolicy, SessionStatus
from qiosk.errors import SessionAlreadyExists, SessionNotFound
from qiosk.service.jobs.job import JobState
from qiosk.service.paging import Cursor, name_key
from qiosk.service.sessions.session import OPEN, Session, SessionKey, place_of

sessions = sa.Table(
    "sessions",
    metadata,
    sa.Column("workspace", TEXT, primary_key=True),
    sa.Column("id", TEXT, primary_key=True),
    sa.Column("name", TEXT, nullable=False),
    sa.Column("name_key", TEXT, nullable=False),
    sa.Column("provider_id", TEXT, nullable=False),
    sa.Column("provider_key", TEXT, nullable=False, server_default=""),
    sa.Column("target", TEXT, nullable=False),
    sa.Column("target_key", TEXT, nullable=False, server_default=""),
    sa.Column("policy", TEXT, nullable=False),
    sa.Column("tags", TEXT, nullable=False),
    sa.Column("priority", TEXT),
    sa.Column("definition", TEXT, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("active_at", sa.BigInteger, nullable=False),
    sa.Column("status", TEXT, nullable=False),
    sa.Column("begun_at", sa.BigInteger),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("error_code", TEXT),
    sa.Column("error_message", TEXT),
    sa.Column("is_settled", sa.Integer, nullable=False),
    sa.Column("revision", sa.BigInteger, nullable=False),
)

_KEYS: Mapping[ItemOrder, sa.Column[str]] = {
    ItemOrder.NAME: sessions.c.name_key,
    ItemOrder.PROVIDER_ID: sessions.c.provider_key,
    ItemOrder.TARGET: sessions.c.target_key,
    ItemOrder.STATE: sessions.c.status,
}
"""What ``place_of`` calls the key; in the other orders all sessions have the same one."""

sa.Index("sessions_by_creation", sessions.c.workspace, sessions.c.created_at, sessions.c.id)
for _order, _key in _KEYS.items():
    sa.Index(f"sessions_by_{_order.name.lower()}", sessions.c.workspace, _key, sessions.c.created_at, sessions.c.id)
sa.Index("sessions_by_end", sessions.c.is_settled, sessions.c.status, sessions.c.ended_at)

# Finding failed jobs then costs one seek for each open session, whatever its size.
_in_session = jobs.c.session_id.is_not(None)
sa.Index(
    "jobs_by_session_state",
    jobs.c.workspace,
    jobs.c.session_id,
    jobs.c.state,
    sqlite_where=_in_session,
    postgresql_where=_in_session,
)

_SAME = ("workspace", "id", "name", "provider_id", "target", "priority", "definition", "revision")
_TIMES = ("created_at", "active_at", "begun_at", "ended_at")


@final
class SqlSessionStore:
    """``SessionStore`` over a database; several processes may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, session: Session) -> None:
        """Store a new session. Raises SessionAlreadyExists."""
        try:
            with self._database.write_once() as tx:
                tx.execute(sessions.insert().values(_to_row(session)))
        except IntegrityError as error:
            raise SessionAlreadyExists(
                f"session {session.id}: the id belongs to another session", session_id=session.id
            ) from error

    def get(self, key: SessionKey) -> Session:
        """The session as it is now. Raises SessionNotFound."""
        with self._database.read() as tx:
            row = tx.execute(sa.select(sessions).where(_is(key))).mappings().one_or_none()
        if row is None:
            raise SessionNotFound(f"session {key.id} was not found", session_id=key.id)
        return _from_row(row)

    def swap(self, session: Session, *, expected: Session) -> bool:
        """Store ``session`` in place of ``expected``, if that is still there."""
        values = {**_to_row(session), "revision": expected.revision + 1}
        is_expected = sa.and_(_is(session.key), sessions.c.revision == expected.revision)
        with self._database.write_once() as tx:
            return bool(tx.execute(sessions.update().where(is_expected).values(values)).rowcount)

    def page(
        self, workspace: str, query: ItemQuery, after: Cursor | None, limit: int, *, skip: int = 0
    ) -> Sequence[Session]:
        """At most ``limit`` matching sessions, ``skip`` after ``after``."""
        if query.order_by is ItemOrder.JOB_TYPE and after is not None and after.key:
            # A place among jobs: sessions, which have no job type, come before all jobs.
            if not query.descending:
                return ()
            after = None
        wanted = sa.select(sessions).where(sessions.c.workspace == workspace, *_conditions(query))
        place = Place(_KEYS.get(query.order_by), sessions.c.created_at, sessions.c.id, item_type="Session")
        if query.id_prefix is not None:
            place = place.unindexed()
        rows = read_page(
            self._database,
            wanted,
            place,
            query.order_by,
            query.descending,
            after,
            limit,
            skip,
            convert=_from_row,
            cursor=place_of,
        )
        return [session for _, session in rows]

    def due(self, idle_since: datetime, limit: int, *, workspace: str | None = None) -> Sequence[Session]:
        """Sessions that have to be settled or ended."""
        has_failed = sa.exists().where(_is_of_session(), jobs.c.state == JobState.FAILED.value)
        settled = sa.select(sessions).where(
            sessions.c.is_settled == 1,
            sessions.c.status.in_([status.value for status in OPEN]),
            sa.or_(
                sessions.c.active_at <= to_time(idle_since),
                sa.and_(sessions.c.status == SessionStatus.EXECUTING.value, has_failed),
            ),
        )
        unsettled = sa.select(sessions).where(sessions.c.is_settled == 0)
        found: list[Session] = []
        for wanted in (unsettled, settled):
            if workspace is not None:
                wanted = wanted.where(sessions.c.workspace == workspace)
            found += self._read(wanted.limit(limit - len(found)))
        return found

    def count_open(self, workspace: str, limit: int) -> int:
        """How many sessions have not ended, counted no further than ``limit``."""
        is_open = sessions.c.status.in_([status.value for status in OPEN])
        found = sa.select(sa.literal(1)).where(sessions.c.workspace == workspace, is_open).limit(limit).subquery()
        with self._database.read() as tx:
            return tx.execute(sa.select(sa.func.count()).select_from(found)).scalar_one()

    def delete_ended(self, before: datetime) -> int:
        """Remove sessions that ended before this time and have no job any more."""
        is_old = sa.and_(sessions.c.is_settled == 1, sessions.c.ended_at < to_time(before))
        with self._database.write_once() as tx:
            removed = tx.execute(sessions.delete().where(is_old, ~sa.exists().where(_is_of_session())))
        return removed.rowcount

    def close(self) -> None:
        """Release connections; a later call opens new ones."""
        self._database.close()

    def _read(self, wanted: sa.Select[Any]) -> Sequence[Session]:
        with self._database.read() as tx:
            return [_from_row(row) for row in tx.execute(wanted).mappings() if has_key(sessions, row)]


def _is(key: SessionKey) -> sa.ColumnElement[bool]:
    return sa.and_(sessions.c.workspace == key.workspace, sessions.c.id == key.id)


def _is_of_session() -> sa.ColumnElement[bool]:
    return sa.and_(jobs.c.workspace == sessions.c.workspace, jobs.c.session_id == sessions.c.id)


def _conditions(query: ItemQuery) -> list[sa.ColumnElement[bool]]:
    conditions = item_conditions(sessions, query)
    if query.statuses is not None:
        conditions.append(sessions.c.status.in_(list(query.statuses)))
    return conditions


def _to_row(session: Session) -> dict[str, Any]:
    return {
        **{member: getattr(session, member) for member in _SAME},
        **{member: to_time(getattr(session, member)) for member in _TIMES},
        "name_key": name_key(session.name),
        "provider_key": session.provider_id.lower(),
        "target_key": session.target.lower(),
        "policy": session.policy.value,
        "tags": to_tags(session.tags),
        "status": session.status.value,
        **to_error(session.error),
        "is_settled": int(session.is_settled),
    }


def _from_row(stored: Mapping[Any, Any]) -> Session:
    row = readable(sessions, stored)
    same: dict[str, Any] = {member: row[member] for member in _SAME}
    times: dict[str, Any] = {member: from_time(row[member]) for member in _TIMES}
    return Session(
        **same,
        **times,
        policy=choice(JobFailurePolicy, row, "policy", JobFailurePolicy.ABORT),
        tags=from_tags(row),
        status=choice(SessionStatus, row, "status", SessionStatus.FAILED),
        error=from_error(row),
        is_settled=bool(row["is_settled"]),
    )
