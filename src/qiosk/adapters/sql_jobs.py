"""The job store over SQL: SQLite in WAL mode, in statements that PostgreSQL understands as well.

Writers in SQLite begin IMMEDIATE. A transaction that reads first and writes later would otherwise fail at
once, whatever the busy time-out, if another process wrote in between.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from qiosk.adapters.sql_tables import (
    CLAIM_ORDER,
    SCHEMA_VERSION,
    from_row,
    jobs,
    metadata,
    schema,
    to_progress,
    to_row,
    to_time,
    trace_points,
)
from qiosk.contract.jobs import JobQuery, JobStatus, TracePoint
from qiosk.errors import Conflict, JobAlreadyExists, JobNotFound
from qiosk.service.jobs import Job, JobEvent, JobKey, JobState
from qiosk.service.ports import Cursor, RunUpdate

BUSY_S = 30.0
"""How long a writer waits for the others."""

_RUNNING = (JobState.EXECUTING.value, JobState.CANCELLING.value)


def open_sqlite(path: Path) -> SqlJobStore:
    """The job store in a SQLite file, which is created if it does not exist.

    Raises Conflict if the file was written by a Qiosk with another schema.
    """
    engine = sa.create_engine(
        f"sqlite:///{path}", connect_args={"timeout": BUSY_S, "isolation_level": None}, pool_size=8
    )
    sa.event.listen(engine, "connect", _set_pragmas)
    sa.event.listen(engine, "begin", _begin)
    store = SqlJobStore(engine)
    store.create_schema()
    return store


def _set_pragmas(connection: Any, _record: object) -> None:
    # NORMAL: a commit survives the death of every process; only a power cut can take the last ones.
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    deadline = time.monotonic() + BUSY_S
    while connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] != "wal":
        # Two processes that open a new file at once: SQLite does not wait for the other here.
        if time.monotonic() > deadline:
            raise Conflict("database: the file system does not allow write-ahead logging")
        time.sleep(0.01)


def _begin(connection: sa.Connection) -> None:
    is_reader = connection.get_execution_options().get("qiosk_read_only", False)
    connection.exec_driver_sql("BEGIN DEFERRED" if is_reader else "BEGIN IMMEDIATE")


@final
class SqlJobStore:
    """``JobStore`` over a database; several processes may share it."""

    def __init__(self, engine: sa.Engine) -> None:
        self._engine = engine
        self._reader = engine.execution_options(qiosk_read_only=True)
        self._watch_lock = threading.Lock()
        self._watch: sa.Connection | None = None

    def create_schema(self) -> None:
        """Create the tables unless they exist. Raises Conflict if they have another version."""
        with self._engine.begin() as tx:
            metadata.create_all(tx)
            version = tx.execute(sa.select(schema.c.version)).scalar()
            if version is None:
                tx.execute(schema.insert().values(version=SCHEMA_VERSION))
            elif version != SCHEMA_VERSION:
                raise Conflict(
                    f"database {self._engine.url.database}: schema version must be {SCHEMA_VERSION},"
                    f" found {version}; another release of Qiosk wrote it"
                )

    def add(self, job: Job) -> None:
        """Store a new job. Raises JobAlreadyExists."""
        try:
            with self._engine.begin() as tx:
                tx.execute(jobs.insert().values(to_row(job)))
        except IntegrityError as error:
            raise JobAlreadyExists(f"job {job.id}: the id belongs to another job", job_id=job.id) from error

    def get(self, key: JobKey) -> Job:
        """The job as it is now. Raises JobNotFound."""
        with self._reader.begin() as tx:
            row = tx.execute(sa.select(jobs).where(_is(key))).mappings().one_or_none()
        if row is None:
            raise _not_found(key)
        return from_row(row)  # type: ignore[arg-type]

    def page(self, workspace: str, query: JobQuery, after: Cursor | None, limit: int) -> Sequence[Job]:
        """At most ``limit`` matching jobs behind ``after``."""
        position = (jobs.c.created_at, jobs.c.id)
        wanted = sa.select(jobs).where(jobs.c.workspace == workspace, *_conditions(query)).limit(limit)
        if query.oldest_first:
            wanted = wanted.order_by(*position)
        else:
            wanted = wanted.order_by(*(column.desc() for column in position))
        if after is not None:
            behind = sa.tuple_(sa.literal(to_time(after.created_at)), sa.literal(after.id))
            here = sa.tuple_(*position)
            wanted = wanted.where(here > behind if query.oldest_first else here < behind)
        return self._read_jobs(wanted)

    def swap(self, job: Job, *, expected: Job) -> bool:
        """Store ``job`` in place of ``expected``, if that is still there."""
        row = {**to_row(job), "revision": expected.revision + 1}
        with self._engine.begin() as tx:
            stored = tx.execute(jobs.update().where(_is(job.key), jobs.c.revision == expected.revision).values(row))
        return bool(stored.rowcount)

    def claim(self, *, worker: str, now: datetime, lease_expires_at: datetime) -> Job | None:
        """Give the first waiting job to exactly one caller."""
        first = (
            sa.select(jobs)
            .where(jobs.c.state == JobState.WAITING.value)
            .order_by(*CLAIM_ORDER)
            .limit(1)
            .with_for_update(skip_locked=True)  # PostgreSQL; SQLite has one writer anyway
        )
        with self._engine.begin() as tx:
            row = tx.execute(first).mappings().one_or_none()
            if row is None:
                return None
            waiting = from_row(row)  # type: ignore[arg-type]
            claimed = waiting.on(JobEvent.CLAIM, at=now, worker=worker, lease_expires_at=lease_expires_at)
            values = {**to_row(claimed), "revision": waiting.revision + 1}
            taken = tx.execute(jobs.update().where(_is(claimed.key)).values(values).returning(jobs))
            return from_row(taken.mappings().one())  # type: ignore[arg-type]

    def record(self, key: JobKey, fence: int, update: RunUpdate, *, lease_expires_at: datetime) -> JobState | None:
        """Store what a claimant reports, unless its fence is stale."""
        values = {
            **_update_columns(update),
            "lease_expires_at": to_time(lease_expires_at),
            "revision": jobs.c.revision + 1,
        }
        is_claimants = sa.and_(_is(key), jobs.c.fence == fence, jobs.c.state.in_(_RUNNING))
        with self._engine.begin() as tx:
            state = tx.execute(jobs.update().where(is_claimants).values(values).returning(jobs.c.state)).scalar()
            if state is None:
                return None
            if update.trace_start is not None:
                _replace_trace(tx, key, update.trace_start, update.trace)
        return JobState(state)

    def trace(self, key: JobKey, after: int) -> Sequence[TracePoint]:
        """Trace points from index ``after`` on. Raises JobNotFound."""
        points = (
            sa.select(trace_points.c.seconds, trace_points.c.sweep, trace_points.c.cost)
            .where(_is_trace_of(key), trace_points.c.position >= after)
            .order_by(trace_points.c.position)
        )
        with self._reader.begin() as tx:
            if tx.execute(sa.select(jobs.c.id).where(_is(key))).one_or_none() is None:
                raise _not_found(key)
            return [TracePoint(*row) for row in tx.execute(points)]

    def delete(self, key: JobKey) -> None:
        """Remove a job and its trace. Raises JobNotFound."""
        with self._engine.begin() as tx:
            if not tx.execute(jobs.delete().where(_is(key))).rowcount:
                raise _not_found(key)

    def running(self) -> Sequence[Job]:
        """All jobs that somebody has claimed and not finished."""
        return self._read_jobs(sa.select(jobs).where(jobs.c.state.in_(_RUNNING)))

    def waiting(self, limit: int) -> int:
        """How many jobs wait, counted no further than ``limit``."""
        some = sa.select(jobs.c.id).where(jobs.c.state == JobState.WAITING.value).limit(limit).subquery()
        with self._reader.begin() as tx:
            return tx.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()

    def version(self) -> int:
        """SQLite's own counter, which changes when another connection commits; all writes use other ones."""
        with self._watch_lock:
            if self._watch is None:
                self._watch = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            return int(self._watch.connection.cursor().execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Release connections; a later call opens new ones."""
        with self._watch_lock:
            if self._watch is not None:
                self._watch.close()
                self._watch = None
        self._engine.dispose()

    def _read_jobs(self, wanted: sa.Select[Any]) -> Sequence[Job]:
        with self._reader.begin() as tx:
            return [from_row(row) for row in tx.execute(wanted).mappings()]  # type: ignore[arg-type]


def _not_found(key: JobKey) -> JobNotFound:
    return JobNotFound(f"job {key.id} was not found", job_id=key.id)


def _is(key: JobKey) -> sa.ColumnElement[bool]:
    return sa.and_(jobs.c.workspace == key.workspace, jobs.c.id == key.id)


def _is_trace_of(key: JobKey) -> sa.ColumnElement[bool]:
    return sa.and_(trace_points.c.workspace == key.workspace, trace_points.c.job_id == key.id)


def _conditions(query: JobQuery) -> list[sa.ColumnElement[bool]]:
    conditions: list[sa.ColumnElement[bool]] = []
    if query.name_prefix is not None:
        # Not LIKE: the prefix is literal, and letter case counts.
        conditions.append(sa.func.substr(jobs.c.name, 1, len(query.name_prefix)) == query.name_prefix)
    if query.statuses is not None:
        wanted = [state.value for state in JobState if state.status in map(JobStatus, query.statuses)]
        conditions.append(jobs.c.state.in_(wanted))
    for column, choices in ((jobs.c.provider_id, query.provider_ids), (jobs.c.target, query.targets)):
        if choices is not None:
            conditions.append(sa.func.lower(column).in_([choice.lower() for choice in choices]))
    if query.created_after is not None:
        conditions.append(jobs.c.created_at >= to_time(query.created_after))
    if query.created_before is not None:
        conditions.append(jobs.c.created_at <= to_time(query.created_before))
    return conditions


def _update_columns(update: RunUpdate) -> dict[str, Any]:
    said = {
        "best_blob": update.best_blob,
        "best_cost": update.best_cost,
        "checkpoint_blob": update.checkpoint_blob,
    }
    columns = {name: value for name, value in said.items() if value is not None}
    return columns if update.progress is None else {**columns, **to_progress(update.progress)}


def _replace_trace(tx: sa.Connection, key: JobKey, start: int, points: Sequence[TracePoint]) -> None:
    tx.execute(trace_points.delete().where(_is_trace_of(key), trace_points.c.position >= start))
    rows = [
        {
            "workspace": key.workspace,
            "job_id": key.id,
            "position": start + offset,
            "seconds": point.seconds,
            "sweep": point.sweep,
            "cost": point.cost,
        }
        for offset, point in enumerate(points)
    ]
    if rows:
        tx.execute(trace_points.insert(), rows)
