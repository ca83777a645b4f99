"""What a workspace may use and has used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qiosk.contract.quotas import UNLIMITED, Dimension, QuotaView
from qiosk.dashboard import units
from qiosk.dashboard.visits import Visit, visited

NAMES: Final[Mapping[str, str]] = {
    Dimension.JOB_HOURS: "Running time of the jobs that ended this month",
    Dimension.CONCURRENT_JOBS: "Jobs that run at the same time",
    Dimension.QUEUED_JOBS: "Waiting jobs",
    Dimension.STORED_BYTES: "Stored data",
    Dimension.RUN_SECONDS: "Longest run of a job",
    Dimension.OPEN_SESSIONS: "Open sessions",
}
"""What each quota limits."""


@dataclass(frozen=True, slots=True)
class QuotaRow:
    """A quota as it is shown. ``fraction`` is the used part of the limit; None without a limit, or without a use."""

    dimension: str
    name: str
    used: str
    limit: str
    fraction: float | None


def quota_row(quota: QuotaView) -> QuotaRow:
    """A quota in words and units."""
    used = quota.utilization + quota.holds
    has_limit, is_used = quota.limit < UNLIMITED, quota.dimension != Dimension.RUN_SECONDS
    return QuotaRow(
        quota.dimension,
        NAMES.get(quota.dimension, quota.dimension),
        in_units(quota.dimension, used) if is_used else "–",
        in_units(quota.dimension, quota.limit) if has_limit else "unlimited",
        min(1.0, used / quota.limit) if has_limit and is_used and quota.limit > 0 else None,
    )


def in_units(dimension: str, value: float) -> str:
    """A quota's number with its unit."""
    match dimension:
        case Dimension.JOB_HOURS:
            return units.seconds(3600 * value)
        case Dimension.RUN_SECONDS:
            return units.seconds(value)
        case Dimension.STORED_BYTES:
            return units.size(value)
    return units.number(value)


@visited
async def show_quotas(visit: Visit) -> Response:
    """The quotas."""
    found = await run_in_threadpool(visit.access.jobs.quotas)
    return visit.page("quotas.html", rows=[quota_row(quota) for quota in found])


routes: Final[list[BaseRoute]] = [Route("/quotas", show_quotas)]
