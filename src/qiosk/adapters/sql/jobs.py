"""The job store over SQL: statements that SQLite and PostgreSQL both understand.

**Two kinds of writes.** Clients and the supervisor change a job by ``swap``: they read the row, compute the new job,
and write it if its revision is still the same. The supervisor's reports use ``record``: one statement, which is
conditional on the fence of its claim and on a running state. Every write of a row increments its revision. So a report
between a client's read and its swap makes the swap fail, and the client tries again; and a report after another claim,
or after the job's end, changes nothing. See ``claims`` for fences.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from qiosk.adapters.sql import logs
from qiosk.adapters.sql.claims import Claimant, claim
from qiosk.adapters.sql.conditions import is_among, item_conditions
from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.databases.readable import has_key, readable
from qiosk.adapters.sql.paging import AT_ONCE, Place, read_page
from qiosk.adapters.sql.quotas import book, run_seconds
from qiosk.adapters.sql.schema import open_sqlite_database
from qiosk.adapters.sql.tables import (
    INPUT_IS_ELSEWHERE,
    IS_JOB,
    ORDER_KEYS,
    OUTPUT_IS_ELSEWHERE,
    RUNNING,
    changed_columns,
    from_row,
    jobs,
    jobs_of,
    key_parameters,
    to_progress,
    to_provenance,
    to_row,
    to_time,
    trace_points,
    weight_of,
)
from qiosk.contract.jobs import JobQuery, JobStatus, TracePoint
from qiosk.contract.logs import LogLine
from qiosk.errors import JobAlreadyExists, JobNotFound
from qiosk.service.jobs.job import HeldClaim, Job, JobKey, JobState
from qiosk.service.jobs.runs import RunUpdate
from qiosk.service.names import job_of_container
from qiosk.service.paging import PAGE_BYTES, Cursor, cursor_of

# Statements are built once: building one takes longer than executing it.
_INSERT = jobs.insert()
_GET = sa.select(jobs).where(IS_JOB)
_EXISTS = sa.select(jobs.c.id).where(IS_JOB)
_SWAP = jobs.update().where(IS_JOB, jobs.c.revision == sa.bindparam("expected_revision"))
_RECORD = (
    jobs.update()
    .where(IS_JOB, jobs.c.fence == sa.bindparam("claimants_fence"), jobs.c.state.in_(RUNNING))
    .values(revision=jobs.c.revision + 1)
    .returning(jobs.c.state)
)
_WAITING = sa.select(jobs.c.id).where(jobs.c.state == JobState.WAITING.value)
_WAITING_OF_ONE = _WAITING.where(jobs.c.workspace == sa.bindparam("of_workspace"))
_CLAIMS = sa.select(jobs.c.workspace, jobs.c.id, jobs.c.fence, jobs.c.revision).where(jobs.c.state.in_(RUNNING))
_COUNT_WAITING, _COUNT_WAITING_OF_ONE = (
    sa.select(sa.func.count()).select_from(some.limit(sa.bindparam("most", type_=sa.Integer)).subquery())
    for some in (_WAITING, _WAITING_OF_ONE)
)


def _exists_another(*conditions: sa.ColumnElement[bool] | sa.TextClause) -> sa.Exists:
    """Whether a job of ``key_workspace`` other than ``key_id`` meets conditions; each kind of them has an index."""
    is_another = sa.and_(jobs.c.workspace == sa.bindparam("key_workspace"), jobs.c.id != sa.bindparam("key_id"))
    return sa.exists().where(is_another, *conditions)


_HAS_OUTPUT = jobs.c.container == sa.bindparam("in_container")
_HAS_INPUT = jobs.c.input_container == sa.bindparam("in_container")
_READS = sa.and_(_HAS_INPUT, jobs.c.input_blob == sa.bindparam("the_blob"))
_IS_OWNER = jobs.c.id == sa.bindparam("owner")
_NEEDS_CONTAINER = sa.select(
    sa.or_(
        _exists_another(_HAS_OUTPUT, OUTPUT_IS_ELSEWHERE),
        _exists_another(_HAS_INPUT, INPUT_IS_ELSEWHERE),
        _exists_another(_IS_OWNER, sa.or_(_HAS_OUTPUT, _HAS_INPUT)),
    )
)
_NEEDS_BLOB = sa.select(sa.or_(_exists_another(_READS, INPUT_IS_ELSEWHERE), _exists_another(_IS_OWNER, _READS)))
_DELETE = jobs.delete().where(IS_JOB)
_IS_TRACE = sa.and_(
    trace_points.c.workspace == sa.bindparam("key_workspace"), trace_points.c.job_id == sa.bindparam("key_id")
)
_DELETE_TRACE = trace_points.delete().where(_IS_TRACE, trace_points.c.position >= sa.bindparam("start"))
_ADD_TRACE = trace_points.insert()


def open_sqlite(path: Path) -> SqlJobStore:
    """The job store in a SQLite file, which is created if it does not exist, and upgraded if an older release made it.

    Raises Conflict if a newer release wrote it.
    """
    return SqlJobStore(open_sqlite_database(path))


_LAST_POSITION = 2**31 - 1
"""The largest integer of a trace's column: no trace is so long, and databases reject larger parameters."""


