"""Claims: the next job to run, chosen fairly between workspaces and given to exactly one claimant.

**Fairness.** The waiting jobs of a workspace form a queue, urgent ones first. A claim looks at the queues and not at
their jobs: the first job of each is found by skipping through an index, with a few seeks for each workspace that has
jobs waiting. The queue with the fewest running jobs comes first, then the one whose first job has waited longest.
Urgency counts within a queue only; otherwise a workspace that submits all its jobs as urgent would be served alone.
If only one workspace has jobs waiting it is served, and its running jobs are not counted: there may be thousands.

**One claimant.** The first job is selected and updated by one statement. In SQLite, with its single writer, nothing can
happen between the two. PostgreSQL locks the selected row and skips rows that others have locked.

**Fences.** A claim increments the job's fence, a counter that every later write of the claimant has to match. If a
claimant that was presumed dead, because its lease ran out, is still running, its fence is stale after the next claim,
and the store rejects its writes. Its blobs do no harm either, since their names contain the fence.

**Limits.** A workspace may be limited to a number of running jobs. In PostgreSQL two claimants could count at the same
time and both start one more, so a claim for a limited workspace holds an advisory lock until its commit.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, NamedTuple

import sqlalchemy as sa

from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.databases.readable import is_text
from qiosk.adapters.sql.tables import RUNNING, jobs, jobs_of, to_time
from qiosk.service.jobs.job import Job, JobState

LimitOf = Callable[[str], int | None]

_LOCKS = 0x05105D  # PostgreSQL's advisory locks on workspaces that may run a limited number of jobs
_TRIES = 3  # claimants may try for the same jobs; one that finds them all taken selects again


class Claimant(NamedTuple):
    """The worker that claims, the time, and when its lease ends."""

    worker: str
    now: datetime
    lease_expires_at: datetime


def claim(database: Database, claimant: Claimant, limit_of: LimitOf | None) -> Job | None:
    """Give the first waiting job to a claimant; None if no job may run now."""
    for _ in range(_TRIES):
        with database.write() as tx:
            queues = [_Queue(*row) for row in tx.execute(_QUEUES) if is_text(row[0])]
            found_any = False
            for queue in queues:
                limit = None if limit_of is None else limit_of(queue.workspace)
                if limit is not None and not _is_below(tx, database, queue, limit):
                    continue
                found_any = True
                if (job := _take_head(tx, queue, claimant)) is not None:
                    return job
        if not found_any or database.is_sqlite:  # SQLite has one writer: no other claimant was faster
            return None
    return None


class _Queue(NamedTuple):
    """A workspace that has waiting jobs, and how many of its jobs run; None if it is the only one."""

    workspace: str
    running: int | None


def _select_queues() -> sa.Select[Any]:
    """All queues in the order of their turns: fewest running jobs first, then the longest wait of the first job."""
    is_waiting = jobs.c.state == JobState.WAITING.value
    queue = sa.select(sa.func.min(jobs.c.workspace).label("workspace")).where(is_waiting).cte("queue", recursive=True)
    following = (
        sa.select(sa.func.min(jobs.c.workspace))
        .where(is_waiting, jobs.c.workspace > queue.c.workspace)
        .scalar_subquery()
    )
    queue = queue.union_all(sa.select(following).where(queue.c.workspace.is_not(None)))
    executing, cancelling = (
        sa.select(sa.func.count())
        .where(jobs.c.workspace == queue.c.workspace, jobs.c.state == state)
        .correlate(queue)
        .scalar_subquery()
        for state in RUNNING
    )
    head = (
        sa.select(jobs.c.created_at)
        .where(is_waiting, jobs.c.workspace == queue.c.workspace)
        .order_by(*_order_in_queue(jobs))
        .limit(1)
        .correlate(queue)
        .scalar_subquery()
    )
    others = queue.alias("others")
    has_rivals = sa.select(sa.func.count()).select_from(others).where(others.c.workspace.is_not(None)).scalar_subquery()
    running = sa.case((has_rivals > 1, executing + cancelling)).label("running")
    turn = (running, head, queue.c.workspace)
    return sa.select(queue.c.workspace, running).where(queue.c.workspace.is_not(None)).order_by(*turn)


def _order_in_queue(table: sa.FromClause) -> tuple[sa.ColumnElement[Any], ...]:
    """Urgent jobs first, then older ones."""
    return (table.c.is_urgent.desc(), table.c.created_at, table.c.id)


_QUEUES = _select_queues()


def _is_below(tx: sa.Connection, database: Database, queue: _Queue, limit: int) -> bool:
    """Whether a workspace has fewer than ``limit`` running jobs, and no other claimant is about to start one."""
    if queue.running is not None and (queue.running >= limit or database.is_sqlite):
        return queue.running < limit  # SQLite has one writer, which has just counted
    key = _LOCKS << 32 | zlib.crc32(queue.workspace.encode())
    lock = sa.func.pg_try_advisory_xact_lock(sa.literal(key, sa.BigInteger))
    if not database.is_sqlite and not tx.execute(sa.select(lock)).scalar_one():
        return False
    running = sa.select(sa.func.count()).where(jobs.c.workspace == queue.workspace, jobs.c.state.in_(RUNNING))
    return tx.execute(running).scalar_one() < limit


_ahead = jobs.alias("ahead")
_HEAD = (
    sa.select(_ahead.c.workspace, _ahead.c.id)
    .where(
        _ahead.c.state == JobState.WAITING.value,
        _ahead.c.workspace == sa.bindparam("queue_workspace"),
    )
    .order_by(*_order_in_queue(_ahead))
    .limit(1)
    .with_for_update(skip_locked=True)  # PostgreSQL; SQLite has one writer anyway
    .scalar_subquery()
)
_NOW = sa.bindparam("now", type_=sa.BigInteger)
_TAKE = (  # what Job.on(CLAIM) does, in one statement
    jobs.update()
    .where(sa.tuple_(jobs.c.workspace, jobs.c.id) == _HEAD)
    .values(
        state=JobState.EXECUTING.value,
        fence=jobs.c.fence + 1,
        begun_at=sa.case((jobs.c.created_at > _NOW, jobs.c.created_at), else_=_NOW),
        worker=sa.bindparam("claimant"),
        lease_expires_at=sa.bindparam("lease"),
        revision=jobs.c.revision + 1,
    )
    .returning(jobs)
)


def _take_head(tx: sa.Connection, queue: _Queue, claimant: Claimant) -> Job | None:
    parameters = {
        "queue_workspace": queue.workspace,
        "claimant": claimant.worker,
        "now": to_time(claimant.now),
        "lease": to_time(claimant.lease_expires_at),
    }
    row = tx.execute(_TAKE, parameters).one_or_none()
    return None if row is None else next(iter(jobs_of([row._mapping])), None)
