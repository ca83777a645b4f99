"""Claims, from their own side of the fence."""

from __future__ import annotations

import pytest
from msgspec import structs

from claims import claimed, one_waiting_job
from qiosk.contract.jobs import ErrorData, JobProgress, SubmitJob
from qiosk.contract.provenance import environment
from qiosk.service.jobs.attempts import MAX_DEATHS, Attempt, claim_next
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.job import BlobRef, Job, JobEvent, JobKey, JobState
from qiosk.service.jobs.runs import RunOutcome, RunUpdate
from qiosk.service.names import RUN_BLOBS, blob_name
from qiosk.testing import ManualClock, MemoryBlobStore, MemoryJobStore


@pytest.fixture
def clock():
    return ManualClock()


@pytest.fixture
def jobs(clock):
    return one_waiting_job(clock)


def stored(jobs: MemoryJobStore) -> Job:
    return jobs.get(JobKey("w", "j"))


def test_a_job_whose_supervisors_die_fails_in_the_end(jobs, clock):
    for deaths in range(1, MAX_DEATHS):
        assert claimed(jobs, clock).supervisor_lost()
        assert (stored(jobs).state, stored(jobs).supervisor_deaths, stored(jobs).losses) == (
            JobState.WAITING,
            deaths,
            0,
        )
    assert claimed(jobs, clock).supervisor_lost()
    failed = stored(jobs)
    assert failed.state is JobState.FAILED
    assert failed.error.message == "10 supervisors died while the job ran"
    assert claimed(jobs, clock) is None


def test_a_job_that_ends_without_results_names_versions_and_machine(jobs, clock):
    attempt = claimed(jobs, clock)
    attempt.spec(threads=3)
    assert attempt.fail(ErrorData(code="InternalError", message="m"))
    found = stored(jobs)
    assert found.provenance == structs.replace(environment(threads=3), target=found.target)


def test_what_a_killed_run_reported_of_its_provenance_is_kept(jobs, clock):
    attempt = claimed(jobs, clock)
    reported = structs.replace(environment(threads=2), seed=7)
    attempt.report(RunUpdate(provenance=reported, best_blob="best", best_cost=-1.0))
    assert attempt.time_over(9.0)
    assert stored(jobs).provenance == structs.replace(reported, stop_reason="run_limit")


def test_a_job_whose_run_was_lost_while_it_compiled_does_nothing_now(jobs, clock):
    attempt = claimed(jobs, clock)
    attempt.report(RunUpdate(progress=JobProgress(sweeps=3, activity="compiling")))
    assert attempt.release()
    assert stored(jobs).progress == JobProgress(sweeps=3)


def test_a_job_that_is_left_properly_is_under_no_suspicion(jobs, clock):
    for _ in range(3 * MAX_DEATHS):
        assert claimed(jobs, clock).release()
    assert (stored(jobs).state, stored(jobs).supervisor_deaths) == (JobState.WAITING, 0)


def test_a_job_that_was_being_cancelled_when_its_supervisor_died_is_cancelled(jobs, clock):
    attempt = claimed(jobs, clock)
    jobs.swap(stored(jobs).on(JobEvent.CANCEL, at=clock.now()), expected=stored(jobs))
    assert attempt.supervisor_lost()
    assert stored(jobs).state is JobState.CANCELLED


def test_a_stale_attempt_orphans_nobody(jobs, clock):
    first = claimed(jobs, clock)
    first.release()
    claimed(jobs, clock)
    assert not first.supervisor_lost()
    assert (stored(jobs).state, stored(jobs).supervisor_deaths) == (JobState.EXECUTING, 0)


class Unreachable:
    """Blobs of a store that does not answer."""

    def delete(self, ref: BlobRef) -> None:
        raise OSError("no answer")


def test_a_job_ends_though_what_its_runs_left_cannot_be_removed(jobs, clock):
    job = claim_next(jobs, clock, worker="h/w")
    attempt = Attempt(job, jobs=jobs, blobs=Unreachable(), clock=clock)
    assert attempt.finish(RunOutcome(output_blob="o", stop_reason="finished"))
    assert stored(jobs).state is JobState.SUCCEEDED


@pytest.mark.parametrize("shared", [True, False])
def test_what_runs_left_is_found_without_looking_at_the_blobs_of_others(clock, monkeypatch, shared):
    jobs, blobs = MemoryJobStore(), MemoryBlobStore()
    place = {"container_uri": "memory://shared"} if shared else {}
    command = SubmitJob(name="a", provider_id="Microsoft", target="t.cpu", input_data=b"{}", **place)
    job = define_job("j", command, workspace="w", blobs=blobs, at=clock.now())
    jobs.add(job)
    Attempt(claim_next(jobs, clock, worker="h/w"), jobs=jobs, blobs=blobs, clock=clock).release()
    attempt = Attempt(claim_next(jobs, clock, worker="h/w"), jobs=jobs, blobs=blobs, clock=clock)
    names = [blob_name(kind, "j", job.container, fence) for kind in ("inputData", *RUN_BLOBS) for fence in (1, 2)]
    others = ["notes", "checkpoint.other"]
    for name in names + others:
        blobs.put(BlobRef(job.container, name), b"")
    output = blob_name("rawOutputData", "j", job.container, 2)
    with monkeypatch.context() as patch:
        for look in ("list", "page"):
            patch.setattr(MemoryBlobStore, look, lambda *_, **__: pytest.fail("looked at all blobs"))
        assert attempt.finish(RunOutcome(output_blob=output, stop_reason="finished"))
    receipt = blob_name("receipt", "j", job.container, 2)
    assert set(blobs.list(job.container)) == {*names[:2], output, receipt, *others}
