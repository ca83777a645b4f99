"""Writers of one SQLite file take turns, and its log is copied by ``checkpoint``."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from qiosk.adapters.sql import database as sql_database
from qiosk.adapters.sql.database import Database, parse_url
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
            waiting.result(timeout=20)
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
            other.result(timeout=20)
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
