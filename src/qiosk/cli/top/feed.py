"""Reads the jobs of a workspace for the live table, again and again, and each time little.

A reading asks for the jobs that run, for those that wait, and for those that ended although they were never seen to
run. A job that is in none of these, but was before, is asked for by its id. The trace of a job is read only if the
table shows it, and only from where it was read to, when the best cost has changed.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Final

from qiosk.cli.top.rows import FINAL, Snapshot
from qiosk.contract.api import JobsApi
from qiosk.contract.jobs import JobQuery, JobStatus, JobView, TracePoint
from qiosk.contract.logs import LogLine
from qiosk.errors import JobNotFound

MOST_ACTIVE: Final = 500
"""Most jobs that run, and most that wait, in the table."""
MOST_ENDED: Final = 100
"""Most jobs that have ended in the table: the latest."""
RECENT: Final = 50
"""Jobs that had ended before the first reading, if they are wanted."""
MOST_ASKED: Final = 50
"""Most jobs that one reading asks for by their ids."""
MOST_POINTS: Final = 512
"""Most points of a trace that are kept."""
MOST_LINES: Final = 200
"""Most lines of a log that are kept."""


class Feed:
    """The jobs of a workspace; used by one thread at a time. ``has_recent``: also those that ended lately."""

    def __init__(self, api: JobsApi, *, has_recent: bool = False) -> None:
        self._api = api
        self._has_recent = has_recent
        self._views: dict[str, JobView] = {}
        self._traces: dict[str, _Trace] = {}
        self._newest: datetime | None = None
        self._ignored: set[str] | None = None  # ended before, and as new as the newest job at the first reading
        self._log: list[LogLine] = []
        self._log_of: str | None = None

    def read(self, shown: Collection[str] = (), opened: str | None = None) -> Snapshot:
        """The jobs now, with the traces of those that are ``shown``, and with the log of the one that is ``opened``.

        Raises what the jobs interface raises; then nothing of what is known is lost.
        """
        if self._ignored is None:
            self._begin()
        waiting, has_more = self._active(JobStatus.WAITING)
        running, has_more_running = self._active(JobStatus.EXECUTING)
        active = {view.id: view for view in (*waiting, *running)}
        ended = {view.id: view for view in (*self._gone(active), *self._unseen(active))}
        kept = {job_id: view for job_id, view in self._views.items() if job_id not in active}
        self._views = _latest({**active, **kept, **ended})
        self._newest = max((view.creation_time for view in self._views.values()), default=self._newest)
        self._traces = {job_id: trace for job_id, trace in self._traces.items() if job_id in self._views}
        for job_id in {*shown, *([opened] if opened else [])} & self._views.keys():
            self._read_trace(self._views[job_id])
        self._read_log(opened)
        traces = {job_id: tuple(trace.points) for job_id, trace in self._traces.items()}
        return Snapshot(
            tuple(self._views.values()), traces, has_more or has_more_running, tuple(self._log), self._log_of
        )

    def cancel(self, job_id: str) -> JobView:
        """Cancel a job. Raises JobNotFound."""
        return self._api.cancel(job_id)

    def _begin(self) -> None:
        recent = self._api.page(JobQuery(statuses=FINAL), top=RECENT).items if self._has_recent else ()
        self._views = {view.id: view for view in recent}
        newest = self._api.page(JobQuery(), top=1).items
        self._newest = newest[0].creation_time if newest else None
        self._ignored = {view.id for view in newest if view.status.is_final}

    def _active(self, status: JobStatus) -> tuple[list[JobView], bool]:
        """The oldest jobs of a state, and whether there are more."""
        query = JobQuery(statuses=[status], descending=False)
        page = self._api.page(query, top=MOST_ACTIVE)
        found = list(page.items)
        while page.next is not None and len(found) < MOST_ACTIVE:
            page = self._api.page(query, top=MOST_ACTIVE - len(found), token=page.next)
            found += page.items
        return found, page.next is not None

    def _gone(self, active: Collection[str]) -> list[JobView]:
        """Jobs that ran or waited before and are not ``active``, as they are now; deleted ones are dropped."""
        found = []
        gone = [view.id for view in self._views.values() if not view.status.is_final and view.id not in active]
        for job_id in gone[:MOST_ASKED]:
            try:
                found.append(self._api.get(job_id))
            except JobNotFound:
                del self._views[job_id]
        return found

    def _unseen(self, active: Collection[str]) -> list[JobView]:
        """Jobs that ended and are newer than all that are known."""
        page = self._api.page(JobQuery(statuses=FINAL, created_after=self._newest), top=RECENT)
        known = {*active, *self._views, *(self._ignored or ())}
        return [view for view in page.items if view.id not in known]

    def _read_trace(self, view: JobView) -> None:
        trace = self._traces.get(view.id)
        if trace is None or trace.attempts != view.attempts:  # a further attempt may replace the end of the trace
            trace = self._traces[view.id] = _Trace(view.attempts)
        if view.progress.best_cost == trace.best_cost:
            return
        try:
            trace.add(self._api.trace(view.id, trace.size))
        except JobNotFound:
            return  # deleted: the next reading shows it
        trace.best_cost = view.progress.best_cost

    def _read_log(self, opened: str | None) -> None:
        if opened != self._log_of:
            self._log, self._log_of = [], opened
        if opened is None:
            return
        try:
            self._log += self._api.log(opened, self._log[-1].position if self._log else 0)
        except JobNotFound:
            return
        del self._log[:-MOST_LINES]


class _Trace:
    """What was read of a job's trace: ``size`` points, of which some are kept."""

    def __init__(self, attempts: int) -> None:
        self.attempts = attempts
        self.best_cost: float | None = None
        self.size = 0
        self.points: list[TracePoint] = []

    def add(self, points: Sequence[TracePoint]) -> None:
        """Add the points that follow; of too many every second one goes, but not the first and the last."""
        self.size += len(points)
        self.points += points
        while len(self.points) > MOST_POINTS:
            self.points = [*self.points[:-1:2], self.points[-1]]


def _latest(views: dict[str, JobView]) -> dict[str, JobView]:
    """Without the oldest of more than ``MOST_ENDED`` jobs that have ended."""
    ended = [view for view in views.values() if view.status.is_final]
    ended.sort(key=lambda view: view.end_execution_time or view.creation_time)
    for view in ended[: max(0, len(ended) - MOST_ENDED)]:
        del views[view.id]
    return views
