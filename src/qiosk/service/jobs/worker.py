"""The job process: load the problem, solve it, store the results, and report progress.

Theory of operation. The process has no access to the database. It reads and writes blobs, and sends updates to its
supervisor, which writes the job's row. The names of its blobs contain the job's fence, so a run that was presumed dead
can continue without harm.

The solver works in chunks and calls ``Reporter`` after each. Most of these calls do nothing but remember the progress;
every ``REPORT_S`` one sends an update, and with it the names of new blobs: the best solution so far, and a checkpoint.
Writing these takes at most ``BLOB_SHARE`` of the run's time: after a slow write the next one waits accordingly.

Blobs that only help (the best solution so far, checkpoints, receipts) may fail to be made or written. For the input
the process waits for a while if the storage does not respond. Results are kept in memory until the storage takes them,
however long that is. While it waits, the process sends empty updates, so that its supervisor knows that it is alive.
When it is asked to suspend, it stores a checkpoint after the current chunk and ends.

A solver that finds too little memory, or no more threads, files or disk space, has not failed: see ``is_shortage``.
"""

from __future__ import annotations

import errno
import logging
import math
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TypeVar, cast, final

from msgspec import structs

from qiosk.contract.jobs import OUTPUT_BLOB, ErrorData, TracePoint, with_bound
from qiosk.errors import BlobNotFound, InvalidInput, NotEnoughMemory, QioskError, StorageFull
from qiosk.service.blobs.store import JSON, PLAIN, BlobHeaders, BlobStore, MapsBlobs
from qiosk.service.jobs.job import BlobRef
from qiosk.service.jobs.members import Merge, Part
from qiosk.service.jobs.runs import (
    ChunkReport,
    JobRunner,
    JobSpec,
    MemberResult,
    NotStarted,
    RunOutcome,
    RunResult,
    RunUpdate,
    Shortage,
    Suspended,
)
from qiosk.service.names import BEST_BLOB, CHECKPOINT_BLOB, MEMBER_RESULT, RECEIPT_BLOB, MemberBlob, blob_name

Answer = TypeVar("Answer")
_log = logging.getLogger(__name__)

REPORT_S = 0.2
"""Least time between two reports."""
CHECKPOINT_S = 2.0
"""Least time between two checkpoints."""
STORAGE_PATIENCE_S = 300.0
"""How long the process waits for storage that does not respond when it reads the input. Then it counts as lost, and the
job waits again."""
STORAGE_RETRY_S = 1.0
"""First pause before an operation is tried again, and time between two signs of life."""
LONGEST_RETRY_S = 30.0
"""Longest pause before an operation is tried again."""
BLOB_SHARE = 0.05
"""Largest part of a run's time that is spent on writing best solutions and checkpoints."""


def read_whole(blobs: BlobStore, ref: BlobRef) -> bytes:
    """Content of a blob, mapped where the store can do that. Raises BlobNotFound."""
    return blobs.mapped(ref) if isinstance(blobs, MapsBlobs) else blobs.get(ref)


def run_job(
    spec: JobSpec,
    blobs: BlobStore,
    runner: JobRunner,
    *,
    send: Callable[[RunUpdate], None],
    is_cancelled: Callable[[], bool],
    monotonic: Callable[[], float],
    is_suspending: Callable[[], bool] = lambda: False,
    read_input: Callable[[BlobStore, BlobRef], bytes] = read_whole,
) -> RunOutcome | ErrorData | Suspended | Shortage | NotStarted:
    """Run a job to its end, or until ``is_suspending``; then store a checkpoint and stop.

    ``read_input`` reads the problem. Returns how the run ended; every exception of the solver becomes an ErrorData, or
    a Shortage. The outcome of a run of a member has its blob, not results of the job.
    """
    try:
        reporter = Reporter(spec, blobs, send=send, monotonic=monotonic, is_suspending=is_suspending)
        try:
            data = _input(lambda: read_input(blobs, spec.input), reporter)
            resume = _checkpoint(spec, blobs, reporter)
            found = _found(spec, blobs, reporter)
        except (StorageFull, OSError) as error:
            return NotStarted(f"its input cannot be read: {error}", is_of_input=True)
        result = runner(
            spec,
            data,
            is_cancelled=is_cancelled,
            on_chunk=reporter,
            on_activity=reporter.on_activity,
            resume=resume,
            found=found,
        )
        return reporter.finish(result)
    except _Suspend:
        return Suspended()
    except Exception as error:  # noqa: BLE001 - an exception of a solver fails its job, not the process
        data_of_error = _error_data(error)
        if is_shortage(error):
            return Shortage(data_of_error, is_of_memory=isinstance(error, MemoryError))
        return data_of_error


_SHORTAGES = {errno.EAGAIN, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.ENOSPC, errno.EDQUOT}


