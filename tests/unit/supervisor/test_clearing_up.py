"""Leftovers of jobs are removed without anyone waiting for the storage."""

from __future__ import annotations

import logging
import threading
from dataclasses import replace

import pytest

from patience import HANG_S
from qiosk.contract.jobs import ErrorData, SubmitJob
from qiosk.errors import ServiceUnavailable
from qiosk.service.jobs.attempts import Attempt, claim_next
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.job import BlobRef, Job, JobEvent
from qiosk.supervisor.clearing_up import ClearingUp
from qiosk.testing import ManualClock, MemoryBlobStore, MemoryJobStore

COMMAND = SubmitJob(name="a", provider_id="Microsoft", target="t.cpu", input_data=b"{}")


class Slow:
    """A storage that does not answer until it is let go on, or fails."""

    def __init__(self, blobs: MemoryBlobStore, error: Exception | None = None) -> None:
        self.blobs = blobs
        self.error = error
        self.goes_on = threading.Event()

    def __getattr__(self, name: str):
        return getattr(self.blobs, name)

    def delete(self, ref: BlobRef) -> None:
        assert self.goes_on.wait(HANG_S)
        if self.error is not None:
            raise self.error
        self.blobs.delete(ref)


def ended(job_id: str, blobs: MemoryBlobStore) -> Job:
    """A job that has ended and left a checkpoint."""
    clock = ManualClock()
    job = define_job(job_id, COMMAND, workspace="w", blobs=blobs, at=clock.now())
    claimed = replace(job.on(JobEvent.CLAIM, at=clock.now()), checkpoint_blob="checkpoint")
    blobs.put(BlobRef(job.container, "checkpoint"), b"state")
    error = ErrorData(code="InternalError", message="it failed")
    return replace(claimed.on(JobEvent.FAIL, at=clock.now(), error=error), checkpoint_blob=None)


def names(blobs: MemoryBlobStore, job: Job) -> list[str]:
    return [blob.name for blob in blobs.page(job.container).blobs]


def test_leftovers_are_removed_while_the_caller_goes_on():
    blobs, clearing_up = MemoryBlobStore(), ClearingUp()
    storage, jobs = Slow(blobs), [ended(name, blobs) for name in "abc"]
    for job in jobs:
        clearing_up.add(storage, job)
    assert not clearing_up.wait(0.01)
    assert all("checkpoint" in names(blobs, job) for job in jobs)
    storage.goes_on.set()
    assert clearing_up.wait(HANG_S)
    assert [names(blobs, job) for job in jobs] == [[]] * 3


@pytest.mark.parametrize("error", [ServiceUnavailable("gone"), OSError("broken"), RuntimeError("odd")])
def test_a_storage_that_fails_is_said_and_harms_no_other_job(error, caplog):
    blobs, clearing_up = MemoryBlobStore(), ClearingUp()
    failing, working = Slow(blobs, error), Slow(blobs)
    first, second = ended("first", blobs), ended("second", blobs)
    with caplog.at_level(logging.WARNING):
        for storage, job in ((failing, first), (working, second)):
            storage.goes_on.set()
            clearing_up.add(storage, job)
        assert clearing_up.wait(HANG_S)
    assert "job first" in caplog.text
    assert names(blobs, second) == []


def test_nothing_is_waited_for_if_nothing_was_left():
    assert ClearingUp().wait(0.0)


def test_an_attempt_leaves_the_removal_to_what_it_is_given():
    jobs, blobs, clock = MemoryJobStore(), MemoryBlobStore(), ManualClock()
    jobs.add(define_job("j", COMMAND, workspace="w", blobs=blobs, at=clock.now()))
    claimed = claim_next(jobs, clock, worker="h/w")
    assert claimed is not None
    given: list[Job] = []
    attempt = Attempt(claimed, jobs=jobs, blobs=blobs, clock=clock, clear_up=lambda _, job: given.append(job))
    blobs.put(BlobRef(claimed.container, "checkpoint"), b"state")
    assert attempt.fail(ErrorData(code="InternalError", message="it failed"))
    assert [job.id for job in given] == ["j"]
    assert "checkpoint" in names(blobs, claimed)
