"""The jobs that a supervisor runs at once, and the claiming of waiting ones for free slots.

A job during which several supervisors died is a *suspect*: it may be what killed them. A suspect runs alone, so that it
cannot take other jobs along. Until all others have ended it is claimed but held, and no further job is claimed.

A job whose process cannot be started is not to blame: file descriptors, processes or memory are short, or the storage
cannot be reached. It is held, too, and started again after a growing pause. After ``HELD_STARTS`` such failures in a
row it waits again, because another machine may be able to run it, and after each pause a single job is tried.

One process is started at a time, while the supervisor goes on: see ``running_job``.

A job whose solver met a shortage after it had begun pauses, and no other job does; see ``shortages``.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import final

from qiosk.bootstrap.stores import Stores
from qiosk.errors import StorageFull
from qiosk.service.jobs.attempts import SUSPICIOUS_DEATHS, Attempt, claim_next
from qiosk.service.jobs.job import Job
from qiosk.service.jobs.members import nodes_of
from qiosk.service.jobs.runs import JobSpec, RunUpdate
from qiosk.settings import Settings
from qiosk.supervisor.clearing_up import ClearingUp
from qiosk.supervisor.executor import Executor, Run
from qiosk.supervisor.fanned.run import FannedRun
from qiosk.supervisor.pauses import GrowingPause
from qiosk.supervisor.running_job import Claim, RunningJob, claim_of
from qiosk.supervisor.shortages import Shortages

START_PAUSES_S = (0.1, 10.0)
"""First and longest pause after a process could not be started."""
FILL_S = 1.0
"""How long free slots are filled at a time: thousands of them take longer, and leases have to be renewed meanwhile."""
HELD_STARTS = 8
"""After so many failures in a row, which take some twenty seconds, the held job waits again."""
TROUBLE_STARTS = 3
"""After so many failures in a row, a server is not ready."""

log = logging.getLogger(__name__)


@final
class JobSlots:
    """The running jobs of a supervisor, whose claims name it by ``worker``."""

    def __init__(
        self, stores: Stores, settings: Settings, executor: Executor, clearing_up: ClearingUp, *, worker: str
    ) -> None:
        self.running: list[RunningJob] = []
        self.held: Attempt | None = None
        self._stores = stores
        self._settings = settings
        self._worker = worker
        self._executor = executor
        self._shortages = Shortages(settings.max_attempts)
        self._clearing_up = clearing_up
        self._pause = GrowingPause(*START_PAUSES_S)
        self._failed_at = float("-inf")
        self._reason = ""
        self._is_starting = False

    @property
    def is_empty(self) -> bool:
        """Whether no job runs, is held or pauses."""
        return not self.running and self.held is None and not self._shortages.claims()

    def unsettled(self) -> list[RunningJob]:
        """Jobs that take a slot. One that is settled does not, though its process may still be exiting."""
        return [running for running in self.running if not running.is_settled]

    def _taken(self) -> int:
        """How many slots are taken."""
        return sum(self._nodes(running.attempt.job) for running in self.unsettled())

    def claims(self) -> set[Claim]:
        """The claims of all jobs that run, are held or pause."""
        held = set() if self.held is None else {claim_of(self.held.job)}
        return {running.claim for running in self.running} | held | self._shortages.claims()

    def has_room(self) -> bool:
        """Whether another job may be claimed."""
        unsettled = self.unsettled()
        is_one_alone = any(running.is_alone for running in unsettled)
        starting = sum(running.is_starting or running.not_started is not None for running in unsettled)
        is_busy = starting >= self._executor.starts_at_once
        is_free = self._taken() < self._executor.slots() and self.held is None and not is_one_alone
        return is_free and not is_busy and (not self.has_trouble() or self.is_retry_due())

    def has_trouble(self) -> bool:
        """Whether the last process could not be started, and none since has got as far as its solver."""
        return self._pause.failures > 0

    def trouble(self) -> str:
        """Why no job can be started, or several in a row could not; empty if they can."""
        reason = self._executor.trouble() or (self._reason if self._pause.failures >= TROUBLE_STARTS else "")
        return f"cannot start jobs: {reason}" if reason else ""

    def is_retry_due(self) -> bool:
        """Whether a single process is to be started to find out whether the trouble has passed."""
        is_trying = any(running.started_at > self._failed_at for running in self.unsettled())
        return self.has_trouble() and not is_trying and not self._pause.is_on(time.monotonic())

    def is_start_over(self) -> bool:
        """Whether a process was starting when slots were last filled, and is not now."""
        return self._is_starting and not any(running.is_starting for running in self.unsettled())

    def fill(self) -> None:
        """Start the held job if it may start now, and waiting jobs while there is room for them."""
        self._fill()
        self._is_starting = any(running.is_starting for running in self.unsettled())

    def _fill(self) -> None:
        if self.held is not None and self._may_start_held(self.held.job):
            held, self.held = self.held, None
            self._start(held)
        until = time.monotonic() + FILL_S
        while self.has_room() and time.monotonic() < until:
            limit_of = self._stores.quotas.concurrent_jobs
            job = claim_next(self._stores.jobs, self._stores.clock, worker=self._worker, limit_of=limit_of)
            if job is None:
                return
            if self._is_suspect(job) and self.unsettled():
                log.warning(
                    "job %s: %d supervisors died while it ran; it waits to run alone", job.id, job.supervisor_deaths
                )
                self.held = self.attempt(job)
            else:
                self._start(self.attempt(job))

    def store_messages(self) -> None:
        """Store what the processes sent, and how they exited."""
        for running in self.running:
            running.store_messages()

    def take_back(self) -> None:
        """Take the claims back of runs that did not begin, or met a shortage, and release those that paused for it.

        One that began shows that the shortage has passed for which others could not be started.
        """
        if any(running.has_begun and running.started_at > self._failed_at for running in self.running):
            self._pause.note_success()
        for running in self.unsettled():
            if running.not_started is not None:
                self._postpone(running.attempt, running.not_started)
                running.take_back()
            elif running.shortage is not None:
                self._shortages.pause(running.attempt, running.shortage)
                running.take_back()
        self._shortages.end_pauses()

    def _may_start_held(self, job: Job) -> bool:
        if self.has_trouble():
            return self.is_retry_due() and not (self._is_suspect(job) and self.unsettled())
        return not self.unsettled() or not self._is_suspect(job)

    def cancel(self, claims: Collection[Claim]) -> None:
        """Stop those running jobs whose claims are given; release those among them that are held or pause."""
        for running in self.running:
            if running.claim in claims:
                running.cancel()
        if self.held is not None and claim_of(self.held.job) in claims:
            self.held.release()
            self.held = None
        self._shortages.release(claims)

    def renew_leases(self, now: float) -> None:
        """Renew the leases of all claims that are due."""
        for running in self.running:
            running.renew_lease(now)
        if self.held is not None and self.held.report(RunUpdate()) is None:
            self.held = None  # it was deleted
        self._shortages.renew_leases()

    def drop_finished(self) -> None:
        """Forget the jobs that are settled and whose processes have exited."""
        finished = [running for running in self.running if running.is_finished]
        self.running = [running for running in self.running if not running.is_finished]
        for running in finished:
            if running.shortage is None:
                self._shortages.forget(running.attempt.job.key)
            running.close()

    def hand_back(self) -> list[Attempt]:
        """The claims of all jobs that are held or pause, which are the caller's from now on."""
        found = [] if self.held is None else [self.held]
        self.held = None
        return found + self._shortages.hand_back()

    def attempt(self, job: Job) -> Attempt:
        """A claimed job, to be written to."""
        blobs = self._stores.storage.blobs(job.workspace)
        return Attempt(
            job,
            jobs=self._stores.jobs,
            blobs=blobs,
            clock=self._stores.clock,
            kept_bytes=self._settings.kept_checkpoint,
            clear_up=self._clearing_up.add,
        )

    def _start(self, attempt: Attempt) -> None:
        job, is_alone = attempt.job, self._is_suspect(attempt.job)
        max_seconds = self._stores.quotas.run_seconds(job.workspace, job.run_limit)
        try:
            spec = attempt.spec(threads=self._threads(job, is_alone), max_seconds=max_seconds)
            run = self._run(attempt, spec)
        except (OSError, MemoryError, StorageFull) as error:
            self._postpone(attempt, f"{type(error).__name__}: {error}")
            return
        self.running.append(RunningJob(attempt, run, self._settings, is_alone=is_alone, max_seconds=max_seconds))

    def _run(self, attempt: Attempt, spec: JobSpec) -> Run:
        nodes = self._nodes(attempt.job)
        if nodes == 1:
            return self._executor.start(spec)
        written, hang_seconds = attempt.of_members(), self._settings.hang_seconds
        return FannedRun(self._executor, spec, nodes, written, hang_seconds=hang_seconds)

    def _nodes(self, job: Job) -> int:
        """How many runs the executor has of a job."""
        return nodes_of(job.input_params) if self._executor.spans_machines else 1

    def _postpone(self, attempt: Attempt, reason: str) -> None:
        """Start a job later whose run did not begin; another supervisor may start it if this one could not for long."""
        self._failed_at = time.monotonic()
        self._reason = reason
        pause_s = self._pause.note_failure(self._failed_at)
        attempt.note(logging.WARNING, f"cannot be started, trying again in {pause_s:.1f} s: {reason}")
        if self.held is None and self._pause.failures <= HELD_STARTS:
            self.held = attempt
        else:
            attempt.release()

    def _threads(self, job: Job, is_alone: bool) -> int:
        """Threads of the next job: its share of the CPUs if all slots for which there are jobs were taken now."""
        if self._settings.threads is not None:
            return self._settings.threads
        slots = 1 if is_alone else max(1, self._executor.slots())
        wanted = min(slots, self._taken() + self._nodes(job) + self._stores.jobs.waiting(slots))
        return self._executor.threads(wanted)

    def _is_suspect(self, job: Job) -> bool:
        return self._executor.shares_machine and job.supervisor_deaths >= SUSPICIOUS_DEATHS
