"""The tables of jobs and their traces, and the conversion between rows and records.

Times are microseconds since 1970 (UTC) and JSON is text, so that they are the same in every database.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import sqlalchemy as sa

from qiosk.adapters.sql.databases.readable import choice, has_key, readable
from qiosk.contract import codec
from qiosk.contract.jobs import CONTAINER_PREFIX, BoundPoint, ErrorData, JobProgress
from qiosk.contract.paging import ItemOrder
from qiosk.contract.provenance import Provenance
from qiosk.errors import UnreadableInput
from qiosk.service.jobs.job import BlobRef, Job, JobKey, JobState
from qiosk.service.paging import name_key

T = TypeVar("T")

_log = logging.getLogger(__name__)

metadata = sa.MetaData()

TEXT = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""Text that is compared byte by byte, as SQLite always does."""

NOT_BACKED_UP: dict[str, bool] = {"is_backed_up": False}
"""The ``info`` of tables that describe this database and the servers that use it now, and contain nothing of users."""


jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("workspace", TEXT, primary_key=True),
    sa.Column("id", TEXT, primary_key=True),
    sa.Column("name", TEXT, nullable=False),
    sa.Column("name_key", TEXT, nullable=False, server_default=""),
    sa.Column("provider_id", TEXT, nullable=False),
    sa.Column("provider_key", TEXT, nullable=False, server_default=""),
    sa.Column("target", TEXT, nullable=False),
    sa.Column("target_key", TEXT, nullable=False, server_default=""),
    sa.Column("job_type", TEXT, nullable=False),
    sa.Column("input_params", TEXT, nullable=False),
    sa.Column("metadata", TEXT, nullable=False),
    sa.Column("tags", TEXT, nullable=False),
    sa.Column("priority", TEXT),
    sa.Column("is_urgent", sa.Integer, nullable=False),
    sa.Column("session_id", TEXT),
    sa.Column("container", TEXT, nullable=False),
    sa.Column("input_container", TEXT, nullable=False),
    sa.Column("input_blob", TEXT, nullable=False),
    sa.Column("input_data_format", TEXT, nullable=False),
    sa.Column("output_data_format", TEXT, nullable=False),
    sa.Column("definition", TEXT, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
    sa.Column("state", TEXT, nullable=False),
    sa.Column("begun_at", sa.BigInteger),
    sa.Column("ended_at", sa.BigInteger),
    sa.Column("cancelled_at", sa.BigInteger),
    sa.Column("error_code", TEXT),
    sa.Column("error_message", TEXT),
    sa.Column("fence", sa.Integer, nullable=False),
    sa.Column("losses", sa.Integer, nullable=False),
    sa.Column("supervisor_deaths", sa.Integer, nullable=False, server_default="0"),
    sa.Column("spent_seconds", sa.Float, nullable=False, server_default="0"),
    sa.Column("run_limit", sa.Float),
    sa.Column("worker", TEXT),
    sa.Column("lease_expires_at", sa.BigInteger),
    sa.Column("progress_fraction", sa.Float, nullable=False),
    sa.Column("progress_sweeps", sa.BigInteger, nullable=False),
    sa.Column("progress_best_cost", sa.Float),
    sa.Column("progress_seconds", sa.Float, nullable=False),
    sa.Column("progress_bound", sa.Float),
    sa.Column("progress_bounds", TEXT),
    sa.Column("progress_activity", TEXT),
    sa.Column("best_blob", TEXT),
    sa.Column("best_cost", sa.Float),
    sa.Column("checkpoint_blob", TEXT),
    sa.Column("output_blob", TEXT),
    sa.Column("submitter", TEXT),
    sa.Column("provenance", TEXT),
    sa.Column("parent_id", TEXT),
    sa.Column("revision", sa.BigInteger, nullable=False),
)

# A claim looks at the first waiting job of each workspace, urgent ones first. The index has the same directions:
# otherwise every claim would sort all waiting jobs while it holds the write lock.
sa.Index("jobs_by_claim_order", jobs.c.state, jobs.c.workspace, jobs.c.is_urgent.desc(), jobs.c.created_at, jobs.c.id)

RUNNING = (JobState.EXECUTING.value, JobState.CANCELLING.value)
"""States in which a job is claimed."""


IS_JOB = sa.and_(jobs.c.workspace == sa.bindparam("key_workspace"), jobs.c.id == sa.bindparam("key_id"))
"""The row of a job, for statements that are built once: building one takes longer than executing it."""


def key_parameters(key: JobKey) -> dict[str, str]:
    """The parameters of ``IS_JOB``."""
    return {"key_workspace": key.workspace, "key_id": key.id}


