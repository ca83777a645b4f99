"""A workspace: where jobs are submitted, listed, watched and cancelled."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from datetime import date, datetime
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar
from uuid import uuid4

from msgspec.structs import asdict

from qiosk.client.details import JobDetails, SessionDetails
from qiosk.client.filters import item_status, job_status, moment, name_pattern
from qiosk.client.job import Job
from qiosk.client.progress_bar import ProgressBar
from qiosk.client.remote.connection import Connection, connection, connection_string_members
from qiosk.client.session import Session
from qiosk.client.solvers import PARAMETER_FREE, Solver, solver_for
from qiosk.contract.api import JobsApi
from qiosk.contract.items import ItemQuery
from qiosk.contract.jobs import (
    INPUT_BLOB,
    QIO_OUTPUT_FORMAT,
    JobQuery,
    JobStatus,
    JobUpdate,
    JobView,
    SubmitJob,
    TargetView,
)
from qiosk.contract.paging import MAX_PAGE, Page
from qiosk.contract.sessions import SessionStatus, SessionView
from qiosk.contract.workspaces import DEFAULT_KEY, workspace_key
from qiosk.errors import InvalidFilter, InvalidJobDefinition, InvalidValue

if TYPE_CHECKING:
    from qiosk.problem import Problem

_RESOURCE_ID = re.compile(
    r"/subscriptions/([^/\s]*)/resourceGroups/([^/\s]*)/providers/Microsoft\.Quantum/Workspaces/([^/\s]*)",
    re.IGNORECASE,
)
_HOST = re.compile(r"[\w.-]+:[0-9]+/?|localhost/?")
Item = TypeVar("Item", bound=JobView | SessionView)


class Workspace:
    """Jobs of one workspace, on this machine or on a server.

    ``Workspace()`` needs nothing: jobs live in a per-user folder, and are run by a process that is started
    when there is work. ``Workspace("https://host:port", api_key=…)`` speaks to a server instead, and so does
    ``Workspace()`` where the environment has ``QIOSK_URL``. ``subscription_id``, ``resource_group`` and
    ``name`` (or one ``resource_id``) choose another workspace of the same folder or server, so that programs
    written for the cloud keep their jobs apart; left empty, they mean the default one.

    Args:
        subscription_id: which workspace, with the next two; all three or none, compared without regard to
            case. The first argument; a URL there is the server's, and this may be given by name besides.
        resource_group, name: the same.
        storage: accepted and not used: blobs live where the jobs are.
        resource_id: ``/subscriptions/…/resourceGroups/…/providers/Microsoft.Quantum/Workspaces/…``, instead
            of the three.
        location: kept as an attribute, without blanks and in lower case.
        credential: kept as ``credentials``; not used.
        user_agent: kept as an attribute, and sent to servers.
        home: folder of the jobs; by default ``QIOSK_HOME``, else a per-user data folder.
        api: another implementation of the jobs interface.
        url: of a server.
        api_key: opens a server's workspace; by default ``QIOSK_API_KEY``.

    For a server, a workspace that is not named is the one of ``QIOSK_SUBSCRIPTION_ID``,
    ``QIOSK_RESOURCE_GROUP`` and ``QIOSK_WORKSPACE``. Raises ValueError if the workspace is named only in
    part, InvalidValue for a name, URL or key that cannot be one. A context manager; closing it does not stop jobs.
    """

    def __init__(
        self,
        first: str | None = None,
        /,
        resource_group: str | None = None,
        name: str | None = None,
        storage: str | None = None,
        resource_id: str | None = None,
        location: str | None = None,
        credential: object | None = None,
        user_agent: str | None = None,
        *,
        subscription_id: str | None = None,
        home: str | Path | None = None,
        api: JobsApi | None = None,
        url: str | None = None,
        api_key: str | None = None,
    ) -> None:
        if first is None:
            first, subscription_id = subscription_id, None
        if first is not None and "://" in first:
            first, url = None, first
        if first is not None and subscription_id is not None:
            raise InvalidValue(f"subscription_id: must be given once, found {first!r} and {subscription_id!r}")
        subscription_id = subscription_id if first is None else first
        if resource_id:
            subscription_id, resource_group, name = _split_resource_id(resource_id)
        if subscription_id is not None and resource_group is None and name is None and _HOST.fullmatch(subscription_id):
            raise InvalidValue(f"server url: must begin with http:// or https://, found {subscription_id!r}")
        is_local = api is not None or home is not None
        server = connection(url, api_key, subscription_id, resource_group, name, is_local=is_local)
        if server is not None:
            subscription_id, resource_group, name = server.subscription_id, server.resource_group, server.name
        self._key = workspace_key(subscription_id, resource_group, name)
        self.subscription_id = subscription_id
        self.resource_group = resource_group
        self.name = name or DEFAULT_KEY
        self.storage = storage
        self.location = "".join(location.split()).lower() if location else None
        self.credentials = credential
        self.user_agent = user_agent
        self.url = None if server is None else server.url
        if api is None:
            api = _open_embedded(home, self._key) if server is None else _open_remote(server, user_agent)
        self.api: JobsApi = api

    @classmethod
    def from_connection_string(cls, connection_string: str, **kwargs: Any) -> Workspace:
        """The workspace of a server that a text names.

        ``SubscriptionId=…;ResourceGroupName=…;WorkspaceName=…;ApiKey=…;QuantumEndpoint=https://host:port/;``, as
        for the old service, with an endpoint of any host. ``kwargs``: further arguments of the class, which win.
        Raises InvalidValue.
        """
        return cls(**{**connection_string_members(connection_string), **kwargs})

    def submit_job(self, job: Job) -> Job:
        """Queue a job made by hand; returns it as it was accepted.

        Submitting the same job twice gives the same job. Raises InvalidJobDefinition, JobAlreadyExists.
        """
        return self._job(self.api.submit(_command(job.details)))

    def submit(self, command: SubmitJob) -> Job:
        """Queue a job.

        Raises InvalidJobDefinition, JobAlreadyExists, before anything is stored but, on a server, the input.
        """
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
        session_id: str | None = None,
        limit: int | None = None,
    ) -> list[Job]:
        """Jobs that meet every condition given, newest first.

        Args:
            name_match: regular expression to be found in the name.
            status: state to be in.
            created_after: created then or later; a date means its first moment, times without a zone are
                local.
            provider_id, target: where they were sent.
            session_id: in this session.
            limit: at most so many.

        Raises InvalidFilter.
        """
        query = JobQuery(
            statuses=None if status is None else (job_status(status),),
            provider_ids=None if provider_id is None else (provider_id,),
            targets=None if target is None else (target,),
            created_after=None if created_after is None else moment(created_after),
            session_id=session_id,
        )
        found = _matching(lambda top, token: self.api.page(query, top=top, token=token), name_match, limit)
        return [self._job(view) for view in found]

    def open_session(self, session: Session) -> Session:
        """Open a session made by hand; returns it, with fresh details. The same again gives the same session.

        Raises InvalidJobDefinition (ProviderNotFound, InvalidTarget); SessionAlreadyExists if the id is another's.
        """
        session.details = SessionDetails.from_view(self.api.sessions.open(session.command()))
        return session

    def close_session(self, session: Session) -> Session:
        """End a session: it takes no more jobs, those it has run on. Raises SessionNotFound."""
        session.details = SessionDetails.from_view(self.api.sessions.close(session.id))
        return session

    def refresh_session(self, session: Session) -> Session:
        """Read a session's details again. Raises SessionNotFound."""
        session.details = SessionDetails.from_view(self.api.sessions.get(session.id))
        return session

    def get_session(self, session_id: str) -> Session:
        """The session with this id. Raises SessionNotFound."""
        return self._session(self.api.sessions.get(session_id))

    def list_sessions(
        self,
        name_match: str | None = None,
        status: SessionStatus | str | None = None,
        created_after: datetime | date | None = None,
        *,
        provider_id: str | None = None,
        target: str | None = None,
        limit: int | None = None,
    ) -> list[Session]:
        """Sessions that meet every condition given, which are those of :meth:`list_jobs`, newest first.

        Raises InvalidFilter.
        """
        query = _item_query(status, created_after, provider_id, target)
        found = _matching(lambda top, token: self.api.sessions.page(query, top=top, token=token), name_match, limit)
        return [self._session(view) for view in found]

    def list_session_jobs(self, session_id: str, name_match: str | None = None, **conditions: Any) -> list[Job]:
        """The jobs of a session that meet the conditions of :meth:`list_jobs`, newest first.

        Raises SessionNotFound, InvalidFilter.
        """
        self.api.sessions.get(session_id)
        return self.list_jobs(name_match, session_id=session_id, **conditions)

    def list_top_level_items(
        self,
        name_match: str | None = None,
        status: JobStatus | SessionStatus | str | None = None,
        created_after: datetime | date | None = None,
        *,
        provider_id: str | None = None,
        target: str | None = None,
        limit: int | None = None,
    ) -> list[Job | Session]:
        """Sessions, and jobs without one, that meet every condition given, newest first. Raises InvalidFilter."""
        query = _item_query(status, created_after, provider_id, target)
        found = _matching(lambda top, token: self.api.sessions.items(query, top=top, token=token), name_match, limit)
        return [self._session(view) if isinstance(view, SessionView) else self._job(view) for view in found]

    def get_targets(self, name: str | None = None, provider_id: str | None = None) -> Solver | list[Solver]:
        """Solvers this workspace can run: the one that was asked for, else a list.

        A list leaves out the parameter-free targets: a solver without parameters uses them by itself.
        """
        views = self.target_views(name, provider_id)
        if len(views) == 1:
            return solver_for(self, views[0])
        return [solver_for(self, view) for view in views if PARAMETER_FREE not in view.id.lower()]

    def target_views(self, name: str | None = None, provider_id: str | None = None) -> Sequence[TargetView]:
        """Every target with this id and provider, compared without regard to case, as the service lists them."""
        return [
            view
            for view in self.api.targets()
            if (name is None or view.id.lower() == name.lower())
            and (provider_id is None or view.provider_id.lower() == provider_id.lower())
        ]

    def get_quotas(self) -> list[dict[str, Any]]:
        """What the workspace may use, and has used: a dictionary for each quota.

        Each has ``dimension``, ``scope``, ``provider_id``, ``utilization``, ``holds``, ``limit`` and ``period``. Hours
        are those of this calendar month (UTC); ``holds`` is what running jobs have used so far.
        """
        return [asdict(quota) for quota in self.api.quotas()]

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
            for update in self.api.updates(_job_id(job), timeout_s=timeout_secs):
                if isinstance(job, Job):
                    job.details = JobDetails.from_view(update.view)
                bar.update(update.status, update.progress)
                yield update

    def login(self, refresh: bool = False) -> object:
        """The credential; old programs call this, and nothing needs it."""
        del refresh
        return self.credentials

    def append_user_agent(self, value: str) -> None:
        """Add to ``user_agent``, after a dash; connections that are open keep theirs."""
        if value not in (self.user_agent or ""):
            self.user_agent = f"{self.user_agent}-{value}" if self.user_agent else value

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
        place = "" if self.url is None else f" of {self.url}"
        return f"<Workspace {self._key!r}{place}>"

    def _job(self, view: JobView) -> Job:
        return Job(self, JobDetails.from_view(view))

    def _session(self, view: SessionView) -> Session:
        return Session(self, SessionDetails.from_view(view))


