"""A workspace: where jobs are submitted, listed, watched and cancelled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, datetime
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, overload
from uuid import uuid4

from msgspec.structs import asdict

from qiosk.client.details import JobDetails, SessionDetails
from qiosk.client.filters import conditions, item_status, job_status, matching
from qiosk.client.frames import job_frame
from qiosk.client.job import Job, told_if_interrupted
from qiosk.client.opening import connect, read_names, split_first
from qiosk.client.remote.connection import connection_string_members
from qiosk.client.session import Session
from qiosk.client.short_ids import by_id, may_be_short
from qiosk.client.solvers.base import PARAMETER_FREE, Solver, full_id, solver_for
from qiosk.console.progress_bar import ProgressBar
from qiosk.contract.api import JobsApi
from qiosk.contract.items import ItemQuery
from qiosk.contract.jobs import (
    CONTAINER_PREFIX,
    INPUT_BLOB,
    JobQuery,
    JobStatus,
    JobUpdate,
    JobView,
    SubmitJob,
    TargetView,
)
from qiosk.contract.sessions import SessionStatus, SessionView
from qiosk.contract.workspaces import DEFAULT_KEY
from qiosk.errors import BlobAlreadyExists

if TYPE_CHECKING:
    import pandas

    from qiosk.problem import Problem


class Workspace:
    """Jobs of one workspace, on this machine or on a server.

    ``Workspace()`` needs no arguments: jobs are stored in a per-user folder, and a supervisor process runs them, which
    is started when there are jobs. ``Workspace("https://host:port", api_key=…)`` uses a server instead, and so does
    ``Workspace()`` if ``QIOSK_URL`` is set in the environment. ``subscription_id``, ``resource_group`` and ``name`` (or
    one ``resource_id``) select another workspace of the same folder or server, so that programs written for the cloud
    keep their jobs apart; without them the default workspace is used.

    >>> from qiosk import Problem, Workspace
    >>> from qiosk.optimization import SimulatedAnnealing, Term
    >>> problem = Problem("pair", terms=[Term(c=1.0, indices=[0, 1])])
    >>> with Workspace() as workspace:
    ...     job = SimulatedAnnealing(workspace, sweeps=10, seed=1).submit(problem)
    ...     newest = workspace.list_jobs("pair", limit=1)[0]
    ...     print(job.get_results().cost, newest.id == job.id)
    -1.0 True

    Args:
        subscription_id: selects the workspace, together with the next two: all three or none, in any letter case. It is
            the first argument; a URL in its place is that of the server, and this one may be given by name.
        resource_group, name: the same.
        storage: accepted and not used: blobs are stored with the jobs.
        resource_id: ``/subscriptions/…/resourceGroups/…/providers/Microsoft.Quantum/Workspaces/…``, instead of the
            three.
        location: kept as an attribute, without blanks and in lower case.
        credential: kept as ``credentials``; not used.
        user_agent: kept as an attribute, and sent to servers.
        home: folder of the jobs; by default ``QIOSK_HOME``, otherwise a per-user data folder.
        api: another implementation of the jobs interface.
        url: URL of a server.
        api_key: key for the server; by default ``QIOSK_API_KEY``.

    The workspace is by default the one of ``QIOSK_SUBSCRIPTION_ID``, ``QIOSK_RESOURCE_GROUP`` and
    ``QIOSK_WORKSPACE``. Raises ValueError if only some of the three names are given, InvalidValue for an invalid name,
    URL or key. A context manager; closing it does not stop jobs. It can be pickled, without its key: the process that
    reads it takes the key from ``QIOSK_API_KEY``.
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
        subscription_id, url = split_first(first, subscription_id, url)
        names = read_names(subscription_id, resource_group, name, resource_id)
        opened = connect(names, url=url, api_key=api_key, home=home, api=api, user_agent=user_agent)
        self.api: JobsApi = opened.api
        self._is_given = api is not None
        self._home = None if home is None else Path(home).expanduser().absolute()
        self.key = opened.names.key
        self.url = opened.url
        self.subscription_id, self.resource_group = opened.names.subscription_id, opened.names.resource_group
        self.name = opened.names.name or DEFAULT_KEY
        self.storage = storage
        self.location = "".join(location.split()).lower() if location else None
        self.credentials = credential
        self.user_agent = user_agent

    def __getstate__(self) -> dict[str, Any]:
        """What another process needs to open the workspace: no connection, and neither the key nor the credential."""
        if self._is_given:
            raise TypeError("a Workspace over an api of its own cannot be pickled")
        return {**self.__dict__, "api": None, "credentials": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        name = self.name if self.subscription_id else None
        names = read_names(self.subscription_id, self.resource_group, name, None)
        self.api = connect(names, url=self.url, api_key=None, home=self._home, api=None, user_agent=self.user_agent).api

    @classmethod
    def from_connection_string(cls, connection_string: str, **kwargs: Any) -> Workspace:
        """The workspace of a server that a connection string names.

        ``SubscriptionId=…;ResourceGroupName=…;WorkspaceName=…;ApiKey=…;QuantumEndpoint=https://host:port/;``, as for
        the old service, with an endpoint on any host. ``kwargs`` are further arguments of the class, and override those
        of the string. Raises InvalidValue.
        """
        return cls(**{**connection_string_members(connection_string), **kwargs})

    def submit_job(self, job: Job) -> Job:
        """Queue a job made by hand; returns it as the service accepted it.

        Submitting the same job twice has no further effect. Raises InvalidJobDefinition, JobAlreadyExists.
        """
        return self._job(self.api.submit(job.details.command()))

    def submit(self, command: SubmitJob) -> Job:
        """Queue a job.

        Raises InvalidJobDefinition, JobAlreadyExists. Nothing is stored then, except the input if it is on a server.
        """
        return self._job(self.api.submit(command))

    def cancel_job(self, job: Job | str) -> Job:
        """Stop a job; its best solution so far is kept. A job that has ended does not change.

        A :class:`Job` is updated in place as well. An id may be short, as for :meth:`get_job`. Raises JobNotFound.
        """
        cancelled = self._job(self.api.cancel(self._job_id(job)))
        if isinstance(job, Job):
            job.details = cancelled.details
        return cancelled

    def get_job(self, job_id: str) -> Job:
        """The job with this id, or with a short id: the first four or more characters of a UUID.

        Raises JobNotFound; InvalidFilter if a short id fits several jobs.
        """
        return self._job(by_id(job_id, self.api.get, self._job_ids))

    def delete_job(self, job: Job | str) -> None:
        """Remove a job and its data; a running job is cancelled first. An id may be short, as for :meth:`get_job`.

        Raises JobNotFound.
        """
        self.api.delete(self._job_id(job))

    @overload
    def list_jobs(
        self,
        name_match: str | None = None,
        status: JobStatus | str | Iterable[str] | None = None,
        created_after: datetime | date | str | None = None,
        *,
        created_before: datetime | date | str | None = None,
        provider_id: str | None = None,
        target: str | None = None,
        session_id: str | None = None,
        parent_id: str | None = None,
        tags: str | Iterable[str] | None = None,
        limit: int | None = None,
    ) -> list[Job]: ...

    @overload
    def list_jobs(
        self,
        name_match: str | None = None,
        status: JobStatus | str | Iterable[str] | None = None,
        created_after: datetime | date | str | None = None,
        *,
        created_before: datetime | date | str | None = None,
        provider_id: str | None = None,
        target: str | None = None,
        session_id: str | None = None,
        parent_id: str | None = None,
        tags: str | Iterable[str] | None = None,
        limit: int | None = None,
        as_frame: Literal[True],
    ) -> pandas.DataFrame: ...

    def list_jobs(
        self,
        name_match: str | None = None,
        status: JobStatus | str | Iterable[str] | None = None,
        created_after: datetime | date | str | None = None,
        *,
        created_before: datetime | date | str | None = None,
        provider_id: str | None = None,
        target: str | None = None,
        session_id: str | None = None,
        parent_id: str | None = None,
        tags: str | Iterable[str] | None = None,
        limit: int | None = None,
        as_frame: bool = False,
    ) -> list[Job] | pandas.DataFrame:
        """Jobs that meet every given condition, newest first.

        Args:
            name_match: regular expression to be found in the name.
            status: state of the jobs, or several.
            created_after: earliest creation time; a date means its first moment, and ISO 8601 text may be either. Times
                without a zone are local.
            created_before: latest creation time, likewise; a date means its last moment.
            provider_id, target: provider and target of the jobs. A short name, such as ``tabu``, is that of all targets
                that have it as their middle part.
            session_id: session of the jobs. It may be short, as for :meth:`get_session`.
            parent_id: job that the jobs extend. It may be short, as for :meth:`get_job`.
            tags: a tag of the jobs, or several that each of them has.
            limit: largest number of jobs to return.
            as_frame: return a pandas DataFrame instead: a row for each job; the columns are the properties of
                :class:`JobDetails` without URIs, and those of the progress and the error as ``progress_best_cost`` or
                ``error_code``.

        Raises InvalidFilter; SessionNotFound and JobNotFound for short ids that fit none; MissingExtra for a frame
        without pandas.
        """
        if session_id is not None and may_be_short(session_id):
            session_id = self.get_session(session_id).id
        if parent_id is not None and may_be_short(parent_id):
            parent_id = self.get_job(parent_id).id
        wanted = conditions(
            job_status,
            status,
            created_after,
            provider_id,
            target,
            created_before=created_before,
            tags=tags,
            name_match=name_match,
        )
        query = JobQuery(session_id=session_id, parent_id=parent_id, **wanted)
        found = matching(lambda top, token: self.api.page(query, top=top, token=token), name_match, limit)
        jobs = [self._job(view) for view in found]
        return job_frame(job.details for job in jobs) if as_frame else jobs

    def wait_for(self, jobs: Iterable[Job], timeout_secs: float | None = None) -> list[Job]:
        """Return when all of these jobs have ended, with new details; the same jobs.

        Raises TimeoutError after ``timeout_secs`` [s] (None: no limit), which stops no job.
        """
        deadline = None if timeout_secs is None else monotonic() + timeout_secs
        waited = list(jobs)
        for job in waited:
            left = None if deadline is None else max(0.0, deadline - monotonic())
            job.wait_until_completed(timeout_secs=left, print_progress=False)
        return waited

    def open_session(self, session: Session) -> Session:
        """Open a session made by hand; returns it with new details. Opening it twice has no further effect.

        Raises InvalidJobDefinition (ProviderNotFound, InvalidTarget); SessionAlreadyExists if another one has the id.
        """
        session.details = SessionDetails.from_view(self.api.sessions.open(session.details.command()))
        return session

    def close_session(self, session: Session) -> Session:
        """End a session: it accepts no more jobs, and its jobs continue to run. Raises SessionNotFound."""
        session.details = SessionDetails.from_view(self.api.sessions.close(session.id))
        return session

    def refresh_session(self, session: Session) -> Session:
        """Read a session's details again. Raises SessionNotFound."""
        session.details = SessionDetails.from_view(self.api.sessions.get(session.id))
        return session

    def get_session(self, session_id: str) -> Session:
        """The session with this id, or with a short one, as for :meth:`get_job`. Raises SessionNotFound."""
        return self._session(by_id(session_id, self.api.sessions.get, self._session_ids))

    def list_sessions(
        self,
        name_match: str | None = None,
        status: SessionStatus | str | None = None,
        created_after: datetime | date | str | None = None,
        *,
        provider_id: str | None = None,
        target: str | None = None,
        limit: int | None = None,
    ) -> list[Session]:
        """Sessions that meet every given condition, newest first. The conditions are those of :meth:`list_jobs`.

        Raises InvalidFilter.
        """
        wanted = conditions(item_status, status, created_after, provider_id, target, name_match=name_match)
        query = ItemQuery(**wanted)
        found = matching(lambda top, token: self.api.sessions.page(query, top=top, token=token), name_match, limit)
        return [self._session(view) for view in found]

    @overload
    def list_session_jobs(
        self, session_id: str, name_match: str | None = None, *, as_frame: Literal[False] = False, **conditions: Any
    ) -> list[Job]: ...

    @overload
    def list_session_jobs(
        self, session_id: str, name_match: str | None = None, *, as_frame: Literal[True], **conditions: Any
    ) -> pandas.DataFrame: ...

    def list_session_jobs(
        self, session_id: str, name_match: str | None = None, *, as_frame: bool = False, **conditions: Any
    ) -> list[Job] | pandas.DataFrame:
        """The jobs of a session that meet the conditions of :meth:`list_jobs`, newest first; a frame as there.

        Raises SessionNotFound, InvalidFilter; MissingExtra for a frame without pandas.
        """
        conditions["session_id"] = self.get_session(session_id).id
        if as_frame:
            return self.list_jobs(name_match, as_frame=True, **conditions)
        return self.list_jobs(name_match, **conditions)

    def list_top_level_items(
        self,
        name_match: str | None = None,
        status: JobStatus | SessionStatus | str | None = None,
        created_after: datetime | date | str | None = None,
        *,
        provider_id: str | None = None,
        target: str | None = None,
        limit: int | None = None,
    ) -> list[Job | Session]:
        """Sessions, and jobs without a session, that meet every given condition, newest first. Raises InvalidFilter."""
        wanted = conditions(item_status, status, created_after, provider_id, target, name_match=name_match)
        query = ItemQuery(**wanted)
        found = matching(lambda top, token: self.api.sessions.items(query, top=top, token=token), name_match, limit)
        return [self._session(view) if isinstance(view, SessionView) else self._job(view) for view in found]

    def get_targets(self, name: str | None = None, provider_id: str | None = None) -> Solver | list[Solver]:
        """Solvers that this workspace can run: one solver if only one target matches, otherwise a list.

        Lists do not contain the parameter-free targets, which a solver uses when it is given no parameters.
        """
        views = self.target_views(name, provider_id)
        if len(views) == 1:
            return solver_for(self, views[0])
        return [solver_for(self, view) for view in views if PARAMETER_FREE not in view.id.lower()]

    def target_views(self, name: str | None = None, provider_id: str | None = None) -> Sequence[TargetView]:
        """Every target with this id or short name, and provider, in any letter case, in the service's order."""
        return [
            view
            for view in self.api.targets()
            if (name is None or view.id.lower() == full_id(name).lower())
            and (provider_id is None or view.provider_id.lower() == provider_id.lower())
        ]

    def get_quotas(self) -> list[dict[str, Any]]:
        """The quotas of the workspace and their utilization, one dictionary per quota.

        Its keys are ``dimension``, ``scope``, ``provider_id``, ``utilization``, ``holds``, ``limit`` and ``period``.
        Hours are counted by calendar month (UTC); ``holds`` is what running jobs have used so far.
        """
        return [asdict(quota) for quota in self.api.quotas()]

    def get_container_uri(
        self,
        job_id: str | None = None,
        container_name: str | None = None,
        container_name_format: str = f"{CONTAINER_PREFIX}{{job_id}}",
    ) -> str:
        """URI of a container, which is created if it does not exist.

        The container is ``container_name``, or that of the job, or ``<workspace name>-data``.
        """
        if container_name is None:
            container_name = f"{self.name}-data" if job_id is None else container_name_format.format(job_id=job_id)
        return self.api.container_uri(container_name)

    def upload_problem(
        self, problem: Problem, container_name: str = "qio-problems", blob_name: str | None = INPUT_BLOB
    ) -> str:
        """Store a problem, compressed with gzip, that several jobs can use; returns the URI for ``submit``.

        If ``blob_name`` is None, or the default and another problem has it, a new name is made: jobs may read the other
        problem. Raises BlobAlreadyExists if another name is taken.
        """
        data = problem.to_blob()
        if blob_name is not None:
            try:
                return self.api.put_blob(container_name, blob_name, data, overwrite=False)
            except BlobAlreadyExists:
                if blob_name != INPUT_BLOB:
                    raise
        return self.api.put_blob(container_name, f"problem-{uuid4()}", data, overwrite=False)

    def watch(
        self, job: Job | str, *, timeout_secs: float | None = None, show_progress: bool = True
    ) -> Iterator[JobUpdate]:
        """Follow a job: its state now, then every change, the final state last.

        Each update has ``status``, ``progress`` and ``new_trace``, the points since the previous update. A progress bar
        is shown on standard error if that is a terminal and ``show_progress`` is True. If the loop ends early, the job
        continues to run. Raises JobNotFound; TimeoutError after ``timeout_secs`` [s].
        """
        with told_if_interrupted(self, job), ProgressBar(enabled=show_progress) as bar:
            for update in self.api.updates(self._job_id(job), timeout_s=timeout_secs):
                if isinstance(job, Job):
                    job.details = JobDetails.from_view(update.view)
                bar.update(update.status, update.progress)
                yield update

    def login(self, refresh: bool = False) -> object:
        """Return the credential. Kept because old programs call it."""
        del refresh
        return self.credentials

    def append_user_agent(self, value: str) -> None:
        """Append to ``user_agent``, after a dash. Open connections do not change."""
        if value not in (self.user_agent or ""):
            self.user_agent = f"{self.user_agent}-{value}" if self.user_agent else value

    def close(self) -> None:
        """Release files and connections. Jobs continue to run."""
        self.api.close()

    def __enter__(self) -> Workspace:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        # neither storage nor credential: both may be secret
        place = "" if self.url is None else f" of {self.url}"
        return f"<Workspace {self.key!r}{place}>"

    def _job_id(self, job: Job | str) -> str:
        if isinstance(job, Job):
            return job.id
        return self.get_job(job).id if may_be_short(job) else job

    def _job_ids(self, begin: str) -> Iterator[str]:
        return (view.id for view in self.api.list(JobQuery(id_prefix=begin)))

    def _session_ids(self, begin: str) -> Iterator[str]:
        query = ItemQuery(id_prefix=begin)
        return (view.id for view in matching(lambda top, token: self.api.sessions.page(query, top=top, token=token)))

    def _job(self, view: JobView) -> Job:
        return Job(self, JobDetails.from_view(view))

    def _session(self, view: SessionView) -> Session:
        return Session(self, SessionDetails.from_view(view))
