"""What every store of statistics guarantees: the same numbers of the same jobs."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

import pytest

import databases
from qiosk.adapters.sql.jobs import SqlJobStore
from qiosk.adapters.sql.statistics import SqlStatistics
from qiosk.contract.jobs import ErrorData, JobProgress, SubmitJob
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.job import Job, JobEvent, JobState
from qiosk.service.jobs.runs import RunUpdate
from qiosk.service.jobs.statistics import EndedJobs, StatisticsStore
from qiosk.service.ports import JobStore
from qiosk.testing import MemoryBlobStore, MemoryJobStore, MemoryStatistics

NOON = datetime(2026, 5, 1, 12, tzinfo=UTC)


class Stores(NamedTuple):
    jobs: JobStore
    statistics: StatisticsStore


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def stores(request: pytest.FixtureRequest, open_database: Callable):
    if request.param == "memory":
        jobs = MemoryJobStore()
        yield Stores(jobs, MemoryStatistics(jobs))
        return
    database = open_database(request.param)
    yield Stores(SqlJobStore(database), SqlStatistics(database))


@pytest.fixture
def open_database(request: pytest.FixtureRequest, tmp_path):
    def opened(kind: str):
        from qiosk.adapters.sql.schema import open_sqlite_database

        if kind == "sqlite":
            return open_sqlite_database(tmp_path / "jobs.db")
        database = request.getfixturevalue("postgres")
        databases.empty(database)
        return database

    return opened


def a_job(job_id: str, minutes: float, *, workspace: str = "w", target: str = "A.cpu") -> Job:
    command = SubmitJob(name="a", provider_id="Microsoft", target=target, input_data=b"{}")
    at = NOON + timedelta(minutes=minutes)
    return define_job(job_id, command, workspace=workspace, blobs=MemoryBlobStore(), at=at)


def ends(store: JobStore, job: Job, event: JobEvent, *, begun: float, ended: float, lost: int = 0) -> None:
    """Store a job that began and ended so many minutes after noon, after attempts that were lost."""
    store.add(job)
    begin, end = (NOON + timedelta(minutes=minutes) for minutes in (begun, ended))
    for attempt in range(lost + 1):
        claimed = store.claim(worker="w", now=begin, lease_expires_at=end)
        assert claimed is not None
        if attempt < lost:
            assert store.swap(claimed.on(JobEvent.LOSE, at=begin), expected=claimed)
    update = RunUpdate(progress=JobProgress(seconds=7.0, sweeps=3))
    store.record(claimed.key, claimed.fence, update, lease_expires_at=end)
    running = store.get(claimed.key)
    changes = {"error": ErrorData(code="c", message="m")} if event is JobEvent.FAIL else {"output_blob": "o"}
    assert store.swap(running.on(event, at=end, **changes), expected=running)


def test_jobs_that_ended_are_counted_by_hour_target_and_state(stores: Stores) -> None:
    ends(stores.jobs, a_job("before", -300), JobEvent.SUCCEED, begun=-250, ended=-200)
    ends(stores.jobs, a_job("one", 0), JobEvent.SUCCEED, begun=1, ended=59)
    ends(stores.jobs, a_job("two", 10), JobEvent.SUCCEED, begun=12, ended=30, lost=2)
    ends(stores.jobs, a_job("three", 10), JobEvent.FAIL, begun=11, ended=60)
    ends(stores.jobs, a_job("other", 10, workspace="v"), JobEvent.FAIL, begun=11, ended=61)
    waiting = a_job("never", 20, target="b.cpu")
    stores.jobs.add(waiting)
    waiting = stores.jobs.get(waiting.key)
    assert stores.jobs.swap(waiting.on(JobEvent.CANCEL, at=NOON + timedelta(minutes=70)), expected=waiting)
    one = NOON + timedelta(hours=1)
    assert list(stores.statistics.ended_by_hour("w", NOON)) == [
        EndedJobs(NOON, "a.cpu", JobState.SUCCEEDED, 2, 2, 180.0, 14.0, 2),
        EndedJobs(one, "a.cpu", JobState.FAILED, 1, 1, 60.0, 7.0, 0),
        EndedJobs(one, "b.cpu", JobState.CANCELLED, 1, 0, 0.0, 0.0, 0),
    ]
    assert list(stores.statistics.ended_by_hour("w", NOON + timedelta(hours=2))) == []
    assert list(stores.statistics.ended_by_hour("unknown", NOON)) == []


def test_states_and_waiting_jobs_are_those_of_one_workspace_or_of_all(stores: Stores) -> None:
    assert not stores.statistics.counts("w")
    stores.jobs.add(a_job("one", 5))
    stores.jobs.add(a_job("two", 3, workspace="v"))
    assert stores.statistics.counts() == {JobState.WAITING: 2}
    assert stores.statistics.counts("w") == {JobState.WAITING: 1}
    assert stores.statistics.counts("x") == {}
    assert stores.statistics.oldest_waiting() == NOON + timedelta(minutes=3)
    assert stores.statistics.oldest_waiting("w") == NOON + timedelta(minutes=5)
    assert stores.statistics.oldest_waiting("x") is None
