"""Runs jobs again."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any
from uuid import UUID, uuid5

from msgspec import structs

from qiosk.client.details import JobDetails
from qiosk.dashboard.job import shown
from qiosk.errors import NotFound
from qiosk.service.jobs.job_service import JobService


def run_again(jobs: JobService, job_id: str, new_id: str) -> str:
    """Submit a job that reads the same input, with another seed if its target has one; returns its id.

    The seed follows from ``new_id``: a form that is sent twice makes one job. Raises what ``JobsApi.submit`` raises.
    """
    view = jobs.get(job_id)
    changes: dict[str, Any] = {"id": new_id, "container_uri": None, "session_id": None}
    if shown.takes_seed(view):
        seed = int.from_bytes(new_id.encode()[:4]) % 2**31
        changes["input_params"] = shown.with_seed(view.input_params, seed)
    return jobs.submit(structs.replace(JobDetails.from_view(view).command(), **changes)).id


def run_all_again(jobs: JobService, job_ids: Sequence[str], form_id: UUID) -> None:
    """Run jobs again, but for those that do not exist any more. Their ids follow from ``form_id`` and the old ones."""
    for job_id in job_ids:
        with suppress(NotFound):
            run_again(jobs, job_id, str(uuid5(form_id, job_id)))
