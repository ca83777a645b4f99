"""Jobs for tests of the live table."""

from __future__ import annotations

from datetime import timedelta
from uuid import NAMESPACE_URL, uuid5

from msgspec.structs import replace

from fake_jobs import START, FakeJobs
from qiosk.contract.jobs import JobStatus, JobView, SubmitJob

NOW = START + timedelta(hours=2)


def job(name: str, status: JobStatus = JobStatus.EXECUTING, **members: object) -> JobView:
    """A job of this state, whose id is its name."""
    target = "microsoft.paralleltempering.cpu"
    view = FakeJobs().submit(SubmitJob(name=name, provider_id="Microsoft", target=target, input_data=b"{}", id=name))
    begun = {} if status == JobStatus.WAITING else {"begin_execution_time": START + timedelta(minutes=1)}
    ended = {"end_execution_time": START + timedelta(minutes=3)} if status.is_final else {}
    return replace(view, status=status, **{**begun, **ended, **members})


def named(name: str, status: JobStatus = JobStatus.EXECUTING, **members: object) -> JobView:
    """As ``job``, with an id such as the service makes."""
    return job(name, status, **{"id": str(uuid5(NAMESPACE_URL, name)), **members})
