"""The supervisor loop: claim waiting jobs, let the executor run each, record the outcome.

One thread, one loop. Each step sleeps until a process sends a message or exits, or a new job wakes the supervisor, for
at most ``POLL_S``. It first takes all messages from the processes, which needs no store, and then does what needs one:
store the messages, and if the store's version has changed, forward cancellations and claim jobs for free slots. Every
write to a job carries the fence of its claim, so writes of a supervisor that was presumed dead are rejected.

**A process that cannot be started** is tried again after a growing pause; see ``slots``.

**A store that fails** may be a database on another machine. While it cannot be reached, the processes run on and their
messages are kept; the step is repeated after a growing pause. A step may stop anywhere, so all of it can be repeated.

**Taking over.** A claim has a lease, which its supervisor renews. Several homes may share a database. A supervisor
holds the lock of its home, so what its own home runs and it does not was left by a predecessor that died, and is taken
over at once. What other homes run is taken over when its lease has run out; see ``leases`` and ``watch``.
"""

from __future__ import annotations

import logging
import os
import socket
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection, wait
from typing import final

from qiosk.bootstrap.stores import Stores
from qiosk.bootstrap.supervised import SupervisedHome
from qiosk.errors import JobNotFound, ServiceUnavailable, StorageFull
from qiosk.service.jobs.attempts import Attempt
from qiosk.service.jobs.job import Job
from qiosk.settings import Settings
from qiosk.supervisor.clearing_up import ClearingUp
from qiosk.supervisor.executor import Executor
from qiosk.supervisor.leases import LeaseJudge
from qiosk.supervisor.pauses import GrowingPause
from qiosk.supervisor.running_job import Claim, claim_of
from qiosk.supervisor.slots import JobSlots
from qiosk.supervisor.watch import Watch

POLL_S = 0.02
"""Longest time until a change in the store is noticed."""
MAINTENANCE_INTERVAL_S = 1.0
"""How often leases are renewed, and those of others checked."""
CLEAR_UP_S = 2.0
"""How long a supervisor that ends goes on removing the leftovers of its jobs."""
RETRY_PAUSES_S = (0.1, 5.0)
"""First and longest pause before a step is repeated that the store failed in."""

StoreFailed = (ServiceUnavailable, StorageFull)

log = logging.getLogger(__name__)


