"""A database, SQLite or PostgreSQL, as all stores use it: connections, transactions, and errors as Qiosk's.

SQLite has one writer at a time, and its waiting writers sleep longer and longer, up to a tenth of a second. Here the
threads of a process wait for each other at a lock, so that few wait in SQLite, and those try again every other
millisecond. Writers begin IMMEDIATE: a transaction that reads first and writes later would otherwise fail at once if
another process wrote in between. SQLite's write-ahead log is copied into the database file, which takes as long as the
disk needs, by ``checkpoint`` and not by a transaction that happens to commit.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, final

import sqlalchemy as sa
from sqlalchemy import exc

from qiosk.adapters import private
from qiosk.adapters.denied import denied, is_denied
from qiosk.adapters.sql.databases.fork_gate import gate
from qiosk.adapters.sql.databases.readable import decode_text
from qiosk.adapters.sql.databases.sqlite_file import SqliteFile
from qiosk.errors import Conflict, InvalidValue, QioskError, ServiceUnavailable, StorageFull, extra
from qiosk.forks import PerProcess

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)

log = logging.getLogger(__name__)

BUSY_S = 30.0
"""How long a writer of SQLite waits for the others."""
SQLITE_WAIT_S = 0.002
"""How long SQLite itself lets a writer wait: it then sleeps for 1 ms between its tries."""
RESTART_S = 0.2
"""How long writers of SQLite may have to wait while a log that became long is restarted."""
LOG_PAGES = 16_384
"""Size of SQLite's log at which a commit copies it after all: 64 MiB."""
CONNECT_S = 5
"""How long it may take to connect to PostgreSQL."""
STILL_S = 10.0
"""A transaction in PostgreSQL whose host sends no statement for so long is rolled back; a third of a lease."""
PING_S = 1.0
"""A pooled connection that was idle for longer is tested before it is used."""

T = TypeVar("T")

