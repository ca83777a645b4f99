"""A new job before it is submitted: what it begins with, what is known of its input, and what will go wrong."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from uuid import uuid4

from msgspec import structs

from qiosk.client.solvers.provider_formats import format_of
from qiosk.contract.jobs import SubmitJob
from qiosk.contract.quotas import Dimension, QuotaView
from qiosk.dashboard import units
from qiosk.dashboard.new_job import inputs
from qiosk.dashboard.new_job.inputs import Input
from qiosk.dashboard.new_job.parameters import LIMIT, PREFIX, Entries, Form, entries_found_by, entries_of_job
from qiosk.dashboard.new_job.problems import Description, describe, is_describable, remarks_on, warnings_of
from qiosk.errors import InvalidInput, InvalidTarget, JobAlreadyExists, JobNotFound
from qiosk.server.auth.access import Access
from qiosk.settings import read_settings
from qiosk.solvers.targets.catalogue import DEFAULT_TARGET
from qiosk.solvers.targets.parameters import read_parameters

OWN_ENTRIES: Final = ("target", "name", "tags", "priority", "session", LIMIT)
"""Fields that every target has."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Beginning:
    """What a new job begins with: an input, the entries at first, and the members of a URL that name both."""

    stored: Input
    entries: Entries
    origin: Mapping[str, str]

    def entries_with(self, given: Mapping[str, str]) -> dict[str, str]:
        """The entries, with what was entered."""
        entered = {name: text for name, text in given.items() if name in OWN_ENTRIES or name.startswith(PREFIX)}
        return {**self.entries, **entered}

    def members(self, entries: Entries) -> dict[str, str]:
        """The members of the URL that leads to these entries."""
        entered = {name: text for name, text in entries.items() if text != self.entries.get(name, "")}
        return {**self.origin, **entered}


@dataclass(frozen=True, slots=True)
class Examined:
    """What is known of an input: a description, or why there is none."""

    description: Description | None = None
    error: str | None = None

    @property
    def warnings(self) -> Sequence[str]:
        """What will go wrong with any target."""
        limit = read_settings(os.environ).memory_limit_here()
        return [] if self.description is None else list(warnings_of(self.description, memory_limit=limit))

    @property
    def remarks(self) -> Sequence[str]:
        """What may surprise."""
        return [] if self.description is None else list(remarks_on(self.description))


def begin(access: Access, given: Mapping[str, str]) -> Beginning:
    """The beginning that the members of a URL or a form name.

    ``from`` is the id of a job, with ``found`` for the parameters that its run has found; else ``input`` is that of an
    upload. Raises BlobNotFound, JobNotFound, NotFound.
    """
    blobs = access.parts.storage.blobs(access.workspace)
    if (job_id := given.get("from")) is None:
        stored = inputs.stored_input(blobs, given.get("input", ""))
        entries = {"target": DEFAULT_TARGET, "name": stored.name}
        return Beginning(stored=stored, entries=entries, origin={"input": stored.draft or ""})
    job = access.unsigned_jobs.find(job_id)
    view = access.unsigned_jobs.view_of(job)
    origin = {"from": job_id}
    parameters = {"target": DEFAULT_TARGET}
    if given.get("found"):
        origin["found"] = "1"
        parameters = entries_found_by(view)
    else:
        with suppress(InvalidTarget, InvalidInput):  # a target, or parameters, that can no longer be read
            parameters = entries_of_job(view)
    described = {"name": job.name, "tags": "\n".join(job.tags), "priority": job.priority or ""}
    return Beginning(stored=inputs.input_of(blobs, job), entries={**described, **parameters}, origin=origin)


def examine(access: Access, stored: Input) -> Examined:
    """What is known of an input; nothing if it is too large."""
    try:
        problem = inputs.read(access.parts.storage.blobs(access.workspace), stored)
        if problem is None or not is_describable(problem):
            return Examined()
        return Examined(describe(problem))
    except (InvalidInput, MemoryError) as error:
        return Examined(error=getattr(error, "message", "it does not fit into the server's memory"))


def quota_warnings(quotas: Sequence[QuotaView], parameters: Form) -> Iterator[str]:
    """Why the workspace's quotas will refuse a job, or end it early."""
    by_name = {quota.dimension: quota for quota in quotas}
    for dimension, text in (
        (Dimension.JOB_HOURS, "The workspace has used its job hours of this month: new jobs are refused."),
        (Dimension.QUEUED_JOBS, "The queue of the workspace is full: new jobs are refused until one has begun."),
    ):
        quota = by_name.get(dimension)
        if quota is not None and quota.utilization + quota.holds >= quota.limit:
            yield text
    longest = by_name.get(Dimension.RUN_SECONDS)
    if longest is not None and parameters.is_valid:
        target = parameters.target
        wanted = target.time_limit(read_parameters(target.parameters, parameters.values))
        if longest.limit < wanted < float("inf"):
            yield f"Jobs of this workspace run {units.seconds(longest.limit)} at most: this one ends earlier."


def free_id(access: Access, stored: Input) -> str:
    """The id for a job with this input: that with which it was uploaded, unless a job has it."""
    if stored.draft is not None:
        try:
            access.unsigned_jobs.find(stored.draft)
        except JobNotFound:
            return stored.draft
    return str(uuid4())


def submit(access: Access, stored: Input, parameters: Form, entries: Entries, job_id: str | None) -> str:
    """Queue a job with the input, the parameters and what else was entered; returns its id.

    It is ``job_id``, unless another job has got that id meanwhile. Raises what ``JobsApi.submit`` raises.
    """
    target = parameters.target
    tags = [tag.strip() for tag in entries.get("tags", "").split("\n")]
    command = SubmitJob(
        id=job_id,
        name=entries.get("name", "").strip() or stored.name,
        provider_id=target.provider_id,
        target=target.id,
        input_data_uri=access.parts.storage.blobs(access.workspace).uri(*stored.ref),
        input_data_format=stored.input_format,
        output_data_format=format_of(target.id).output_data_format,
        input_params=parameters.input_params,
        tags=tuple(tag for tag in tags if tag),
        priority=entries.get("priority") or None,
        session_id=entries.get("session") or None,
    )
    try:
        return access.jobs.submit(command).id
    except JobAlreadyExists:
        return access.jobs.submit(structs.replace(command, id=str(uuid4()))).id
