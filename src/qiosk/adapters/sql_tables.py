"""The tables of the SQL job store, and the way between their rows and our values.

Times are microseconds since 1970 (UTC) and JSON is text: both mean the same in every database.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import sqlalchemy as sa

from qiosk.contract.jobs import ErrorData, JobProgress
from qiosk.service.jobs import BlobRef, Job, JobState

SCHEMA_VERSION = 1
"""Grows with every change to the tables below."""

metadata = sa.MetaData()

schema = sa.Table(
    "qiosk_schema",
    metadata,
    sa.Column("version", sa.Integer, primary_key=True),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("workspace", sa.Text, primary_key=True),
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("provider_id", sa.Text, nullable=False),
    sa.Column("target", sa.Text, nullable=False),
    sa.Column("job_type", sa.Text, nullable=False),
    sa.Column("input_params", sa.Text, nullable=False),
    sa.Column("metadata", sa.Text, nullable=False),
    sa.Column("tags", sa.Text, nullable=False),
    sa.Column("priority", sa.Text),
    sa.Column("is_urgent", sa.Integer, nullable=False),
    sa.Column("session_id", sa.Text),
    sa.Column("container", sa.Text, nullable=False),
    sa.Column("input_container", sa.Text, nullable=False),
    sa.Column("input_blob", sa.Text, nullable=False),
    sa.Column("input_data_format", sa.Text, nullable=False),
    sa.Column("output_data_format", sa.Text, nullable=False),
    sa.Column("definition", sa.Text, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("begun_at", sa.BigInteger),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("cancelled_at", sa.BigInteger),
    sa.Column("error_code", sa.Text),
    sa.Column("error_message", sa.Text),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("losses", sa.Integer, nullable=False),
    sa.Column("worker", sa.Text),
    sa.Column("lease_expires_at", sa.BigInteger),
    sa.Column("progress_fraction", sa.Float, nullable=False),
    sa.Column("progress_sweeps", sa.BigInteger, nullable=False),
    sa.Column("progress_best_cost", sa.Float),
    sa.Column("progress_seconds", sa.Float, nullable=False),
    sa.Column("best_blob", sa.Text),
    sa.Column("best_cost", sa.Float),
    sa.Column("checkpoint_blob", sa.Text),
    sa.Column("output_blob", sa.Text),
    sa.Column("revision", sa.BigInteger, nullable=False),
)

CLAIM_ORDER = (jobs.c.is_urgent.desc(), jobs.c.created_at, jobs.c.workspace, jobs.c.id)

# Directions as in CLAIM_ORDER: otherwise every claim sorts all waiting jobs while it holds the write lock.
sa.Index("jobs_by_claim_order", jobs.c.state, *CLAIM_ORDER)
sa.Index("jobs_by_creation", jobs.c.workspace, jobs.c.created_at, jobs.c.id)

trace_points = sa.Table(
    "trace_points",
    metadata,
    sa.Column("workspace", sa.Text, primary_key=True),
    sa.Column("job_id", sa.Text, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("sweep", sa.BigInteger, nullable=False),
    sa.Column("cost", sa.Float, nullable=False),
    sa.ForeignKeyConstraint(["workspace", "job_id"], [jobs.c.workspace, jobs.c.id], ondelete="CASCADE"),
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_time(at: datetime | None) -> int | None:
    """Microseconds since 1970."""
    return None if at is None else (at - _EPOCH) // _MICROSECOND


def from_time(microseconds: int | None) -> datetime | None:
    """Aware UTC time."""
    return None if microseconds is None else _EPOCH + microseconds * _MICROSECOND


def to_progress(progress: JobProgress) -> dict[str, Any]:
    """The columns of a job's progress."""
    return {
        "progress_fraction": progress.fraction,
        "progress_sweeps": progress.sweeps,
        "progress_best_cost": progress.best_cost,
        "progress_seconds": progress.seconds,
    }


_SAME = (
    "workspace",
    "id",
    "name",
    "provider_id",
    "target",
    "job_type",
    "priority",
    "session_id",
    "container",
    "input_data_format",
    "output_data_format",
    "definition",
    "fence",
    "losses",
    "worker",
    "best_blob",
    "best_cost",
    "checkpoint_blob",
    "output_blob",
    "revision",
)
_TIMES = ("created_at", "begun_at", "ended_at", "cancelled_at", "lease_expires_at")


def to_row(job: Job) -> dict[str, Any]:
    """All columns of a job."""
    return {
        **{member: getattr(job, member) for member in _SAME},
        **{member: to_time(getattr(job, member)) for member in _TIMES},
        **to_progress(job.progress),
        "input_params": json.dumps(job.input_params),
        "metadata": json.dumps(job.metadata if job.metadata is None else dict(job.metadata)),
        "tags": json.dumps(job.tags),
        "is_urgent": int(job.is_urgent),
        "input_container": job.input.container,
        "input_blob": job.input.name,
        "state": job.state.value,
        "error_code": None if job.error is None else job.error.code,
        "error_message": None if job.error is None else job.error.message,
    }


def from_row(row: Mapping[str, Any]) -> Job:
    """The job of a row."""
    is_failed = row["error_code"] is not None
    same: dict[str, Any] = {member: row[member] for member in _SAME}
    times: dict[str, Any] = {member: from_time(row[member]) for member in _TIMES}
    return Job(
        **same,
        **times,
        progress=JobProgress(
            fraction=row["progress_fraction"],
            sweeps=row["progress_sweeps"],
            best_cost=row["progress_best_cost"],
            seconds=row["progress_seconds"],
        ),
        input_params=json.loads(row["input_params"]),
        metadata=json.loads(row["metadata"]),
        tags=tuple(json.loads(row["tags"])),
        input=BlobRef(row["input_container"], row["input_blob"]),
        state=JobState(row["state"]),
        error=ErrorData(code=row["error_code"], message=row["error_message"]) if is_failed else None,
    )