_SCHEMES = {"postgres", "postgresql", "postgresql+psycopg"}
_POSTGRES_ARGUMENTS = {
    "connect_timeout": CONNECT_S,
    "application_name": "qiosk",
    # a lost host is noticed within half a minute instead of hours
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_PROTOCOL)
_PAUSE_S = 0.01
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
    """One database. May be used by several threads at once, and shared by several stores and processes. A forked
    child has connections of its own.

    ``read`` and ``write`` raise ServiceUnavailable if the database cannot be reached, or the connection is lost: it
    is then unknown whether a transaction that was about to commit did so. They raise StorageFull if there is no room,
    and nothing was stored. Errors do not contain the parameters of statements, which are users' data. The
    constructor raises MissingExtra without PostgreSQL's driver.
    """

    def __init__(self, url: sa.URL) -> None:
        self.url = url
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._damage: str | None = None
        if self.is_sqlite:
            private.make_database(Path(url.database or ""))
        self._process = PerProcess(partial(_Connections, url, is_sqlite=self.is_sqlite))
        self._process.get()
        self._file = SqliteFile(url.database or "")
        if self.is_sqlite:
            gate.add(self)

    def __str__(self) -> str:
        return self.url.render_as_string(hide_password=True)

    @contextmanager
    def read(self) -> Iterator[sa.Connection]:
        """A connection for SELECT. Each statement sees the state at its own time."""
        self._file.check()
        with self._watched(), self._use() as connections, connections.reader.begin() as connection:
            yield connection

    @contextmanager
    def write(self) -> Iterator[sa.Connection]:
        """A transaction, which commits at the end unless an error leaves the block."""
        self._file.check()
        with self._watched(), self._use() as mine, self._one_writer(mine), mine.engine.begin() as connection:
            yield connection

    @contextmanager
    def write_once(self) -> Iterator[sa.Connection]:
        """As ``write``, for a single statement: it needs no transaction of its own to be atomic."""
        self._file.check()
        with self._watched(), self._use() as mine, self._one_writer(mine), mine.single.begin() as connection:
            yield connection

    def check(self) -> None:
        """Raise ServiceUnavailable if a page was found to be damaged: other pages may still be read."""
        if self._damage is not None:
            raise ServiceUnavailable(self._damage)

    def note_damage(self, where: str) -> str:
        """Let ``check`` raise from now on; returns its message."""
        self._damage = f"database: is damaged: {where}"
        log.error(self._damage)
        return self._damage

    @contextmanager
    def _watched(self) -> Iterator[None]:
        """Translate errors, and remember that the database is damaged."""
        try:
            with _translating_errors():
                yield
        except _DamagedError as error:
            self._damage = error.message
            raise ServiceUnavailable(error.message) from error
        except ServiceUnavailable as error:
            if (file := self._denied_file()) is not None:
                raise denied(file) from error
            raise

    def _denied_file(self) -> Path | None:
        """A file of SQLite's that this process may not use; its messages do not name it."""
        if not self.is_sqlite:
            return None
        path = Path(self.url.database or "")
        files = [path.with_name(path.name + suffix) for suffix in ("", "-wal", "-shm")]
        return next((file for file in files if is_denied(file)), None)

    def version(self) -> int:
        """A number that differs from the last one whenever a change was committed since, by any process."""
        if not self.is_sqlite:
            # The transactions that a statement would see. Unlike LISTEN it cannot miss a change when a connection is
            # lost, needs no connection of its own, and works through a pooler.
            with self.read() as connection:
                return hash(connection.exec_driver_sql("SELECT pg_current_snapshot()::text").scalar_one())
        self._file.check()
        with self._watched(), self._use() as connections, connections.watch_lock:
            # SQLite's own counter, which changes when another connection commits; no write uses this one.
            if connections.watch is None:
                connections.watch = connections.reader.connect().execution_options(isolation_level="AUTOCOMMIT")
            cursor = connections.watch.connection.cursor()
            return int(_while_busy(lambda: cursor.execute("PRAGMA data_version").fetchone())[0])

    def follow_file(self, prepare: Callable[[Database], None]) -> None:
        """From now on, notice if SQLite's file is replaced or removed; ``prepare`` makes the tables of a new one."""

        def open_again() -> None:
            self._damage = None
            self.close()
            prepare(self)

        if self.is_sqlite:
            self._file.follow(open_again)

    def close(self) -> None:
        """Release connections; a later call opens new ones."""
        if (connections := self._process.made) is not None:
            with gate.inside() if self.is_sqlite else nullcontext():
                connections.close()

    def checkpoint(self) -> None:
        """Copy what was written from SQLite's log into its file, so that it survives a power cut and the log stays
        short. Writers do not wait for it, unless the log became long because it was never idle.
        """
        if not self.is_sqlite:
            return
        with self._watched(), self._use() as connections, connections.reader.connect() as connection:
            cursor = connection.connection.cursor()
            (_, pages, _) = _while_busy(lambda: cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone())
            if pages > LOG_PAGES // 2:
                cursor.execute(f"PRAGMA busy_timeout = {round(1e3 * RESTART_S)}")
                try:
                    cursor.execute("PRAGMA wal_checkpoint(RESTART)")
                finally:
                    cursor.execute(f"PRAGMA busy_timeout = {round(1e3 * BUSY_S)}")

    @contextmanager
    def _use(self) -> Iterator[_Connections]:
        """This process's connections; it does not fork meanwhile, if they are SQLite's."""
        with gate.inside() if self.is_sqlite else nullcontext():
            yield self._process.get()

    @contextmanager
    def _one_writer(self, connections: _Connections) -> Iterator[None]:
        """Wait until no other thread of this process writes, if there can be only one writer."""
        if not self.is_sqlite:
            yield
            return
        if not connections.turn.acquire(timeout=BUSY_S):
            raise ServiceUnavailable(f"database: another thread has been writing for {BUSY_S:g} s")
        try:
            yield
        finally:
            connections.turn.release()


@final
class _Connections:
    """A process's connections to a database: pools for transactions, single statements and reading.

    ``turn`` is held by SQLite's writer; ``watch`` is the connection that ``Database.version`` uses.
    """

    def __init__(self, url: sa.URL, *, is_sqlite: bool) -> None:
        if is_sqlite:
            self.engine = self.single = _sqlite_writer(url)
            self.reader = _sqlite_engine(url, busy_s=BUSY_S, pool_size=8)
        else:
            self.engine = _postgres_engine(url)
            self.single = self.reader = self.engine.execution_options(isolation_level="AUTOCOMMIT")
        self.turn = threading.Lock()
        self.watch_lock = threading.Lock()
        self.watch: sa.Connection | None = None

    def close(self) -> None:
        """Close connections that are not in use."""
        with self.watch_lock:
            if self.watch is not None:
                self.watch.close()
                self.watch = None
        self.engine.dispose()
        self.reader.dispose()


def _sqlite_engine(url: sa.URL, *, busy_s: float, **options: Any) -> sa.Engine:
    arguments = {"timeout": busy_s, "isolation_level": None}
    engine = sa.create_engine(url, connect_args=arguments, hide_parameters=True, **options)
    sa.event.listen(engine, "connect", _set_pragmas)
    return engine


def _sqlite_writer(url: sa.URL) -> sa.Engine:
    engine = _sqlite_engine(url, busy_s=SQLITE_WAIT_S, pool_size=1)
    sa.event.listen(engine, "begin", _begin_to_write)
    return engine


def _set_pragmas(connection: Any, _record: object) -> None:
    connection.text_factory = decode_text
    deadline = time.monotonic() + BUSY_S
    while not _while_busy(lambda: _is_configured(connection)):
        if time.monotonic() > deadline:
            raise Conflict("database: the file system does not allow write-ahead logging")
        time.sleep(_PAUSE_S)


