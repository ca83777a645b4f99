"""The clock of a database server, which all hosts that share the database go by.

Their own clocks may differ. A host that is ahead would end the sessions of others, or remove their data, too early. So
a host asks the server for the time now and then, and counts on from there by its own monotonic clock.
"""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import final

from qiosk.adapters.sql.databases.database import Database
from qiosk.errors import ServiceUnavailable
from qiosk.service.ports import Clock

MEASURE_S = 60.0
"""How long this host counts on by itself."""

log = logging.getLogger(__name__)


@final
class DatabaseClock:
    """``Clock`` by a PostgreSQL server's time; by the host's ``clock`` if the server has not answered yet."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._measured: tuple[datetime, float] | None = None
        self._measure_at = float("-inf")

    def now(self) -> datetime:
        """Aware UTC time of the server."""
        if self._clock.monotonic() >= self._measure_at:
            self._measure()
        if self._measured is None:
            return self._clock.now()
        at, monotonic = self._measured
        return at + timedelta(seconds=self._clock.monotonic() - monotonic)

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return self._clock.monotonic()

    def sleep(self, seconds: float) -> None:
        """Return after ``seconds``."""
        self._clock.sleep(seconds)

    def _measure(self) -> None:
        self._measure_at = self._clock.monotonic() + MEASURE_S  # other threads go by the last answer meanwhile
        try:
            with self._database.read() as connection:
                asked = self._clock.monotonic()
                at = connection.exec_driver_sql("SELECT clock_timestamp()").scalar_one()
                self._measured = at.astimezone(UTC), (asked + self._clock.monotonic()) / 2
        except ServiceUnavailable as error:
            log.info("the time of the database is unknown: %s", error)
