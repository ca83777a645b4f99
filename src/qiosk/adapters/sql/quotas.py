"""The usage of workspaces, and their own limits, over SQL."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, cast, final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.databases.readable import is_text
from qiosk.adapters.sql.tables import TEXT, metadata
from qiosk.contract.quotas import Dimension
from qiosk.service.accounts.quotas import month_of
from qiosk.service.jobs.job import Job

_log = logging.getLogger(__name__)

job_usage = sa.Table(
    "job_usage",
    metadata,
    sa.Column("workspace", TEXT, primary_key=True),
    sa.Column("month", TEXT, primary_key=True),
    sa.Column("seconds", sa.Float, nullable=False),
)

workspace_limits = sa.Table(
    "workspace_limits",
    metadata,
    sa.Column("workspace", TEXT, primary_key=True),
    sa.Column("dimension", TEXT, primary_key=True),
    sa.Column("value", sa.Float),
)


def _book(insert: Any) -> sa.Insert:
    is_stored = [job_usage.c.workspace, job_usage.c.month]
    sum_of_both = job_usage.c.seconds + insert.excluded.seconds
    return cast(sa.Insert, insert.on_conflict_do_update(index_elements=is_stored, set_={"seconds": sum_of_both}))


_BOOK = {"sqlite": _book(sqlite.insert(job_usage)), "postgresql": _book(postgresql.insert(job_usage))}


def book(tx: sa.Connection, job: Job) -> None:
    """Add the run time of a job that has just ended to the usage of its workspace."""
    if job.begun_at is None or job.ended_at is None:
        return
    seconds = (job.ended_at - job.begun_at).total_seconds()
    tx.execute(
        _BOOK[tx.dialect.name],
        {"workspace": job.workspace, "month": month_of(job.ended_at), "seconds": seconds},
    )


def run_seconds(tx: sa.Connection, workspace: str, month: str) -> float:
    """Run time in seconds of a workspace's jobs that ended in this month."""
    is_booked = sa.and_(job_usage.c.workspace == workspace, job_usage.c.month == month)
    return tx.execute(sa.select(job_usage.c.seconds).where(is_booked)).scalar() or 0.0


@final
class SqlLimitStore:
    """``LimitStore`` over a database; several processes may share it."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> Mapping[str, Mapping[Dimension, float | None]]:
        """The limits of every workspace that has its own."""
        found: dict[str, dict[Dimension, float | None]] = {}
        with self._database.read() as tx:
            for workspace, dimension, value in tx.execute(sa.select(workspace_limits)):
                if is_text(workspace) and dimension in set(Dimension):
                    found.setdefault(workspace, {})[Dimension(dimension)] = value
                else:
                    _log.warning("the limit %a of %a cannot be read", dimension, workspace)
        return found

    def set(self, workspace: str, dimension: Dimension, limit: float | None) -> None:
        """Set a workspace's own limit; None: unlimited."""
        row = {"workspace": workspace, "dimension": dimension.value, "value": limit}
        with self._database.write_once() as tx:
            _put(tx, workspace_limits, row, {"value": limit})

    def unset(self, workspace: str, dimension: Dimension) -> None:
        """Let the default limit apply to a workspace."""
        this = sa.and_(workspace_limits.c.workspace == workspace, workspace_limits.c.dimension == dimension.value)
        with self._database.write_once() as tx:
            tx.execute(workspace_limits.delete().where(this))


def _put(tx: sa.Connection, table: sa.Table, row: Mapping[str, object], changes: Mapping[str, object]) -> None:
    """Insert a row, or make changes to the one that has its key."""
    insert = sqlite.insert if tx.dialect.name == "sqlite" else postgresql.insert
    tx.execute(insert(table).values(row).on_conflict_do_update(index_elements=table.primary_key.c, set_=changes))
