"""Jobs that go on where other jobs have ended.

A job that a time limit or a user ended keeps its last checkpoint. Its extension is a new job with the same definition
but another time limit, to which the checkpoint is copied: so either job can be removed without the other. The first run
of the new job continues from the copy, later ones from checkpoints of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from math import inf

from qiosk.contract.jobs import ExtendJob, own_container
from qiosk.errors import BlobNotFound, Conflict, InvalidValue
from qiosk.service.blobs.store import BlobStore, counted_bytes
from qiosk.service.jobs.job import BlobRef, Job
from qiosk.service.jobs.removal import copied_checkpoint
from qiosk.service.names import check_job_id
from qiosk.service.ports import TargetCatalogue


def extended_job(parent: Job, job_id: str, command: ExtendJob, targets: TargetCatalogue, at: datetime) -> Job:
    """The waiting job that goes on where ``parent`` has ended. Raises what ``JobsApi.extend`` raises."""
    check_job_id(job_id)
    if not 0 < command.timeout < inf:
        raise InvalidValue(f"timeout: must be a number of seconds above 0, found {command.timeout}")
    job = Job(
        workspace=parent.workspace,
        id=job_id,
        name=parent.name,
        provider_id=parent.provider_id,
        target=parent.target,
        job_type=parent.job_type,
        input_params=targets.with_timeout(parent.target, parent.input_params, command.timeout),
        metadata=parent.metadata,
        tags=parent.tags,
        priority=parent.priority,
        session_id=None,
        container=own_container(job_id),
        input=parent.input,
        input_data_format=parent.input_data_format,
        output_data_format=parent.output_data_format,
        definition=hashlib.sha256(f"extend {parent.id} {command.timeout!r}".encode()).hexdigest(),
        created_at=at,
        parent_id=parent.id,
    )
    return replace(job, checkpoint_blob=copied_checkpoint(job))


def check_extensible(job: Job) -> None:
    """Raises Conflict, which tells why, unless another job can go on from where this one has ended."""
    if not job.state.is_final:
        raise Conflict(f"job {job.id}: has not ended, it is {job.state.status}")
    if not job.was_cut:
        reason = None if job.provenance is None else job.provenance.stop_reason
        raise Conflict(f"job {job.id}: no time limit ended it: it is {job.state.status}, its stop reason is {reason}")
    if job.is_divided:
        raise Conflict(f"job {job.id}: ran over several nodes, each for the time limit: submit it with more time")
    if job.checkpoint_blob is None:
        raise Conflict(
            f"job {job.id}: has no checkpoint to go on from: it ended before its first one, or that was too large to be"
            " kept"
        )


def copy_checkpoint(parent: Job, job: Job, blobs: BlobStore, check_bytes: Callable[[int], None]) -> None:
    """Copy the checkpoint of one job to another, in pieces. Raises Conflict if it was removed, QuotaExceeded."""
    try:
        reader = blobs.open(BlobRef(parent.container, str(parent.checkpoint_blob)))
    except BlobNotFound as error:
        raise Conflict(f"job {parent.id}: its checkpoint was removed") from error
    with closing(reader):
        check_bytes(counted_bytes(reader.properties.size_bytes))
        writer = blobs.writer(BlobRef(job.container, str(job.checkpoint_blob)))
        try:
            for piece in reader.pieces():
                writer.write(piece)
            writer.commit()
        finally:
            writer.abort()
