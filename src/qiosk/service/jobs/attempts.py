"""Attempts: what a supervisor does with a job that it has claimed.

Theory of operation. A supervisor claims a job in one transaction, which gives the job a **fence**: a number that grows
with every claim of this job. The claim is valid for a **lease** of ``LEASE_S``, and every report renews it. If the
claimant stops reporting, because it died, hangs, or cannot reach the store, the lease expires, and a supervisor ends
the attempt in its place, so that the job can be claimed again.

The first claimant may still be running then. So every write to the job's row contains the claimant's fence, and the
store rejects it unless it is the job's current one. Blobs need no such check: their names contain the fence, so two
attempts never write the same blob.

A claim ends in one of five ways. ``finish``: there are results. ``fail``: there are none, and another attempt would
not find any. ``process_lost`` and ``supervisor_lost``: a process died, perhaps because of the job; the job waits again,
and fails when that has happened too often, so that it cannot block all work forever. ``release``: the claimant stops
for a reason that has nothing to do with the job, which waits again.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, final

from msgspec import structs

from qiosk.contract.jobs import ErrorData
from qiosk.contract.logs import LogLine, log_line
from qiosk.contract.provenance import Provenance, environment
from qiosk.errors import BlobNotFound, InsufficientResources, JobNotFound, StorageFull
from qiosk.service.blobs.store import BlobStore
from qiosk.service.jobs.job import BlobRef, Job, JobEvent, JobState
from qiosk.service.jobs.logs import WaitingLines
from qiosk.service.jobs.removal import copied_checkpoint, remove_leftovers, written_by_members
from qiosk.service.jobs.runs import JobSpec, RunOutcome, RunUpdate
from qiosk.service.ports import Clock, JobStore

_log = logging.getLogger(__name__)

LEASE_S = 30.0
"""How long a claim is valid after the claimant's last report."""
SUSPICIOUS_DEATHS = 3
"""After so many supervisors died while the job ran, it runs alone, so that it harms no other job."""
KEPT_BYTES = 64 << 20
"""Largest checkpoint that is kept with a job that has ended, unless the settings say otherwise."""
MAX_DEATHS = 10
"""After so many supervisors died while the job ran, it fails."""


def claim_next(
    jobs: JobStore, clock: Clock, *, worker: str, limit_of: Callable[[str], int | None] | None = None
) -> Job | None:
    """Claim the first waiting job for ``LEASE_S``; ``limit_of`` as for ``JobStore.claim``."""
    now = clock.now()
    expires = now + timedelta(seconds=LEASE_S)
    return jobs.claim(worker=worker, now=now, lease_expires_at=expires, limit_of=limit_of)


