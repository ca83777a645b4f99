"""A workspace: where jobs are submitted, listed, watched and cancelled."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING
from uuid import uuid4

from qiosk.client.details import JobDetails
from qiosk.client.filters import job_status, moment, name_pattern
from qiosk.client.job import Job
from qiosk.client.progress_bar import ProgressBar
from qiosk.client.solvers import PARAMETER_FREE, Solver, solver_for
from qiosk.client.watch import JobUpdate, updates
from qiosk.contract.jobs import (
    INPUT_BLOB,
    QIO_OUTPUT_FORMAT,
    JobQuery,
    JobsApi,
    JobStatus,
    JobView,
    SubmitJob,
    TargetView,
)
from qiosk.errors import InvalidFilter, InvalidJobDefinition

if TYPE_CHECKING:
    from qiosk.problem import Problem

DEFAULT_KEY = "default"
"""The workspace of programs that name none."""

_RESOURCE_ID = re.compile(
    r"/subscriptions/([^/\s]*)/resourceGroups/([^/\s]*)/providers/Microsoft\.Quantum/Workspaces/([^/\s]*)",
    re.IGNORECASE,
)


class Workspace:
    """Jobs of one workspace, kept on this machine.

    ``Workspace()`` needs nothing: jobs live in a per-user folder, and are run by a process that is started
    when there is work. ``subscription_id``, ``resource_group`` and ``name`` (or one ``resource_id``) choose
    another workspace of the same folder, so that programs written for the cloud keep their jobs apart; left
    empty, they mean the default one.

    Args:
        subscription_id, resource_group, name: which workspace; all three or none. Compared without regard to
            case.
        storage: accepted and not used: blobs live in the home folder.
        resource_id: ``/subscriptions/…/resourceGroups/…/providers/Microsoft.Quantum/Workspaces/…``, instead
            of the three.
        location: kept as an attribute, without blanks and in lower case.
        credential: kept as ``credentials``; nothing here needs one.
        user_agent: kept as an attribute.
        home: folder of the jobs; by default ``QIOSK_HOME``, else a per-user data folder.
        api: another implementation of the jobs interface, instead of an embedded one.

    Raises ValueError if the workspace is named only in part. A context manager; closing it does not stop
    jobs.
    """

    def __init__(
        self,
        subscription_id: str | None = None,
        resource_group: str | None = None,
        name: str | None = None,
        storage: str | None = None,
        resource_id: str | None = None,
        location: str | None = None,
        credential: object | None = None,
        user_agent: str | None = None,
        *,
        home: str | Path | None = None,
        api: JobsApi | None = None,
    ) -> None:
        if resource_id:
            subscription_id, resource_group, name = _split_resource_id(resource_id)
        self._key = workspace_key(subscription_id, resource_group, name)
        self.subscription_id = subscription_id
        self.resource_group = resource_group
        self.name = name or DEFAULT_KEY
        self.storage = storage
        self.location = "".join(location.split()).lower() if location else None
        self.credentials = credential
        self.user_agent = user_agent
        self.api: JobsApi = _open_embedded(home, self._key) if api is None else api

    def submit_job(self, job: Job) -> Job:
        """Queue a job made by hand; returns it as it was accepted.

        Submitting the same job twice gives the same job. Raises InvalidJobDefinition, JobAlreadyExists.
        """
        return self._job(self.api.submit(_command(job.details)))

    def submit(self, command: SubmitJob) -> Job:
        """Queue a job. Raises InvalidJobDefinition, JobAlreadyExists before anything is stored."""
        return self._job(self.api.submit(command))

    def cancel_job(self, job: Job | str) -> Job:
        """Stop a job; the best solution it has found is kept. Jobs that have ended are left alone.

        A :class:`Job` is updated in place as well. Raises JobNotFound.
        """
        cancelled = self._job(self.api.cancel(_job_id(job)))
        if isinstance(job, Job):
            job.details = cancelled.details
        return cancelled

    def get_job(self, job_id: str) -> Job:
        """The job with this id. Raises JobNotFound."""
        return self._job(self.api.get(job_id))

    def delete_job(self, job: Job | str) -> None:
        """Remove a job and its data; one that still runs is cancelled first. Raises JobNotFound."""
        self.api.delete(_job_id(job))

    def list_jobs(
        self,
        name_match: str | None = None,
        status: JobStatus | str | None = None,
        created_after: datetime | date | None = None,
        *,
        provider_id: str | None = None,
        target: str | None = None,
        limit: int | None = None,
    ) -> list[Job]:
        """Jobs that meet every condition given, newest first.

        Args:
            name_match: regular expression to be found in the name.
            status: state to be in.
            created_after: created then or later; a date means its first moment, times without a zone are
                local.
            provider_id, target: where they were sent.
            limit: at most so many.

        Raises InvalidFilter.
        """
        query = JobQuery(
            statuses=None if status is None else (job_status(status),),
            provider_ids=None if provider_id is None else (provider_id,),
            targets=None if target is None else (target,),
            created_after=None if created_after is None else moment(created_after),
        )
        if limit is not None and limit < 0:
            raise InvalidFilter(f"limit must not be negative, found {limit}")
        pattern = None if name_match is None else name_pattern(name_match)
        views = (view for view in self.api.list(query) if pattern is None or pattern.search(view.name))
        return [self._job(view) for view in islice(views, limit)]

    def get_targets(self, name: str | None = None, provider_id: str | None = None) -> Solver | list[Solver]:
        """Solvers this workspace can run: the one that was asked for, else a list.

        A list leaves out the parameter-free targets: a solver without parameters uses them by itself.
        """
        views = self.target_views(name, provider_id)
        if len(views) == 1:
            return solver_for(self, views[0])
        return [solver_for(self, view) for view in views if PARAMETER_FREE not in view.id.lower()]

    def target_views(self, name: str | None = None, provider_id: str | None = None) -> Sequence[TargetView]:
        """Every target with this id and provider, compared without regard to case, as the service lists
        them.
        """
        return [
            view
            for view in self.api.targets()
            if (name is None or view.id.lower() == name.lower())
            and (provider_id is None or view.provider_id.lower() == provider_id.lower())
        ]

    def get_container_uri(
        self,
        job_id: str | None = None,
        container_name: str | None = None,
        container_name_format: str = "job-{job_id}",
    ) -> str:
        """URI of a container, which is created if it does not exist.

        The container is ``container_name``, else the job's, else ``<workspace name>-data``.
        """
        if container_name is None:
            container_name = f"{self.name}-data" if job_id is None else container_name_format.format(job_id=job_id)
        return self.api.container_uri(container_name)

    def upload_problem(
        self, problem: Problem, container_name: str = "qio-problems", blob_name: str | None = INPUT_BLOB
    ) -> str:
        """Store a problem, gzip-compressed, for several jobs to use; returns the URI that ``submit`` takes.

        Without a ``blob_name`` (None) it gets one that is new. Raises BlobAlreadyExists if the name is taken.
        """
        if blob_name is None:
            blob_name = f"problem-{uuid4()}"
        return self.api.put_blob(container_name, blob_name, problem.to_blob(), overwrite=False)

    def watch(
        self, job: Job | str, *, timeout_secs: float | None = None, show_progress: bool = True
    ) -> Iterator[JobUpdate]:
        """Follow a job: its state now, then every change, the final state last.

        Each update has ``status``, ``progress`` and the ``new_trace`` points since the update before. A
        progress bar is shown on standard error if that is a terminal and ``show_progress``. Leaving the loop
        leaves the job running. Raises JobNotFound; TimeoutError after ``timeout_secs`` [s].
        """
        with ProgressBar(enabled=show_progress) as bar:
            for update in updates(self.api, _job_id(job), timeout_s=timeout_secs):
                if isinstance(job, Job):
                    job.details = JobDetails.from_view(update.view)
                bar.update(update.status, update.progress)
                yield update

    def close(self) -> None:
        """Release files and connections. Jobs go on."""
        self.api.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        # neither storage nor credential: both may hold secrets
        return f"<Workspace {self._key!r}>"

    def _job(self, view: JobView) -> Job:
        return Job(self, JobDetails.from_view(view))


def workspace_key(subscription_id: str | None, resource_group: str | None, name: str | None) -> str:
    """What a home calls the workspace that is named by these three; the default one if none is given.

    Raises ValueError if only some are given.
    """
    parts = {"subscription_id": subscription_id, "resource_group": resource_group, "name": name}
    missing = [part for part, value in parts.items() if not value]
    if len(missing) == len(parts):
        return DEFAULT_KEY
    if missing:
        raise ValueError(
            "a workspace is named by subscription_id, resource_group and name together, "
            f"or by none of them: {', '.join(missing)} missing"
        )
    return "/".join(str(value).lower() for value in parts.values())


def _split_resource_id(resource_id: str) -> tuple[str, str, str]:
    match = _RESOURCE_ID.fullmatch(resource_id)
    if match is None:
        raise ValueError(
            "resource_id must be /subscriptions/…/resourceGroups/…/providers/Microsoft.Quantum/Workspaces/…, "
            f"found {resource_id!r}"
        )
    subscription_id, resource_group, name = match.groups()
    return subscription_id, resource_group, name


def _open_embedded(home: str | Path | None, key: str) -> JobsApi:
    # here and nowhere else, so that a client of a server never loads a database
    from qiosk.bootstrap import open_embedded

    return open_embedded(None if home is None else Path(home), workspace=key)


def _job_id(job: Job | str) -> str:
    return job if isinstance(job, str) else job.id


def _command(details: JobDetails) -> SubmitJob:
    uri = details.input_data_uri
    if uri is None:
        if details.container_uri is None:
            raise InvalidJobDefinition(f"job {details.id}: input_data_uri and container_uri are both missing")
        base, mark, query = details.container_uri.partition("?")
        uri = f"{base.rstrip('/')}/{INPUT_BLOB}{mark}{query}"
    return SubmitJob(
        id=details.id,
        name=details.name or "",
        provider_id=details.provider_id,
        target=details.target,
        input_data_uri=uri,
        input_data_format=details.input_data_format,
        output_data_format=details.output_data_format or QIO_OUTPUT_FORMAT,
        input_params=details.input_params,
        container_uri=details.container_uri,
        metadata=details.metadata,
        job_type=details.job_type,
        tags=tuple(details.tags or ()),
        priority=details.priority,
        session_id=details.session_id,
    )
