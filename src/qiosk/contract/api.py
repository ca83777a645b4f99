"""The interfaces of a workspace: its jobs, its sessions and its blobs.

``JobService`` and ``SessionService`` implement them in this process; ``HttpJobs`` and ``HttpSessions`` implement them
over HTTP, for a workspace on a server. ``Workspace`` works with either.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

from qiosk.contract.items import ItemQuery
from qiosk.contract.jobs import ExtendJob, JobQuery, JobUpdate, JobView, PatchJob, SubmitJob, TargetView, TracePoint
from qiosk.contract.logs import LogLine
from qiosk.contract.paging import DEFAULT_PAGE, Page
from qiosk.contract.quotas import QuotaView
from qiosk.contract.sessions import OpenSession, SessionView


class BlobUpload(Protocol):
    """A blob that is stored piece by piece; ``commit`` makes it visible. Used by one thread at a time."""

    def write(self, data: bytes) -> None:
        """Append."""
        ...

    def commit(self, metadata: Mapping[str, str] | None = None) -> str:
        """Make the blob visible, with metadata; returns its URI.

        Raises BlobAlreadyExists; InvalidValue, and changes nothing, for metadata that cannot be a header.
        """
        ...

    def abort(self) -> None:
        """Discard what was written; does nothing after ``commit``."""
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
        """End a session; its jobs continue. Does nothing if it has ended. Raises SessionNotFound."""
        ...

    def page(
        self, query: ItemQuery, *, top: int = DEFAULT_PAGE, skip: int = 0, token: str | None = None
    ) -> Page[SessionView]:
        """At most ``top`` matching sessions, after the first ``skip``; ``token`` is ``next`` of the previous page.

        Raises InvalidFilter.
        """
        ...

    def items(
        self, query: ItemQuery, *, top: int = DEFAULT_PAGE, skip: int = 0, token: str | None = None
    ) -> Page[JobView | SessionView]:
        """As ``page``, for sessions and jobs without a session, sorted together. Raises InvalidFilter."""
        ...


class JobsApi(Protocol):
    """A workspace's jobs. Every method is safe to call from several threads and processes at once."""

    @property
    def sessions(self) -> SessionsApi:
        """The workspace's sessions."""
        ...

    def submit(self, command: SubmitJob) -> JobView:
        """Queue a job; when this returns, the job is stored and will reach a final state.

        Raises InvalidJobDefinition (ProviderNotFound, InvalidTarget) or JobAlreadyExists before anything is stored.
        On a server the input has been stored by then, and remains.
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
        """At most ``top`` matching jobs: the first ones, or those after the page whose ``next`` is ``token``. Large
        jobs make a page shorter.

        ``skip`` leaves out that many jobs. All pages together contain every job that exists the whole time once, even
        if other jobs are added or removed meanwhile. Raises InvalidFilter.
        """
        ...

    def cancel(self, job_id: str) -> JobView:
        """Cancel a job: a waiting one at once, a running one soon. Does nothing if it has ended.

        Raises JobNotFound.
        """
        ...

    def extend(self, job_id: str, command: ExtendJob) -> JobView:
        """Queue a job that goes on where one has ended because of a time limit or a cancellation.

        Raises JobNotFound; InvalidValue for a time limit that the target does not allow; Conflict if the job has not
        ended, has ended by itself, or has no checkpoint; QuotaExceeded.
        """
        ...

    def delete(self, job_id: str) -> None:
        """Remove a job and its data; a running job is cancelled first. Raises JobNotFound."""
        ...

    def update(self, job_id: str, patch: PatchJob) -> JobView:
        """Change descriptive members. Raises JobNotFound."""
        ...

    def wait(self, job_id: str, timeout_s: float) -> JobView:
        """The job as soon as its state or progress changes, at the latest after ``timeout_s``."""
        ...

    def updates(self, job_id: str, after: int = 0, timeout_s: float | None = None) -> Iterator[JobUpdate]:
        """The job now, with its trace from index ``after`` on; then after every change; its final state last.

        Raises JobNotFound; TimeoutError after ``timeout_s`` (None: no limit), which does not stop the job.
        """
        ...

    def results(self, job_id: str) -> bytes:
        """The results blob. Raises JobNotFound; BlobNotFound if the job has none, or none yet."""
        ...

    def best(self, job_id: str) -> bytes | None:
        """Best solution so far in the results format, even while the job runs; None if there is none yet."""
        ...

    def receipt(self, job_id: str) -> bytes | None:
        """What proves the bound of the results, an npz file; None if there are no results, or no receipt beside them.

        Raises JobNotFound.
        """
        ...

    def trace(self, job_id: str, after: int = 0) -> Sequence[TracePoint]:
        """Improvements of the best cost in order, from index ``after`` on. Raises JobNotFound."""
        ...

    def log(self, job_id: str, after: int = 0) -> Sequence[LogLine]:
        """What the job's supervisors and processes logged about it, after position ``after``: the last 64 KiB.

        The first line tells if lines before it were dropped. Raises JobNotFound.
        """
        ...

    def targets(self) -> Sequence[TargetView]:
        """Every target this service can run."""
        ...

    def quotas(self) -> Sequence[QuotaView]:
        """What the workspace may use and has used."""
        ...

    def container_uri(self, container: str) -> str:
        """URI of a container; creates the container if it does not exist."""
        ...

    def put_blob(self, container: str, name: str, data: bytes, *, overwrite: bool = True) -> str:
        """Store a blob; returns its URI. Raises BlobAlreadyExists if it exists and may not be overwritten."""
        ...

    def upload_blob(self, container: str, name: str, *, overwrite: bool = True) -> BlobUpload:
        """An upload of one blob of any size, piece by piece. Raises BlobAlreadyExists, here or when it is committed."""
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
        """Close the connections. Jobs continue."""
        ...
