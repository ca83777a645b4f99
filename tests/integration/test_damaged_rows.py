"""Damaged values in a database: SQLite keeps any value in any column. One bad row never blocks a list, or a claim."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import sqlalchemy as sa

from qiosk.adapters.sql.jobs import SqlJobStore
from qiosk.adapters.sql.keys import SqlKeyStore, api_keys
from qiosk.adapters.sql.quotas import SqlLimitStore, workspace_limits
from qiosk.adapters.sql.schema import open_sqlite_database
from qiosk.adapters.sql.sessions import SqlSessionStore, sessions
from qiosk.adapters.sql.statistics import SqlStatistics
from qiosk.adapters.sql.tables import jobs
from qiosk.contract.codec import decode, encode
from qiosk.contract.items import ItemQuery
from qiosk.contract.jobs import JobQuery, JobView, SubmitJob, TracePoint
from qiosk.contract.paging import ItemOrder
from qiosk.contract.quotas import Dimension
from qiosk.contract.sessions import OpenSession, SessionView
from qiosk.service.accounts.keys import ApiKey
from qiosk.service.jobs.job import JobKey
from qiosk.service.jobs.job_service import JobService
from qiosk.service.jobs.runs import RunUpdate
from servers import MemoryParts

GOOD = ("one", "three")
BAD = "two"

VALUES = {
    "bytes": "x'fffe'",
    "no UTF-8": "CAST(x'66ff' AS TEXT)",
    "UTF-16": "CAST(x'd83d' AS TEXT)",
    "NUL": "CAST(x'610062' AS TEXT)",
    "missing": "NULL",
    "empty": "''",
    "text": "'no value'",
    "huge": "9223372036854775807",
    "negative": "-9223372036854775808",
    "infinite": "9e999",
    "deep": f"'{'[' * 100_000}'",
    "JSON": "'{\"a\": [1, null]}'",
}


class Parts(NamedTuple):
    path: Path
    service: JobService
    jobs: SqlJobStore
    statistics: SqlStatistics
    keys: SqlKeyStore
    limits: SqlLimitStore

    def damage(self, table: sa.Table, column: str, value: str, key: str = "id") -> bool:
        """Replace a value of the second row; False if the table does not take it."""
        with closing(sqlite3.connect(self.path)) as connection:
            try:
                connection.execute(f"UPDATE {table.name} SET {column} = {value} WHERE {key} = '{BAD}'")
            except sqlite3.IntegrityError:
                return False
            connection.commit()
            return True


@pytest.fixture
def parts(tmp_path: Path) -> Iterator[Parts]:
    database = open_sqlite_database(tmp_path / "jobs.db")
    memory = MemoryParts()
    stored: Any = memory
    stored.store, stored.session_store = SqlJobStore(database), SqlSessionStore(database)
    opened = Parts(
        tmp_path / "jobs.db",
        memory.jobs("default"),
        SqlJobStore(database),
        SqlStatistics(database),
        SqlKeyStore(database),
        SqlLimitStore(database),
    )
    yield opened
    database.close()


def submit(parts: Parts) -> None:
    for name in ("one", BAD, "three"):
        parts.service.submit(
            SubmitJob(id=name, name=name, provider_id="Microsoft", target="microsoft.tabu.cpu", input_data=b"{}")
        )


def pages(fetch: Callable[[str | None], Any]) -> list[Any]:
    """All items of a list of pages of one; each one is sent as JSON."""
    found: list[Any] = []
    token: str | None = None
    for _ in range(10):
        page = fetch(token)
        found += page.items
        token = page.next
        if token is None:
            return found
    pytest.fail("the list does not end")


def orders_by(column: str) -> Sequence[ItemOrder]:
    """The orders that a column matters for."""
    keys = ("name_key", "job_type", "provider_key", "target_key", "state", "status", "name", "provider_id", "target")
    return list(ItemOrder) if column in keys else (ItemOrder.CREATION_TIME,)


@pytest.mark.parametrize("column", [column.name for column in jobs.columns])
def test_a_damaged_job_blocks_no_list(parts: Parts, column: str) -> None:
    submit(parts)
    with closing(sqlite3.connect(parts.path)) as connection:
        connection.execute("CREATE TABLE sound AS SELECT * FROM jobs")
        connection.commit()
        for kind, value in VALUES.items():
            connection.execute("DELETE FROM jobs")
            connection.execute("INSERT INTO jobs SELECT * FROM sound")
            connection.commit()
            if not parts.damage(jobs, column, value):
                continue
            for order in orders_by(column):
                for descending in (False, True):
                    query = JobQuery(order_by=order, descending=descending)
                    shown = decode(list[JobView], encode(list(parts.service.list(query))))
                    one_by_one = pages(lambda token, query=query: parts.service.page(query, top=1, token=token))
                    for ids in ([view.id for view in shown], [view.id for view in one_by_one]):
                        assert set(GOOD) <= set(ids), (kind, order)
                        assert len(set(ids)) == len(ids), (kind, order)
            decode(list[JobView], encode([parts.service.get(name) for name in GOOD]))
            parts.statistics.counts()
            encode(dict(parts.statistics.by_workspace()))
            parts.statistics.oldest_waiting()
            parts.statistics.last_ended(10)
            claimed = [parts.jobs.claim(worker="w", now=NOW, lease_expires_at=NOW) for _ in range(3)]
            assert set(GOOD) <= {job.id for job in claimed if job is not None}, kind
            assert set(GOOD) <= {job.id for job in parts.jobs.running()}, kind


NOW = datetime(2030, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize("column", [column.name for column in jobs.columns])
def test_a_damaged_job_does_not_keep_others_from_being_pruned(parts: Parts, column: str) -> None:
    for kind, value in VALUES.items():
        submit(parts)
        for name in (*GOOD, BAD):
            parts.service.cancel(name)
        if parts.damage(jobs, column, value):
            found = {job.id for job in parts.jobs.ended_before(datetime.max.replace(tzinfo=UTC), 1)}
            assert found, kind
            assert set(GOOD) <= {job.id for job in parts.jobs.ended_before(datetime.max.replace(tzinfo=UTC), 9)}, kind
        with closing(sqlite3.connect(parts.path)) as connection:
            connection.execute("DELETE FROM jobs")
            connection.commit()


@pytest.mark.parametrize("column", [column.name for column in sessions.columns])
def test_a_damaged_session_blocks_no_list(parts: Parts, column: str) -> None:
    for name in ("one", BAD, "three"):
        parts.service.sessions.open(
            OpenSession(id=name, name=name, provider_id="Microsoft", target="microsoft.tabu.cpu")
        )
    with closing(sqlite3.connect(parts.path)) as connection:
        connection.execute("CREATE TABLE sound AS SELECT * FROM sessions")
        for kind, value in VALUES.items():
            connection.execute("DELETE FROM sessions")
            connection.execute("INSERT INTO sessions SELECT * FROM sound")
            connection.commit()
            if not parts.damage(sessions, column, value):
                continue
            for order in orders_by(column):
                query = ItemQuery(order_by=order)
                for fetch in (parts.service.sessions.page, parts.service.sessions.items):
                    shown = pages(lambda token, fetch=fetch, query=query: fetch(query, top=1, token=token))
                    decode(list[SessionView], encode(shown))
                    assert set(GOOD) <= {view.id for view in shown}, (kind, order)


@pytest.mark.parametrize("column", [column.name for column in api_keys.columns])
def test_a_damaged_key_blocks_no_list_and_opens_nothing(parts: Parts, column: str) -> None:
    for kind, value in VALUES.items():
        for name in ("one", BAD, "three"):
            parts.keys.add(ApiKey(id=name, name=name, workspace="w", is_read_only=True, digest="d", created_at=NOW))
        if parts.damage(api_keys, column, value):
            found = {key.id: key for key in parts.keys.list()}
            assert set(GOOD) <= set(found), kind
            encode([key.name for key in found.values()])
            is_damaged = column not in ("id", "name", "workspace", "digest") and value.startswith(("x'", "CAST", "'"))
            assert not is_damaged or found[BAD].revoked_at is not None, kind
        with closing(sqlite3.connect(parts.path)) as connection:
            connection.execute("DELETE FROM api_keys")
            connection.commit()


@pytest.mark.parametrize("column", [column.name for column in workspace_limits.columns])
def test_a_damaged_limit_hides_no_other(parts: Parts, column: str) -> None:
    for value in VALUES.values():
        for name in ("one", BAD, "three"):
            parts.limits.set(name, Dimension.JOB_HOURS, 1.0)
        if parts.damage(workspace_limits, column, value, key="workspace"):
            assert set(GOOD) <= set(parts.limits.all())
        with closing(sqlite3.connect(parts.path)) as connection:
            connection.execute("DELETE FROM workspace_limits")
            connection.commit()


@pytest.mark.parametrize("column", ["seconds", "sweep", "cost"])
def test_a_damaged_trace_can_be_sent(parts: Parts, column: str) -> None:
    submit(parts)
    job = parts.jobs.claim(worker="w", now=NOW, lease_expires_at=NOW)
    assert job is not None
    points = [TracePoint(1.0, 2, 3.0), TracePoint(4.0, 5, 2.0)]
    for value in VALUES.values():
        parts.jobs.record(job.key, job.fence, RunUpdate(trace_start=0, trace=points), lease_expires_at=NOW)
        with closing(sqlite3.connect(parts.path)) as connection:
            try:
                connection.execute(f"UPDATE trace_points SET {column} = {value} WHERE position = 1")
            except sqlite3.IntegrityError:
                continue
            connection.commit()
        shown = decode(list[TracePoint], encode(parts.jobs.trace(JobKey("default", job.id), 0)))
        assert shown[0] == points[0]
        assert len(shown) == 2
