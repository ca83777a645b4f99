"""Looks for damage in the file of a SQLite database, before a request meets it.

A database answers as long as the pages are intact that a statement reads. So a server reads all tables and their
indices when it starts, and rarely afterwards. That may take long for a large file: each examination ends after a while,
and the next one begins with another table. PostgreSQL checks its pages itself.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from typing import final

from sqlalchemy import exc

from qiosk.adapters.sql.databases.database import Database
from qiosk.errors import ServiceUnavailable

EXAMINE_S = 5.0
"""Longest time of one examination."""
_LEAST_S = 0.05  # an interruption before the statement has begun would have no effect

log = logging.getLogger(__name__)


@final
class Examination:
    """Examines a database again and again; ``Database.check`` raises if it has found damage."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._begins_with = 0

    def run(self, longest_s: float = EXAMINE_S) -> bool:
        """Read the tables; whether that was possible in the time given. Raises ServiceUnavailable if one is damaged."""
        deadline = time.monotonic() + longest_s
        tables = self._tables() if self._database.is_sqlite else []
        for table in tables:
            self._begins_with += 1
            if not self._is_read(table, deadline - time.monotonic()):
                log.info("the database is large: the examination ended in table %s", table)
                return False
        return True

    def _tables(self) -> list[str]:
        with self._database.read() as connection:
            names = connection.exec_driver_sql("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")
            found = list(names.scalars())
        first = self._begins_with % max(1, len(found))
        return found[first:] + found[:first]

    def _is_read(self, table: str, longest_s: float) -> bool:
        if longest_s < _LEAST_S:
            return False
        is_over = threading.Event()
        with self._database.read() as connection:
            sqlite = connection.connection.driver_connection
            assert isinstance(sqlite, sqlite3.Connection)

            def end() -> None:
                is_over.set()
                sqlite.interrupt()

            timer = threading.Timer(longest_s, end)
            timer.daemon = True
            timer.start()
            try:
                found = connection.exec_driver_sql(f'PRAGMA quick_check("{table}")').scalars().all()
            except exc.OperationalError:
                if not is_over.is_set():
                    raise
                return False
            finally:
                timer.cancel()
                timer.join()
        if found != ["ok"]:
            raise ServiceUnavailable(self._database.note_damage(f"table {table}: {' '.join(found[0].split())}"))
        return True
