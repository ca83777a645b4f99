"""Whether the file of a SQLite database is still the one that the connections have open.

A file that was removed can still be written to, and everything written is lost. So its identity is compared before each
transaction. If another file is there, or none although the folder exists, the database was made again.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import final

from qiosk.adapters.denied import explained
from qiosk.errors import ServiceUnavailable
from qiosk.forks import PerProcess


@final
class SqliteFile:
    """The file of a database, compared once ``follow`` was called."""

    def __init__(self, path: str) -> None:
        self._path = Path(path)
        self._open_again: Callable[[], None] | None = None
        self._is_opening = False
        self._identity: tuple[int, int] | None = None
        self._lock = PerProcess(threading.RLock)

    def follow(self, open_again: Callable[[], None]) -> None:
        """Compare with the file of now; ``open_again`` leaves its connections and makes the tables of a new one."""
        self._identity = self._look()
        self._open_again = open_again

    def check(self) -> None:
        """Open the new file if there is one. Raises ServiceUnavailable if the folder was removed."""
        if self._open_again is None or self._look() == self._identity:
            return
        with self._lock.get():
            if self._is_opening or self._look() == self._identity:  # it is this thread that opens it
                return
            if not self._path.parent.is_dir():
                raise ServiceUnavailable(f"database: {self._path} was removed")
            self._is_opening = True
            try:
                self._open_again()
                self._identity = self._look()
            finally:
                self._is_opening = False

    def _look(self) -> tuple[int, int] | None:
        try:
            with explained(self._path):
                found = os.stat(self._path)
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino
