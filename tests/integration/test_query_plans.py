"""What databases make of statements whose cost must not grow with the number of jobs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

import databases
from qiosk.adapters.sql_database import Database
from qiosk.adapters.sql_jobs import SqlJobStore
from qiosk.adapters.sql_schema import open_sqlite_database
from qiosk.service.jobs import JobKey


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request, tmp_path):
    if request.param == "sqlite":
        opened = open_sqlite_database(tmp_path / "jobs.db")
    else:
        opened = request.getfixturevalue("postgres")
        databases.empty(opened)
    yield opened
    opened.close()


def plans(database: Database, act: Callable[[], object]) -> list[str]:
    """The plan of every statement that ``act`` reads by, where a whole table is looked through only if it has to be."""
    statements: list[tuple[str, Any]] = []

    def note(_connection, _cursor, statement, parameters, _context, _many) -> None:
        statements.append((statement, parameters))

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    try:
        act()
    finally:
        sa.event.remove(sa.Engine, "before_cursor_execute", note)
    with database.write() as connection:
        word = "EXPLAIN QUERY PLAN" if database.is_sqlite else "EXPLAIN"
        if not database.is_sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
            connection.exec_driver_sql("SET LOCAL enable_bitmapscan = off")
        return [
            "\n".join(str(row[-1]) for row in connection.exec_driver_sql(f"{word} {statement}", parameters))
            for statement, parameters in statements
        ]


@pytest.mark.parametrize("place", [("shared",), ("shared", "inputData")])
def test_who_needs_a_container_is_found_by_indexes(database, place):
    store = SqlJobStore(database)
    (plan,) = plans(database, lambda: store.is_needed(JobKey("w", "a"), *place))
    assert "jobs_by_input" in plan
    assert "jobs_by_container" in plan or len(place) == 2
    assert "SCAN jobs" not in plan
    assert "Seq Scan" not in plan
