"""One claim on a job, from its side of the fence: every write shows it, and is dropped if it is stale."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import final

from qiosk.contract.jobs import ErrorData
from qiosk.errors import JobNotFound, StorageFull
from qiosk.service.blobs import BlobStore
from qiosk.service.jobs import Job, JobEvent, JobState
from qiosk.service.ports import Clock, JobStore
from qiosk.service.removal import leftovers
from qiosk.service.runs import JobSpec, RunOutcome, RunUpdate

_log = logging.getLogger(__name__)

LEASE_S = 30.0
"""How long a claim holds without a sign of life from the claimant."""
SUSPICIOUS_DEATHS = 3
"""A job during which so many supervisors died runs alone from then on, so that it takes no other job along."""
MAX_DEATHS = 10
"""A job during which so many supervisors died fails."""


def claim_next(
    jobs: JobStore, clock: Clock, *, worker: str, limit_of: Callable[[str], int | None] | None = None
) -> Job | None:
    """Claim the first waiting job, with a full lease; ``limit_of`` as for ``JobStore.claim``."""
    now = clock.now()
    expires = now + timedelta(seconds=LEASE_S)
    return jobs.claim(worker=worker, now=now, lease_expires_at=expires, limit_of=limit_of)


@final
class Attempt:
    """A claimed job, as its claimant writes about it.

    Methods that end the attempt return whether it was still theirs to end; if not, somebody else owns the
    job, or nobody does, and the caller has to stop without a further word.
    """

    def __init__(self, job: Job, *, jobs: JobStore, blobs: BlobStore, clock: Clock) -> None:
        self._job = job
        self._jobs = jobs
        self._blobs = blobs
        self._clock = clock

    @property
    def job(self) -> Job:
        """The job when it was claimed."""
        return self._job

    def spec(self, *, threads: int | None) -> JobSpec:
        """What the job's process has to know."""
        job = self._job
        return JobSpec(
            workspace=job.workspace,
            id=job.id,
            fence=job.fence,
            container=job.container,
            input=job.input,
            target=job.target,
            input_params=job.input_params,
            input_data_format=job.input_data_format,
            output_data_format=job.output_data_format,
            threads=threads,
            checkpoint_blob=job.checkpoint_blob,
            best_blob=job.best_blob,
            best_cost=job.best_cost,
            input_data_uri=self._blobs.uri(*job.input),
        )

    def report(self, update: RunUpdate) -> JobState | None:
        """Store what the run says and renew the lease; the job's state, or None if the claim is lost."""
        expires = self._clock.now() + timedelta(seconds=LEASE_S)
        return self._jobs.record(self._job.key, self._job.fence, update, lease_expires_at=expires)

    def finish(self, outcome: RunOutcome) -> bool:
        """The run has results: the job succeeded, or was cancelled if that was asked for before."""

        def end(job: Job) -> Job:
            event = JobEvent.STOP if job.state is JobState.CANCELLING else JobEvent.SUCCEED
            return job.on(event, at=self._clock.now(), output_blob=outcome.output_blob)

        return self._end(end)

    def fail(self, error: ErrorData) -> bool:
        """The run ended without results, and another one would, too."""

        def end(job: Job) -> Job:
            if job.state is JobState.CANCELLING:
                return job.on(JobEvent.STOP, at=self._clock.now())
            return job.on(JobEvent.FAIL, at=self._clock.now(), error=error)

        return self._end(end)

    def process_lost(self, reason: str, *, max_losses: int) -> bool:
        """The run vanished: the job waits again, but fails if that has happened ``max_losses`` times by now."""

        def end(job: Job) -> Job:
            losses = job.losses + 1
            if job.state is JobState.CANCELLING or losses < max_losses:
                return replace(job.on(JobEvent.LOSE, at=self._clock.now()), losses=losses)
            message = f"the job's process vanished {losses} times, at last: {reason}"
            error = ErrorData(code="InternalError", message=message)
            return replace(job.on(JobEvent.FAIL, at=self._clock.now(), error=error), losses=losses)

        return self._end(end)

    def release(self) -> bool:
        """The claimant went away, through no fault of the job's: it waits again."""
        return self._end(lambda job: job.on(JobEvent.LOSE, at=self._clock.now()))

    def supervisor_lost(self) -> bool:
        """The claimant died while the job ran: it waits again, but fails if that has happened too often."""

        def end(job: Job) -> Job:
            deaths = job.supervisor_deaths + 1
            if job.state is JobState.CANCELLING or deaths < MAX_DEATHS:
                return replace(job.on(JobEvent.LOSE, at=self._clock.now()), supervisor_deaths=deaths)
            error = ErrorData(code="InternalError", message=f"{deaths} supervisors died while the job ran")
            return replace(job.on(JobEvent.FAIL, at=self._clock.now(), error=error), supervisor_deaths=deaths)

        return self._end(end)

    def _end(self, end: Callable[[Job], Job]) -> bool:
        while True:
            try:
                job = self._jobs.get(self._job.key)
            except JobNotFound:
                return False
            if job.fence != self._job.fence or not job.state.is_running:
                return False
            ended = end(job)
            if self._jobs.swap(ended, expected=job):
                break
        if ended.state.is_final:
            self._remove_leftovers(ended)
        return True

    def _remove_leftovers(self, job: Job) -> None:
        try:
            for ref in leftovers(job):
                self._blobs.delete(ref)
        except (StorageFull, OSError) as error:  # the job has ended all the same; they go with it, or are pruned
            _log.warning("job %s: what its runs left was not removed: %s", job.id, error)
