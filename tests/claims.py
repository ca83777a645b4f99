"""A job in memory that waits, and a claim on it."""

from __future__ import annotations

from qiosk.contract.jobs import SubmitJob
from qiosk.service.jobs.attempts import Attempt, claim_next
from qiosk.service.jobs.definition import define_job
from qiosk.testing import ManualClock, MemoryBlobStore, MemoryJobStore


def one_waiting_job(clock: ManualClock) -> MemoryJobStore:
    """A store with the job ``j`` of workspace ``w``."""
    store = MemoryJobStore()
    command = SubmitJob(name="a", provider_id="Microsoft", target="t.cpu", input_data=b"{}")
    store.add(define_job("j", command, workspace="w", blobs=MemoryBlobStore(), at=clock.now()))
    return store


def claimed(jobs: MemoryJobStore, clock: ManualClock) -> Attempt | None:
    """The next job, claimed by worker ``h/w``; None if none waits."""
    job = claim_next(jobs, clock, worker="h/w")
    return None if job is None else Attempt(job, jobs=jobs, blobs=MemoryBlobStore(), clock=clock)
