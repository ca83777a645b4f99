"""What a supervisor does: claim waiting jobs, run each in a process of its own, write down what comes of it.

One thread, one loop. It sleeps until a process says something or ends, or the bell rings for a job that could start,
at most ``POLL_S``; then it looks whether the store has changed. All job rows are written here, through ``Attempt``,
which shows the fence.

The store may be a database on another machine. While it cannot be reached, the processes go on and what they say is
kept. It may be shared by several homes: each home's supervisor takes over what its own predecessors left behind at
once, and what others left behind when their leases have run out.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections.abc import Callable
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkServerContext
from typing import final

from qiosk.bootstrap.stores import Stores
from qiosk.bootstrap.supervised import SupervisedHome
from qiosk.contract.jobs import ErrorData
from qiosk.errors import ServiceUnavailable, StorageFull
from qiosk.machine import cpu_count
from qiosk.service.attempts import LEASE_S, SUSPICIOUS_DEATHS, Attempt, claim_next
from qiosk.service.jobs import Job, JobState
from qiosk.service.runs import RunOutcome, RunUpdate, Suspended
from qiosk.settings import Settings
from qiosk.supervisor.exits import describe_exit, judge_exit
from qiosk.supervisor.job_process import JobProcess, Message, ProcessOptions
from qiosk.supervisor.process_limits import oom_kills
from qiosk.supervisor.running_job import RunningJob

POLL_S = 0.02
"""How long a change in the store may go unnoticed."""
CHORES_S = 1.0
"""How often leases, silence and lost rows are looked after."""
EXIT_PATIENCE_S = 2.0
"""How long a process may linger after its last word."""
RETRY_S = (0.1, 5.0)
"""First and longest pause before a store that failed is tried again."""
TRUST_S = LEASE_S / 3
"""A store must have worked for so long before others' leases count as run out: they may have been unable to renew."""

StoreFailed = (ServiceUnavailable, StorageFull)

log = logging.getLogger(__name__)