def _is_configured(connection: Any) -> bool:
    """Set up a new connection; False if write-ahead logging cannot be turned on now."""
    # NORMAL: a commit survives the death of every process; only a power cut can take those since the last checkpoint.
    for pragma in ("synchronous = NORMAL", "foreign_keys = ON", f"wal_autocheckpoint = {LOG_PAGES}"):
        connection.execute(f"PRAGMA {pragma}")
    return bool(connection.execute("PRAGMA journal_mode = WAL").fetchone()[0] == "wal")


def _while_busy(action: Callable[[], T], *, pause_s: float = _PAUSE_S) -> T:
    """Call ``action`` until other processes let it, for at most ``BUSY_S``.

    SQLite itself does not wait while another process turns the log on, recovers it, or removes it as the last one
    that closes the file.
    """
    deadline = time.monotonic() + BUSY_S
    while True:
        try:
            return action()
        except sqlite3.Error as error:
            is_busy = getattr(error, "sqlite_errorcode", 0) & 0xFF in _BUSY
            if not is_busy or time.monotonic() >= deadline:
                raise
        time.sleep(pause_s)


def _begin_to_write(connection: sa.Connection) -> None:
    sqlite = connection.connection.driver_connection
    assert isinstance(sqlite, sqlite3.Connection)
    try:
        _while_busy(lambda: sqlite.execute("BEGIN IMMEDIATE"), pause_s=0.0)  # SQLite has waited
    except sqlite3.Error as error:
        raise exc.OperationalError("BEGIN IMMEDIATE", None, error) from error


def _postgres_engine(url: sa.URL) -> sa.Engine:
    with extra("postgres", "database: PostgreSQL"):  # the driver is imported here
        engine = sa.create_engine(
            url,
            connect_args=_POSTGRES_ARGUMENTS,
            pool_size=8,
            max_overflow=8,
            pool_timeout=BUSY_S,
            hide_parameters=True,
        )
    sa.event.listen(engine, "connect", _set_up)
    sa.event.listen(engine, "checkin", _note_time)
    sa.event.listen(engine, "checkout", _ping_if_idle)
    return engine


def keep_waiting(connection: sa.Connection) -> None:
    """Let the rest of a transaction pause for any time, such as one that reads a file between its statements."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql("SET LOCAL idle_in_transaction_session_timeout = 0")


def _session_settings() -> dict[str, object]:
    """What PostgreSQL is asked to do on every connection.

    The time-out and the keepalives roll back the transaction of a host that stands still or is gone. Its locks would
    hold up all others while it is frozen, and for two hours if it lost its power.
    """
    keepalives = {f"tcp_{name}": value for name, value in _POSTGRES_ARGUMENTS.items() if name.startswith("keepalives_")}
    return {
        # Statements here take a millisecond. PostgreSQL would compile a claim for a hundred where thousands of jobs
        # run, each time, because it takes their number for the number of queues.
        "jit": "off",
        "idle_in_transaction_session_timeout": round(1000 * STILL_S),
        **keepalives,
    }


def _set_up(connection: Any, _record: object) -> None:
    was_autocommit = connection.autocommit
    connection.autocommit = True
    connection.execute("; ".join(f"SET {name} = {value}" for name, value in _session_settings().items()))
    connection.autocommit = was_autocommit


def _note_time(_connection: object, record: Any) -> None:
    record.info["used_at"] = time.monotonic()


def _ping_if_idle(connection: Any, record: Any, _proxy: object) -> None:
    """Let the pool replace a connection that was lost while it was idle."""
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
def _translating_errors() -> Iterator[None]:
    try:
        yield
    except (exc.OperationalError, exc.InterfaceError, exc.InternalError) as error:
        raise _translated(error.orig) from error
    except sqlite3.OperationalError as error:  # of a statement that was sent without SQLAlchemy
        raise _translated(error) from error
    except exc.TimeoutError as error:
        raise ServiceUnavailable("database: all connections are in use") from error
    except exc.DBAPIError as error:
        if getattr(error.orig, "sqlite_errorcode", 0) & 0xFF in _DAMAGED:
            log.exception("the database is damaged")
            raise _DamagedError(f"database: {str(error.orig).strip()}") from error
        if error.connection_invalidated:
            raise _translated(error.orig) from error
        raise


@final
class _DamagedError(ServiceUnavailable):
    """The file of a SQLite database is damaged."""


def _translated(error: BaseException | None) -> QioskError:
    reason = str(error).strip().partition("\n")[0]
    if getattr(error, "sqlstate", None) == _DISK_FULL or "disk is full" in reason:
        return StorageFull(f"database: {reason}")
    return ServiceUnavailable(f"database: {reason}")
