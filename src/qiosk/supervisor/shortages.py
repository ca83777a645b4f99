"""Jobs whose solvers met a shortage after they had begun: too little memory, no more threads, files or disk space.

Such a job has not failed. Its supervisor keeps the claim for a pause that grows with each shortage of this job. Then
the job waits again, and its next run continues from its checkpoint. What never fits may look like a shortage, too:
after ``max_attempts`` of them the job fails with the error of the last one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from typing import final

from msgspec import structs

from qiosk.service.jobs.attempts import Attempt
from qiosk.service.jobs.job import JobKey
from qiosk.service.jobs.runs import RunUpdate, Shortage
from qiosk.supervisor.pauses import GrowingPause
from qiosk.supervisor.running_job import Claim, claim_of

PAUSES_S = (1.0, 60.0)
"""First and longest pause of a job after a shortage."""


@final
class Shortages:
    """The jobs of a supervisor that pause, and how often each of its jobs has met a shortage."""

    def __init__(self, max_attempts: int) -> None:
        self._max_attempts = max_attempts
        self._pauses: dict[JobKey, GrowingPause] = {}
        self._paused: dict[Claim, Attempt] = {}

    def pause(self, attempt: Attempt, shortage: Shortage) -> None:
        """Let a job pause, or fail if it has met too many shortages."""
        job, error = attempt.job, shortage.error
        pause = self._pauses.setdefault(job.key, GrowingPause(*PAUSES_S))
        if pause.failures + 1 >= self._max_attempts:
            attempt.fail(structs.replace(error, message=f"{error.message}; {pause.failures + 1} attempts ended so"))
            self.forget(job.key)
            return
        pause_s = pause.note_failure(time.monotonic())
        attempt.note(logging.WARNING, f"pauses for {pause_s:g} s: {error.message}")
        self._paused[claim_of(job)] = attempt

    def end_pauses(self) -> None:
        """Let those jobs wait again whose pauses are over."""
        now = time.monotonic()
        self.release([claim for claim in self._paused if not self._pauses[claim[0]].is_on(now)])

    def claims(self) -> set[Claim]:
        """The claims of the jobs that pause."""
        return set(self._paused)

    def release(self, claims: Collection[Claim]) -> None:
        """Let those jobs wait again that pause and whose claims are given; cancelled ones end by that."""
        for claim in self.claims().intersection(claims):
            self._paused[claim].release()
            del self._paused[claim]

    def renew_leases(self) -> None:
        """Renew the leases of the jobs that pause."""
        for claim, attempt in list(self._paused.items()):
            if attempt.report(RunUpdate()) is None:  # it was deleted
                del self._paused[claim]

    def hand_back(self) -> list[Attempt]:
        """The claims of the jobs that pause, which are the caller's from now on."""
        found = list(self._paused.values())
        self._paused.clear()
        return found

    def forget(self, key: JobKey) -> None:
        """A job has ended, or met no shortage the last time."""
        self._pauses.pop(key, None)
