"""Cancelling a job, finding its blobs, and removing both."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from qiosk.contract.jobs import INPUT_BLOB, own_container
from qiosk.service.blobs import BlobProperties, BlobStore
from qiosk.service.jobs import BlobRef, Job, JobEvent, JobState
from qiosk.service.names import RUN_BLOBS, blob_name, is_run_blob
from qiosk.service.ports import JobStore


def request_cancellation(jobs: JobStore, job: Job, at: datetime) -> Job:
    """The job as it is now, asked to stop at ``at`` unless it has ended or was asked before. Raises JobNotFound."""
    while not job.state.is_final and job.state is not JobState.CANCELLING:
        jobs.swap(job.on(JobEvent.CANCEL, at=at), expected=job)
        job = jobs.get(job.key)
    return job


def remove_job(jobs: JobStore, blobs: BlobStore, job: Job) -> None:
    """Remove a job that has ended, and those of its data that no other job needs. Raises JobNotFound."""
    jobs.delete(job.key)  # row first: no row points at nothing
    if has_own_container(jobs, job):
        blobs.delete_container(job.container)
        return
    for ref in own_blobs(jobs, job):
        blobs.delete(ref)


def has_own_container(jobs: JobStore, job: Job) -> bool:
    """Whether the job's container is its own, and no other stored job has its input or its output there."""
    return job.container == own_container(job.id) and not jobs.is_needed(job.key, job.container)


def own_blobs(jobs: JobStore, job: Job) -> Iterator[BlobRef]:
    """Where a job's input and outputs are, if there are any, in a container that holds other data, too; those that are
    another stored job's input are left out.

    They are known by their names: to list a container for each of many jobs that share it takes ever longer.
    """
    yield from (ref for ref in _written_by(job) if not jobs.is_needed(job.key, *ref))


def _written_by(job: Job) -> Iterator[BlobRef]:
    yield BlobRef(job.container, blob_name(INPUT_BLOB, job.id, job.container))
    yield from _written_by_runs_of(job)


def _written_by_runs_of(job: Job) -> Iterator[BlobRef]:
    for fence in range(1, job.fence + 1):
        for kind in RUN_BLOBS:
            yield BlobRef(job.container, blob_name(kind, job.id, job.container, fence))


def leftovers(job: Job) -> Iterator[BlobRef]:
    """Where the blobs are, if there are any, that are ``is_leftover``."""
    return (ref for ref in _written_by_runs_of(job) if is_leftover(ref.name, job))


def is_leftover(name: str, job: Job) -> bool:
    """Whether a run of a final job wrote this blob and nobody will read it: checkpoints, bests, lost runs' results."""
    return name != job.output_blob and is_run_blob(name, job.id, job.container)


def blobs_of(blobs: BlobStore, container: str) -> Iterator[BlobProperties]:
    """All blobs of a container, page by page."""
    marker: str | None = None
    while True:
        page = blobs.page(container, marker=marker)
        yield from page.blobs
        marker = page.marker
        if marker is None:
            return