def _check_limit(limit: int | None) -> None:
    if limit is not None and limit < 0:
        raise InvalidFilter(f"limit must not be negative, found {limit}")


def _item_query(
    status: str | None, created_after: datetime | date | None, provider_id: str | None, target: str | None
) -> ItemQuery:
    return ItemQuery(
        statuses=None if status is None else (item_status(status),),
        provider_ids=None if provider_id is None else (provider_id,),
        targets=None if target is None else (target,),
        created_after=None if created_after is None else moment(created_after),
    )


def _matching(
    page: Callable[[int, str | None], Page[Item]], name_match: str | None, limit: int | None
) -> Iterator[Item]:
    """At most ``limit`` items whose name fits, from as few pages as it takes; ``page`` takes a size and a token."""
    _check_limit(limit)
    pattern = None if name_match is None else name_pattern(name_match)
    top = MAX_PAGE if limit is None or pattern is not None else min(max(limit, 1), MAX_PAGE)

    def items() -> Iterator[Item]:
        found = page(top, None)
        yield from found.items
        while found.next is not None:
            found = page(top, found.next)
            yield from found.items

    return islice((item for item in items() if pattern is None or pattern.search(item.name)), limit)


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


def _open_remote(server: Connection, user_agent: str | None) -> JobsApi:
    # here, so that an embedded workspace never loads an HTTP library
    from qiosk.client.progress_bar import TransferBar
    from qiosk.client.remote.jobs import HttpJobs

    return HttpJobs(server, user_agent=user_agent, on_transfer=TransferBar())


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
