"""The jobs that a supervisor runs at once, and the claiming of waiting ones for free slots.

A job during which several supervisors died is a *suspect*: it may be what killed them. A suspect runs alone, so that it
cannot take other jobs along. Until all others have ended it is claimed but held, and no further job is claimed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection
from typing import final

from qiosk.bootstrap.stores import Stores
from qiosk.machine import cpu_count
from qiosk.service.attempts import SUSPICIOUS_DEATHS, Attempt, claim_next
from qiosk.service.jobs import Job
from qiosk.service.runs import JobSpec, RunUpdate
from qiosk.settings import Settings
from qiosk.supervisor.job_process import JobProcess
from qiosk.supervisor.running_job import Claim, RunningJob, claim_of

log = logging.getLogger(__name__)


@final
class JobSlots:
    """The running jobs of a supervisor, whose claims name it by ``worker``. ``start`` starts a job's process."""

    def __init__(
        self, stores: Stores, settings: Settings, *, worker: str, start: Callable[[JobSpec], JobProcess]
    ) -> None:
        self.running: list[RunningJob] = []
        self.held: Attempt | None = None
        self._stores = stores
        self._settings = settings
        self._worker = worker
        self._start_process = start

    @property
    def is_empty(self) -> bool:
        """Whether no job runs or is held."""
        return not self.running and self.held is None

    def unsettled(self) -> list[RunningJob]:
        """Jobs that take a slot. One that is settled does not, though its process may still be exiting."""
        return [running for running in self.running if not running.is_settled]

    def claims(self) -> set[Claim]:
        """The claims of all jobs that run or are held."""
        held = set() if self.held is None else {claim_of(self.held.job)}
        return {running.claim for running in self.running} | held

    def has_room(self) -> bool:
        """Whether another job may be claimed."""
        unsettled = self.unsettled()
        is_one_alone = any(running.is_alone for running in unsettled)
        return len(unsettled) < self._settings.concurrent_jobs and self.held is None and not is_one_alone

    def fill(self) -> None:
        """Start the held job if it can be alone, and waiting jobs while there is room for them."""
        if self.held is not None and not self.unsettled():
            held, self.held = self.held, None
            self._start(held, is_alone=True)
        while self.has_room():
            limit_of = self._stores.quotas.concurrent_jobs
            job = claim_next(self._stores.jobs, self._stores.clock, worker=self._worker, limit_of=limit_of)
            if job is None:
                return
            is_suspect = job.supervisor_deaths >= SUSPICIOUS_DEATHS
            if is_suspect and self.unsettled():
                log.warning(
                    "job %s: %d supervisors died while it ran; it waits to run alone", job.id, job.supervisor_deaths
                )
                self.held = self.attempt(job)
            else:
                self._start(self.attempt(job), is_alone=is_suspect)

    def cancel(self, claims: Collection[Claim]) -> None:
        """Stop those running jobs whose claims are given; release the held one if it is among them."""
        for running in self.running:
            if running.claim in claims:
                running.cancel()
        if self.held is not None and claim_of(self.held.job) in claims:
            self.held.release()
            self.held = None

    def renew_leases(self, now: float) -> None:
        """Renew the leases of all claims that are due."""
        for running in self.running:
            running.renew_lease(now)
        if self.held is not None and self.held.report(RunUpdate()) is None:
            self.held = None  # it was deleted

    def drop_finished(self) -> None:
        """Forget the jobs that are settled and whose processes have exited."""
        finished = [running for running in self.running if running.is_finished]
        self.running = [running for running in self.running if not running.is_finished]
        for running in finished:
            running.close()

    def attempt(self, job: Job) -> Attempt:
        """A claimed job, to be written to."""
        blobs = self._stores.storage.blobs(job.workspace)
        return Attempt(job, jobs=self._stores.jobs, blobs=blobs, clock=self._stores.clock)

    def _start(self, attempt: Attempt, *, is_alone: bool) -> None:
        job = attempt.job
        spec = attempt.spec(threads=self._threads(is_alone))
        try:
            process = self._start_process(spec)
        except (OSError, EOFError) as error:
            log.warning("job %s: its process cannot be started: %s", job.id, error)
            attempt.process_lost(f"cannot be started: {error}", max_losses=self._settings.max_attempts)
            return
        log.info("job %s: attempt %d runs as process %s", job.id, job.fence, process.pid)
        self.running.append(RunningJob(attempt, process, self._settings, is_alone=is_alone))

    def _threads(self, is_alone: bool) -> int:
        """Threads of the next job: its share of the CPUs if all slots for which there are jobs were taken now."""
        if self._settings.threads is not None:
            return self._settings.threads
        slots = 1 if is_alone else self._settings.concurrent_jobs
        wanted = min(slots, len(self.unsettled()) + 1 + self._stores.jobs.waiting(slots))
        return max(1, cpu_count() // wanted)
