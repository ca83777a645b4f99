"""Numbers about jobs: counted once each, whatever order they become visible in."""

from __future__ import annotations

from datetime import datetime, timedelta
from pathlib import Path

import pytest

from qiosk.adapters.sql.jobs import SqlJobStore
from qiosk.adapters.sql.schema import open_sqlite_database
from qiosk.adapters.sql.statistics import SqlStatistics
from qiosk.contract.jobs import ErrorData, SubmitJob
from qiosk.service.jobs import statistics
from qiosk.service.jobs.attempts import claim_next
from qiosk.service.jobs.job import JobEvent, JobState
from qiosk.service.jobs.statistics import EndedJob, EndedJobs, JobStatistics
from qiosk.testing import ManualClock
from servers import MemoryParts

TARGET = "microsoft.tabu.cpu"


class Listed:
    """A store of jobs that a test puts in by hand."""

    def __init__(self) -> None:
        self.jobs: list[EndedJob] = []

    def counts(self):
        return {}

    def oldest_waiting(self):
        return None

    def ended_since(self, since, limit):
        return sorted((job for job in self.jobs if job.ended_at >= since), key=lambda job: job.ended_at)[:limit]

    def last_ended(self, limit):
        return sorted(self.jobs, key=lambda job: job.ended_at)[-limit:]


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


def ended(clock: ManualClock, job_id: object, waited: float = 1.0, ran: float = 2.0, late: float = 0.0, **members):
    at = clock.now() - timedelta(seconds=late)
    begun = at - timedelta(seconds=ran)
    given = {
        "workspace": "w",
        "id": str(job_id),
        "target": TARGET,
        "state": JobState.SUCCEEDED,
        "created_at": begun - timedelta(seconds=waited),
        "begun_at": begun,
        "ended_at": at,
        "attempts": 1,
        "sweeps": 10,
        "seconds": 1.5,
    }
    return EndedJob(**{**given, **members})


def test_every_job_is_counted_once(clock: ManualClock) -> None:
    store = Listed()
    numbers = JobStatistics(store, clock)
    assert not numbers.totals().ended
    for second in range(20):
        clock.sleep(1.0)
        # the second one became visible late
        store.jobs += [ended(clock, f"a{second}"), ended(clock, f"b{second}", late=20.0)]
        numbers.totals()
    clock.sleep(3.0)
    totals = numbers.totals()
    assert totals.ended[TARGET, JobState.SUCCEEDED] == 40
    assert totals.sweeps[TARGET] == 400
    assert sum(totals.waited[TARGET].buckets) == 40
    assert totals.ran[TARGET].total_s == pytest.approx(80.0)


def test_many_jobs_come_in_batches(clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statistics, "_BATCH", 7)
    store = Listed()
    numbers = JobStatistics(store, clock)
    numbers.totals()
    for number in range(100):
        clock.sleep(0.1)
        store.jobs.append(ended(clock, number))
    assert numbers.totals().ended[TARGET, JobState.SUCCEEDED] == 100


def test_numbers_are_not_asked_for_too_often(clock: ManualClock) -> None:
    store = Listed()
    numbers = JobStatistics(store, clock)
    numbers.totals()
    store.jobs.append(ended(clock, 1))
    clock.sleep(1.0)
    assert not numbers.totals().ended
    clock.sleep(1.5)
    assert numbers.totals().ended


def test_queue_times_are_those_of_recent_jobs_also_of_former_times(clock: ManualClock) -> None:
    store = Listed()
    store.jobs = [ended(clock, number, waited=100.0, late=1000.0) for number in range(10)]
    numbers = JobStatistics(store, clock)
    assert numbers.queue_times() == {TARGET: pytest.approx(100.0)}
    assert not numbers.totals().ended
    clock.sleep(5.0)
    store.jobs += [ended(clock, 100 + number, waited=2.0) for number in range(statistics.RECENT)]
    store.jobs.append(ended(clock, "never", begun_at=None, state=JobState.CANCELLED, target="other"))
    assert numbers.queue_times() == {TARGET: pytest.approx(2.0)}


def test_sql_counts_what_is_stored(tmp_path: Path, clock: ManualClock) -> None:
    database = open_sqlite_database(tmp_path / "jobs.db")
    store, memory = SqlJobStore(database), MemoryParts()
    memory.store, memory.clock = store, clock
    jobs = memory.jobs("w")
    counted = SqlStatistics(database)
    assert (counted.counts(), counted.oldest_waiting(), list(counted.last_ended(9))) == ({}, None, [])
    first = clock.now()
    for number in range(4):
        command = SubmitJob(id=f"j{number}", name="n", provider_id="Microsoft", target=TARGET.upper(), input_data=b"{}")
        jobs.submit(command)
        clock.sleep(1.0)
    assert counted.oldest_waiting() == first
    assert counted.by_workspace() == counted.by_workspace(["v", "w"]) == {"w": 4}
    assert counted.by_workspace(["v"]) == counted.by_workspace([]) == {}
    for event, changes in (
        (JobEvent.SUCCEED, {"output_blob": "o"}),
        (JobEvent.FAIL, {"error": ErrorData(code="c", message="m")}),
    ):
        claimed = claim_next(store, clock, worker="w")
        clock.sleep(2.0)
        store.swap(claimed.on(event, at=clock.now(), **changes), expected=claimed)
    jobs.cancel("j2")
    assert counted.counts() == {
        JobState.SUCCEEDED: 1,
        JobState.FAILED: 1,
        JobState.CANCELLED: 1,
        JobState.WAITING: 1,
    }
    found = counted.last_ended(9)
    assert [(job.id, job.target, job.state) for job in found] == [
        ("j0", TARGET, JobState.SUCCEEDED),
        ("j1", TARGET, JobState.FAILED),
        ("j2", TARGET, JobState.CANCELLED),
    ]
    assert found[2].begun_at is None
    assert counted.ended_since(found[1].ended_at, 1) == [found[1]]
    store.close()


class Hours(Listed):
    """A store of jobs that ended hour by hour, which notes since when it was asked for them."""

    def __init__(self, rows: list[EndedJobs]) -> None:
        super().__init__()
        self.rows = rows
        self.asked: list[datetime] = []

    def ended_by_hour(self, workspace, since):
        self.asked.append(since)
        return [row for row in self.rows if row.hour >= since.replace(minute=0)]


def test_hours_that_are_over_are_read_once_a_minute(clock: ManualClock) -> None:
    day = timedelta(days=1)
    clock.sleep(10 * 3600 + 600)
    hours = [clock.now().replace(minute=0) - timedelta(hours=back) for back in (2, 1, 0)]
    store = Hours([EndedJobs(hour, TARGET, JobState.SUCCEEDED, 1, 1, 1.0, 1.0, 0) for hour in hours])
    numbers = JobStatistics(store, clock)
    first = list(numbers.ended_by_hour("w", day))
    assert first == store.rows
    assert list(numbers.ended_by_hour("w", day)) == first
    assert store.asked == [clock.now() - day, hours[-1]]
    clock.sleep(statistics.PAST_S)
    assert list(numbers.ended_by_hour("w", day)) == first
    assert store.asked[-1] == clock.now() - day
    assert list(numbers.ended_by_hour("w", timedelta(minutes=5))) == store.rows[2:]
