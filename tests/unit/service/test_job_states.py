"""The life-cycle table: every (state, event) pair is listed or refused."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import product

import pytest

from qiosk.contract.jobs import ErrorData, JobStatus, SubmitJob
from qiosk.errors import IllegalTransition
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.job import TRANSITIONS, Job, JobEvent, JobState
from qiosk.testing import MemoryBlobStore

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
LATER = NOW + timedelta(seconds=5)


def job_in(state: JobState, **changes) -> Job:
    command = SubmitJob(name="a", provider_id="Microsoft", target="t", input_data=b"{}")
    job = define_job("j1", command, workspace="default", blobs=MemoryBlobStore(), at=NOW)
    begun = {"fence": 1, "begun_at": NOW, "worker": "w", "lease_expires_at": NOW} if state.is_running else {}
    return replace(job, state=state, **{**begun, **changes})


@pytest.mark.parametrize(("state", "event"), list(product(JobState, JobEvent)), ids=str)
def test_every_pair_is_listed_or_refused(state, event):
    job = job_in(state)
    if (state, event) in TRANSITIONS:
        assert job.on(event, at=LATER).state is TRANSITIONS[state, event]
    else:
        with pytest.raises(IllegalTransition, match=f"job j1: {event} is impossible while it is {state}"):
            job.on(event, at=LATER)


@pytest.mark.parametrize("state", list(JobState), ids=str)
def test_final_states_allow_no_event(state):
    assert state.is_final == (not any(listed is state for listed, _ in TRANSITIONS))


def test_a_job_being_cancelled_still_executes_for_its_user():
    assert JobState.CANCELLING.status is JobStatus.EXECUTING
    assert {state.status for state in JobState} == set(JobStatus)


def test_a_claim_raises_the_fence_and_sets_the_lease():
    claimed = job_in(JobState.WAITING).on(
        JobEvent.CLAIM, at=LATER, worker="w", lease_expires_at=LATER + timedelta(seconds=30)
    )
    assert (claimed.fence, claimed.worker, claimed.begun_at) == (1, "w", LATER)
    assert claimed.lease_expires_at == LATER + timedelta(seconds=30)


def test_success_and_failure_set_both_execution_times():
    running = job_in(JobState.EXECUTING)
    succeeded = running.on(JobEvent.SUCCEED, at=LATER, output_blob="rawOutputData")
    failed = running.on(JobEvent.FAIL, at=LATER, error=ErrorData(code="InternalError", message="m"))
    for job in (succeeded, failed):
        assert (job.begun_at, job.ended_at, job.cancelled_at) == (NOW, LATER, None)
        assert job.worker is None
        assert job.lease_expires_at is None
    assert failed.output_blob is None


def test_a_clock_set_back_does_not_end_a_job_before_it_began():
    ended = job_in(JobState.EXECUTING).on(JobEvent.SUCCEED, at=NOW - timedelta(hours=1), output_blob="r")
    assert ended.ended_at == ended.begun_at == NOW


@pytest.mark.parametrize("event", [JobEvent.STOP, JobEvent.LOSE], ids=str)
def test_cancellation_keeps_the_best_so_far_as_result(event):
    cancelled = job_in(JobState.CANCELLING, best_blob="bestSoFar").on(event, at=LATER)
    assert cancelled.output_blob == "bestSoFar"
    assert (cancelled.cancelled_at, cancelled.ended_at) == (LATER, LATER)


def test_a_waiting_job_that_is_cancelled_never_began():
    cancelled = job_in(JobState.WAITING).on(JobEvent.CANCEL, at=LATER)
    assert (cancelled.cancelled_at, cancelled.begun_at, cancelled.output_blob) == (LATER, None, None)


def test_a_lost_job_waits_again_under_its_old_fence():
    lost = job_in(JobState.EXECUTING, best_blob="bestSoFar").on(JobEvent.LOSE, at=LATER)
    assert (lost.state, lost.fence, lost.begun_at, lost.worker) == (JobState.WAITING, 1, None, None)
    assert lost.best_blob == "bestSoFar"
