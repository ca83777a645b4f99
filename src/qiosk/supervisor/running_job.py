"""A running job: a claim on it, its run, and how the run's messages settle the claim.

**Messages** are taken from the run at once and kept until the store has them: a full pipe would block the
process, and no message may be lost while the store cannot be reached. Updates that wait for the store are merged.

**Settlement.** Updates are recorded with the claim (``Attempt``). An outcome, an error or a suspension ends the claim,
and so does the exit of a process that sent none of these. If the store rejects a write, because the claim's fence is
stale, another supervisor owns the job: the process is killed and nothing more is stored. A job is *settled* when the
store knows how its claim ended, and *finished* when its process has exited, too. A settled job takes no slot any more.

**A run that met a shortage** ends no claim here: the caller finds it in ``shortage``.

**A run that did not begin** ends none either: its process could not be started, reported that it cannot run, or exited
before its first message. The caller finds the reason in ``not_started``, and gets the claim back by ``take_back``.

**While its process is starting**, which takes minutes where kernels are compiled first or a cluster is full, the lease
of the claim is renewed, the progress of the job tells what it waits for, and a job that is cancelled or suspended ends
at once.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import final

from msgspec import structs

from qiosk.contract.jobs import ErrorData
from qiosk.service.jobs.attempts import LEASE_S, Attempt
from qiosk.service.jobs.job import Job, JobKey, JobState
from qiosk.service.jobs.runs import Begun, NotStarted, RunOutcome, RunUpdate, Shortage, Suspended
from qiosk.service.jobs.worker import STORAGE_PATIENCE_S
from qiosk.settings import Settings
from qiosk.supervisor.executor import Ended, Fate, Message, Run

EXIT_GRACE_S = 2.0
"""How long a process may take to exit after its last message."""

RUN_GRACE_S = STORAGE_PATIENCE_S + 60.0
"""How long a process may take, after the longest time that a job may run, to end and store its results."""

SLOW_START_S = 1.0
"""After so many seconds the job's progress tells why it has not begun."""

log = logging.getLogger(__name__)

Claim = tuple[JobKey, int]
"""A job's key and the fence of a claim on it, which no other claim has."""


def claim_of(job: Job) -> Claim:
    """The claim under which a job runs."""
    return job.key, job.fence


