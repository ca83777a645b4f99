"""Leases between supervisors of several hosts, whose clocks differ."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from qiosk.adapters.sql.jobs import SqlJobStore
from qiosk.contract.jobs import SubmitJob
from qiosk.service.jobs.attempts import LEASE_S, Attempt, claim_next
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.job import JobKey
from qiosk.service.jobs.runs import RunUpdate
from qiosk.supervisor.leases import LONGEST_STEP_S, LeaseJudge
from qiosk.testing import ManualClock, MemoryBlobStore

HOUR = timedelta(hours=1)


@pytest.fixture
def store(database):
    return SqlJobStore(database)


def revisions(store: SqlJobStore) -> dict[tuple[JobKey, int], int]:
    return {(claim.key, claim.fence): claim.revision for claim in store.claims()}


def claimed(store: SqlJobStore, clock: ManualClock) -> Attempt:
    """A job that the supervisor of another host runs, whose clock this is."""
    blobs = MemoryBlobStore()
    command = SubmitJob(name="a", provider_id="Microsoft", target="t.cpu", input_data=b"{}")
    store.add(define_job("j", command, workspace="w", blobs=blobs, at=clock.now()))
    return Attempt(claim_next(store, clock, worker="other/w"), jobs=store, blobs=blobs, clock=clock)


@pytest.mark.parametrize(
    "skew", [-HOUR, timedelta(seconds=-60), timedelta(), timedelta(seconds=300), 24 * HOUR], ids=str
)
def test_a_supervisor_that_reports_is_alive_and_a_silent_one_is_not(store, skew):
    clock = ManualClock(datetime.now(UTC) + skew)
    attempt, judge = claimed(store, clock), LeaseJudge()
    for second in range(100):
        clock.sleep(1.0)
        if second % 10 == 9:
            attempt.report(RunUpdate())
        assert judge.expired(revisions(store), float(second)) == []
    silent_from = 99.0
    for second in range(1, int(LEASE_S)):
        assert judge.expired(revisions(store), silent_from + second) == []
    assert [key for key, _ in judge.expired(revisions(store), silent_from + LEASE_S)] == [JobKey("w", "j")]


def test_a_judge_knows_when_it_may_leave(store):
    attempt, judge = claimed(store, ManualClock()), LeaseJudge()
    assert not judge.is_undecided()
    judge.expired(revisions(store), 0.0)
    assert judge.is_undecided(), "it has seen no sign of life yet"
    attempt.report(RunUpdate())
    judge.expired(revisions(store), 1.0)
    assert not judge.is_undecided()
    for second in range(1, int(LEASE_S)):
        judge.expired(revisions(store), 1.0 + second)
    assert judge.is_undecided(), "it has been silent for long"


def test_a_clock_that_is_set_back_makes_nobody_look_dead(store):
    clock = ManualClock()
    attempt, judge = claimed(store, clock), LeaseJudge()
    for second in range(60):
        clock.sleep(-5.0)
        attempt.report(RunUpdate())
        assert judge.expired(revisions(store), float(second)) == []


def test_a_judge_that_did_not_look_does_not_count_that_time(store):
    clock, judge = ManualClock(), LeaseJudge()
    claimed(store, clock)
    assert judge.expired(revisions(store), 0.0) == []
    steps = int(LEASE_S / LONGEST_STEP_S)
    for number in range(1, steps):
        assert judge.expired(revisions(store), 3600.0 * number) == []
    assert judge.expired(revisions(store), 3600.0 * steps)


def test_after_a_failure_of_the_store_leases_begin_again(store):
    judge = LeaseJudge()
    claimed(store, ManualClock())
    for second in range(int(LEASE_S)):
        judge.expired(revisions(store), float(second))
    judge.forget()
    assert judge.expired(revisions(store), LEASE_S + 1) == []


def test_a_new_claim_has_a_lease_of_its_own(store):
    clock, judge = ManualClock(), LeaseJudge()
    attempt = claimed(store, clock)
    for second in range(int(LEASE_S)):
        judge.expired(revisions(store), float(second))
    attempt.release()
    claim_next(store, clock, worker="other/w2")
    assert judge.expired(revisions(store), LEASE_S) == []
