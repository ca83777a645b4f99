"""Writers of one SQLite file take turns, and its log is copied by ``checkpoint``."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa

from patience import HANG_S
from qiosk.adapters.sql.databases import database as sql_database
from qiosk.adapters.sql.databases.database import Database, parse_url
from qiosk.adapters.sql.quotas import SqlLimitStore
from qiosk.adapters.sql.schema import open_sqlite_database
from qiosk.errors import ServiceUnavailable


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def database(path: Path) -> Iterator[Database]:
    with closing(Database(parse_url("", default=path))) as database:
        with database.write() as connection:
            connection.exec_driver_sql("CREATE TABLE counts (id INTEGER PRIMARY KEY, n INTEGER)")
            connection.exec_driver_sql("INSERT INTO counts VALUES (1, 0)")
        yield database


def count(database: Database) -> int:
    with database.read() as connection:
        return connection.exec_driver_sql("SELECT n FROM counts").scalar_one()


def increment(database: Database) -> None:
    """A read and a write that lose counts unless nobody writes in between."""
    with database.write() as connection:
        n = connection.exec_driver_sql("SELECT n FROM counts").scalar_one()
        connection.exec_driver_sql("UPDATE counts SET n = ?", (n + 1,))


def test_many_writers_lose_nothing(path: Path, database: Database) -> None:
    with closing(Database(parse_url("", default=path))) as other, ThreadPoolExecutor(8) as pool:
        for _ in range(100):
            pool.submit(increment, database)
            pool.submit(increment, other)
    assert count(database) == 200


def test_who_waits_for_another_process_goes_on_when_it_is_done(path: Path, database: Database) -> None:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("BEGIN IMMEDIATE")
        with ThreadPoolExecutor(1) as pool:
            waiting = pool.submit(increment, database)
            assert count(database) == 0  # readers wait for nobody
            assert not waiting.done()
            other.execute("COMMIT")
            waiting.result(timeout=HANG_S)
    assert count(database) == 1


def test_who_waits_too_long_is_told(path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_database, "BUSY_S", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ServiceUnavailable, match="database is locked"):
            increment(database)
        other.execute("COMMIT")
    increment(database)
    assert count(database) == 1


def test_a_thread_that_does_not_stop_writing_is_named(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_database, "BUSY_S", 0.05)
    with ThreadPoolExecutor(1) as pool, database.write():
        other = pool.submit(increment, database)
        with pytest.raises(ServiceUnavailable, match="another thread has been writing"):
            other.result(timeout=HANG_S)
    increment(database)
    assert count(database) == 1


def test_a_write_that_fails_leaves_the_turn_to_others(database: Database) -> None:
    def fail() -> None:
        with database.write() as connection:
            connection.exec_driver_sql("UPDATE counts SET n = 7")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    increment(database)
    assert count(database) == 1


def without_its_log(path: Path, copy: Path) -> int:
    """What is in the file itself."""
    shutil.copyfile(path, copy)
    with closing(sqlite3.connect(copy)) as connection:
        return connection.execute("SELECT n FROM counts").fetchone()[0]


def test_a_checkpoint_puts_everything_into_the_file(path: Path, database: Database, tmp_path: Path) -> None:
    database.checkpoint()
    increment(database)
    assert without_its_log(path, tmp_path / "before.db") == 0
    database.checkpoint()
    assert without_its_log(path, tmp_path / "after.db") == 1


def test_a_log_that_became_long_begins_anew(path: Path, database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql_database, "LOG_PAGES", 8)
    log = path.with_name(f"{path.name}-wal")
    for _ in range(20):
        increment(database)
    database.checkpoint()
    size = log.stat().st_size
    for _ in range(10):
        increment(database)
    assert log.stat().st_size == size  # written from its beginning again
    database.checkpoint()
    assert count(database) == 30


@contextmanager
def locked(path: Path) -> Iterator[sqlite3.Connection]:
    """The exclusive lock of a process that makes, recovers or removes the log, so that no other process can read."""
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as other:
        other.execute("PRAGMA journal_mode = DELETE")
        other.execute("BEGIN EXCLUSIVE")
        yield other


@pytest.fixture
def attempts(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """Set when a connection had to try again."""
    event = threading.Event()

    def sleep(seconds: float) -> None:
        event.set()
        os.sched_yield()

    monkeypatch.setattr(sql_database, "time", SimpleNamespace(sleep=sleep, monotonic=time.monotonic))
    return event


def at_once(make: Callable[..., sa.Engine], url: sa.URL, *, busy_s: float, **options: object) -> sa.Engine:
    """An engine whose SQLite does not wait, as it does not for some locks."""
    return make(url, busy_s=0.0, **options)


@pytest.mark.parametrize("use", [count, increment, Database.version, Database.checkpoint])
def test_a_new_connection_waits_for_an_exclusive_lock(use, path, database, attempts, monkeypatch) -> None:
    database.close()
    monkeypatch.setattr(sql_database, "_sqlite_engine", partial(at_once, sql_database._sqlite_engine))
    with closing(Database(database.url)) as other, locked(path) as holder, ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(use, other)
        assert attempts.wait(HANG_S)
        assert not waiting.done()
        holder.execute("COMMIT")
        waiting.result(timeout=HANG_S)


def test_a_new_connection_does_not_wait_for_ever(path, database, monkeypatch) -> None:
    monkeypatch.setattr(sql_database, "BUSY_S", 0.05)
    database.close()
    with closing(Database(database.url)) as other, locked(path):
        for use in (count, increment, Database.version, Database.checkpoint):
            with pytest.raises(ServiceUnavailable, match="database is locked"):
                use(other)


def test_many_short_lived_processes_open_and_close_a_file(tmp_path) -> None:
    path, program = tmp_path / "a.db", tmp_path / "program.py"
    program.write_text(OPEN_AND_CLOSE)
    command = [sys.executable, str(program), str(path)]
    processes = [subprocess.Popen(command, stderr=subprocess.PIPE, text=True) for _ in range(6)]
    errors = [process.communicate()[1] for process in processes]
    assert errors == [""] * 6
    with closing(open_sqlite_database(path)) as database:
        assert len(SqlLimitStore(database).all()) == 6 * 20


OPEN_AND_CLOSE = """
import os, sys
from pathlib import Path
from qiosk.adapters.sql.quotas import SqlLimitStore
from qiosk.adapters.sql.schema import open_sqlite_database
from qiosk.contract.quotas import Dimension

for number in range(20):
    database = open_sqlite_database(Path(sys.argv[1]))
    SqlLimitStore(database).set(f"{os.getpid()}-{number}", Dimension.QUEUED_JOBS, 1)
    database.version()
    database.checkpoint()
    database.close()
"""
