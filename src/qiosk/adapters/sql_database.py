"""A database, SQLite or PostgreSQL, as all stores use it: connections, transactions, and what went wrong in our words.

Writers in SQLite begin IMMEDIATE. A transaction that reads first and writes later would otherwise fail at once,
whatever the busy time-out, if another process wrote in between.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, final

import sqlalchemy as sa
from sqlalchemy import exc

from qiosk.errors import Conflict, InvalidValue, QioskError, ServiceUnavailable, StorageFull

BUSY_S = 30.0
"""How long a writer of SQLite waits for the others."""
CONNECT_S = 5
"""How long a connection to PostgreSQL may take to come about."""
PING_S = 1.0
"""A pooled connection that was idle for longer is tried before it is used."""

_SCHEMES = {"postgres", "postgresql", "postgresql+psycopg"}
_POSTGRES_ARGUMENTS = {
    "connect_timeout": CONNECT_S,
    "application_name": "qiosk",
    # a host that vanished is noticed within half a minute, not after hours
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
_DISK_FULL = "53100"  # PostgreSQL's SQLSTATE


def parse_url(text: str, *, default: Path) -> sa.URL:
    """The database that a setting names; ``default`` is the SQLite file if it is empty. Raises InvalidValue."""
    if not text:
        return sa.URL.create("sqlite", database=str(default))
    try:
        url = sa.make_url(text)
    except (exc.ArgumentError, ValueError) as error:
        raise InvalidValue("database: must be a URL, such as postgresql://user@host/name") from error
    if url.drivername in _SCHEMES:
        return url.set(drivername="postgresql+psycopg")
    if url.drivername == "sqlite" and url.database and Path(url.database).is_absolute():
        return url
    shown = url.render_as_string(hide_password=True)
    raise InvalidValue(f"database: must be postgresql://… or sqlite:////ABSOLUTE/PATH, found {shown!r}")


@final
class Database:
    """One database. May be used by several threads at once, and shared by several stores and processes.

    ``read`` and ``write`` raise ServiceUnavailable if the database cannot be reached, or the connection is lost on
    the way: whether a transaction that was about to commit did so is then unknown. They raise StorageFull if there is
    no room, and nothing was stored.
    """

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._engine = _sqlite_engine(url) if self.is_sqlite else _postgres_engine(url)
        reading: dict[str, Any] = {"qiosk_read_only": True} if self.is_sqlite else {"isolation_level": "AUTOCOMMIT"}
        self._reader = self._engine.execution_options(**reading)
        self._single = self._engine if self.is_sqlite else self._reader
        self._watch_lock = threading.Lock()
        self._watch: sa.Connection | None = None

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for SELECT. SQLite's statements see one state, each one of PostgreSQL its own."""
        with _in_our_words(), self._reader.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction, which commits at the end unless an error leaves the block."""
        with _in_our_words(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def write_once(self) -> Iterator[sa.Connection]:
        """As ``write``, for a single statement: it needs no transaction of its own to be atomic."""
        with _in_our_words(), self._single.begin() as connection:
            yield connection

    def version(self) -> int:
        """A number that differs from the last one whenever anybody has committed a change since."""
        if not self.is_sqlite:
            # The transactions that one would see. Unlike LISTEN it cannot miss a change over a lost connection, needs
            # none for itself, and may be asked through a pooler.
            with self.read() as connection:
                return hash(connection.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar_one())
        with self._watch_lock, _in_our_words():
            # SQLite's own counter, which changes when another connection commits; all writes use other ones.
            if self._watch is None:
                self._watch = self._engine.connect().execution_options(isolation_level="AUTOCOMMIT")
            return int(self._watch.connection.cursor().execute("PRAGMA data_version").fetchone()[0])

    def close(self) -> None:
        """Release connections; a later call opens new ones."""
        with self._watch_lock:
            if self._watch is not None:
                self._watch.close()
                self._watch = None
        self._engine.dispose()


def _sqlite_engine(url: sa.URL) -> sa.Engine:
    engine = sa.create_engine(url, connect_args={"timeout": BUSY_S, "isolation_level": None}, pool_size=8)
    sa.event.listen(engine, "connect", _set_pragmas)
    sa.event.listen(engine, "begin", _begin)
    return engine


def _set_pragmas(connection: Any, _record: object) -> None:
    # NORMAL: a commit survives the death of every process; only a power cut can take the last ones.
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON"):
        connection.execute(f"PRAGMA {pragma}")
    deadline = time.monotonic() + BUSY_S
    while not _logs_ahead(connection):
        if time.monotonic() > deadline:
            raise Conflict("database: the file system does not allow write-ahead logging")
        time.sleep(0.01)


def _logs_ahead(connection: Any) -> bool:
    """Turn write-ahead logging on, if nobody else is about to: SQLite does not wait for others here."""
    try:
        return bool(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        return False


def _begin(connection: sa.Connection) -> None:
    is_reader = connection.get_execution_options().get("qiosk_read_only", False)
    connection.exec_driver_sql("BEGIN DEFERRED" if is_reader else "BEGIN IMMEDIATE")


def _postgres_engine(url: sa.URL) -> sa.Engine:
    try:
        engine = sa.create_engine(
            url, connect_args=_POSTGRES_ARGUMENTS, pool_size=8, max_overflow=8, pool_timeout=BUSY_S
        )
    except ImportError as error:
        raise InvalidValue("database: PostgreSQL needs its driver: pip install 'qiosk[postgres]'") from error
    sa.event.listen(engine, "checkin", _note_time)
    sa.event.listen(engine, "checkout", _ping_if_idle)
    return engine


def _note_time(_connection: object, record: Any) -> None:
    record.info["used_at"] = time.monotonic()


def _ping_if_idle(connection: Any, record: Any, _proxy: object) -> None:
    """Let the pool replace a connection that was lost while nobody used it."""
    if time.monotonic() - record.info.get("used_at", float("inf")) < PING_S:
        return
    was_autocommit = connection.autocommit
    try:
        connection.autocommit = True
        connection.execute("")
        connection.autocommit = was_autocommit
    except Exception as error:
        raise exc.DisconnectionError from error


@contextmanager
def _in_our_words() -> Iterator[None]:
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.InternalError) as error:
        raise _translated(error) from error
    except exc.TimeoutError as error:
        raise ServiceUnavailable("database: all connections are in use") from error
    except exc.DBAPIError as error:
        if error.connection_invalidated:
            raise _translated(error) from error
        raise


def _translated(error: exc.DBAPIError) -> QioskError:
    reason = str(error.orig).strip().partition("\n")[0]
    if getattr(error.orig, "sqlstate", None) == _DISK_FULL or "disk is full" in reason:
        return StorageFull(f"database: {reason}")
    return ServiceUnavailable(f"database: {reason}")
