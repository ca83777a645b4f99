"""Executors that start no process, and a clock that tests move."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import final

from qiosk.contract.jobs import ErrorData
from qiosk.service.blobs.store import BlobStore
from qiosk.service.jobs.attempts import Attempt, claim_next
from qiosk.service.jobs.job import JobState
from qiosk.service.jobs.runs import JobRunner, NotStarted, RunOutcome, RunUpdate, Shortage
from qiosk.service.jobs.worker import run_job
from qiosk.service.ports import Clock, JobStore


@final
class ManualClock:
    """A clock that stands still until something sleeps.

    >>> from qiosk.testing import ManualClock
    >>> clock = ManualClock()
    >>> clock.sleep(90)
    >>> clock.now().isoformat(), clock.monotonic()
    ('2026-01-01T00:01:30+00:00', 90.0)
    """

    def __init__(self, start: datetime = datetime(2026, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self._seconds = 0.0

    def now(self) -> datetime:
        """The start, plus the seconds that were slept."""
        return self._start + timedelta(seconds=self._seconds)

    def monotonic(self) -> float:
        """The seconds that were slept."""
        return self._seconds

    def sleep(self, seconds: float) -> None:
        """Move the clock by ``seconds``; returns at once."""
        self._seconds += seconds


@final
class InlineExecutor:
    """``Executor`` that runs the waiting jobs of one workspace in the thread that submits them.

    >>> from qiosk.testing import InlineExecutor, ManualClock, MemoryBlobStore, MemoryJobStore, answering
    >>> runner = answering({0: 1}, cost=-1.0)
    >>> executor = InlineExecutor(MemoryJobStore(), MemoryBlobStore(), ManualClock(), runner)
    >>> executor.wake()
    """

    def __init__(self, jobs: JobStore, blobs: BlobStore, clock: Clock, runner: JobRunner) -> None:
        self._jobs = jobs
        self._blobs = blobs
        self._clock = clock
        self._runner = runner

    def wake(self) -> None:
        """Run every waiting job to its end."""
        while (job := claim_next(self._jobs, self._clock, worker="inline")) is not None:
            self._run(Attempt(job, jobs=self._jobs, blobs=self._blobs, clock=self._clock))

    def ensure(self) -> None:
        """As ``wake``."""
        self.wake()

    def _run(self, attempt: Attempt) -> None:
        state: JobState | None = JobState.EXECUTING

        def send(update: RunUpdate) -> None:
            nonlocal state
            state = attempt.report(update)

        final_message = run_job(
            attempt.spec(threads=1),
            self._blobs,
            self._runner,
            send=send,
            is_cancelled=lambda: state is not JobState.EXECUTING,
            monotonic=self._clock.monotonic,
        )
        if isinstance(final_message, RunOutcome):
            attempt.finish(final_message)
        elif isinstance(final_message, ErrorData):
            attempt.fail(final_message)
        elif isinstance(final_message, Shortage):
            attempt.fail(final_message.error)
        elif isinstance(final_message, NotStarted):
            attempt.fail(ErrorData(code="InternalError", message=final_message.reason))
        else:
            attempt.release()


@final
class DeferredExecutor:
    """``Executor`` that lets jobs wait until ``run`` is called, which runs them by another executor.

    >>> from qiosk.testing import DeferredExecutor, InlineExecutor, ManualClock, MemoryBlobStore, MemoryJobStore
    >>> from qiosk.testing import answering
    >>> runner = answering({0: 1}, cost=-1.0)
    >>> inner = InlineExecutor(MemoryJobStore(), MemoryBlobStore(), ManualClock(), runner)
    >>> executor = DeferredExecutor(inner)
    >>> executor.wake()  # runs nothing
    >>> executor.run()
    """

    def __init__(self, inner: InlineExecutor) -> None:
        self.run = inner.wake

    def wake(self) -> None:
        """Run nothing."""

    def ensure(self) -> None:
        """Run nothing."""
