"""The use cases over jobs: contract types in and out, ports for the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from typing import TypeVar, final

from qiosk.contract.blobs import check_metadata
from qiosk.contract.jobs import (
    JobQuery,
    JobUpdate,
    JobView,
    PatchJob,
    SubmitJob,
    TargetView,
    TracePoint,
)
from qiosk.contract.paging import DEFAULT_PAGE, Page
from qiosk.contract.quotas import QuotaView
from qiosk.errors import (
    BlobAlreadyExists,
    BlobNotFound,
    Conflict,
    InvalidValue,
    JobAlreadyExists,
    JobNotFound,
    QuotaExceeded,
)
from qiosk.service.blobs import BlobReader, BlobStore
from qiosk.service.definition import check_name, check_priority, check_tags, define_job
from qiosk.service.filters import check_query
from qiosk.service.jobs import BlobRef, Job, JobKey
from qiosk.service.locations import BlobUri
from qiosk.service.names import is_job_id
from qiosk.service.paging import (
    check_window,
    cursor_of,
    decode_token,
    encode_token,
    is_heavy,
)
from qiosk.service.ports import Clock, Executor, JobStore, TargetCatalogue
from qiosk.service.quotas import NO_LIMITS, QuotaGate
from qiosk.service.removal import remove_job, request_cancellation
from qiosk.service.session_service import SessionService
from qiosk.service.sessions import SessionKey, SessionStore, admit_job
from qiosk.service.views import job_view
from qiosk.service.watching import follow

Found = TypeVar("Found")

POLL_S = (0.002, 0.02)
"""First and longest pause between looks at the store while waiting for a job."""
DELETE_PATIENCE_S = 60.0
"""How long ``delete`` waits for a running job to obey its cancellation."""


def not_stopped(job_id: str) -> Conflict:
    """What is said of a job that does not obey its cancellation."""
    return Conflict(f"job {job_id}: still running {DELETE_PATIENCE_S:.0f} s after it was cancelled")


@final
class StoredUpload:
    """A ``contract.api.BlobUpload`` into a blob store; ``check_bytes`` is asked before each piece is written."""

    def __init__(self, blobs: BlobStore, ref: BlobRef, *, overwrite: bool, check_bytes: Callable[[int], None]) -> None:
        self._blobs = blobs
        self._ref = ref
        self._check_bytes = check_bytes
        self._writer = blobs.writer(ref, overwrite=overwrite)

    def write(self, data: bytes) -> None:
        """Append. Raises QuotaExceeded."""
        self._check_bytes(len(data))
        self._writer.write(data)

    def commit(self, metadata: Mapping[str, str] | None = None) -> str:
        """Put the blob in its place; returns its URI. Raises BlobAlreadyExists, InvalidValue."""
        check_metadata(metadata or {})
        self._writer.commit()
        if metadata:
            self._blobs.set_metadata(self._ref, metadata)
        return self._blobs.uri(*self._ref)

    def abort(self) -> None:
        """Forget what was written."""
        self._writer.abort()


@final
class JobService:
    """A workspace's jobs, in this process. Implements ``contract.api.JobsApi``.

    Jobs refer to blobs by ``BlobRef``. Their views contain the URIs that ``blob_uri`` makes of these: by default those
    of the store, in a server signed links for one caller (see ``with_uris``).
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
    ) -> None:
        self._blob_uri: BlobUri = blobs.uri
        self._workspace = workspace
        self._jobs = jobs
        self._blobs = blobs
        self._targets = targets
        self._executor = executor
        self._sessions = sessions
        self._quotas = quotas
        self._clock = clock
        self._new_id = new_id
        self._open_sessions = partial(
            SessionService,
            workspace=workspace,
            sessions=sessions,
            jobs=jobs,
            targets=targets,
            clock=clock,
            new_id=new_id,
        )

    def with_uris(self, blob_uri: BlobUri) -> JobService:
        """This service, with other URIs of blobs in its views."""
        other = copy(self)
        other._blob_uri = blob_uri
        return other

    @property
    def sessions(self) -> SessionService:
        """The workspace's sessions."""
        return self._open_sessions(view_job=self.view_of)

    def submit(self, command: SubmitJob) -> JobView:
        """Queue a job; see ``JobsApi``."""
        self._targets.check(command.provider_id, command.target)
        job_id = self._new_id() if command.id is None else command.id
        job = define_job(job_id, command, workspace=self._workspace, blobs=self._blobs, at=self._clock.now())
        # Most jobs are new, and the store refuses to add one twice. Others must not have left anything before they are.
        leaves_something = command.input_data is not None or job.session_id is not None
        stored = self._existing(job) if leaves_something else None
        stored = stored or self._store(job, command.input_data)
        self._executor.wake()
        return self.view_of(stored)

    def get(self, job_id: str) -> JobView:
        """The job as it is now. Raises JobNotFound."""
        return self.view_of(self.find(job_id))

    def find(self, job_id: str) -> Job:
        """As ``get``, the job as it is stored."""
        return self._seen(self._get(job_id))

    def list(self, query: JobQuery) -> Iterator[JobView]:
        """Matching jobs in the query's order; pages are fetched as they are needed. Raises InvalidFilter."""
        check_query(query)
        return self._pages(query)

    def page(
        self, query: JobQuery, *, top: int = DEFAULT_PAGE, skip: int = 0, token: str | None = None
    ) -> Page[JobView]:
        """At most ``top`` matching jobs behind those of the page that came with ``token``; see ``JobsApi``."""
        check_query(query)
        limit = check_window(top, skip)
        order, descending = query.order_by, query.descending
        after = None if token is None else decode_token(token, order, descending=descending)
        found = self._jobs.page(self._workspace, query, after, limit + 1, skip=skip)  # one more: is there another page?
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
        """The job, as soon as it changed since the call, or is final, at the latest after ``timeout_s``."""
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
        """The job now, then whenever something changed, its end last; see ``JobsApi``."""
        return follow(self, job_id, after=max(0, after), timeout_s=timeout_s, monotonic=self._clock.monotonic)

    def results(self, job_id: str) -> bytes:
        """The results blob. Raises JobNotFound; BlobNotFound if the job has none (yet)."""
        return self._blobs.get(self._results_of(job_id))

    def open_results(self, job_id: str) -> BlobReader:
        """As ``results``, to be read in pieces; the caller closes it."""
        return self._blobs.open(self._results_of(job_id))

    def best(self, job_id: str) -> bytes | None:
        """Best solution so far in the results format, also while the job runs; None if there is none yet."""
        return self._from_best(job_id, self._blobs.get)

    def open_best(self, job_id: str) -> BlobReader | None:
        """As ``best``, to be read in pieces; the caller closes it."""
        return self._from_best(job_id, self._blobs.open)

    def trace(self, job_id: str, after: int = 0) -> Sequence[TracePoint]:
        """New bests in order, from the ``after``-th on. Raises JobNotFound."""
        return self._jobs.trace(self._key(job_id), max(0, after))

    def targets(self) -> Sequence[TargetView]:
        """Every target this service can run."""
        return self._targets.targets()

    def quotas(self) -> Sequence[QuotaView]:
        """What the workspace may use, and has used."""
        return self._quotas.view(self._workspace)

    def container_uri(self, container: str) -> str:
        """URI of a container, which is created if it does not exist."""
        self._blobs.create(container)
        return self._blobs.uri(container)

    def put_blob(self, container: str, name: str, data: bytes, *, overwrite: bool = True) -> str:
        """Store a blob; returns its URI. Raises BlobAlreadyExists if it exists and may not be overwritten."""
        self._check_bytes(len(data))
        self._blobs.put(BlobRef(container, name), data, overwrite=overwrite)
        return self._blobs.uri(container, name)

    def upload_blob(self, container: str, name: str, *, overwrite: bool = True) -> StoredUpload:
        """A blob to be stored piece by piece. Raises BlobAlreadyExists, here or at its commit."""
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
        """Release connections. Jobs go on."""
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
            # The job ended in between, and its results took the place of its best so far.
            job = self._get(job_id)
            return None if job.output_blob is None else read(BlobRef(job.container, job.output_blob))

    def _existing(self, job: Job) -> Job | None:
        """The stored job of this key; None if there is none. Raises JobAlreadyExists if it is another job."""
        try:
            stored = self._jobs.get(job.key)
        except JobNotFound:
            return None
        if stored.definition != job.definition:
            raise JobAlreadyExists(f"job {job.id}: the id belongs to another job", job_id=job.id)
        return stored

    def _store(self, job: Job, data: bytes | None) -> Job:
        try:
            self._quotas.check_submit(self._workspace)
        except QuotaExceeded:
            stored = self._existing(job)  # what was accepted is not refused when it is sent again
            if stored is None:
                raise
            return stored
        if job.session_id is not None:
            admit_job(self._sessions, self._jobs, SessionKey(self._workspace, job.session_id), job.created_at)
        self._store_input(job, data)
        return self._add(job)

    def _store_input(self, job: Job, data: bytes | None) -> None:
        # Blob first: no row points at nothing. What lies there is left alone, for another job may be
        # reading it.
        if data is None:
            return
        self._check_bytes(len(data))
        try:
            self._blobs.put(job.input, data, overwrite=False)
        except BlobAlreadyExists as error:
            if self._blobs.get(job.input) != data:
                uri = self._blobs.uri(*job.input)
                raise JobAlreadyExists(f"job {job.id}: {uri} already holds other data", job_id=job.id) from error

    def _add(self, job: Job) -> Job:
        try:
            self._jobs.add(job)
        except JobAlreadyExists:
            return self._existing(job) or job  # the same submission, at the same time
        return job

    def _pages(self, query: JobQuery) -> Iterator[JobView]:
        page = self.page(query)
        yield from page.items
        while page.next is not None:
            page = self.page(query, token=page.next)
            yield from page.items

    def _view(self, job: Job) -> JobView:
        return self.view_of(self._seen(job))

    def _seen(self, job: Job) -> Job:
        """The job; if it has not ended, the executor makes sure that something runs it."""
        if not job.state.is_final:
            self._executor.ensure()
        return job

    def view_of(self, job: Job) -> JobView:
        """What users see of a job."""
        return job_view(job, self._blob_uri)