def is_shortage(error: BaseException) -> bool:
    """Whether an error, or its cause, tells that the machine has too little of something at the moment.

    NotEnoughMemory without a cause is no shortage: it is raised where something is found not to fit this machine.
    """
    if error.__cause__ is not None:
        return is_shortage(error.__cause__)
    if isinstance(error, MemoryError):
        return not isinstance(error, NotEnoughMemory)
    if isinstance(error, RuntimeError):
        return "can't start new thread" in str(error)
    return isinstance(error, StorageFull) or (isinstance(error, OSError) and error.errno in _SHORTAGES)


def _error_data(error: Exception) -> ErrorData:
    if isinstance(error, QioskError):
        return ErrorData(**error.error_data())
    if isinstance(error, MemoryError):
        return ErrorData(**NotEnoughMemory("the job needs more memory than it may use").error_data())
    _log.error("the solver failed", exc_info=error)
    return ErrorData(code="InternalError", message=f"{type(error).__name__}: {error}")


def _input(read: Callable[[], bytes], reporter: Reporter) -> bytes:
    """The problem's bytes. Raises InvalidInput if the blob does not exist."""
    try:
        return reporter.retry_while_unavailable(read, STORAGE_PATIENCE_S)
    except BlobNotFound as error:
        raise InvalidInput(f"input data: {error.message}") from error


def _checkpoint(spec: JobSpec, blobs: BlobStore, reporter: Reporter) -> bytes | None:
    """The checkpoint of an earlier run; None if there is none, or it was removed."""
    if spec.checkpoint_blob is None:
        return None
    checkpoint = BlobRef(spec.container, spec.checkpoint_blob)
    try:
        found = reporter.retry_while_unavailable(lambda: blobs.get(checkpoint), STORAGE_PATIENCE_S)
    except BlobNotFound as error:
        if spec.is_extension:
            raise InvalidInput(f"the checkpoint of the job that this one extends: {error.message}") from error
        _log.warning("job %s: starts without its checkpoint: %s", spec.id, error)
        return None
    _log.info("job %s: resumes from %s", spec.id, checkpoint.name)
    return found


def _found(spec: JobSpec, blobs: BlobStore, reporter: Reporter) -> dict[int, bytes]:
    """What the members of the job have found, for a run that merges it."""
    if not isinstance(spec.part, Merge):
        return {}
    refs = {index: BlobRef(spec.container, name) for index, name in spec.part.found}
    return {
        index: reporter.retry_while_unavailable(partial(blobs.get, ref), STORAGE_PATIENCE_S)
        for index, ref in refs.items()
    }


class _Suspend(BaseException):
    """Ends a run that was asked to suspend and has stored a checkpoint. Solvers catch no BaseException."""


