"""Asking a job to stop."""

from __future__ import annotations

from datetime import datetime

from qiosk.service.jobs import Job, JobEvent, JobState
from qiosk.service.ports import JobStore


def request_cancellation(jobs: JobStore, job: Job, at: datetime) -> Job:
    """The job as it is now, asked to stop at ``at`` unless it has ended or was asked before. Raises JobNotFound."""
    while not job.state.is_final and job.state is not JobState.CANCELLING:
        jobs.swap(job.on(JobEvent.CANCEL, at=at), expected=job)
        job = jobs.get(job.key)
    return job
