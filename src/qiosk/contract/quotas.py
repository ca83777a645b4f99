"""What a workspace may use and has used."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

UNLIMITED = 1e15
"""The ``limit`` of a quota that has none: JSON has no infinity."""


class Dimension(StrEnum):
    """What a quota counts, as in replies."""

    JOB_HOURS = "combined_job_hours"
    """Running time in hours of the jobs that ended in this calendar month (UTC)."""
    CONCURRENT_JOBS = "concurrent_cpu_jobs"
    """Jobs that run at the same time; others wait."""
    QUEUED_JOBS = "queued_jobs"
    """Waiting jobs."""
    STORED_BYTES = "stored_bytes"
    """Size of all blobs."""
    RUN_SECONDS = "run_seconds"
    """Longest time in seconds that one job may run; then it ends with the best that it has found."""
    OPEN_SESSIONS = "open_sessions"
    """Sessions that have not ended."""


class QuotaView(Struct, rename="camel", frozen=True, kw_only=True):
    """One quota of a workspace.

    ``utilization`` and ``limit`` are in the dimension's unit; ``holds`` is what running jobs have used so far, which is
    added to ``utilization`` when they end. ``scope`` is always ``Workspace``; ``period`` is ``Monthly`` or ``None``.
    """

    dimension: str
    scope: str
    provider_id: str
    utilization: float
    holds: float
    limit: float
    period: str
