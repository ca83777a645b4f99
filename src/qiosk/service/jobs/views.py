"""What users see of stored jobs and sessions."""

from __future__ import annotations

from qiosk.contract.jobs import OUTPUT_BLOB, JobStatus, JobView
from qiosk.contract.sessions import SessionView
from qiosk.errors import InvalidJobDefinition, InvalidValue
from qiosk.service.blobs.locations import BlobUri
from qiosk.service.jobs.job import Job, JobState
from qiosk.service.names import blob_name
from qiosk.service.sessions.session import Session


def job_view(job: Job, blob_uri: BlobUri) -> JobView:
    """What users see of a job, with URIs of its blobs made by ``blob_uri``."""
    return JobView(
        id=job.id,
        name=job.name,
        container_uri=_uri(blob_uri, job.container) or "",
        input_data_uri=_uri(blob_uri, *job.input) or "",
        input_data_format=job.input_data_format,
        input_params=job.input_params,
        provider_id=job.provider_id,
        target=job.target,
        metadata=job.metadata,
        output_data_uri=_output_uri(job, blob_uri),
        output_data_format=job.output_data_format,
        status=job.state.status,
        creation_time=job.created_at,
        begin_execution_time=job.begun_at,
        end_execution_time=job.ended_at,
        cancellation_time=job.cancelled_at,
        error_data=job.error,
        is_cancelling=job.state is JobState.CANCELLING,
        has_results=job.output_blob is not None,
        job_type=job.job_type,
        tags=job.tags,
        priority=job.priority,
        session_id=job.session_id,
        attempts=job.attempts,
        progress=job.progress,
        submitter=job.submitter,
        provenance=job.provenance,
        parent_id=job.parent_id,
        can_extend=job.can_extend,
    )


def session_view(session: Session) -> SessionView:
    """What users see of a session."""
    return SessionView(
        id=session.id,
        name=session.name,
        provider_id=session.provider_id,
        target=session.target,
        status=session.status,
        creation_time=session.created_at,
        job_failure_policy=session.policy,
        begin_execution_time=session.begun_at,
        end_execution_time=session.ended_at,
        error_data=session.error,
        tags=session.tags,
        priority=session.priority,
    )


def _output_uri(job: Job, blob_uri: BlobUri) -> str | None:
    """URI of the results; of a job that has not ended, the URI that they are expected to get."""
    if job.output_blob is not None:
        return _uri(blob_uri, job.container, job.output_blob)
    if job.state.is_final and job.state.status is not JobStatus.SUCCEEDED:
        return None
    fence = job.fence if job.attempts else job.fence + 1
    expected = blob_name(OUTPUT_BLOB, job.id, job.container, fence)
    return _uri(blob_uri, job.container, expected)


def _uri(blob_uri: BlobUri, container: str, name: str | None = None) -> str | None:
    """A URI; None if the stored name was damaged and names nothing, so that the job can be shown nevertheless."""
    try:
        return blob_uri(container, name)
    except (InvalidValue, InvalidJobDefinition):
        return None