@final
class Reporter:
    """Called by the solver after each chunk; sends updates and stores blobs, but not after every chunk."""

    def __init__(
        self,
        spec: JobSpec,
        blobs: BlobStore,
        *,
        send: Callable[[RunUpdate], None],
        monotonic: Callable[[], float],
        is_suspending: Callable[[], bool] = lambda: False,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._is_suspending = is_suspending
        self._sleep = sleep
        self._spec = spec
        self._blobs = blobs
        self._send = send
        self._monotonic = monotonic
        self._began = monotonic()
        self._progress = spec.progress
        self._unsent: list[TracePoint] = []
        self._sent = 0
        self._has_sent_provenance = False
        self._best_cost = float("inf") if spec.best_cost is None else spec.best_cost
        self._report_at = self._began + REPORT_S
        self._best_at = self._began
        self._checkpoint_at = self._began + CHECKPOINT_S

    def __call__(self, report: ChunkReport) -> None:
        """Record a chunk; send an update if the last one was ``REPORT_S`` ago, or the run is to suspend."""
        self._progress = report.progress
        self._unsent.extend(report.new_trace)
        now = self._monotonic()
        is_suspending = self._is_suspending()
        if is_suspending or report.is_last:
            self._best_at = self._checkpoint_at = now
        elif now < self._report_at:
            return
        self._report_at = now + REPORT_S
        update = self._with_best(RunUpdate(progress=report.progress), report)
        update = self._with_checkpoint(update, report)
        if not self._has_sent_provenance:
            update = replace(update, provenance=report.provenance())
            self._has_sent_provenance = True
        self._send(replace(update, trace=tuple(self._unsent), trace_start=self._sent))
        self._sent += len(self._unsent)
        self._unsent.clear()
        if is_suspending and not report.is_last:
            raise _Suspend

    def on_activity(self, activity: str) -> None:
        """Send at once what the run does instead of searching; the next chunk shows that this is over."""
        self._send(RunUpdate(progress=structs.replace(self._progress, activity=activity)))

    def finish(self, result: RunResult) -> RunOutcome:
        """Send the last update and store the results, which takes as long as the storage is full or unreachable."""
        is_cut_off = result.stop_reason in ("cancelled", "run_limit")
        seconds = self._progress.seconds or self._monotonic() - self._began
        progress = structs.replace(
            self._progress,
            fraction=self._progress.fraction if is_cut_off else 1.0,
            best_cost=result.cost,
            bound=result.bound,
            bounds=with_bound(self._progress.bounds, seconds, result.bound),
            seconds=seconds,
        )
        update = RunUpdate(progress=progress, trace=tuple(result.trace), trace_start=0, is_solved=True)
        provenance = self.retry_while_unavailable(lambda: result.provenance)
        self._send(replace(update, provenance=provenance))
        if isinstance(self._spec.part, Part):
            kind = f"{MEMBER_RESULT}-{result.stop_reason}"
            name = self.retry_while_unavailable(lambda: self._store(kind, cast(MemberResult, result).to_bytes()))
            return RunOutcome(output_blob=name, stop_reason=result.stop_reason)
        best_blob, best_cost = self._spec.best_blob, self._spec.best_cost
        is_alone = is_cut_off and not result.covers_earlier_runs
        if is_alone and best_blob is not None and best_cost is not None and best_cost < result.cost:
            return RunOutcome(
                output_blob=best_blob, stop_reason=result.stop_reason
            )  # of an earlier run, which found a better solution
        self._store_receipt(result)  # first: who sees results may ask for it
        name = self.retry_while_unavailable(lambda: self._store(OUTPUT_BLOB, result.to_json().encode(), JSON))
        return RunOutcome(output_blob=name, stop_reason=result.stop_reason)

    def _store_receipt(self, result: RunResult) -> None:
        """A receipt that cannot be made or stored does not keep the results back."""
        try:
            receipt = result.receipt()
        except (OSError, MemoryError) as error:
            _log.warning("job %s: no receipt was made: %s", self._spec.id, error)
            return
        if receipt is not None:
            self._store_if_possible(RECEIPT_BLOB, lambda: receipt)

    def retry_while_unavailable(self, operation: Callable[[], Answer], patience_s: float = math.inf) -> Answer:
        """What ``operation`` returns; tries for ``patience_s``, after growing pauses, while the storage is full or does
        not respond, or memory is short.
        """
        began, pause_s = self._monotonic(), STORAGE_RETRY_S
        until = began + patience_s
        while True:
            try:
                return operation()
            except (StorageFull, OSError, MemoryError) as error:
                lasts_too_long = isinstance(error, MemoryError) and self._monotonic() >= began + STORAGE_PATIENCE_S
                if lasts_too_long or self._monotonic() >= until:
                    raise
                _log.warning("job %s: trying again in %g s: %s", self._spec.id, pause_s, error)
            self._pause(pause_s)
            pause_s = min(2.0 * pause_s, LONGEST_RETRY_S)

    def _pause(self, seconds: float) -> None:
        until = self._monotonic() + seconds
        while self._monotonic() < until:
            if self._is_suspending():
                raise _Suspend
            self._send(RunUpdate())  # shows that the process is alive
            self._sleep(STORAGE_RETRY_S)

    def _with_best(self, update: RunUpdate, report: ChunkReport) -> RunUpdate:
        cost = report.progress.best_cost
        began = self._monotonic()
        if cost is None or cost >= self._best_cost or began < self._best_at:
            return update
        name = self._store_if_possible(BEST_BLOB, report.best, JSON)
        self._best_at = self._next(began, STORAGE_RETRY_S if name is None else 0.0)
        if name is None:
            return update
        self._best_cost = cost
        return replace(update, best_blob=name, best_cost=cost)

    def _with_checkpoint(self, update: RunUpdate, report: ChunkReport) -> RunUpdate:
        began = self._monotonic()
        if began < self._checkpoint_at:
            return update
        name = self._store_if_possible(CHECKPOINT_BLOB, report.checkpoint)
        self._checkpoint_at = self._next(began, CHECKPOINT_S)
        return update if name is None else replace(update, checkpoint_blob=name)

    def _next(self, began: float, interval: float) -> float:
        """When to write again, after a write that took from ``began`` until now."""
        now = self._monotonic()
        return now + max(interval, (now - began) / BLOB_SHARE)

    def _store_if_possible(self, kind: str, make: Callable[[], bytes], headers: BlobHeaders = PLAIN) -> str | None:
        """Name of the stored blob; None if it could not be made or stored, which does not stop the run."""
        try:
            return self._store(kind, make(), headers)
        except (StorageFull, OSError, MemoryError) as error:
            _log.warning("job %s: %s was not stored: %s", self._spec.id, kind, error)
            return None

    def _store(self, kind: str, data: bytes, headers: BlobHeaders = PLAIN) -> str:
        spec = self._spec
        if isinstance(spec.part, Part):
            name = MemberBlob(spec.fence, spec.part.index, spec.part.run, kind).name(spec.id, spec.container)
        else:
            name = blob_name(kind, spec.id, spec.container, spec.fence)
        self._blobs.put(BlobRef(self._spec.container, name), data, headers=headers)
        return name