ORDER_KEYS: Mapping[ItemOrder, sa.Column[str]] = {
    ItemOrder.NAME: jobs.c.name_key,
    ItemOrder.JOB_TYPE: jobs.c.job_type,
    ItemOrder.PROVIDER_ID: jobs.c.provider_key,
    ItemOrder.TARGET: jobs.c.target_key,
    ItemOrder.STATE: jobs.c.state,
}
"""What ``cursor_of`` calls the key; the other orders have none. All are columns: SQLite would read an index on an
expression from its start for every page.
"""

sa.Index("jobs_by_creation", jobs.c.workspace, jobs.c.created_at, jobs.c.id)
for _order, _key in ORDER_KEYS.items():  # so that all pages cost the same
    sa.Index(f"jobs_by_{_order.name.lower()}", jobs.c.workspace, _key, jobs.c.created_at, jobs.c.id)
sa.Index("jobs_by_session", jobs.c.workspace, jobs.c.session_id, jobs.c.created_at, jobs.c.id)
HAS_PARENT = sa.text("parent_id IS NOT NULL")
sa.Index(
    "jobs_by_parent",
    *(jobs.c.workspace, jobs.c.parent_id, jobs.c.created_at, jobs.c.id),
    sqlite_where=HAS_PARENT,
    postgresql_where=HAS_PARENT,
)
sa.Index("jobs_by_end", jobs.c.ended_at, jobs.c.workspace, jobs.c.id)

# Most jobs have their own container, which is found by the id: only the others need an index.
OUTPUT_IS_ELSEWHERE, INPUT_IS_ELSEWHERE = (
    sa.text(f"{column} <> '{CONTAINER_PREFIX}' || id") for column in ("container", "input_container")
)
for _name, _columns, _is_elsewhere in (
    ("jobs_by_container", (jobs.c.container,), OUTPUT_IS_ELSEWHERE),
    ("jobs_by_input", (jobs.c.input_container, jobs.c.input_blob), INPUT_IS_ELSEWHERE),
):
    sa.Index(_name, jobs.c.workspace, *_columns, sqlite_where=_is_elsewhere, postgresql_where=_is_elsewhere)

trace_points = sa.Table(
    "trace_points",
    metadata,
    sa.Column("workspace", TEXT, primary_key=True),
    sa.Column("job_id", TEXT, primary_key=True),
    sa.Column("position", sa.Integer, primary_key=True),
    sa.Column("seconds", sa.Float, nullable=False),
    sa.Column("sweep", sa.BigInteger, nullable=False),
    sa.Column("cost", sa.Float, nullable=False),
    sa.ForeignKeyConstraint(["workspace", "job_id"], [jobs.c.workspace, jobs.c.id], ondelete="CASCADE"),
)

