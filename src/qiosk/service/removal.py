"""What belongs to a job among the blobs, and how it is removed."""

from __future__ import annotations

from collections.abc import Iterator

from qiosk.service.blobs import BlobProperties, BlobStore
from qiosk.service.jobs import BlobRef, Job
from qiosk.service.names import is_job_blob, is_run_blob, own_container
from qiosk.service.ports import JobStore


def remove_job(jobs: JobStore, blobs: BlobStore, job: Job) -> None:
    """Remove a job that has ended, and its data. Raises JobNotFound."""
    jobs.delete(job.key)  # row first: no row points at nothing
    if job.container == own_container(job.id):
        blobs.delete_container(job.container)
        return
    for name in blobs.list(job.container):
        if is_job_blob(name, job.id):
            blobs.delete(BlobRef(job.container, name))


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
