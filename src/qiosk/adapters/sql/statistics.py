"""Jobs counted in SQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, final

import sqlalchemy as sa

from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.databases.readable import choice, is_text, readable
from qiosk.adapters.sql.tables import from_time, jobs, to_time
from qiosk.service.jobs.fences import CLAIMS, claims_of
from qiosk.service.jobs.job import JobState
from qiosk.service.jobs.statistics import EndedJob, EndedJobs

_HOUR = 3_600_000_000
"""Microseconds of an hour."""

_of_end = sa.func.coalesce(jobs.c.workspace, jobs.c.workspace)
"""The workspace, for rows that are found by the index of ends: SQLite would rather read all jobs of the workspace."""

_CLAIMED = jobs.c.fence % CLAIMS

_ENDED = sa.select(
    jobs.c.workspace,
    jobs.c.id,
    jobs.c.target_key,
    jobs.c.state,
    jobs.c.created_at,
    jobs.c.begun_at,
    jobs.c.ended_at,
    jobs.c.fence,
    jobs.c.progress_sweeps,
    jobs.c.progress_seconds,
).where(jobs.c.ended_at.is_not(None))


@final
class SqlStatistics:
    """``StatisticsStore`` over a database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def counts(self, workspace: str | None = None) -> Mapping[JobState, int]:
        """How many jobs there are in each state, in one workspace or in all."""
        counted = _of(workspace, sa.select(jobs.c.state, sa.func.count().label("jobs")).group_by(jobs.c.state))
        with self._database.read() as connection:
            rows = connection.execute(counted).mappings().all()
        found: Counter[JobState] = Counter()
        for row in rows:
            found[choice(JobState, row, "state", JobState.FAILED)] += row["jobs"]
        return found

    def by_workspace(self, only: Collection[str] | None = None) -> Mapping[str, int]:
        """How many jobs each workspace has that has any; with ``only``, each of these workspaces."""
        counted = sa.select(jobs.c.workspace, sa.func.count()).group_by(jobs.c.workspace).order_by(jobs.c.workspace)
        if only is not None:
            counted = counted.where(jobs.c.workspace.in_(only))
        with self._database.read() as connection:
            return {row[0]: row[1] for row in connection.execute(counted) if is_text(row[0])}

    def ended_by_hour(self, workspace: str, since: datetime) -> Sequence[EndedJobs]:
        """The jobs of a workspace that ended at ``since`` or later, by hour, target and state, in this order."""
        keys: tuple[sa.ColumnElement[Any], ...] = (
            sa.literal_column(f"ended_at / {_HOUR}"),
            jobs.c.target_key,
            jobs.c.state,
        )
        counted = (
            sa.select(
                keys[0].label("hour"),
                keys[1].label("target"),
                keys[2].label("state"),
                sa.func.count().label("jobs"),
                sa.func.count(jobs.c.begun_at).label("begun"),
                sa.func.sum(jobs.c.begun_at - jobs.c.created_at).label("wait_us"),
                sa.func.sum(jobs.c.progress_seconds).label("solver_s"),
                sa.func.sum(sa.case((_CLAIMED > 1, _CLAIMED - 1), else_=0)).label("lost"),
            )
            .where(_of_end == workspace, jobs.c.ended_at >= to_time(since))
            .group_by(*keys)
            .order_by(*keys)
        )
        with self._database.read() as connection:
            rows = connection.execute(counted).mappings().all()
        return [
            EndedJobs(
                datetime.fromtimestamp(row["hour"] * _HOUR // 1_000_000, UTC),
                row["target"],
                choice(JobState, row, "state", JobState.FAILED),
                row["jobs"],
                row["begun"],
                max(0.0, float(row["wait_us"] or 0) / 1e6),
                float(row["solver_s"] or 0),
                int(row["lost"] or 0),
            )
            for row in rows
        ]

    def oldest_waiting(self, workspace: str | None = None) -> datetime | None:
        """When the job that has waited longest was created, in one workspace or in all; None if none waits."""
        first = _of(workspace, sa.select(sa.func.min(jobs.c.created_at)).where(jobs.c.state == JobState.WAITING.value))
        with self._database.read() as connection:
            oldest = connection.execute(first).scalar()
        return from_time(oldest) if isinstance(oldest, int) else None

    def ended_since(self, since: datetime, limit: int) -> Sequence[EndedJob]:
        """At most ``limit`` jobs that ended at ``since`` or later, the first ones first."""
        return self._read(_ENDED.where(jobs.c.ended_at >= to_time(since)).order_by(jobs.c.ended_at).limit(limit))

    def last_ended(self, limit: int) -> Sequence[EndedJob]:
        """The last ``limit`` jobs that ended, the first ones first."""
        return self._read(_ENDED.order_by(jobs.c.ended_at.desc()).limit(limit))[::-1]

    def _read(self, wanted: sa.Select[Any]) -> Sequence[EndedJob]:
        with self._database.read() as connection:
            rows = connection.execute(wanted).mappings().all()
        return [_from_row(readable(jobs, row)) for row in rows]


def _of(workspace: str | None, wanted: sa.Select[Any]) -> sa.Select[Any]:
    return wanted if workspace is None else wanted.where(jobs.c.workspace == workspace)


def _from_row(row: Mapping[str, Any]) -> EndedJob:
    created, begun, ended = (from_time(row[name]) for name in ("created_at", "begun_at", "ended_at"))
    return EndedJob(
        row["workspace"],
        row["id"],
        row["target_key"],
        choice(JobState, row, "state", JobState.FAILED),
        created,  # type: ignore[arg-type]
        begun,
        ended,  # type: ignore[arg-type]
        claims_of(row["fence"]),
        row["progress_sweeps"],
        row["progress_seconds"],
    )