log_lines = sa.Table(
    "log_lines",
    metadata,
    sa.Column("workspace", TEXT, primary_key=True),
    sa.Column("job_id", TEXT, primary_key=True),
    sa.Column("position", sa.BigInteger, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("level", TEXT, nullable=False),
    sa.Column("text", TEXT, nullable=False),
    sa.ForeignKeyConstraint(["workspace", "job_id"], [jobs.c.workspace, jobs.c.id], ondelete="CASCADE"),
)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_FIRST = (datetime(1, 1, 2, tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST = (datetime(9999, 12, 30, tzinfo=UTC) - _EPOCH) // _MICROSECOND


def to_time(at: datetime | None) -> int | None:
    """Microseconds since 1970."""
    return None if at is None else (at - _EPOCH) // _MICROSECOND


def from_time(microseconds: int | None) -> datetime | None:
    """Aware UTC time; the nearest one for a number that is none."""
    return None if microseconds is None else moment(microseconds)


def moment(microseconds: int) -> datetime:
    """As ``from_time``."""
    return _EPOCH + min(max(microseconds, _FIRST), _LAST) * _MICROSECOND


def to_progress(progress: JobProgress) -> dict[str, Any]:
    """The columns of a job's progress."""
    return {
        "progress_fraction": progress.fraction,
        "progress_sweeps": progress.sweeps,
        "progress_best_cost": progress.best_cost,
        "progress_seconds": progress.seconds,
        "progress_bound": progress.bound,
        "progress_bounds": codec.encode(progress.bounds).decode() if progress.bounds else None,
        "progress_activity": progress.activity,
    }


_TIMES = ("created_at", "begun_at", "ended_at", "cancelled_at", "lease_expires_at")
_CONVERTED = {*_TIMES, "input_params", "metadata", "tags", "input", "state", "error", "progress", "provenance"}
_SAME = tuple(member.name for member in fields(Job) if member.name not in _CONVERTED)
"""Members that are stored as they are."""


def to_error(error: ErrorData | None) -> dict[str, str | None]:
    """The columns of an error. Messages may contain any characters; databases reject NUL and halves of surrogates."""
    if error is None:
        return {"error_code": None, "error_message": None}
    message = error.message.replace("\x00", "\N{SYMBOL FOR NULL}").encode("utf-8", "replace").decode()
    return {"error_code": error.code, "error_message": message}


def from_error(row: Mapping[Any, Any]) -> ErrorData | None:
    """The error of a row."""
    if row["error_code"] is None:
        return None
    return ErrorData(code=row["error_code"], message=row["error_message"] or "")


def to_provenance(provenance: Provenance | None) -> str | None:
    """The column of a job's provenance."""
    return None if provenance is None else codec.encode(provenance).decode()


def _decoded(kind: type[T], row: Mapping[Any, Any], column: str) -> T | None:
    """The record in a column; None if there is none, or it is unreadable."""
    if row[column] is None:
        return None
    try:
        return codec.decode(kind, row[column])
    except UnreadableInput as error:
        _log.warning("%s %s: its %s cannot be read: %s", row["workspace"], row["id"], column, error)
        return None


def to_row(job: Job) -> dict[str, Any]:
    """All columns of a job."""
    return {
        **{member: getattr(job, member) for member in _SAME},
        **{member: to_time(getattr(job, member)) for member in _TIMES},
        **to_progress(job.progress),
        "name_key": name_key(job.name),
        "provider_key": job.provider_id.lower(),
        "target_key": job.target.lower(),
        "input_params": json.dumps(job.input_params),
        "metadata": json.dumps(job.metadata if job.metadata is None else dict(job.metadata)),
        "tags": to_tags(job.tags),
        "is_urgent": int(job.is_urgent),
        "input_container": job.input.container,
        "input_blob": job.input.name,
        "state": job.state.value,
        **to_error(job.error),
        "provenance": to_provenance(job.provenance),
    }


_COLUMNS_OF = {  # members that are not one column of their own name
    "name": ("name", "name_key"),
    "provider_id": ("provider_id", "provider_key"),
    "target": ("target", "target_key"),
    "priority": ("priority", "is_urgent"),
    "input": ("input_container", "input_blob"),
    "error": tuple(to_error(None)),
    "progress": tuple(to_progress(JobProgress())),
}


def changed_columns(before: Job, after: Job) -> dict[str, Any]:
    """The columns of a job's row that change when ``before`` becomes ``after``."""
    row = to_row(after)
    changed = [f.name for f in fields(Job) if getattr(before, f.name) != getattr(after, f.name)]
    return {column: row[column] for member in changed for column in _COLUMNS_OF.get(member, (member,))}


def jobs_of(rows: Iterable[Mapping[Any, Any]]) -> list[Job]:
    """The jobs of rows; rows that cannot be addressed are left out."""
    return [from_row(row) for row in rows if has_key(jobs, row)]


def from_row(stored: Mapping[Any, Any]) -> Job:
    """The job of a row."""
    row = readable(jobs, stored)
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
            bound=row["progress_bound"],
            bounds=_decoded(tuple[BoundPoint, ...], row, "progress_bounds") or (),
            activity=row["progress_activity"],
        ),
        input_params=_readable(row, "input_params"),
        metadata=_strings(_readable(row, "metadata")),
        tags=from_tags(row),
        input=BlobRef(row["input_container"], row["input_blob"]),
        state=choice(JobState, row, "state", JobState.FAILED),
        error=from_error(row),
        provenance=_decoded(Provenance, row, "provenance"),
    )


def to_tags(tags: Sequence[str]) -> str:
    """Tags as JSON, each after ``[`` or a line break, which JSON texts do not contain: so each one can be searched."""
    return json.dumps(tags, separators=(",\n", ": "))


def from_tags(row: Mapping[Any, Any]) -> tuple[str, ...]:
    """The tags of a row; none if they are unreadable."""
    tags = _readable(row, "tags")
    return tuple(tag for tag in tags if isinstance(tag, str)) if isinstance(tags, list) else ()


def _readable(row: Mapping[Any, Any], column: str) -> Any:
    """The JSON in a column. Whatever is stored there, the row can be shown, so that it does not block a list.

    Halves of surrogates, which cannot be sent, become question marks; None is returned for what is no JSON.
    """
    text = row[column]
    try:
        value = json.loads(text)
        if "\\ud" in text or "\\uD" in text:
            value = json.loads(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"))
    except (TypeError, ValueError, RecursionError) as error:
        _log.warning("%s %s: its %s cannot be read: %s", row["workspace"], row["id"], column, error)
        return None
    return value


def _strings(metadata: Any) -> Mapping[str, str] | None:
    return {key: str(value) for key, value in metadata.items()} if isinstance(metadata, dict) else None


def weight_of(row: Mapping[Any, Any]) -> int:
    """The ``weight`` of the job of a row."""
    large = ("input_params", "metadata", "tags", "provenance", "progress_bounds")
    return sum(len(str(row[column] or "")) for column in large)
