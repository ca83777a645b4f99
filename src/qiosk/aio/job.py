"""A job for asyncio programs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from qiosk.aio.threads import in_thread
from qiosk.client.details import JobDetails
from qiosk.client.job import DEFAULT_TIMEOUT_S, tell_that_it_continues
from qiosk.client.job import Job as SyncJob
from qiosk.client.results import Results
from qiosk.console.progress_bar import ProgressBar
from qiosk.contract.jobs import JobProgress, JobStatus, TracePoint, not_completed
from qiosk.contract.logs import LogLine
from qiosk.contract.provenance import Provenance

if TYPE_CHECKING:
    from qiosk.aio.workspace import Workspace
    from qiosk.formats.comparison import Comparison
    from qiosk.model.cost_function import CostFunction

SLICE_S = 1.0
"""Longest wait in one call: a thread of a cancelled task ends after that time."""


class Job:
    """An asyncio wrapper of :class:`qiosk.Job`; its methods are coroutines. ``sync`` is that job."""

    def __init__(self, workspace: Workspace, job_details: JobDetails) -> None:
        self.workspace = workspace
        self.sync = SyncJob(workspace.sync, job_details)

    create_job_id = staticmethod(SyncJob.create_job_id)

    @classmethod
    async def from_input_data(
        cls, workspace: Workspace, name: str, target: str, input_data: bytes, **properties: Any
    ) -> Job:
        """See :meth:`qiosk.Job.from_input_data`."""
        job = await in_thread(SyncJob.from_input_data, workspace.sync, name, target, input_data, **properties)
        return cls(workspace, job.details)

    @classmethod
    async def from_storage_uri(
        cls, workspace: Workspace, name: str, target: str, input_data_uri: str, *args: Any, **properties: Any
    ) -> Job:
        """See :meth:`qiosk.Job.from_storage_uri`."""
        make = SyncJob.from_storage_uri
        job = await in_thread(make, workspace.sync, name, target, input_data_uri, *args, **properties)
        return cls(workspace, job.details)

    @property
    def details(self) -> JobDetails:
        """All properties of the job, as they were when it was last read."""
        return self.sync.details

    @property
    def id(self) -> str:
        """The job's id."""
        return self.sync.id

    @property
    def status(self) -> JobStatus | None:
        """State of the job when its details were last read."""
        return self.sync.status

    @property
    def provenance(self) -> Provenance | None:
        """See :attr:`qiosk.Job.provenance`."""
        return self.sync.provenance

    @property
    def stop_reason(self) -> str | None:
        """See :attr:`qiosk.Job.stop_reason`."""
        return self.sync.stop_reason

    @property
    def container_name(self) -> str:
        """Container of the job's data."""
        return self.sync.container_name

    @property
    def results(self) -> Results | None:
        """The results, after they were fetched."""
        return self.sync.results

    def has_completed(self) -> bool:
        """Whether the job had succeeded, failed or been cancelled."""
        return self.sync.has_completed()

    def matches_filter(self, *args: Any, **conditions: Any) -> bool:
        """See :meth:`qiosk.Job.matches_filter`."""
        return self.sync.matches_filter(*args, **conditions)

    async def submit(self) -> None:
        """See :meth:`qiosk.Job.submit`."""
        await in_thread(self.sync.submit)

    async def resubmit(self, **changes: Any) -> Job:
        """See :meth:`qiosk.Job.resubmit`."""
        job = await in_thread(self.sync.resubmit, **changes)
        return Job(self.workspace, job.details)

    async def extend(self, timeout: float) -> Job:
        """See :meth:`qiosk.Job.extend`."""
        return Job(self.workspace, (await in_thread(self.sync.extend, timeout)).details)

    async def rerun(self) -> Job:
        """See :meth:`qiosk.Job.rerun`."""
        return Job(self.workspace, (await in_thread(self.sync.rerun)).details)

    async def compare(self, again: Job) -> Comparison:
        """See :meth:`qiosk.Job.compare`."""
        await again.get_results()
        await self.get_results()
        return await in_thread(self.sync.compare, again.sync)

    async def cost_function(self) -> CostFunction:
        """See :meth:`qiosk.Job.cost_function`."""
        return await in_thread(self.sync.cost_function)

    async def update(self, **changes: Any) -> None:
        """See :meth:`qiosk.Job.update`."""
        await in_thread(self.sync.update, **changes)

    async def refresh(self) -> None:
        """See :meth:`qiosk.Job.refresh`."""
        await in_thread(self.sync.refresh)

    async def wait_until_completed(
        self,
        max_poll_wait_secs: float | None = None,
        timeout_secs: float | None = None,
        print_progress: bool = True,
    ) -> None:
        """See :meth:`qiosk.Job.wait_until_completed`."""
        await self.refresh()
        limit = asyncio.timeout(timeout_secs)
        try:
            with _told_if_interrupted(self), ProgressBar(enabled=print_progress) as bar:
                async with limit:
                    while not self.has_completed():
                        view = await in_thread(self.workspace.sync.api.wait, self.id, SLICE_S)
                        self.sync.details = JobDetails.from_view(view)
                        bar.update(view.status, view.progress)
        except TimeoutError as error:
            if limit.expired():
                raise not_completed(self.id, timeout_secs, self.status) from error
            raise

    async def get_results(self, timeout_secs: float | None = DEFAULT_TIMEOUT_S) -> Results:
        """See :meth:`qiosk.Job.get_results`."""
        if self.sync.results is None and not self.has_completed():
            await self.wait_until_completed(timeout_secs=timeout_secs)
        return await in_thread(self.sync.get_results)

    async def watch(self) -> AsyncIterator[JobProgress]:
        """Progress of the job: now, and after every change, until it has ended."""
        await self.refresh()
        while True:
            yield self.details.progress
            if self.has_completed():
                return
            with _told_if_interrupted(self):
                view = await in_thread(self.workspace.sync.api.wait, self.id, SLICE_S)
            self.sync.details = JobDetails.from_view(view)

    async def progress(self) -> JobProgress:
        """Progress of the job, now."""
        if not self.has_completed():
            await self.refresh()
        return self.details.progress

    async def trace(self) -> list[TracePoint]:
        """Every improvement so far."""
        return await in_thread(lambda: self.sync.trace)

    async def logs(self, after: int = 0) -> Sequence[LogLine]:
        """See :meth:`qiosk.Job.logs`."""
        return await in_thread(self.sync.logs, after)

    async def best(self) -> Results | None:
        """See :meth:`qiosk.Job.best`."""
        return await in_thread(self.sync.best)

    async def get_receipt(self, timeout_secs: float | None = DEFAULT_TIMEOUT_S) -> bytes | None:
        """See :meth:`qiosk.Job.get_receipt`."""
        await self.get_results(timeout_secs)
        return await in_thread(self.sync.get_receipt)

    async def cancel(self) -> None:
        """See :meth:`qiosk.Job.cancel`."""
        await in_thread(self.sync.cancel)

    async def delete(self) -> None:
        """See :meth:`qiosk.Job.delete`."""
        await in_thread(self.sync.delete)

    async def upload_attachment(self, name: str, data: bytes, container_uri: str | None = None) -> str:
        """See :meth:`qiosk.Job.upload_attachment`."""
        return await in_thread(self.sync.upload_attachment, name, data, container_uri)

    async def download_attachment(self, name: str, container_uri: str | None = None) -> bytes:
        """See :meth:`qiosk.Job.download_attachment`."""
        return await in_thread(self.sync.download_attachment, name, container_uri)

    async def download_data(self, blob_uri: str) -> bytes:
        """See :meth:`qiosk.Job.download_data`."""
        return await in_thread(self.sync.download_data, blob_uri)

    def __repr__(self) -> str:
        return repr(self.sync)


@contextmanager
def _told_if_interrupted(job: Job) -> Iterator[None]:
    """On Ctrl-C, ``tell_that_it_continues``. A task that the program cancels itself prints nothing."""
    try:
        yield
    except (KeyboardInterrupt, asyncio.CancelledError) as error:
        if isinstance(error, KeyboardInterrupt) or _is_interrupted():
            tell_that_it_continues(job.workspace.sync, job.sync)
        raise


def _is_interrupted() -> bool:
    """Whether Ctrl-C has cancelled the main task of ``asyncio.run``, which only its signal handler knows."""
    runner = getattr(getattr(signal.getsignal(signal.SIGINT), "func", None), "__self__", None)
    return isinstance(runner, asyncio.Runner) and getattr(runner, "_interrupt_count", 0) > 0
