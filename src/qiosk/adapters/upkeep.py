"""Quotas and housekeeping over a database and a storage."""

from __future__ import annotations

from qiosk.adapters.clock import SystemClock
from qiosk.adapters.housekeeping import Housekeeping
from qiosk.adapters.sql_database import Database
from qiosk.adapters.sql_jobs import SqlJobStore
from qiosk.adapters.sql_quotas import SqlLimitStore
from qiosk.adapters.sql_sessions import SqlSessionStore
from qiosk.service.blobs import Storage
from qiosk.service.quotas import QuotaService, default_limits
from qiosk.settings import Settings


def open_quotas(database: Database, storage: Storage, settings: Settings) -> QuotaService:
    """The quotas of all workspaces."""
    return QuotaService(
        jobs=SqlJobStore(database),
        limits=SqlLimitStore(database),
        defaults=default_limits(settings),
        clock=SystemClock(),
        stored_bytes=lambda workspace: storage.blobs(workspace).usage(),
    )


def open_housekeeping(database: Database, storage: Storage, settings: Settings) -> Housekeeping:
    """What has to be looked after while somebody supervises."""
    return Housekeeping(
        jobs=SqlJobStore(database),
        sessions=SqlSessionStore(database),
        storage=storage,
        checkpoint=database.checkpoint,
        clock=SystemClock(),
        retention=settings.retention,
    )
