"""The rows of the live table, and their order."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from qiosk.cli.table import status_word
from qiosk.client.short_ids import shortened
from qiosk.contract.jobs import JobStatus, JobView, TracePoint
from qiosk.contract.logs import LogLine

FINAL = (JobStatus.SUCCEEDED, JobStatus.FAILED, JobStatus.CANCELLED)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """What is known of the jobs at one moment. ``is_cut``: more jobs run or wait than ``views`` has.

    ``traces`` has the improvements of some jobs, ``log`` the latest lines about the job ``log_of``.
    """

    views: Sequence[JobView] = ()
    traces: Mapping[str, Sequence[TracePoint]] = field(default_factory=dict)
    is_cut: bool = False
    log: Sequence[LogLine] = ()
    log_of: str | None = None


@dataclass(frozen=True, slots=True)
class Row:
    """A job in the table. ``elapsed_s`` is how long it has run, or has waited before that [s]."""

    view: JobView
    short_id: str
    elapsed_s: float
    trend: Sequence[TracePoint]

    @property
    def status(self) -> str:
        """Its state in a word."""
        return status_word(self.view)

    @property
    def fraction(self) -> float:
        """How much of its work is done, between 0 and 1."""
        return 1.0 if self.view.status == JobStatus.SUCCEEDED else max(0.0, min(1.0, self.view.progress.fraction))


class Order(StrEnum):
    """What the rows are sorted by; jobs that are equal in it are sorted by state."""

    STATE = "state"
    NEWEST = "newest"
    NAME = "name"
    ELAPSED = "elapsed"
    PROGRESS = "progress"

    @property
    def following(self) -> Order:
        """The next order, after the last one the first."""
        orders = list(Order)
        return orders[(orders.index(self) + 1) % len(orders)]


def rows_of(snapshot: Snapshot, order: Order, now: datetime) -> list[Row]:
    """A row for each job, sorted."""
    short = shortened(view.id for view in snapshot.views)
    rows = [
        Row(view, short_id, elapsed_s(view, now), snapshot.traces.get(view.id, ()))
        for view, short_id in zip(snapshot.views, short, strict=True)
    ]
    rows.sort(key=_by_state)
    if order in _KEYS:
        rows.sort(key=_KEYS[order])
    return rows


def counts(rows: Sequence[Row]) -> Counter[str]:
    """How many jobs are in each state."""
    return Counter(row.status for row in rows)


def elapsed_s(view: JobView, now: datetime) -> float:
    """How long a job has run or, before that, has waited [s]; at least 0, also if the clocks of two machines differ."""
    end = view.end_execution_time or view.cancellation_time if view.status.is_final else None
    return max(0.0, ((end or now) - (view.begin_execution_time or view.creation_time)).total_seconds())


def _by_state(row: Row) -> tuple[int, float, str]:
    """Running jobs first, then those that wait, the oldest first; then those that ended, the latest first."""
    view = row.view
    if view.status.is_final:
        return 2, -(view.end_execution_time or view.cancellation_time or view.creation_time).timestamp(), view.id
    is_waiting = view.status == JobStatus.WAITING
    began = view.creation_time if is_waiting else view.begin_execution_time or view.creation_time
    return int(is_waiting), began.timestamp(), view.id


_KEYS: Mapping[Order, Callable[[Row], Any]] = {
    Order.NEWEST: lambda row: -row.view.creation_time.timestamp(),
    Order.NAME: lambda row: row.view.name.casefold(),
    Order.ELAPSED: lambda row: -row.elapsed_s,
    Order.PROGRESS: lambda row: -row.fraction,
}
