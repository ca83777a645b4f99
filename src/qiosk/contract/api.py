"""The interfaces through which clients and servers reach a workspace.

``JobService`` and ``SessionService`` (in this process) implement them, and so do the remote client's ``HttpJobs`` and
``HttpSessions``. ``Workspace`` works with either and cannot tell which one it has.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from qiosk.contract.items import ItemQuery
from qiosk.contract.jobs import JobQuery, JobUpdate, JobView, PatchJob, SubmitJob, TargetView, TracePoint
from qiosk.contract.paging import DEFAULT_PAGE, Page
from qiosk.contract.quotas import QuotaView
from qiosk.contract.sessions import OpenSession, SessionView


class BlobUpload(Protocol):
    """A blob being stored piece by piece; nobody sees it before ``commit``. Used by one thread at a time."""

    def write(self, data: bytes) -> None:
        """Append."""
        ...

    def commit(self, metadata: Mapping[str, str] | None = None) -> str:
        """Put the blob in its place, with metadata; returns its URI.

        Raises BlobAlreadyExists; InvalidValue, and nothing happens, for metadata that no header can hold.
        """
        ...

    def abort(self) -> None:
        """Forget what was written; nothing happens after ``commit``."""
        ...


class SessionsApi(Protocol):
    """A workspace's sessions. Every method is safe to call from several threads and processes at once."""

    def open(self, command: OpenSession) -> SessionView:
        """Open a session. Raises InvalidJobDefinition (ProviderNotFound, InvalidTarget) or SessionAlreadyExists."""
        ...

    def get(self, session_id: str) -> SessionView:
        """The session as it is now. Raises SessionNotFound."""
        ...

    def close(self, session_id: str) -> SessionView:
        """End a session; its jobs run on. One that has ended is left alone. Raises SessionNotFound."""
        ...

    def page(
        self, query: ItemQuery, *, top: int = DEFAULT_PAGE, skip: int = 0, token: str | None = None
    ) -> Page[SessionView]:
        """At most ``top`` matching sessions, the first ``skip`` left out; ``token`` is the ``next`` of the page before.

        Raises InvalidFilter.
        """
        ...

    def items(
        self, query: ItemQuery, *, top: int = DEFAULT_PAGE, skip: int = 0, token: str | None = None
    ) -> Page[JobView | SessionView]:
        """As ``page``, for sessions and jobs without a session, in one order. Raises InvalidFilter."""
        ...


class JobsApi(Protocol):
    """A workspace's jobs. Every method is safe to call from several threads and processes at once."""

    @property
    def sessions(self) -> SessionsApi:
        """The workspace's sessions."""
        ...

    def submit(self, command: SubmitJob) -> JobView:
        """Queue a job; when this returns the job is stored and will reach a final state.

        Raises InvalidJobDefinition (ProviderNotFound, InvalidTarget) or JobAlreadyExists before anything is stored;
        the jobs of a server store the input first, and leave it there.
        """
        ...

    def get(self, job_id: str) -> JobView:
        """The job as it is now. Raises JobNotFound."""
        ...

    def list(self, query: JobQuery) -> Iterator[JobView]:
        """Matching jobs in the query's order; pages are fetched as they are needed. Raises InvalidFilter."""
        ...

    def page(
        self, query: JobQuery, *, top: int = DEFAULT_PAGE, skip: int = 0, token: str | None = None
    ) -> Page[JobView]:
        """At most ``top`` matching jobs: the first ones, or those behind the page that came with ``token``. Large jobs
        make a page end early.

        ``skip`` passes over that many jobs more. Paging on yields every job that exists throughout, once, whatever is
        added or removed meanwhile. Raises InvalidFilter.
        """
        ...

    def cancel(self, job_id: str) -> JobView:
        """Ask a job to stop. Waiting jobs are cancelled at once, running ones soon; final ones are left alone.

        Raises JobNotFound.
        """
        ...

    def delete(self, job_id: str) -> None:
        """Remove a job and its data; one that still runs is cancelled first. Raises JobNotFound."""
        ...

    def update(self, job_id: str, patch: PatchJob) -> JobView:
        """Change descriptive members. Raises JobNotFound."""
        ...

    def wait(self, job_id: str, timeout_s: float) -> JobView:
        """The job, as soon as it changed state or made progress, at the latest after ``timeout_s``."""
        ...

    def updates(self, job_id: str, after: int = 0, timeout_s: float | None = None) -> Iterator[JobUpdate]:
        """The job now, with its bests from the ``after``-th on; then whenever something changed; its end last.

        Raises JobNotFound; TimeoutError after ``timeout_s`` (None waits for ever), the job itself goes on.
        """
        ...

    def results(self, job_id: str) -> bytes:
        """The results blob. Raises JobNotFound; BlobNotFound if the job has none (yet)."""
        ...

    def best(self, job_id: str) -> bytes | None:
        """Best solution so far in the results format, also while the job runs; None if there is none yet."""
        ...

    def trace(self, job_id: str, after: int = 0) -> Sequence[TracePoint]:
        """New bests in order, from the ``after``-th on. Raises JobNotFound."""
        ...

    def targets(self) -> Sequence[TargetView]:
        """Every target this service can run."""
        ...

    def quotas(self) -> Sequence[QuotaView]:
        """What the workspace may use, and has used."""
        ...

    def container_uri(self, container: str) -> str:
        """URI of a container, which is created if it does not exist."""
        ...

    def put_blob(self, container: str, name: str, data: bytes, *, overwrite: bool = True) -> str:
        """Store a blob; returns its URI. Raises BlobAlreadyExists if it exists and may not be overwritten."""
        ...

    def upload_blob(self, container: str, name: str, *, overwrite: bool = True) -> BlobUpload:
        """A blob to be stored piece by piece, of any size. Raises BlobAlreadyExists, here or at its commit."""
        ...

    def get_blob(self, container: str, name: str) -> bytes:
        """Content of a blob. Raises BlobNotFound."""
        ...

    def list_blobs(self, container: str) -> Sequence[str]:
        """Names of a container's blobs, sorted."""
        ...

    def locate(self, blob_uri: str) -> tuple[str, str]:
        """Container and name of the blob that a URI of this workspace names. Raises InvalidValue if it names none."""
        ...

    def close(self) -> None:
        """Release connections. Jobs go on."""
        ...
