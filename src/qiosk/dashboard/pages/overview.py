"""The overview of a workspace: jobs by state, the queue, who runs what, what ended and what failed in the last day."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qiosk.bootstrap import ServerParts
from qiosk.contract.jobs import JobQuery, JobStatus, JobView
from qiosk.contract.quotas import Dimension, QuotaView
from qiosk.dashboard.bars import Bars, hourly_bars
from qiosk.dashboard.visits import Visit, visited
from qiosk.server.auth.access import Access
from qiosk.service.jobs.job import Job, JobState
from qiosk.service.jobs.statistics import EndedJobs

SPAN: Final = timedelta(days=1)
"""How far the overview looks back."""
MOST_FAILURES: Final = 20
"""Failed jobs that are shown."""
_PAGES_OF_FAILURES: Final = 10
_SHOWN_RUNNING: Final = 100


@dataclass(frozen=True, slots=True)
class TargetTotals:
    """What one target did in the last day. ``wait_s`` is the average of its jobs that ran; None if none did."""

    target: str
    jobs: int
    failed: int
    lost: int
    solver_s: float
    wait_s: float | None


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of an overview."""

    counts: Mapping[JobState, int]
    oldest_waiting_s: float
    ended: Sequence[EndedJobs]
    running: Sequence[Job]
    failures: Sequence[JobView]
    stored: QuotaView | None

    @property
    def targets(self) -> Sequence[TargetTotals]:
        """Totals by target, the one with most solver time first."""
        grouped: defaultdict[str, list[EndedJobs]] = defaultdict(list)
        for row in self.ended:
            grouped[row.target].append(row)
        return sorted((_total(*item) for item in grouped.items()), key=lambda total: (-total.solver_s, total.target))

    @property
    def ended_by_state(self) -> Mapping[JobState, int]:
        """How many jobs ended in each state."""
        found: Counter[JobState] = Counter()
        for row in self.ended:
            found[row.state] += row.jobs
        return found

    @property
    def wait_s(self) -> float | None:
        """How long jobs waited on average; None if none ran."""
        return _average_wait(self.ended)

    def bars(self, now: datetime) -> Bars:
        """The jobs that ended, hour by hour."""
        return hourly_bars(self.ended, now, SPAN)


def numbers_of(access: Access, now: datetime) -> Numbers:
    """The numbers of a caller's workspace. It reads the store."""
    parts: ServerParts = access.parts
    key = access.workspace
    quotas = {quota.dimension: quota for quota in access.jobs.quotas()}
    return Numbers(
        parts.statistics.counts(key),
        parts.statistics.oldest_waiting_s(key),
        parts.statistics.ended_by_hour(key, SPAN),
        sorted((job for job in parts.running() if job.workspace == key), key=lambda job: job.created_at),
        _failures(access, now),
        quotas.get(Dimension.STORED_BYTES),
    )


def _failures(access: Access, now: datetime) -> list[JobView]:
    """Jobs that failed lately, of the last ones that were submitted within a week."""
    query = JobQuery(statuses=(JobStatus.FAILED,), created_after=now - 7 * SPAN)
    found: list[JobView] = []
    token: str | None = None
    for _ in range(_PAGES_OF_FAILURES):
        page = access.unsigned_jobs.page(query, top=MOST_FAILURES, token=token)
        found += [job for job in page.items if job.end_execution_time and job.end_execution_time >= now - SPAN]
        token = page.next
        if token is None or len(found) >= MOST_FAILURES:
            break
    return found[:MOST_FAILURES]


@visited
async def show_overview(visit: Visit) -> Response:
    """The overview."""
    now = visit.now
    numbers = await run_in_threadpool(numbers_of, visit.access, now)
    return visit.page(
        "overview.html",
        numbers=numbers,
        bars=numbers.bars(now),
        states=JobState,
        running=numbers.running[:_SHOWN_RUNNING],
    )


def _total(target: str, rows: Sequence[EndedJobs]) -> TargetTotals:
    return TargetTotals(
        target,
        sum(row.jobs for row in rows),
        sum(row.jobs for row in rows if row.state is JobState.FAILED),
        sum(row.lost for row in rows),
        sum(row.solver_s for row in rows),
        _average_wait(rows),
    )


def _average_wait(rows: Sequence[EndedJobs]) -> float | None:
    begun = sum(row.begun for row in rows)
    return sum(row.wait_s for row in rows) / begun if begun else None


routes: Final[list[BaseRoute]] = [Route("/overview", show_overview)]
