"""Cancelling jobs, and removing them with their blobs."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from datetime import datetime

from qiosk.contract.jobs import INPUT_BLOB, own_container
from qiosk.contract.logs import log_line
from qiosk.errors import StorageFull
from qiosk.service.blobs.store import BlobProperties, BlobStore
from qiosk.service.jobs.fences import is_restored
from qiosk.service.jobs.job import BlobRef, Job, JobEvent, JobState
from qiosk.service.jobs.members import nodes_of
from qiosk.service.names import (
    CHECKPOINT_BLOB,
    RUN_BLOBS,
    blob_name,
    is_run_blob,
    member_blob,
    member_prefix,
    receipt_name,
)
from qiosk.service.ports import JobStore

_log = logging.getLogger(__name__)


def request_cancellation(jobs: JobStore, job: Job, at: datetime) -> Job:
    """Cancel a job, unless it has ended or is cancelled already; returns the job as it is now. Raises JobNotFound."""
    while not job.state.is_final and job.state is not JobState.CANCELLING:
        line = log_line(at, logging.INFO, "it was cancelled")
        jobs.swap(job.on(JobEvent.CANCEL, at=at), expected=job, log=[line])
        job = jobs.get(job.key)
    return job


def remove_job(jobs: JobStore, blobs: BlobStore, job: Job) -> None:
    """Remove a job that has ended, and its blobs except those that another job needs. Raises JobNotFound."""
    jobs.delete(job.key)  # row first, so that no row refers to a missing blob
    if has_own_container(jobs, job):
        blobs.delete_container(job.container)
        return
    for ref in own_blobs(jobs, blobs, job):
        blobs.delete(ref)


def has_own_container(jobs: JobStore, job: Job) -> bool:
    """Whether the job has a container of its own, in which no other stored job has its input or output."""
    return job.container == own_container(job.id) and not jobs.is_needed(job.key, job.container)


def own_blobs(jobs: JobStore, blobs: BlobStore, job: Job) -> Iterator[BlobRef]:
    """Blobs that a job may have in a container with other data, except those that are another stored job's input.

    They are found by their names, and need not exist. Listing the container would take longer the more jobs share it;
    only those of the members of a job are listed, by the beginning of their names.
    """
    written = (*_written_by(blobs, job), *written_by_members(blobs, job))
    yield from (ref for ref in written if not jobs.is_needed(job.key, *ref))


def _written_by(blobs: BlobStore, job: Job) -> Iterator[BlobRef]:
    yield BlobRef(job.container, blob_name(INPUT_BLOB, job.id, job.container))
    yield from _written_by_runs_of(blobs, job)


def copied_checkpoint(job: Job) -> str | None:
    """Name of the checkpoint that was copied from the job that this one extends; None if it extends none."""
    return None if job.parent_id is None else blob_name(CHECKPOINT_BLOB, job.id, job.container, 0)


def _written_by_runs_of(blobs: BlobStore, job: Job) -> Iterator[BlobRef]:
    if (copied := copied_checkpoint(job)) is not None:
        yield BlobRef(job.container, copied)
    if is_restored(job.fence):  # the fences of its runs do not follow each other
        for kind in RUN_BLOBS:
            found = blobs_of(blobs, job.container, prefix=blob_name(kind, job.id, job.container))
            names = [blob.name for blob in found if is_run_blob(blob.name, job.id, job.container)]
            yield from (BlobRef(job.container, name) for name in names)
        return
    for fence in range(1, job.fence + 1):
        for kind in RUN_BLOBS:
            yield BlobRef(job.container, blob_name(kind, job.id, job.container, fence))


def written_by_members(blobs: BlobStore, job: Job) -> Sequence[BlobRef]:
    """The blobs that members of the job have written, in all attempts. Raises StorageFull, OSError."""
    if nodes_of(job.input_params) == 1:
        return ()
    prefix = member_prefix(job.id, job.container)
    found = (BlobRef(job.container, blob.name) for blob in blobs_of(blobs, job.container, prefix=prefix))
    return [ref for ref in found if member_blob(ref.name, job.id, job.container)]


def leftovers(blobs: BlobStore, job: Job) -> Iterator[BlobRef]:
    """Blobs that ``is_leftover`` of a job; they need not exist. Raises StorageFull, OSError."""
    written = (*_written_by_runs_of(blobs, job), *written_by_members(blobs, job))
    return (ref for ref in written if is_leftover(ref.name, job))


def remove_leftovers(blobs: BlobStore, job: Job) -> None:
    """Remove what a job that has ended does not need. If the storage fails, deleting or pruning the job does it."""
    try:
        for ref in leftovers(blobs, job):
            blobs.delete(ref)
    except (StorageFull, OSError) as error:
        _log.warning("job %s: checkpoints and earlier results were not removed: %s", job.id, error)


def is_leftover(name: str, job: Job) -> bool:
    """Whether a blob of a job that has ended is useless now: a best so far, results and receipts of a lost run, what
    its members wrote, and a checkpoint unless the job can be extended.
    """
    receipt = None if job.output_blob is None else receipt_name(job.output_blob)
    kept = (job.output_blob, receipt, job.checkpoint_blob if job.can_extend else None)
    return name not in kept and is_run_blob(name, job.id, job.container)


def blobs_of(blobs: BlobStore, container: str, *, prefix: str = "") -> Iterator[BlobProperties]:
    """All blobs of a container whose names begin with ``prefix``, page by page."""
    marker: str | None = None
    while True:
        page = blobs.page(container, prefix=prefix, marker=marker)
        yield from page.blobs
        marker = page.marker
        if marker is None:
            return
