"""The jobs of one workspace, in this process: every method of ``JobsApi``, over the ports."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from copy import copy
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar, final

from qiosk.contract.jobs import (
    ExtendJob,
    JobQuery,
    JobUpdate,
    JobView,
    PatchJob,
    SubmitJob,
    TargetView,
    TracePoint,
)
from qiosk.contract.logs import LogLine
from qiosk.contract.paging import DEFAULT_PAGE, MAX_PAGE, Page
from qiosk.contract.plain import plain_patch
from qiosk.contract.quotas import QuotaView
from qiosk.errors import (
    BlobNotFound,
    Conflict,
    InvalidValue,
    JobNotFound,
)
from qiosk.service.accounts.quotas import NO_LIMITS, QuotaGate
from qiosk.service.blobs.locations import BlobUri
from qiosk.service.blobs.store import LEAST_BYTES, BlobReader, BlobStore, counted_bytes
from qiosk.service.blobs.uploads import StoredUpload
from qiosk.service.filters import check_query
from qiosk.service.jobs.definition import check_name, check_priority, check_tags
from qiosk.service.jobs.job import BlobRef, Job, JobKey
from qiosk.service.jobs.logs import dropped_line
from qiosk.service.jobs.removal import remove_job, request_cancellation
from qiosk.service.jobs.submission import Submissions
from qiosk.service.jobs.views import job_view
from qiosk.service.jobs.watching import follow
from qiosk.service.names import is_job_id, receipt_name
from qiosk.service.paging import (
    check_window,
    cursor_of,
    decode_token,
    encode_token,
    is_heavy,
)
from qiosk.service.ports import Clock, Executor, JobStore, TargetCatalogue
from qiosk.service.sessions.session import SessionStore
from qiosk.service.sessions.session_service import SessionService

Found = TypeVar("Found")

POLL_S = (0.002, 0.02)
"""First and longest pause between two queries of the store while ``wait`` waits for a job."""
DELETE_PATIENCE_S = 60.0
"""How long ``delete`` waits for a running job to stop."""


def not_stopped(job_id: str) -> Conflict:
    """The error if a job is still running ``DELETE_PATIENCE_S`` after it was cancelled."""
    return Conflict(f"job {job_id}: still running {DELETE_PATIENCE_S:.0f} s after it was cancelled")


@final
class JobService:
    """A workspace's jobs, in this process. Implements ``contract.api.JobsApi``.

    Stored jobs refer to blobs by ``BlobRef``; their views contain URIs instead. By default these are the store's own. A
    server replaces them, by ``with_uris``, with links that it signs for one caller.
    """

    def __init__(
        self,
        *,
        workspace: str,
        jobs: JobStore,
        sessions: SessionStore,
        blobs: BlobStore,
        targets: TargetCatalogue,
        executor: Executor,
        clock: Clock,
        new_id: Callable[[], str],
        quotas: QuotaGate = NO_LIMITS,
        submitter: str | None = None,
    ) -> None:
        self._workspace = workspace
        self._jobs = jobs
        self._blobs = blobs
        self._targets = targets
        self._executor = executor
        self._clock = clock
        self._quotas = quotas
        self._submitter = submitter
        self._blob_uri: BlobUri = blobs.uri
        shared: Mapping[str, Any] = {
            "workspace": workspace,
            "jobs": jobs,
            "sessions": sessions,
            "targets": targets,
            "clock": clock,
            "new_id": new_id,
            "quotas": quotas,
        }
        self._submissions = Submissions(blobs=blobs, **shared)
        self._open_sessions = partial(SessionService, **shared)

    def with_uris(self, blob_uri: BlobUri) -> JobService:
        """This service, whose views contain the URIs that ``blob_uri`` makes."""
        other = copy(self)
        other._blob_uri = blob_uri
        return other

    def submitted_by(self, submitter: str) -> JobService:
        """This service, whose new jobs name ``submitter``."""
        other = copy(self)
        other._submitter = submitter
        return other

    @property
    def sessions(self) -> SessionService:
        """The workspace's sessions."""
        return self._open_sessions(view_job=self.view_of)

    def submit(self, command: SubmitJob) -> JobView:
        """Queue a job; see ``JobsApi``."""
        stored = self._submissions.store(command, self._submitter)
        self._executor.wake()
        return self.view_of(stored)

    def get(self, job_id: str) -> JobView:
        """The job as it is now. Raises JobNotFound."""
        return self.view_of(self.find(job_id))

    def find(self, job_id: str) -> Job:
        """The stored job. Raises JobNotFound."""
        return self._seen(self._get(job_id))

    def list(self, query: JobQuery) -> Iterator[JobView]:
        """Matching jobs in the query's order; pages are fetched as they are needed. Raises InvalidFilter."""
        check_query(query)
        return self._pages(query)

    def page(
        self, query: JobQuery, *, top: int = DEFAULT_PAGE, skip: int = 0, token: str | None = None
    ) -> Page[JobView]:
        """At most ``top`` matching jobs, after those of the page that contained ``token``; see ``JobsApi``."""
        check_query(query)
        limit = check_window(top, skip)
        order, descending = query.order_by, query.descending
        after = None if token is None else decode_token(token, order, descending=descending)
        # One job more than fits tells whether there is another page.
        found = self._jobs.page(self._workspace, query, after, limit + 1, skip=skip)
        shown = found[:limit]
        if not shown:
            return Page(())
        last = cursor_of(shown[-1], order)
        more = len(found) > limit or (is_heavy(found) and bool(self._jobs.page(self._workspace, query, last, 1)))
        following = encode_token(last, order, descending=descending) if more else None
        return Page(tuple(map(self._view, shown)), following)

    def cancel(self, job_id: str) -> JobView:
        """Ask a job to stop; see ``JobsApi``."""
        job = request_cancellation(self._jobs, self._get(job_id), self._clock.now())
        return self._view(job)

    def extend(self, job_id: str, command: ExtendJob) -> JobView:
        """Queue a job that goes on where one has ended; see ``JobsApi``."""
        stored = self._submissions.extend(self._get(job_id), command, self._submitter)
        self._executor.wake()
        return self.view_of(stored)

    def delete(self, job_id: str) -> None:
        """Remove a job and its data. Raises JobNotFound; Conflict if it runs and does not stop within a minute."""
        view = self.cancel(job_id)
        deadline = self._clock.monotonic() + DELETE_PATIENCE_S
        while not view.status.is_final:
            left = deadline - self._clock.monotonic()
            if left <= 0:
                raise not_stopped(job_id)
            view = self.wait(job_id, left)
        remove_job(self._jobs, self._blobs, self._get(job_id))

    def update(self, job_id: str, patch: PatchJob) -> JobView:
        """Change descriptive members. Raises JobNotFound, InvalidJobDefinition."""
        patch = plain_patch(patch)
        while True:
            job = self._get(job_id)
            changed = replace(
                job,
                name=job.name if patch.name is None else check_name(patch.name),
                tags=job.tags if patch.tags is None else check_tags(patch.tags),
                priority=job.priority if patch.priority is None else check_priority(patch.priority),
            )
            if self._jobs.swap(changed, expected=job):
                return self.get(job_id)

    def wait(self, job_id: str, timeout_s: float) -> JobView:
        """The job as soon as it has changed since this call or has ended, at the latest after ``timeout_s``."""
        deadline = self._clock.monotonic() + timeout_s
        version = self._jobs.version()
        first = job = self._get(job_id)
        pause, longest = POLL_S
        while not job.state.is_final and job.revision == first.revision:
            left = deadline - self._clock.monotonic()
            if left <= 0:
                break
            self._executor.ensure()
            self._clock.sleep(min(pause, left))
            pause = min(longest, pause * 1.2)
            seen, version = version, self._jobs.version()
            if version != seen:
                job = self._get(job_id)
        return self._view(job)

    def updates(self, job_id: str, after: int = 0, timeout_s: float | None = None) -> Iterator[JobUpdate]:
        """The job now, then after every change, its final state last; see ``JobsApi``."""
        return follow(self, job_id, after=max(0, after), timeout_s=timeout_s, monotonic=self._clock.monotonic)

    def results(self, job_id: str) -> bytes:
        """The results blob. Raises JobNotFound; BlobNotFound if it has none, or none yet."""
        return self._blobs.get(self._results_of(job_id))

    def open_results(self, job_id: str) -> BlobReader:
        """As ``results``, as a reader of pieces, which the caller closes."""
        return self._blobs.open(self._results_of(job_id))

    def best(self, job_id: str) -> bytes | None:
        """Best solution so far in the results format, even while the job runs; None if there is none yet."""
        return self._from_best(job_id, self._blobs.get)

    def open_best(self, job_id: str) -> BlobReader | None:
        """As ``best``, as a reader of pieces, which the caller closes."""
        return self._from_best(job_id, self._blobs.open)

    def receipt(self, job_id: str) -> bytes | None:
        """What proves the bound of the results; None if there are no results, or no receipt beside them."""
        reader = self.open_receipt(job_id)
        if reader is None:
            return None
        with closing(reader):
            return b"".join(reader.pieces())

    def open_receipt(self, job_id: str) -> BlobReader | None:
        """As ``receipt``, as a reader of pieces, which the caller closes."""
        job = self._get(job_id)
        name = None if job.output_blob is None else receipt_name(job.output_blob)
        if name is None:
            return None
        try:
            return self._blobs.open(BlobRef(job.container, name))
        except BlobNotFound:
            return None

    def trace(self, job_id: str, after: int = 0) -> Sequence[TracePoint]:
        """Improvements of the best cost in order, from number ``after`` on. Raises JobNotFound."""
        return self._jobs.trace(self._key(job_id), max(0, after))

    def log(self, job_id: str, after: int = 0) -> Sequence[LogLine]:
        """Lines of the job's log after position ``after``; see ``JobsApi``."""
        lines = self._jobs.log(self._key(job_id), max(0, after))
        if lines and lines[0].position - lines[0].size > max(0, after):
            return [dropped_line(lines[0].time, "lines"), *lines]
        return lines

    def targets(self) -> Sequence[TargetView]:
        """Every target this service can run."""
        return self._targets.targets()

    def quotas(self) -> Sequence[QuotaView]:
        """What the workspace may use and has used."""
        return self._quotas.view(self._workspace)

    def container_uri(self, container: str) -> str:
        """URI of a container; creates the container if it does not exist. Raises QuotaExceeded."""
        if not self._blobs.has_container(container):
            self._check_bytes(LEAST_BYTES)
        self._blobs.create(container)
        return self._blobs.uri(container)

    def put_blob(self, container: str, name: str, data: bytes, *, overwrite: bool = True) -> str:
        """Store a blob; returns its URI. Raises BlobAlreadyExists if it exists and may not be overwritten."""
        self._check_bytes(counted_bytes(len(data)))
        self._blobs.put(BlobRef(container, name), data, overwrite=overwrite)
        return self._blobs.uri(container, name)

    def upload_blob(self, container: str, name: str, *, overwrite: bool = True) -> StoredUpload:
        """An upload of one blob, piece by piece. Raises BlobAlreadyExists, here or when it is committed."""
        return StoredUpload(self._blobs, BlobRef(container, name), overwrite=overwrite, check_bytes=self._check_bytes)

    def get_blob(self, container: str, name: str) -> bytes:
        """Content of a blob. Raises BlobNotFound."""
        return self._blobs.get(BlobRef(container, name))

    def list_blobs(self, container: str) -> Sequence[str]:
        """Names of a container's blobs, sorted."""
        return self._blobs.list(container)

    def locate(self, blob_uri: str) -> tuple[str, str]:
        """Container and name of the blob that a URI names. Raises InvalidValue if it names none."""
        container, name = self._blobs.resolve(blob_uri)
        if name is None:
            raise InvalidValue(f"blob uri: must name a container and a blob, found {blob_uri.partition('?')[0]!r}")
        return container, name

    def close(self) -> None:
        """Close the connections. Jobs continue."""
        self._jobs.close()

    def _check_bytes(self, extra: int) -> None:
        self._quotas.check_bytes(self._workspace, extra)

    def _key(self, job_id: str) -> JobKey:
        if not is_job_id(job_id):
            raise JobNotFound(f"job {job_id[:100]!r} was not found")
        return JobKey(self._workspace, job_id)

    def _get(self, job_id: str) -> Job:
        return self._jobs.get(self._key(job_id))

    def _results_of(self, job_id: str) -> BlobRef:
        job = self._get(job_id)
        if job.output_blob is None:
            status = job.state.status
            raise BlobNotFound(f"job {job_id}: has no results, it is {status}", job_id=job_id, state=status)
        return BlobRef(job.container, job.output_blob)

    def _from_best(self, job_id: str, read: Callable[[BlobRef], Found]) -> Found | None:
        job = self._get(job_id)
        name = job.output_blob or job.best_blob
        if name is None:
            return None
        try:
            return read(BlobRef(job.container, name))
        except BlobNotFound:
            # The job has ended in between, and its results replaced its best solution so far.
            job = self._get(job_id)
            return None if job.output_blob is None else read(BlobRef(job.container, job.output_blob))

    def _pages(self, query: JobQuery) -> Iterator[JobView]:
        page = self.page(query)
        yield from page.items
        while page.next is not None:
            page = self.page(query, top=MAX_PAGE, token=page.next)
            yield from page.items

    def _view(self, job: Job) -> JobView:
        return self.view_of(self._seen(job))

    def _seen(self, job: Job) -> Job:
        """The same job; if it has not ended, the executor is asked to make sure that a supervisor runs it."""
        if not job.state.is_final:
            self._executor.ensure()
        return job

    def view_of(self, job: Job) -> JobView:
        """What users see of a job."""
        return job_view(job, self._blob_uri)
