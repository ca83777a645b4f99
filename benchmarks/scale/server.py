"""How much processor time a local PostgreSQL server uses."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import psutil

from qiosk.adapters.sql.databases.database import Database


class ServerTime:
    """Processor seconds of the server's processes. Raises SystemExit unless the server is on this machine."""

    def __init__(self, database: Database) -> None:
        self._postmaster: psutil.Process | None = None
        if database.is_sqlite:
            return
        with database.read() as tx:
            backend = int(tx.exec_driver_sql("SELECT pg_backend_pid()").scalar_one())
        with suppress(psutil.NoSuchProcess):
            process = psutil.Process(backend)
            self._postmaster = process.parent() if "postgres" in process.name() else None
        if self._postmaster is None:
            raise SystemExit("--database: must be a server of this machine, whose processor time can be read")

    def seconds(self) -> float:
        """Of those that live now, so far; 0 for SQLite, which works in its caller.

        A difference is right while no connection is closed.
        """
        if self._postmaster is None:
            return 0.0
        return sum(processor_seconds(process.pid) for process in [self._postmaster, *self._postmaster.children()])


def processor_seconds(pid: int) -> float:
    """Of one process, so far, to the nanosecond; 0 if it has ended."""
    try:
        return sum(
            1e-9 * int((task / "schedstat").read_text().split()[0]) for task in Path(f"/proc/{pid}/task").iterdir()
        )
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