@final
class Attempt:
    """A job and its claimant's right to change it.

    Methods that end the attempt return whether the claim was still valid. If not, they have changed nothing: another
    supervisor has claimed the job, or it has ended or been removed, and the caller must stop its run.

    ``clear_up`` is called with the job when it has ended, and removes its leftovers.
    """

    def __init__(
        self,
        job: Job,
        *,
        jobs: JobStore,
        blobs: BlobStore,
        clock: Clock,
        kept_bytes: int = KEPT_BYTES,
        clear_up: Callable[[BlobStore, Job], None] = remove_leftovers,
    ) -> None:
        self._job = job
        self._jobs = jobs
        self._blobs = blobs
        self._clock = clock
        self._kept_bytes = kept_bytes
        self._clear_up = clear_up
        self._threads: int | None = None
        self._lines = WaitingLines()

    @property
    def job(self) -> Job:
        """The job as it was when it was claimed."""
        return self._job

    def seconds_left(self, max_seconds: float | None) -> float | None:
        """How long the run may take if all runs of the job together may take ``max_seconds``; None: any time."""
        return None if max_seconds is None else max(0.0, max_seconds - self._job.spent_seconds)

    def spec(self, *, threads: int | None, max_seconds: float | None = None) -> JobSpec:
        """The description of the job for its process; ``max_seconds`` as for ``seconds_left``."""
        job, self._threads = self._job, threads
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
            max_seconds=self.seconds_left(max_seconds),
            checkpoint_blob=job.checkpoint_blob,
            is_extension=job.checkpoint_blob is not None and job.checkpoint_blob == copied_checkpoint(job),
            best_blob=job.best_blob,
            best_cost=job.best_cost,
            input_data_uri=self._blobs.uri(*job.input),
            progress=job.progress,
        )

    def of_members(self) -> Sequence[str]:
        """Names of the blobs that members of the job wrote in earlier attempts. Raises StorageFull, OSError."""
        if self._job.fence == 1:
            return ()
        return [ref.name for ref in written_by_members(self._blobs, self._job)]

    def note(self, level: int, text: str) -> None:
        """Log a text, also in the job's own log."""
        _log.log(level, "job %s: %s", self._job.id, text)
        self.add_lines([log_line(self._clock.now(), level, text)])

    def add_lines(self, lines: Iterable[LogLine]) -> None:
        """Lines for the job's log, which are stored by ``report`` or with the attempt's end."""
        self._lines.add(lines)

    @property
    def has_lines(self) -> bool:
        """Whether there are lines that are not stored yet."""
        return bool(self._lines)

    def report(self, update: RunUpdate) -> JobState | None:
        """Store an update of the run and renew the lease; the job's state, or None if the claim is no longer valid."""
        expires = self._clock.now() + timedelta(seconds=LEASE_S)
        with self._lines_to_store() as lines:
            update = replace(update, log=(*lines, *update.log))
            return self._jobs.record(self._job.key, self._job.fence, update, lease_expires_at=expires)

    def finish(self, outcome: RunOutcome) -> bool:
        """The run has results: the job has succeeded, or is cancelled if a user asked for that before."""

        def end(job: Job) -> Job:
            event = JobEvent.STOP if job.state is JobState.CANCELLING else JobEvent.SUCCEED
            return job.on(event, at=self._clock.now(), output_blob=outcome.output_blob)

        return self._end(end)

    def fail(self, error: ErrorData) -> bool:
        """The run ended without results, and another run would end in the same way."""

        def end(job: Job) -> Job:
            if job.state is JobState.CANCELLING:
                return job.on(JobEvent.STOP, at=self._clock.now())
            return job.on(JobEvent.FAIL, at=self._clock.now(), error=error)

        return self._end(end)

    def time_over(self, max_seconds: float) -> bool:
        """The process did not end itself when its time was over: the job has succeeded with the best solution that it
        stored, and failed if there is none.
        """

        def end(job: Job) -> Job:
            if job.state is not JobState.CANCELLING and job.best_blob is not None:
                provenance = structs.replace(self._provenance(job), stop_reason="run_limit")
                return job.on(JobEvent.SUCCEED, at=self._clock.now(), output_blob=job.best_blob, provenance=provenance)
            if job.state is JobState.CANCELLING:
                return job.on(JobEvent.STOP, at=self._clock.now())
            provenance = structs.replace(self._provenance(job), stop_reason="run_limit")
            error = InsufficientResources(
                f"the job ran for {max_seconds:g} s, the longest time allowed, and found no solution"
            )
            found = ErrorData(**error.error_data())
            return job.on(JobEvent.FAIL, at=self._clock.now(), error=found, provenance=provenance)

        return self._end(end)

    def process_lost(self, reason: str, *, max_losses: int) -> bool:
        """The job's process died: the job waits again, or fails if that has now happened ``max_losses`` times."""
        self.note(logging.WARNING, f"the job's process was lost: {reason}")
        return self._requeue(
            "losses", max_losses, lambda count: f"the job's process vanished {count} times, at last: {reason}"
        )

    def supervisor_lost(self) -> bool:
        """The claimant died while the job ran: the job waits again, or fails if ``MAX_DEATHS`` claimants have died."""
        self.note(logging.WARNING, f"its supervisor {self._job.worker} is gone")
        return self._requeue(
            "supervisor_deaths", MAX_DEATHS, lambda count: f"{count} supervisors died while the job ran"
        )

    def release(self) -> bool:
        """The claimant stops, and the job is not to blame: it waits again."""
        return self._end(lambda job: job.on(JobEvent.LOSE, at=self._clock.now()))

    def _requeue(self, counter: str, limit: int, message: Callable[[int], str]) -> bool:
        """Count a loss in the job's member ``counter``; the job fails if it reaches the limit, else it waits again."""

        def end(job: Job) -> Job:
            count = getattr(job, counter) + 1
            counted: dict[str, Any] = {counter: count}
            if job.state is JobState.CANCELLING or count < limit:
                return job.on(JobEvent.LOSE, at=self._clock.now(), **counted)
            error = ErrorData(code="InternalError", message=message(count))
            return job.on(JobEvent.FAIL, at=self._clock.now(), error=error, **counted)

        return self._end(end)

    @contextmanager
    def _lines_to_store(self) -> Iterator[Sequence[LogLine]]:
        """The lines that are not stored yet; they stay so if the store fails."""
        lines = self._lines.take() if self._lines else ()
        try:
            yield lines
        except BaseException:
            self._lines.put_back(lines)
            raise

    def _end(self, end: Callable[[Job], Job]) -> bool:
        with self._lines_to_store() as lines:
            return self._end_with(end, lines)

    def _end_with(self, end: Callable[[Job], Job], lines: Sequence[LogLine]) -> bool:
        while True:
            try:
                job = self._jobs.get(self._job.key)
            except JobNotFound:
                return False
            if job.fence != self._job.fence or not job.state.is_running:
                return False
            ended = end(job)
            if ended.state.is_final and ended.provenance is None:
                ended = replace(ended, provenance=self._provenance(job))
            if ended.state.is_final and not self._keeps_checkpoint(ended):
                ended = replace(ended, checkpoint_blob=None)
            last = log_line(self._clock.now(), *_end_of(ended))
            if self._jobs.swap(ended, expected=job, log=(*lines, last)):
                break
        if ended.state.is_final:
            self._clear_up(self._blobs, ended)
        return True

    def _keeps_checkpoint(self, job: Job) -> bool:
        """Whether a job that has ended keeps its checkpoint, so that it can be extended."""
        if not job.can_extend:
            return False
        try:
            size = self._blobs.properties(BlobRef(job.container, str(job.checkpoint_blob))).size_bytes
        except (BlobNotFound, StorageFull, OSError) as error:
            _log.warning("job %s: its checkpoint is not kept: %s", job.id, error)
            return False
        return size <= self._kept_bytes

    def _provenance(self, job: Job) -> Provenance:
        """What the run reported of its provenance; if it reported nothing, what is known here."""
        if job.provenance is not None:
            return job.provenance
        return structs.replace(environment(self._threads), target=job.target)


def _end_of(job: Job) -> tuple[int, str]:
    """Level and text of the line with which an attempt ends."""
    if job.state is JobState.WAITING:
        return logging.INFO, f"attempt {job.attempts} ended, the job waits again"
    if job.error is not None:
        return logging.ERROR, f"attempt {job.attempts} ended: {job.state}: {job.error.code}: {job.error.message}"
    return logging.INFO, f"attempt {job.attempts} ended: {job.state}"
