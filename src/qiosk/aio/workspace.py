"""A workspace for asyncio programs."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Literal, overload

from qiosk.aio.job import Job
from qiosk.aio.session import Session
from qiosk.aio.solvers import Solver, wrapper_of
from qiosk.aio.threads import in_thread
from qiosk.client.job import Job as SyncJob
from qiosk.client.session import Session as SyncSession
from qiosk.client.workspace import Workspace as SyncWorkspace
from qiosk.problem import Problem

if TYPE_CHECKING:
    import pandas


class Workspace:
    """An asyncio wrapper of :class:`qiosk.Workspace`, with the same arguments; its methods are coroutines.

    ``sync`` is that workspace. An asynchronous context manager; closing it does not stop jobs.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.sync = SyncWorkspace(*args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        # only plain attributes, such as `name` or `location`: methods that block are coroutines here
        if name.startswith("__") or callable(getattr(SyncWorkspace, name, None)):
            raise AttributeError(f"the asyncio workspace has no attribute {name!r}")
        return getattr(self.sync, name)

    async def submit_job(self, job: Job) -> Job:
        """See :meth:`qiosk.Workspace.submit_job`."""
        return self._job(await in_thread(self.sync.submit_job, job.sync))

    async def get_job(self, job_id: str) -> Job:
        """See :meth:`qiosk.Workspace.get_job`."""
        return self._job(await in_thread(self.sync.get_job, job_id))

    @overload
    async def list_jobs(self, *args: Any, as_frame: Literal[False] = False, **conditions: Any) -> list[Job]: ...

    @overload
    async def list_jobs(self, *args: Any, as_frame: Literal[True], **conditions: Any) -> pandas.DataFrame: ...

    async def list_jobs(self, *args: Any, as_frame: bool = False, **conditions: Any) -> list[Job] | pandas.DataFrame:
        """See :meth:`qiosk.Workspace.list_jobs`."""
        if as_frame:
            return await in_thread(partial(self.sync.list_jobs, *args, as_frame=True, **conditions))
        return [self._job(job) for job in await in_thread(self.sync.list_jobs, *args, **conditions)]

    async def wait_for(self, jobs: Iterable[Job], timeout_secs: float | None = None) -> list[Job]:
        """See :meth:`qiosk.Workspace.wait_for`."""
        deadline = None if timeout_secs is None else monotonic() + timeout_secs
        waited = list(jobs)
        for job in waited:
            left = None if deadline is None else max(0.0, deadline - monotonic())
            await job.wait_until_completed(timeout_secs=left, print_progress=False)
        return waited

    async def cancel_job(self, job: Job | str) -> Job:
        """See :meth:`qiosk.Workspace.cancel_job`."""
        return self._job(await in_thread(self.sync.cancel_job, _plain(job)))

    async def delete_job(self, job: Job | str) -> None:
        """See :meth:`qiosk.Workspace.delete_job`."""
        await in_thread(self.sync.delete_job, _plain(job))

    async def open_session(self, session: Session) -> Session:
        """See :meth:`qiosk.Workspace.open_session`."""
        return await session.open()

    async def close_session(self, session: Session) -> Session:
        """See :meth:`qiosk.Workspace.close_session`."""
        return await session.close()

    async def refresh_session(self, session: Session) -> Session:
        """See :meth:`qiosk.Workspace.refresh_session`."""
        return await session.refresh()

    async def get_session(self, session_id: str) -> Session:
        """See :meth:`qiosk.Workspace.get_session`."""
        return Session(self, await in_thread(self.sync.get_session, session_id))

    async def list_sessions(self, *args: Any, **conditions: Any) -> list[Session]:
        """See :meth:`qiosk.Workspace.list_sessions`."""
        return [Session(self, found) for found in await in_thread(self.sync.list_sessions, *args, **conditions)]

    @overload
    async def list_session_jobs(
        self, session_id: str, *args: Any, as_frame: Literal[False] = False, **conditions: Any
    ) -> list[Job]: ...

    @overload
    async def list_session_jobs(
        self, session_id: str, *args: Any, as_frame: Literal[True], **conditions: Any
    ) -> pandas.DataFrame: ...

    async def list_session_jobs(
        self, session_id: str, *args: Any, as_frame: bool = False, **conditions: Any
    ) -> list[Job] | pandas.DataFrame:
        """See :meth:`qiosk.Workspace.list_session_jobs`."""
        conditions["session_id"] = (await self.get_session(session_id)).id
        if as_frame:
            return await self.list_jobs(*args, as_frame=True, **conditions)
        return await self.list_jobs(*args, **conditions)

    async def list_top_level_items(self, *args: Any, **conditions: Any) -> list[Job | Session]:
        """See :meth:`qiosk.Workspace.list_top_level_items`."""
        found = await in_thread(self.sync.list_top_level_items, *args, **conditions)
        return [Session(self, item) if isinstance(item, SyncSession) else self._job(item) for item in found]

    async def get_targets(self, name: str | None = None, provider_id: str | None = None) -> Solver | list[Solver]:
        """See :meth:`qiosk.Workspace.get_targets`."""
        found = await in_thread(self.sync.get_targets, name, provider_id)
        return [wrapper_of(self, one) for one in found] if isinstance(found, list) else wrapper_of(self, found)

    async def get_container_uri(self, *args: Any, **kwargs: Any) -> str:
        """See :meth:`qiosk.Workspace.get_container_uri`."""
        return await in_thread(self.sync.get_container_uri, *args, **kwargs)

    async def get_quotas(self) -> list[dict[str, Any]]:
        """See :meth:`qiosk.Workspace.get_quotas`."""
        return await in_thread(self.sync.get_quotas)

    async def upload_problem(self, problem: Problem, *args: Any, **kwargs: Any) -> str:
        """See :meth:`qiosk.Workspace.upload_problem`."""
        return await in_thread(self.sync.upload_problem, problem, *args, **kwargs)

    def append_user_agent(self, value: str) -> None:
        """See :meth:`qiosk.Workspace.append_user_agent`."""
        self.sync.append_user_agent(value)

    async def close(self) -> None:
        """See :meth:`qiosk.Workspace.close`."""
        await in_thread(self.sync.close)

    async def __aenter__(self) -> Workspace:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return repr(self.sync)

    def _job(self, job: SyncJob) -> Job:
        return Job(self, job.details)


def _plain(job: Job | str) -> SyncJob | str:
    return job if isinstance(job, str) else job.sync