@final
class Supervisor:
    """Runs the jobs of a home."""

    def __init__(
        self, home: SupervisedHome, stores: Stores, settings: Settings, context: ForkServerContext, *, runner: str
    ) -> None:
        self._jobs = stores.jobs
        self._settings = settings
        self._context = context
        self._storage = stores.storage
        self._options = ProcessOptions(storage=home.storage_url, runner=runner, memory_limit=settings.memory_limit)
        self._limit_of = stores.quotas.concurrent_jobs
        self._clock = stores.clock
        self._home_id = home.identity()
        self._bell = home.bell
        self._worker = f"{self._home_id}/{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._running: list[RunningJob] = []
        self._held: Attempt | None = None  # a suspect that waits until it is alone
        self._version: int | None = None
        self._must_take_over = True
        self._chores_at = 0.0
        self._retry_at = 0.0
        self._pause_s = RETRY_S[0]
        self._works_since = time.monotonic()

    def has_work(self) -> bool:
        """Whether any job is not finished that this home could run, or runs. True if the store cannot be asked."""
        try:
            return self._jobs.waiting(1) > 0 or bool(self._jobs.running(home=self._home_id))
        except StoreFailed:
            return True

    def run(self, *, may_go_on: Callable[[], bool]) -> None:
        """Work until there has been nothing to do for the settings' idle time, or ``may_go_on`` says no.

        Jobs that still run then save what they have, and wait again. Whoever calls this must be the home's only
        supervisor.
        """
        self._must_take_over = True
        self._version = None
        with self._bell:
            try:
                self._work_while(may_go_on)
            finally:
                self._suspend_all()

    def _work_while(self, may_go_on: Callable[[], bool]) -> None:
        busy_at = time.monotonic()
        while may_go_on():
            self._step()
            now = time.monotonic()
            if self._running or self._held or self._retry_at:
                busy_at = now
            elif now - busy_at >= self._settings.idle_seconds:
                return

    def _step(self) -> None:
        self._listen()
        now = time.monotonic()
        for running in self._running:
            if now >= running.kill_at:
                running.kill("it did not stop when it was cancelled")
            if now - running.heard_at >= self._settings.hang_seconds:
                running.kill(f"it gave no sign of life for {self._settings.hang_seconds:g} s")
        if now < self._retry_at:
            return
        try:
            self._work(now)
        except StoreFailed as error:
            self._note_failure(error)
        else:
            self._retry_at = 0.0
            self._pause_s = RETRY_S[0]

    def _listen(self) -> None:
        """Sleep until there is something to do, and take what the processes say. Does not touch the store."""
        sources: list[Connection | int] = [
            source for running in self._running if running.exit_code is None for source in running.process.wait_on()
        ]
        if self._bell.is_open and self._may_claim():
            sources.append(self._bell.fileno())
        if sources:
            wait(sources, timeout=POLL_S)
        else:
            time.sleep(POLL_S)
        self._bell.hush()
        for running in self._running:
            running.hear()

    def _work(self, now: float) -> None:
        """All that needs the store; may stop anywhere when that fails, and is tried again."""
        if self._must_take_over:
            self._take_over()
        busy = len(self._busy())
        for running in self._running:
            self._write(running)
        has_room = len(self._busy()) < busy
        self._forget_ended()
        if now >= self._chores_at:
            self._chores_at = now + CHORES_S
            self._do_chores(now)
        version = self._jobs.version()
        if has_room or version != self._version:
            self._forward_cancellations()
            self._claim()
            self._version = version

    def _note_failure(self, error: Exception) -> None:
        now = time.monotonic()
        log.warning("the store failed, trying again in %.1f s: %s", self._pause_s, error)
        self._retry_at = now + self._pause_s
        self._pause_s = min(2 * self._pause_s, RETRY_S[1])
        self._works_since = self._retry_at
        self._must_take_over = True  # a claim may have been stored although we did not hear of it
        self._version = None

    def _take_over(self) -> None:
        """Nobody else supervises this home: what its workers run, and we do not, was left behind by one who died, or
        is a claim of our own that we never heard of.
        """
        ours = self._ours()
        for job in self._jobs.running(home=self._home_id):
            if (job.key, job.fence) not in ours:
                self._pick_up(job)
        self._must_take_over = False

    def _pick_up(self, job: Job) -> None:
        if job.worker == self._worker:
            self._attempt(job).release()
            return
        log.info("job %s: its supervisor is gone, it was %s", job.id, job.state)
        self._attempt(job).supervisor_lost()

    def _ours(self) -> set[tuple[object, int]]:
        held = [] if self._held is None else [(self._held.job.key, self._held.job.fence)]
        return {running.name for running in self._running} | set(held)

    def _suspend_all(self) -> None:
        """Let the jobs save what they have and go, in the time there is for it; they wait again."""
        for running in self._running:
            running.process.suspend()
        deadline = time.monotonic() + self._settings.stop_seconds
        while self._running and time.monotonic() < deadline:
            self._listen()
            self._write_if_possible()
        for running in self._running:
            running.kill("the supervisor stops")
        for running in self._running:
            if not running.is_over:
                self._abandon_if_possible(running.attempt)
            running.process.close()
        self._running.clear()
        if self._held is not None:
            self._abandon_if_possible(self._held)
            self._held = None

    def _write_if_possible(self) -> None:
        try:
            for running in self._running:
                self._write(running)
        except StoreFailed as error:
            log.warning("the store failed: %s", error)
            time.sleep(RETRY_S[0])
        self._forget_ended()

    def _abandon_if_possible(self, attempt: Attempt) -> None:
        try:
            attempt.release()
        except StoreFailed as error:
            log.warning("job %s: waits for the end of its lease: %s", attempt.job.id, error)

    def _claim(self) -> None:
        if self._held is not None and not self._busy():
            held, self._held = self._held, None
            self._start(held, is_alone=True)
        while self._may_claim():
            job = claim_next(self._jobs, self._clock, worker=self._worker, limit_of=self._limit_of)
            if job is None:
                return
            is_suspect = job.supervisor_deaths >= SUSPICIOUS_DEATHS
            if is_suspect and self._busy():
                log.warning("job %s: %d supervisors died while it ran; it waits to run alone", *_deaths(job))
                self._held = self._attempt(job)
            else:
                self._start(self._attempt(job), is_alone=is_suspect)

    def _may_claim(self) -> bool:
        busy = self._busy()
        is_alone = any(running.is_alone for running in busy)
        return len(busy) < self._settings.concurrent_jobs and self._held is None and not is_alone

    def _busy(self) -> list[RunningJob]:
        """Jobs that take a slot. One that has said its last word does not, though its process may still be ending."""
        return [running for running in self._running if not running.is_over]

    def _start(self, attempt: Attempt, *, is_alone: bool) -> None:
        job = attempt.job
        spec = attempt.spec(threads=self._threads(is_alone))
        try:
            process = JobProcess(self._context, spec, self._options)
        except (OSError, EOFError) as error:
            log.warning("job %s: its process cannot be started: %s", job.id, error)
            attempt.process_lost(f"cannot be started: {error}", max_losses=self._settings.max_attempts)
            return
        log.info("job %s: attempt %d runs as process %s", job.id, job.fence, process.pid)
        self._running.append(RunningJob(attempt, process, oom_kills=oom_kills(), is_alone=is_alone))

    def _threads(self, is_alone: bool) -> int:
        """Threads of the next job: its share, if all slots that there are jobs for were taken now."""
        if self._settings.threads is not None:
            return self._settings.threads
        slots = 1 if is_alone else self._settings.concurrent_jobs
        wanted = min(slots, len(self._busy()) + 1 + self._jobs.waiting(slots))
        return max(1, cpu_count() // wanted)

    def _attempt(self, job: Job) -> Attempt:
        return Attempt(job, jobs=self._jobs, blobs=self._storage.blobs(job.workspace), clock=self._clock)

    def _write(self, running: RunningJob) -> None:
        """Write down what a process said, and how it ended."""
        while running.unstored:
            if not running.is_over:
                self._note(running, running.unstored[0])
            running.unstored.popleft()
        if running.exit_code is not None and not running.is_over:
            self._explain(running, running.exit_code)

    def _forget_ended(self) -> None:
        """Drop the jobs that are over and whose processes have ended."""
        ended = [running for running in self._running if running.is_gone]
        self._running = [running for running in self._running if not running.is_gone]
        for running in ended:
            running.process.close()

    def _note(self, running: RunningJob, message: Message) -> None:
        attempt = running.attempt
        match message:
            case RunUpdate():
                self._report(running, message)
            case RunOutcome():
                log.info("job %s: %s", attempt.job.id, message.stop_reason)
                self._end(running, attempt.finish(message))
            case ErrorData():
                log.info("job %s: %s: %s", attempt.job.id, message.code, message.message)
                self._end(running, attempt.fail(message))
            case Suspended():
                log.info("job %s: saved what it had, and left", attempt.job.id)
                self._end(running, attempt.release())

    def _end(self, running: RunningJob, was_ours: bool) -> None:
        if not was_ours:
            log.warning("job %s: attempt %d was not the last", running.attempt.job.id, running.attempt.job.fence)
        running.is_over = True
        running.kill_at = time.monotonic() + EXIT_PATIENCE_S

    def _report(self, running: RunningJob, update: RunUpdate) -> None:
        state = running.attempt.report(update)
        running.reported_at = time.monotonic()
        match state:
            case None:
                self._end(running, was_ours=False)
                running.kill("the job is not ours any more")
            case JobState.CANCELLING:
                running.cancel(self._settings.cancel_seconds)

    def _explain(self, running: RunningJob, exit_code: int) -> None:
        """End an attempt whose process ended without a last word."""
        log.warning("job %s: its process ended: %s", running.attempt.job.id, describe_exit(exit_code))
        verdict = running.killed_because or judge_exit(exit_code, is_out_of_memory=oom_kills() > running.oom_kills)
        if isinstance(verdict, ErrorData):
            running.attempt.fail(verdict)
        else:
            running.attempt.process_lost(verdict, max_losses=self._settings.max_attempts)
        running.is_over = True

    def _forward_cancellations(self) -> None:
        if not self._running and self._held is None:
            return
        claimed = self._jobs.running(home=self._home_id)
        cancelling = {(job.key, job.fence) for job in claimed if job.state is JobState.CANCELLING}
        for running in self._running:
            if running.name in cancelling:
                running.cancel(self._settings.cancel_seconds)
        if self._held is not None and (self._held.job.key, self._held.job.fence) in cancelling:
            self._held.release()
            self._held = None

    def _do_chores(self, now: float) -> None:
        for running in self._running:
            if not running.is_over and now - running.reported_at >= LEASE_S / 3:
                self._report(running, RunUpdate())
        if self._held is not None and self._held.report(RunUpdate()) is None:
            self._held = None  # somebody deleted it
        if now - self._works_since >= TRUST_S:
            self._recover()
        self._version = None  # limits are remembered for some seconds: a job that waited for one may go on now

    def _recover(self) -> None:
        """Requeue jobs whose claimants let their leases run out: supervisors of other homes, or ones that are dead."""
        ours = self._ours()
        for job in self._jobs.expired(self._clock.now()):
            if (job.key, job.fence) not in ours:
                log.warning("job %s: its lease ran out", job.id)
                self._pick_up(job)


def _deaths(job: Job) -> tuple[str, int]:
    return job.id, job.supervisor_deaths