@final
class Supervisor:
    """Runs the jobs of a home, whose lock the caller holds."""

    def __init__(self, home: SupervisedHome, stores: Stores, settings: Settings, executor: Executor) -> None:
        self._jobs = stores.jobs
        self._settings = settings
        self._home_id = home.identity()
        self._worker = f"{self._home_id}/{socket.gethostname()}:{os.getpid()}:{uuid.uuid4().hex[:8]}"
        self._executor = executor
        self._clearing_up = ClearingUp()
        self._slots = JobSlots(stores, settings, executor, self._clearing_up, worker=self._worker)
        self._wakeup = home.wakeup
        self._version: int | None = None
        self._must_take_over = True
        self._maintain_at = 0.0
        self._pause = GrowingPause(*RETRY_PAUSES_S)
        self._judge: LeaseJudge[Claim] = LeaseJudge()
        self._watch = Watch(stores.watchers, self._worker)

    def has_work(self) -> bool:
        """Whether there is an unfinished job that this home could run, or runs. True while the store fails."""
        try:
            return self._jobs.waiting(1) > 0 or bool(self._jobs.running(home=self._home_id))
        except StoreFailed:
            return True

    def trouble(self) -> str:
        """Why no jobs can be started at the moment; empty if they can."""
        return self._slots.trouble()

    def run(self, *, should_continue: Callable[[], bool]) -> None:
        """Run jobs until none was left for the settings' idle time, or ``should_continue`` returns False.

        Jobs that still run are then suspended: they wait again.
        """
        self._must_take_over = True
        self._version = None
        with self._wakeup:
            try:
                self._loop(should_continue)
            finally:
                self._suspend_all()

    def _loop(self, should_continue: Callable[[], bool]) -> None:
        busy_at = time.monotonic()
        while should_continue():
            self._step()
            now = time.monotonic()
            is_watching = self._slots.has_trouble() or self._judge.is_undecided() or self._watch.is_undecided()
            if self._pause.failures or is_watching or not self._slots.is_empty:
                busy_at = now
            elif now - busy_at >= self._settings.idle_seconds:
                return

    def _step(self) -> None:
        self._receive()
        now = time.monotonic()
        for running in self._slots.running:
            running.enforce_limits(now)
        if self._pause.is_on(now):
            return
        try:
            self._work(now)
        except (*StoreFailed, OSError, MemoryError) as error:
            self._note_failure(error)
        else:
            self._pause.note_success()

    def _receive(self) -> None:
        """Sleep until there is something to do, and take the messages of the processes. Does not use the store."""
        found = [*self._executor.wait_on(), *(source for job in self._slots.running for source in job.wait_on())]
        sources: list[Connection | int] = list(dict.fromkeys(found))  # runs may share one
        if self._wakeup.is_open and self._slots.has_room():
            sources.append(self._wakeup.fileno())
        if sources:
            wait(sources, timeout=POLL_S)
        else:
            time.sleep(POLL_S)
        self._wakeup.drain()
        for running in self._slots.running:
            running.receive()

    def _work(self, now: float) -> None:
        """All that needs the store."""
        if self._must_take_over:
            self._take_over()
        unsettled = len(self._slots.unsettled())
        self._slots.store_messages()
        self._slots.take_back()
        has_freed_slots = len(self._slots.unsettled()) < unsettled
        self._slots.drop_finished()
        if now >= self._maintain_at:
            self._maintain_at = now + MAINTENANCE_INTERVAL_S
            self._maintain(now)
        version = self._jobs.version()
        is_fill_due = has_freed_slots or self._slots.is_start_over() or self._slots.is_retry_due()
        if is_fill_due or version != self._version:
            self._forward_cancellations()
            self._slots.fill()
            self._version = version

    def _note_failure(self, error: Exception) -> None:
        now = time.monotonic()
        pause_s = self._pause.note_failure(now)
        log.warning("the store failed, trying again in %.1f s: %s: %s", pause_s, type(error).__name__, error)
        self._judge.forget()
        self._watch.forget()
        self._must_take_over = True  # a claim may have been stored although its answer was lost
        self._version = None

    def _take_over(self) -> None:
        """Requeue what this home's workers run and this supervisor does not."""
        ours = self._slots.claims()
        for job in self._jobs.running(home=self._home_id):
            if claim_of(job) not in ours:
                self._requeue(job)
        self._must_take_over = False

    def _recover_expired(self, now: float) -> None:
        """Requeue jobs whose leases have run out: their supervisors, of whatever home, are dead."""
        if not self._watch.has_seat(now):
            self._judge.forget()
            return
        ours = self._slots.claims()
        held = {(claim.key, claim.fence): claim.revision for claim in self._jobs.claims()}
        for key, fence in self._judge.expired({name: held[name] for name in held.keys() - ours}, now):
            log.warning("job %s: its lease ran out", key.id)
            with suppress(JobNotFound):
                job = self._jobs.get(key)
                if job.state.is_running and job.fence == fence:
                    self._requeue(job)

    def _requeue(self, job: Job) -> None:
        if job.worker == self._worker:  # a claim of this supervisor's whose answer was lost
            self._slots.attempt(job).release()
            return
        self._slots.attempt(job).supervisor_lost()

    def _maintain(self, now: float) -> None:
        self._slots.renew_leases(now)
        self._recover_expired(now)
        self._version = None  # limits are cached for some seconds: a job that waited for one may start now

    def _forward_cancellations(self) -> None:
        if self._slots.is_empty:
            return
        self._slots.cancel({claim_of(job) for job in self._jobs.running(home=self._home_id, is_cancelling=True)})

    def _suspend_all(self) -> None:
        """Let the jobs store checkpoints and exit, in the time the settings allow; they wait again."""
        slots = self._slots
        for running in slots.running:
            running.suspend()
        deadline = time.monotonic() + self._settings.stop_seconds
        while slots.running and time.monotonic() < deadline:
            self._receive()
            self._store_if_possible()
        for running in slots.running:
            running.kill("the supervisor stops")
        for running in slots.running:
            if not running.is_settled:
                self._release_if_possible(running.attempt)
            running.close()
        slots.running.clear()
        for attempt in slots.hand_back():
            self._release_if_possible(attempt)
        try:
            self._watch.leave()
        except StoreFailed as error:
            log.warning("its seat among those that watch claims stays taken for some seconds: %s", error)
        if not self._clearing_up.wait(CLEAR_UP_S):
            log.warning("leftovers of jobs that have ended are not removed yet")

    def _store_if_possible(self) -> None:
        try:
            self._slots.store_messages()
        except StoreFailed as error:
            log.warning("the store failed: %s", error)
            time.sleep(RETRY_PAUSES_S[0])
        self._slots.drop_finished()

    def _release_if_possible(self, attempt: Attempt) -> None:
        try:
            attempt.release()
        except StoreFailed as error:
            log.warning("job %s: waits until its lease runs out: %s", attempt.job.id, error)
