"""Rows of jobs in any number, written by the database itself."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa

from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.tables import jobs, to_row, to_time
from qiosk.contract.jobs import SubmitJob
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.job import JobState
from qiosk.testing import MemoryBlobStore

START = datetime(2026, 1, 1, tzinfo=UTC)
COMMAND = SubmitJob(name="row", provider_id="Microsoft", target="microsoft.tabu.cpu", input_data=b"")


def add_waiting(database: Database, count: int, *, workspaces: int = 1, prefix: str = "job") -> None:
    """Add jobs that wait, in turn of so many workspaces, the oldest first."""
    _add(database, count, {}, workspaces=workspaces, prefix=prefix)


def add_running(database: Database, count: int, *, worker: str, prefix: str = "running") -> None:
    """Add jobs of the first workspace that a worker has claimed."""
    at = to_time(START)
    claimed = {"state": JobState.EXECUTING.value, "fence": 1, "worker": worker, "begun_at": at, "lease_expires_at": at}
    _add(database, count, claimed, workspaces=1, prefix=prefix)


def _add(database: Database, count: int, changes: dict[str, Any], *, workspaces: int, prefix: str) -> None:
    if count == 0:
        return
    row = to_row(define_job("template", COMMAND, workspace="w0", blobs=MemoryBlobStore(), at=START)) | changes
    numbers = sa.select(sa.literal(0).label("n")).cte("numbers", recursive=True)
    numbers = numbers.union_all(sa.select(numbers.c.n + 1).where(numbers.c.n < count - 1))
    n = sa.cast(numbers.c.n, sa.Text)
    values: dict[str, Any] = {name: sa.literal(value, jobs.c[name].type) for name, value in row.items()}
    values |= {
        "id": sa.literal(f"{prefix}-") + n,
        "container": sa.literal(f"job-{prefix}-") + n,
        "input_container": sa.literal(f"job-{prefix}-") + n,
        "workspace": sa.literal("w") + sa.cast(numbers.c.n % workspaces, sa.Text),
        "created_at": sa.literal(row["created_at"], sa.BigInteger) + numbers.c.n,
    }
    with database.write() as tx:
        tx.execute(jobs.insert().from_select(list(values), sa.select(*values.values()).select_from(numbers)))
    analyze(database)


def analyze(database: Database) -> None:
    """Let PostgreSQL count what there is, as it does by itself after a while."""
    if not database.is_sqlite:
        with database.write() as tx:
            tx.exec_driver_sql("ANALYZE jobs")


def remove_all(database: Database) -> None:
    """Delete all jobs, and give their room back."""
    with database.write() as tx:
        tx.execute(jobs.delete())
    if not database.is_sqlite:
        with database.write() as tx:
            connection = tx.execution_options()
            connection.exec_driver_sql("TRUNCATE jobs CASCADE")