@final
class SqlJobStore:
    """``JobStore`` over a database; several processes may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, job: Job) -> None:
        """Store a new job. Raises JobAlreadyExists."""
        try:
            with self._database.write_once() as tx:
                tx.execute(_INSERT, to_row(job))
        except IntegrityError as error:
            raise JobAlreadyExists(f"job {job.id}: the id belongs to another job", job_id=job.id) from error

    def get(self, key: JobKey) -> Job:
        """The job as it is now. Raises JobNotFound."""
        with self._database.read() as tx:
            row = tx.execute(_GET, key_parameters(key)).one_or_none()
        if row is None:
            raise _not_found(key)
        return from_row(row._asdict())

    def page(
        self, workspace: str, query: JobQuery, after: Cursor | None, limit: int, *, skip: int = 0
    ) -> Sequence[Job]:
        """At most ``limit`` matching jobs, ``skip`` after ``after``."""
        wanted = sa.select(jobs).where(jobs.c.workspace == workspace, *_conditions(query))
        place = Place(ORDER_KEYS.get(query.order_by), jobs.c.created_at, jobs.c.id, item_type="Job")
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
            convert=from_row,
            cursor=cursor_of,
        )
        found: list[Job] = []
        room = PAGE_BYTES
        for row, job in rows:
            found.append(job)
            room -= weight_of(row)
            if room <= 0:
                break
        return found

    def swap(self, job: Job, *, expected: Job, log: Sequence[LogLine] = ()) -> bool:
        """Store ``job`` in place of ``expected``, if that is still there, and append to its log."""
        changes = {**changed_columns(expected, job), "revision": expected.revision + 1}
        parameters = {**changes, **key_parameters(job.key), "expected_revision": expected.revision}
        has_ended = job.state.is_final and not expected.state.is_final
        with self._database.write() if has_ended or log else self._database.write_once() as tx:
            was_expected = bool(tx.execute(_SWAP, parameters).rowcount)
            if was_expected and has_ended:
                book(tx, job)
            if was_expected:
                logs.append(tx, job.key, log)
        return was_expected

    def claim(
        self,
        *,
        worker: str,
        now: datetime,
        lease_expires_at: datetime,
        limit_of: Callable[[str], int | None] | None = None,
    ) -> Job | None:
        """Give the first waiting job to exactly one caller."""
        return claim(self._database, Claimant(worker, now, lease_expires_at), limit_of)

    def record(self, key: JobKey, fence: int, update: RunUpdate, *, lease_expires_at: datetime) -> JobState | None:
        """Store what a claimant reports, unless its fence is stale."""
        changes = {**_update_columns(update), "lease_expires_at": to_time(lease_expires_at)}
        parameters = {**changes, **key_parameters(key), "claimants_fence": fence}
        has_rows = update.trace_start is not None or update.log
        with self._database.write() if has_rows else self._database.write_once() as tx:
            state = tx.execute(_RECORD, parameters).scalar()
            if state is None:
                return None
            if update.trace_start is not None:
                _replace_trace(tx, key, update.trace_start, update.trace)
            logs.append(tx, key, update.log)
        return JobState(state)

    def trace(self, key: JobKey, after: int) -> Sequence[TracePoint]:
        """Trace points from index ``after`` on. Raises JobNotFound."""
        points = (
            sa.select(trace_points.c.seconds, trace_points.c.sweep, trace_points.c.cost)
            .where(_is_trace_of(key), trace_points.c.position >= min(after, _LAST_POSITION))
            .order_by(trace_points.c.position)
        )
        with self._database.read() as tx:
            if tx.execute(_EXISTS, key_parameters(key)).one_or_none() is None:
                raise _not_found(key)
            return [TracePoint(**readable(trace_points, row)) for row in tx.execute(points).mappings()]

    def log(self, key: JobKey, after: int) -> Sequence[LogLine]:
        """The kept lines after position ``after``. Raises JobNotFound."""
        with self._database.read() as tx:
            if tx.execute(_EXISTS, key_parameters(key)).one_or_none() is None:
                raise _not_found(key)
            return logs.read(tx, key, after)

    def delete(self, key: JobKey) -> None:
        """Remove a job, its trace and its log. Raises JobNotFound."""
        with self._database.write_once() as tx:
            if not tx.execute(_DELETE, key_parameters(key)).rowcount:
                raise _not_found(key)

    def is_needed(self, key: JobKey, container: str, blob: str | None = None) -> bool:
        """Whether another job has its input or its output here."""
        place = {"in_container": container, "owner": job_of_container(container)}
        wanted = _NEEDS_CONTAINER
        if blob is not None:
            wanted, place = _NEEDS_BLOB, {**place, "the_blob": blob}
        with self._database.read() as tx:
            return bool(tx.execute(wanted, {**key_parameters(key), **place}).scalar_one())

    def running(self, *, home: str | None = None, is_cancelling: bool = False) -> Sequence[Job]:
        """All running jobs, or those that a worker of ``home`` has claimed, or those that are being cancelled."""
        states = [JobState.CANCELLING.value] if is_cancelling else RUNNING
        wanted = sa.select(jobs).where(jobs.c.state.in_(states))
        if home is not None:
            prefix = f"{home}/"
            wanted = wanted.where(sa.func.substr(jobs.c.worker, 1, len(prefix)) == prefix)
        return self._read_jobs(wanted)

    def claims(self) -> Sequence[HeldClaim]:
        """The claims of all running jobs."""
        with self._database.read() as tx:
            return [_held(row) for row in tx.execute(_CLAIMS).mappings() if has_key(jobs, row)]

    def waiting(self, limit: int, *, workspace: str | None = None) -> int:
        """How many jobs wait, counted no further than ``limit``."""
        counted = _COUNT_WAITING if workspace is None else _COUNT_WAITING_OF_ONE
        with self._database.read() as tx:
            return tx.execute(counted, {"most": limit, "of_workspace": workspace}).scalar_one()

    def run_seconds(self, workspace: str, month: str) -> float:
        """How long the workspace's jobs ran, of those that ended in this month."""
        with self._database.read() as tx:
            return run_seconds(tx, workspace, month)

    def ended_before(self, before: datetime, limit: int, *, after: Job | None = None) -> Sequence[Job]:
        """Jobs that ended before a time, after ``after``."""
        place = (jobs.c.ended_at, jobs.c.workspace, jobs.c.id)
        wanted = sa.select(jobs).where(jobs.c.ended_at < to_time(before)).order_by(*place)
        if after is not None:
            there = (to_time(after.ended_at), after.workspace, after.id)
            wanted = wanted.where(sa.tuple_(*place) > sa.tuple_(*map(sa.literal, there)))
        size, skip = min(limit, AT_ONCE), 0
        while True:
            with self._database.read() as tx:
                rows = tx.execute(wanted.limit(size).offset(skip)).mappings().all()
            found = jobs_of(rows)
            if found or len(rows) < size:
                return found
            skip += size

    def version(self) -> int:
        """The database's version."""
        return self._database.version()

    def close(self) -> None:
        """Release connections; a later call opens new ones."""
        self._database.close()

    def _read_jobs(self, wanted: sa.Select[Any]) -> Sequence[Job]:
        with self._database.read() as tx:
            return jobs_of(tx.execute(wanted).mappings())


