"""What a supervisor does: claim waiting jobs, run each in a process of its own, write down what comes of it.

One thread, one loop. It sleeps until a process says something or ends, at most ``POLL_S``; then it looks
whether the store has changed. All job rows are written here, through ``Attempt``, which shows the fence.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections.abc import Callable
from datetime import datetime
from multiprocessing.connection import wait
from multiprocessing.context import ForkServerContext
from typing import final

from qiosk.adapters.blobs import LocalBlobStore
from qiosk.adapters.clock import SystemClock
from qiosk.adapters.exits import describe_exit, judge_exit
from qiosk.adapters.home import Home
from qiosk.adapters.job_process import JobProcess, ProcessOptions
from qiosk.adapters.process_limits import oom_kills
from qiosk.contract.jobs import ErrorData
from qiosk.service.attempts import LEASE_S, Attempt, claim_next
from qiosk.service.jobs import Job, JobState
from qiosk.service.ports import JobStore, RunOutcome, RunUpdate
from qiosk.settings import Settings, cpu_count

POLL_S = 0.02
"""How long a change in the store may go unnoticed."""
CHORES_S = 1.0
"""How often leases, silence and lost rows are looked after."""
EXIT_PATIENCE_S = 2.0
"""How long a process may linger after its last word."""

log = logging.getLogger(__name__)


@final
class RunningJob:
    """An attempt and its process."""

    def __init__(self, attempt: Attempt, process: JobProcess, *, oom_kills: int) -> None:
        self.attempt = attempt
        self.process = process
        self.oom_kills = oom_kills
        self.heard_at = self.reported_at = time.monotonic()
        self.kill_at = float("inf")
        self.is_cancelling = False
        self.is_over = False
        self.killed_because: str | None = None

    def cancel(self, grace_s: float) -> None:
        """Ask the process to stop; it is killed if it has not after ``grace_s``."""
        if not self.is_cancelling and not self.is_over:
            self.is_cancelling = True
            self.process.cancel()
            self.kill_at = time.monotonic() + grace_s

    def kill(self, reason: str) -> None:
        """End the process now."""
        if self.killed_because is None:
            self.killed_because = reason
            self.process.kill()


@final
class Supervision:
    """The jobs of a home, while somebody looks after them."""

    def __init__(
        self, jobs: JobStore, home: Home, settings: Settings, context: ForkServerContext, *, runner: str
    ) -> None:
        self._jobs = jobs
        self._home = home
        self._settings = settings
        self._context = context
        self._options = ProcessOptions(blobs=home.blobs, runner=runner, memory_limit=settings.memory_limit)
        self._clock = SystemClock()
        self._worker = f"{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._running: list[RunningJob] = []
        self._version: int | None = None
        self._chores_at = 0.0

    def has_work(self) -> bool:
        """Whether any job of the home is not finished."""
        return self._jobs.waiting(1) > 0 or bool(self._jobs.running())

    def run(self, *, may_go_on: Callable[[], bool]) -> None:
        """Work until there has been nothing to do for the settings' idle time, or ``may_go_on`` says no.

        Jobs that still run then wait again. Whoever calls this must be the home's only supervisor.
        """
        try:
            self._version = None
            self._take_over()
            busy_at = time.monotonic()
            while may_go_on():
                self._step()
                now = time.monotonic()
                if self._running:
                    busy_at = now
                elif now - busy_at >= self._settings.idle_seconds:
                    return
        finally:
            self._abandon_all()

    def _step(self) -> None:
        ready = [source for running in self._running for source in running.process.wait_on()]
        if ready:
            wait(ready, timeout=POLL_S)
        else:
            time.sleep(POLL_S)
        ended = [running for running in self._running if not self._listen(running)]
        self._running = [running for running in self._running if running not in ended]
        now = time.monotonic()
        if now >= self._chores_at:
            self._chores_at = now + CHORES_S
            self._do_chores(now)
        for running in self._running:
            if now >= running.kill_at:
                running.kill("it did not stop when it was cancelled")
        version = self._jobs.version()
        if ended or version != self._version:
            self._version = version
            self._forward_cancellations()
            self._claim()

    def _take_over(self) -> None:
        """Nobody else supervises: whatever is marked as running was left behind by somebody who died."""
        for job in self._jobs.running():
            log.info("job %s: its supervisor is gone, it was %s", job.id, job.state)
            self._attempt(job).abandon()

    def _abandon_all(self) -> None:
        for running in self._running:
            running.kill("the supervisor stops")
        for running in self._running:
            if not running.is_over:
                running.attempt.abandon()
            running.process.close()
        self._running.clear()

    def _claim(self) -> None:
        while len(self._running) < self._settings.concurrent_jobs:
            job = claim_next(self._jobs, self._clock, worker=self._worker)
            if job is None:
                return
            self._start(job)

    def _start(self, job: Job) -> None:
        attempt = self._attempt(job)
        spec = attempt.spec(threads=self._threads())
        try:
            process = JobProcess(self._context, spec, self._options)
        except (OSError, EOFError) as error:
            log.warning("job %s: its process cannot be started: %s", job.id, error)
            attempt.lose(f"cannot be started: {error}", max_losses=self._settings.max_attempts)
            return
        log.info("job %s: attempt %d runs as process %s", job.id, job.fence, process.pid)
        self._running.append(RunningJob(attempt, process, oom_kills=oom_kills()))

    def _threads(self) -> int:
        """Threads of the next job: its share, if all slots that there are jobs for were taken now."""
        if self._settings.threads is not None:
            return self._settings.threads
        slots = self._settings.concurrent_jobs
        wanted = min(slots, len(self._running) + 1 + self._jobs.waiting(slots))
        return max(1, cpu_count() // wanted)

    def _attempt(self, job: Job) -> Attempt:
        blobs = LocalBlobStore(self._home.blobs, job.workspace)
        return Attempt(job, jobs=self._jobs, blobs=blobs, clock=self._clock)

    def _listen(self, running: RunningJob) -> bool:
        """Write down what a process said; False once it has ended."""
        exit_code = running.process.exit_code()  # before the messages: nothing comes after
        for message in running.process.messages():
            running.heard_at = time.monotonic()
            if not running.is_over:
                self._note(running, message)
        if exit_code is None:
            return True
        if not running.is_over:
            self._explain(running, exit_code)
        running.process.close()
        return False

    def _note(self, running: RunningJob, message: RunUpdate | RunOutcome | ErrorData) -> None:
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

    def _end(self, running: RunningJob, was_ours: bool) -> None:
        if not was_ours:
            log.warning("job %s: attempt %d was not the last", running.attempt.job.id, running.attempt.job.fence)
        running.is_over = True
        running.kill_at = time.monotonic() + EXIT_PATIENCE_S

    def _report(self, running: RunningJob, update: RunUpdate) -> None:
        running.reported_at = time.monotonic()
        match running.attempt.report(update):
            case None:
                self._end(running, was_ours=False)
                running.kill("the job is not ours any more")
            case JobState.CANCELLING:
                running.cancel(self._settings.cancel_seconds)

    def _explain(self, running: RunningJob, exit_code: int) -> None:
        """End an attempt whose process ended without a last word."""
        log.warning("job %s: its process ended: %s", running.attempt.job.id, describe_exit(exit_code))
        running.is_over = True
        verdict = running.killed_because or judge_exit(exit_code, is_out_of_memory=oom_kills() > running.oom_kills)
        if isinstance(verdict, ErrorData):
            running.attempt.fail(verdict)
        else:
            running.attempt.lose(verdict, max_losses=self._settings.max_attempts)

    def _forward_cancellations(self) -> None:
        if not self._running:
            return
        cancelling = {(job.key, job.fence) for job in self._jobs.running() if job.state is JobState.CANCELLING}
        for running in self._running:
            job = running.attempt.job
            if (job.key, job.fence) in cancelling:
                running.cancel(self._settings.cancel_seconds)

    def _do_chores(self, now: float) -> None:
        for running in self._running:
            if now - running.heard_at >= self._settings.hang_seconds:
                running.kill(f"it gave no sign of life for {self._settings.hang_seconds:g} s")
            if not running.is_over and now - running.reported_at >= LEASE_S / 3:
                self._report(running, RunUpdate())
        self._recover(self._clock.now())

    def _recover(self, now: datetime) -> None:
        """Requeue jobs whose lease ran out because a write of ours was lost."""
        ours = {(running.attempt.job.key, running.attempt.job.fence) for running in self._running}
        for job in self._jobs.running():
            expired = job.lease_expires_at is None or job.lease_expires_at <= now
            if expired and (job.key, job.fence) not in ours:
                log.warning("job %s: its lease ran out", job.id)
                self._attempt(job).abandon()
