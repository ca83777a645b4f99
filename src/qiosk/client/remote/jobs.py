"""Jobs of a workspace on a server. Implements ``JobsApi`` over HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, final
from urllib.parse import quote, urlsplit
from uuid import uuid4

from msgspec import to_builtins
from msgspec.structs import replace

from qiosk.client.remote import events
from qiosk.client.remote.blobs import Blobs
from qiosk.client.remote.calls import Calls, listed
from qiosk.client.remote.connection import Connection
from qiosk.client.remote.sessions import HttpSessions
from qiosk.client.remote.transport import OnTransfer, RetryPolicy, Transfers, Transport
from qiosk.contract import codec
from qiosk.contract.api import BlobUpload
from qiosk.contract.blob_names import check_blob, check_container
from qiosk.contract.http import requests
from qiosk.contract.http.blobs import blob_uri, uri_segments
from qiosk.contract.jobs import (
    ACCOUNT,
    INPUT_BLOB,
    ExtendJob,
    JobQuery,
    JobUpdate,
    JobView,
    PatchJob,
    SubmitJob,
    TargetView,
    TracePoint,
    own_container,
)
from qiosk.contract.logs import LogLine
from qiosk.contract.paging import DEFAULT_PAGE, MAX_PAGE, Page
from qiosk.contract.plain import plain_job, plain_patch
from qiosk.contract.quotas import QuotaView
from qiosk.errors import (
    BlobAlreadyExists,
    InvalidJobDefinition,
    InvalidValue,
    JobAlreadyExists,
    NotFound,
    UnreadableInput,
)
from qiosk.forks import PerProcess

_GZIP_MAGIC = b"\x1f\x8b"
_INPUT_TYPE = {"x-ms-blob-content-type": "application/json"}
_GZIP = {"x-ms-blob-content-encoding": "gzip"}


@final
class HttpJobs:
    """Jobs of one workspace on a server. Threads may share it."""

    def __init__(
        self,
        connection: Connection,
        *,
        user_agent: str | None = None,
        retry_policy: RetryPolicy | None = None,
        on_transfer: OnTransfer | None = None,
    ) -> None:
        """``on_transfer`` is called with the progress of uploads and downloads; see :data:`OnTransfer`."""
        self._transport = Transport(
            connection.url, api_key=connection.api_key, user_agent=user_agent, retry_policy=retry_policy
        )
        self._calls = Calls(self._transport, connection.workspace_path)
        self.sessions = HttpSessions(self._calls)
        self._transfers = Transfers(on_transfer)
        self._blobs = Blobs(self._transport, self._signed, self._transfers)
        self._blob_base = PerProcess(self._find_blob_base)

    def submit(self, command: SubmitJob) -> JobView:
        """Queue a job; see ``JobsApi``. Its input is stored first, even if the server then rejects the job."""
        command = plain_job(command)
        job_id = command.id or str(uuid4())
        container = _last_segment(command.container_uri) if command.container_uri else own_container(job_id)
        container_uri = command.container_uri or self._blobs.container_uri(container).partition("?")[0]
        uri = command.input_data_uri
        if command.input_data is not None:
            if uri is not None:
                raise InvalidJobDefinition(f"job {job_id}: give input_data or input_data_uri, not both")
            uri = self._store_input(job_id, container, command.input_data)
        complete = replace(command, id=job_id, container_uri=container_uri, input_data=None, input_data_uri=uri)
        return self._job("PUT", _path(job_id), body=requests.submission(complete))

    def get(self, job_id: str) -> JobView:
        """The job as it is now. Raises JobNotFound."""
        return self._job("GET", _path(job_id))

    def list(self, query: JobQuery) -> Iterator[JobView]:
        """Matching jobs in the query's order; pages are fetched when they are needed. Raises InvalidFilter."""
        page = self.page(query)
        return self._pages(query, page)

    def page(
        self, query: JobQuery, *, top: int = DEFAULT_PAGE, skip: int = 0, token: str | None = None
    ) -> Page[JobView]:
        """At most ``top`` matching jobs after those of the page that came with ``token``; see ``JobsApi``."""
        path = "/topLevelItems" if query.is_top_level else "/jobs"
        return self._calls.page(path, query, _view, top=top, skip=skip, token=token)

    def cancel(self, job_id: str) -> JobView:
        """Cancel a job; see ``JobsApi``."""
        return self._job("POST", f"{_path(job_id)}:cancel")

    def extend(self, job_id: str, command: ExtendJob) -> JobView:
        """Queue a job that goes on where one has ended; see ``JobsApi``."""
        named = command if command.id is not None else replace(command, id=str(uuid4()))  # a retry makes no second job
        return self._job("POST", f"{_path(job_id)}:extend", body=to_builtins(named))

    def delete(self, job_id: str) -> None:
        """Remove a job and its data; a running job is cancelled first. Raises JobNotFound, Conflict."""
        try:
            self._calls.send("POST", f"{_path(job_id)}:purge")
        except NotFound as error:
            if "tries" not in error.details:  # otherwise an earlier try removed the job
                raise

    def update(self, job_id: str, patch: PatchJob) -> JobView:
        """Change descriptive members. Raises JobNotFound, InvalidJobDefinition."""
        content_type = "application/merge-patch+json"
        return self._job("PATCH", _path(job_id), body=to_builtins(plain_patch(patch)), content_type=content_type)

    def wait(self, job_id: str, timeout_s: float) -> JobView:
        """The job as soon as its state or progress changes, at the latest after ``timeout_s``."""
        view: JobView | None = None
        try:
            for number, update in enumerate(self.updates(job_id, timeout_s=max(0.0, timeout_s))):
                view = update.view
                if number > 0 or view.status.is_final:
                    return view
        except TimeoutError:
            if view is not None:
                return view
        return self.get(job_id)

    def updates(self, job_id: str, after: int = 0, timeout_s: float | None = None) -> Iterator[JobUpdate]:
        """The job now, then after every change, the final state last; see ``JobsApi``."""
        url = f"{self._calls.root}{_path(job_id)}/events"
        return events.updates(self._transport, url, job_id, after=max(0, after), timeout_s=timeout_s)

    def results(self, job_id: str) -> bytes:
        """The results blob. Raises JobNotFound; BlobNotFound if the job has none (yet)."""
        transfer = f"results of {job_id}"
        with self._transfers.reporting_failure(transfer):
            on_received = self._transfers.part(transfer)
            return self._calls.send("GET", f"{_path(job_id)}/results", on_received=on_received).body

    def best(self, job_id: str) -> bytes | None:
        """The best solution so far in the results format, also of a running job; None if there is none yet."""
        answer = self._calls.send("GET", f"{_path(job_id)}/best")
        return None if answer.status == 204 else answer.body

    def receipt(self, job_id: str) -> bytes | None:
        """What proves the bound of the results; None if there are no results, or no receipt beside them."""
        answer = self._calls.send("GET", f"{_path(job_id)}/receipt")
        return None if answer.status == 204 else answer.body

    def trace(self, job_id: str, after: int = 0) -> Sequence[TracePoint]:
        """Improvements of the best cost in order, from number ``after`` on. Raises JobNotFound."""
        answer = self._calls.send("GET", f"{_path(job_id)}/trace", query={"after": str(max(0, after))})
        return codec.decode(list[TracePoint], answer.body)

    def log(self, job_id: str, after: int = 0) -> Sequence[LogLine]:
        """Lines of the job's log after position ``after``; see ``JobsApi``."""
        answer = self._calls.send("GET", f"{_path(job_id)}/log", query={"after": str(max(0, after))})
        return codec.decode(list[LogLine], answer.body)

    def targets(self) -> Sequence[TargetView]:
        """Every target of the server."""
        members = self._calls.members("GET", "/providerStatus")
        return [
            codec.convert(TargetView, {**target, "providerId": provider.get("id")})
            for provider in listed(members, "value")
            for target in listed(provider, "targets")
        ]

    def quotas(self) -> Sequence[QuotaView]:
        """The quotas of the workspace, and what is used of them."""
        members = self._calls.members("GET", "/quotas")
        return [codec.convert(QuotaView, quota) for quota in listed(members, "value")]

    def container_uri(self, container: str) -> str:
        """Signed URL of a container, which is created if it does not exist."""
        return self._blobs.container_uri(container)

    def put_blob(self, container: str, name: str, data: bytes, *, overwrite: bool = True) -> str:
        """Store a blob; returns its URL. Raises BlobAlreadyExists if it exists and ``overwrite`` is False."""
        return self._blobs.put(container, name, data, overwrite=overwrite, headers={})

    def upload_blob(self, container: str, name: str, *, overwrite: bool = True) -> BlobUpload:
        """A blob of any size that the caller writes piece by piece. Its commit raises BlobAlreadyExists."""
        return self._blobs.upload(container, name, overwrite=overwrite)

    def get_blob(self, container: str, name: str) -> bytes:
        """Content of a blob. Raises BlobNotFound."""
        return self._blobs.get(container, name)

    def list_blobs(self, container: str) -> Sequence[str]:
        """Names of a container's blobs, sorted."""
        return self._blobs.list(container)

    def locate(self, blob_uri: str) -> tuple[str, str]:
        """Container and name of the blob at a URL of the workspace, signed or not. Raises InvalidValue."""
        path = uri_segments(blob_uri)
        base = self._blob_base.get()
        if path[: len(base)] == base:
            path = path[len(base) :]
        if path[:1] == (ACCOUNT,):
            path = path[1:]
        if len(path) < 2:
            raise InvalidValue(f"blob uri: must name a container and a blob, found {blob_uri.partition('?')[0]!r}")
        if "//" in f"{urlsplit(blob_uri).path.lstrip('/')}/":
            raise InvalidValue(f"blob uri: segments may not be empty, found {blob_uri.partition('?')[0]!r}")
        container, name = path[0], "/".join(path[1:])
        check_container(container)
        check_blob(name)
        return container, name

    def close(self) -> None:
        """Close the connections. Jobs continue to run."""
        self._transport.close()

    def _store_input(self, job_id: str, container: str, data: bytes) -> str:
        # An existing input is never overwritten: another job may be reading it.
        headers = {**_INPUT_TYPE, **(_GZIP if data.startswith(_GZIP_MAGIC) else {})}
        try:
            return self._blobs.put(container, INPUT_BLOB, data, overwrite=False, headers=headers)
        except BlobAlreadyExists as error:
            if self._blobs.get(container, INPUT_BLOB) != data:
                raise JobAlreadyExists(f"job {job_id}: {error.message} with other data", job_id=job_id) from error
            return blob_uri(self._blobs.container_uri(container).partition("?")[0], INPUT_BLOB)

    def _pages(self, query: JobQuery, page: Page[JobView]) -> Iterator[JobView]:
        yield from page.items
        while page.next is not None:
            page = self.page(query, top=MAX_PAGE, token=page.next)
            yield from page.items

    def _find_blob_base(self) -> tuple[str, ...]:
        """The path segments before account and container in URLs of blobs. Signing a blob URL creates nothing."""
        path = uri_segments(self._signed(INPUT_BLOB, INPUT_BLOB))[:-2]
        return path[:-1] if path[-1:] == (ACCOUNT,) else path

    def _signed(self, container: str, blob: str | None = None) -> str:
        body = {"containerName": container} | ({} if blob is None else {"blobName": blob})
        members = self._calls.members("POST", "/storage/sasUri", body=body)
        uri = members.get("sasUri")
        if not isinstance(uri, str):
            raise UnreadableInput("reply: `sasUri` must be a string")
        return uri

    def _job(self, method: str, path: str, **members: Any) -> JobView:
        return codec.decode(JobView, self._calls.send(method, path, **members).body)


def _view(members: dict[str, Any]) -> JobView:
    return codec.convert(JobView, members)


def _path(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='', errors='replace')}"


def _last_segment(uri: str) -> str:
    return urlsplit(uri).path.rstrip("/").rpartition("/")[2]