@final
class RunningJob:
    """A claim, its run, and the messages that are not stored yet."""

    def __init__(
        self,
        attempt: Attempt,
        run: Run,
        settings: Settings,
        *,
        is_alone: bool,
        max_seconds: float | None = None,
    ) -> None:
        self.attempt = attempt
        self.claim = claim_of(attempt.job)
        self.is_alone = is_alone
        self.is_settled = False
        self.is_starting = True
        self.started_at = time.monotonic()
        self.has_begun = False
        """Whether its solver was called."""
        self.not_started: str | None = None
        self.shortage: Shortage | None = None
        """What its solver did not get, after which it ended."""
        self._has_sent = False
        self._run = run
        self._settings = settings
        self._unstored: deque[Message] = deque()
        self._end: Ended | None = None
        self._claimed_at = self._waited_until = self._last_message_at = self._lease_renewed_at = self.started_at
        self._kill_at = float("inf")
        self._max_seconds = max_seconds
        self._time_over_at = float("inf")
        self._is_time_over = False
        self._is_cancelling = False
        self._is_withdrawn = False
        self._has_told_start = False
        self._kill_reason: str | None = None
        self._note_start()

    @property
    def is_finished(self) -> bool:
        """Whether the process has exited and the store knows how."""
        return self._end is not None and self.is_settled

    def wait_on(self) -> Sequence[Connection | int]:
        """What becomes readable with a message, or the process's exit; nothing after that."""
        return self._run.wait_on() if self._end is None else ()

    def receive(self) -> None:
        """Take the messages of the run, and note whether it has ended."""
        if self._end is not None:
            return
        has_ended = self._run.has_ended()  # before the messages: no message comes after it
        self._note_start()
        for message in self._run.messages():
            self._last_message_at = time.monotonic()
            self._has_sent = True
            self._keep(message)
        if has_ended:
            self._end = self._run.end()

    def _note_start(self) -> None:
        """Note whether the process has started."""
        if not self.is_starting or self._run.is_starting:
            return
        self.is_starting = False
        error = self._run.start_error
        if error is not None:
            self.not_started = f"{type(error).__name__}: {error}"
            return
        self.started_at = self._last_message_at = time.monotonic()
        left = self.attempt.seconds_left(self._max_seconds)
        if left is not None:
            self._time_over_at = self.started_at + left + RUN_GRACE_S
        self.attempt.note(logging.INFO, f"attempt {self.attempt.job.attempts} runs {self._run.place}")

    def enforce_limits(self, now: float) -> None:
        """Kill a process that does not start, stop, or send messages in the time it has for that."""
        if self.is_starting:
            if self._run.is_waiting:
                self._waited_until = now
            if now - self._waited_until >= self._settings.hang_seconds and self._kill_reason is None:
                self.kill("its process did not start")
                self.not_started = f"its process did not start in {self._settings.hang_seconds:g} s"
            return
        if now >= self._kill_at:
            self.kill("it did not stop when it was cancelled")
        if now >= self._time_over_at and not self.is_settled and self._kill_reason is None:
            self._is_time_over = True
            self.kill(f"it ran for {self._max_seconds:g} s, the longest time allowed, and did not stop")
        if now - self._last_message_at >= self._settings.hang_seconds:
            self.kill(f"it sent no message for {self._settings.hang_seconds:g} s")

    def store_messages(self) -> None:
        """Store what the process sent, and how it exited; what the store does not take is kept for the next time."""
        self._tell_slow_start()
        while self._unstored:
            if not self.is_settled:
                self._apply(self._unstored[0])
            self._unstored.popleft()
        if self._end is not None and not self.is_settled and self.not_started is None and self.shortage is None:
            self._settle_end(self._end)

    def take_back(self) -> Attempt:
        """The claim of a run that did not begin, or met a shortage, which is the caller's from now on."""
        self._settle(was_ours=True)
        return self.attempt

    def renew_lease(self, now: float) -> None:
        """Renew the claim's lease if no update has done so for some time, and see how much memory its process uses."""
        self._run.observe()
        if not self.is_settled and (now - self._lease_renewed_at >= LEASE_S / 3 or self.attempt.has_lines):
            self._record(RunUpdate())

    def cancel(self) -> None:
        """Ask the process to stop; it is killed unless it does in the time that the settings allow."""
        if not self._is_cancelling and not self.is_settled:
            self._is_cancelling = True
            if self.is_starting:
                self._withdraw()
            self._run.cancel()
            self._kill_at = time.monotonic() + self._settings.cancel_seconds

    def suspend(self) -> None:
        """Ask the process to store a checkpoint and exit."""
        if self.is_starting:
            self._withdraw()
        self._run.suspend()

    def _withdraw(self) -> None:
        """Do without a process that is starting; the claim is released."""
        self._is_withdrawn = True
        self.kill("it was withdrawn while its process was starting")

    def kill(self, reason: str) -> None:
        """End the process now."""
        if self._kill_reason is None:
            self._kill_reason = reason
            self._run.kill()

    def close(self) -> None:
        """Release what is held of a process that has exited."""
        self._run.close()

    def _keep(self, message: Message) -> None:
        if message == Begun():
            self.has_begun = True
        if isinstance(message, RunUpdate) and message.is_solved:
            self._time_over_at = float("inf")  # it has results, however long it takes to store them
        if isinstance(message, RunUpdate) and message.log:
            self.attempt.add_lines(message.log)
            message = replace(message, log=())
        if message in (Begun(), RunUpdate()):
            return  # they show that the process lives, and change nothing that is stored
        if isinstance(message, RunUpdate) and self._unstored and isinstance(last := self._unstored[-1], RunUpdate):
            self._unstored[-1] = last.then(message)
        else:
            self._unstored.append(message)

    def _tell_slow_start(self) -> None:
        is_slow = self.is_starting and time.monotonic() - self._claimed_at >= SLOW_START_S
        if is_slow and not self._has_told_start and not self.is_settled:
            self._has_told_start = True
            activity = self._run.activity
            self.attempt.note(logging.INFO, activity)
            self._record(RunUpdate(progress=structs.replace(self.attempt.job.progress, activity=activity)))

    def _apply(self, message: Message) -> None:
        note = self.attempt.note
        match message:
            case RunUpdate():
                self._record(message)
            case RunOutcome():
                note(logging.INFO, f"its solver stopped: {message.stop_reason}")
                self._settle(self.attempt.finish(message))
            case ErrorData():
                log.info("job %s: %s: %s", self.attempt.job.id, message.code, message.message)
                self._settle(self.attempt.fail(message))
            case Suspended():
                note(logging.INFO, "suspended")
                self._record(RunUpdate())
                self._settle(self.attempt.release())
            case Shortage():
                self._record(RunUpdate())
                self.shortage = message
            case NotStarted(is_of_input=True):
                self._settle(self.attempt.process_lost(message.reason, max_losses=self._settings.max_attempts))
            case NotStarted():
                self.not_started = message.reason

    def _record(self, update: RunUpdate) -> None:
        """Store an update, and how long all attempts have run: that counts even if this one leaves no checkpoint."""
        now = time.monotonic()
        spent = self.attempt.job.spent_seconds + (0.0 if self.is_starting else now - self.started_at)
        state = self.attempt.report(replace(update, spent_seconds=spent))
        self._lease_renewed_at = now
        match state:
            case None:
                self._settle(was_ours=False)
                self.kill("the job has been claimed by another supervisor, or deleted")
            case JobState.CANCELLING:
                self.cancel()

    def _settle(self, was_ours: bool) -> None:
        if not was_ours:
            log.warning("job %s: attempt %d is not the current one", self.attempt.job.id, self.attempt.job.attempts)
        self.is_settled = True
        self._kill_at = time.monotonic() + EXIT_GRACE_S

    def _settle_end(self, end: Ended) -> None:
        """End the claim of a run that ended without an outcome, an error or a suspension."""
        if self._is_withdrawn:
            self._settle(self.attempt.release())
            return
        self.attempt.note(logging.WARNING, f"its process exited: {end.reason}")
        if end.verdict is Fate.NOT_STARTED:
            self.not_started = end.reason
            return
        self._record(RunUpdate())
        if end.verdict is Fate.EXCUSED:
            self._settle(self.attempt.release())
            return
        verdict = Fate.LOST if self._kill_reason else end.verdict
        if self._is_time_over and self._max_seconds is not None:
            self.attempt.time_over(self._max_seconds)
        elif isinstance(verdict, Shortage):
            self.shortage = verdict
            return
        elif isinstance(verdict, ErrorData):
            self.attempt.fail(verdict)
        else:
            self.attempt.process_lost(self._kill_reason or end.reason, max_losses=self._settings.max_attempts)
        self.is_settled = True
