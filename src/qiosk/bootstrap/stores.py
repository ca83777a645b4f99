"""The stores of a home: one database and one storage, which several processes may share."""

from __future__ import annotations

import math
from typing import final

import sqlalchemy as sa

from qiosk.adapters.home.home import Home
from qiosk.adapters.sql.databases.clock import DatabaseClock
from qiosk.adapters.sql.databases.database import parse_url
from qiosk.adapters.sql.databases.examination import Examination
from qiosk.adapters.sql.jobs import SqlJobStore
from qiosk.adapters.sql.keys import SqlKeyStore
from qiosk.adapters.sql.quotas import SqlLimitStore
from qiosk.adapters.sql.schema import open_database
from qiosk.adapters.sql.sessions import SqlSessionStore
from qiosk.adapters.sql.sharing import SqlLinkSecrets, SqlWatchers
from qiosk.adapters.sql.statistics import SqlStatistics
from qiosk.bootstrap.storage import open_storage, storage_url
from qiosk.machine import SystemClock
from qiosk.service.accounts.quotas import QuotaService, default_limits
from qiosk.service.blobs.locations import BlobLocations
from qiosk.service.ports import Clock
from qiosk.settings import Settings

STORAGE_S = 5.0
"""For how long a storage that has responded is taken to respond."""


def database_url(home: Home, settings: Settings) -> sa.URL:
    """The database that the settings name, else a file of the home. Raises InvalidValue."""
    return parse_url(settings.database or "", default=home.database)


@final
class Stores:
    """All stores of a home, and what is computed from them alone.

    ``served`` gives blobs the URIs of a server. ``link_secrets`` and ``watchers``, of homes that share a database, are
    None in SQLite. Raises InvalidValue for settings that are wrong; Conflict or ServiceUnavailable for a database that
    cannot be used.
    """

    def __init__(self, home: Home, settings: Settings, served: BlobLocations | None = None) -> None:
        self.database = open_database(database_url(home, settings))
        self.jobs = SqlJobStore(self.database)
        self.sessions = SqlSessionStore(self.database)
        self.keys = SqlKeyStore(self.database)
        self.limits = SqlLimitStore(self.database)
        self.statistics = SqlStatistics(self.database)
        self.link_secrets = None if self.database.is_sqlite else SqlLinkSecrets(self.database)
        self.watchers = None if self.database.is_sqlite else SqlWatchers(self.database)
        self.storage = open_storage(storage_url(home, settings), served)
        host = SystemClock()
        self.clock: Clock = host if self.database.is_sqlite else DatabaseClock(self.database, host)
        self.quotas = QuotaService(
            jobs=self.jobs,
            sessions=self.sessions,
            limits=self.limits,
            defaults=default_limits(settings),
            clock=self.clock,
            stored_bytes=lambda workspace: self.storage.blobs(workspace).usage(),
        )

        self.examine = Examination(self.database).run
        self._storage_seen_at = -math.inf

    def check_database(self) -> None:
        """Raise if the database does not respond, or was found to be damaged."""
        self.database.check()
        self.jobs.waiting(1)

    def check_storage(self) -> None:
        """Raise if the storage does not respond. Asked once in ``STORAGE_S``, since some stores charge requests."""
        now = self.clock.monotonic()
        if now - self._storage_seen_at >= STORAGE_S:
            self.storage.blobs("").has_container("readiness")
            self._storage_seen_at = now

    def close(self) -> None:
        """Release connections; a later call opens new ones."""
        self.database.close()