def _held(row: sa.RowMapping) -> HeldClaim:
    is_sound = type(row["fence"]) is int and type(row["revision"]) is int
    values = row if is_sound else readable(jobs, row)
    return HeldClaim(JobKey(values["workspace"], values["id"]), values["fence"], values["revision"])


def _not_found(key: JobKey) -> JobNotFound:
    return JobNotFound(f"job {key.id} was not found", job_id=key.id)


def _is_trace_of(key: JobKey) -> sa.ColumnElement[bool]:
    return sa.and_(trace_points.c.workspace == key.workspace, trace_points.c.job_id == key.id)


def _conditions(query: JobQuery) -> list[sa.ColumnElement[bool]]:
    conditions = item_conditions(jobs, query) + is_among(sa.func.lower(jobs.c.job_type), query.job_types)
    if query.statuses is not None:
        wanted = [state.value for state in JobState if state.status in map(JobStatus, query.statuses)]
        conditions.append(jobs.c.state.in_(wanted))
    if query.session_id is not None:
        conditions.append(jobs.c.session_id == query.session_id)
    if query.parent_id is not None:
        conditions.append(jobs.c.parent_id == query.parent_id)
    if query.is_top_level:
        conditions.append(jobs.c.session_id.is_(None))
    return conditions


def _update_columns(update: RunUpdate) -> dict[str, Any]:
    reported = {
        "best_blob": update.best_blob,
        "best_cost": update.best_cost,
        "checkpoint_blob": update.checkpoint_blob,
        "spent_seconds": update.spent_seconds,
    }
    columns: dict[str, Any] = {name: value for name, value in reported.items() if value is not None}
    if update.provenance is not None:
        columns["provenance"] = to_provenance(update.provenance)
    return columns if update.progress is None else {**columns, **to_progress(update.progress)}


def _replace_trace(tx: sa.Connection, key: JobKey, start: int, points: Sequence[TracePoint]) -> None:
    tx.execute(_DELETE_TRACE, {**key_parameters(key), "start": start})
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
        tx.execute(_ADD_TRACE, rows)
