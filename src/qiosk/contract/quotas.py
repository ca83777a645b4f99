"""What a workspace may use, and has used."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

UNLIMITED = 1e15
"""The ``limit`` of a quota without one: JSON has no infinity."""


class Dimension(StrEnum):
    """What is counted, as written on the wire."""

    JOB_HOURS = "combined_job_hours"
    """Hours that jobs ran, of those that ended in this calendar month (UTC)."""
    CONCURRENT_JOBS = "concurrent_cpu_jobs"
    """Jobs that run at once; more of them wait."""
    QUEUED_JOBS = "queued_jobs"
    """Jobs that wait."""
    STORED_BYTES = "stored_bytes"
    """Size of all blobs."""


class QuotaView(Struct, rename="camel", frozen=True, kw_only=True):
    """One quota of a workspace.

    ``utilization`` and ``limit`` are in the dimension's unit; ``holds`` is what running jobs have used and will be
    booked when they end. ``scope`` is always ``Workspace``; ``period`` is ``Monthly`` or ``None``.
    """

    dimension: str
    scope: str
    provider_id: str
    utilization: float
    holds: float
    limit: float
    period: str
