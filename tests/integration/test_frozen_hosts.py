"""A host that is frozen in the middle of a transaction of PostgreSQL must not hold up the others."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from databases import empty
from patience import HANG_S
from qiosk.adapters.sql.backups import SqlRows
from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.jobs import SqlJobStore
from qiosk.adapters.sql.quotas import book
from qiosk.contract.jobs import SubmitJob
from qiosk.errors import ServiceUnavailable
from qiosk.service.accounts.quotas import month_of
from qiosk.service.jobs.attempts import claim_next
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.job import Job, JobEvent
from qiosk.testing import ManualClock, MemoryBlobStore

NOW = datetime(2026, 7, 1, tzinfo=UTC)


@pytest.fixture
def connect(postgres, monkeypatch) -> Iterator[Callable[[], Database]]:
    """Opens the database as further hosts, whose transactions may be idle for half a second."""
    monkeypatch.setattr("qiosk.adapters.sql.databases.database.STILL_S", 0.5)
    empty(postgres)
    opened: list[Database] = []

    def open_another() -> Database:
        opened.append(Database(postgres.url))
        return opened[-1]

    yield open_another
    for database in opened:
        database.close()


def book_and_freeze(database: Database, job: Job, is_frozen: threading.Event, thaw: threading.Event) -> None:
    """What a host does that is frozen while it ends a job: it has locked the hours of its workspace."""
    with database.write() as connection:
        book(connection, job)
        is_frozen.set()
        thaw.wait(HANG_S)
        book(connection, job)


def test_a_host_that_is_frozen_while_it_ends_a_job_holds_up_no_other(connect):
    store, frozen, clock = SqlJobStore(connect()), connect(), ManualClock(NOW)
    command = SubmitJob(name="a", provider_id="Microsoft", target="t.cpu", input_data=b"{}")
    store.add(define_job("j", command, workspace="w", blobs=MemoryBlobStore(), at=NOW))
    claimed = claim_next(store, clock, worker="h/w")
    ended = claimed.on(JobEvent.SUCCEED, at=NOW + timedelta(seconds=5), output_blob="rawOutputData")
    is_frozen, thaw = threading.Event(), threading.Event()
    with ThreadPoolExecutor(2) as pool:
        host = pool.submit(book_and_freeze, frozen, ended, is_frozen, thaw)
        assert is_frozen.wait(HANG_S)
        try:
            assert pool.submit(store.swap, ended, expected=claimed).result(HANG_S), "the other host waits"
        finally:
            thaw.set()
        with pytest.raises(ServiceUnavailable, match="database: "):
            host.result(HANG_S)
    assert store.run_seconds("w", month_of(NOW)) == 5.0, "what the frozen one had booked was rolled back"
    assert list(SqlJobStore(frozen).running()) == [], "it works again, over another connection"


def test_a_backup_may_take_any_time_between_its_statements(connect):
    with SqlRows(connect()).snapshot() as snapshot:
        time.sleep(1.0)
        assert "jobs" in [table.name for table in snapshot.tables()]
