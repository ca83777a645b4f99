"""A workspace's jobs on a server. Implements ``contract.jobs.JobsApi``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, final
from urllib.parse import parse_qs, quote, urlencode, urlsplit
from uuid import uuid4

import msgspec

from qiosk.client.remote import events
from qiosk.client.remote.blobs import Blobs
from qiosk.client.remote.connection import Connection
from qiosk.client.remote.queries import filter_text, is_empty, orderby_text
from qiosk.client.remote.transport import Answer, OnBytes, Patience, Request, Transport
from qiosk.contract import codec
from qiosk.contract.jobs import (
    INPUT_BLOB,
    BlobUpload,
    JobPatch,
    JobQuery,
    JobUpdate,
    JobView,
    SubmitJob,
    TargetView,
    TracePoint,
)
from qiosk.contract.paging import DEFAULT_PAGE, Page
from qiosk.contract.quotas import QuotaView
from qiosk.errors import (
    BlobAlreadyExists,
    InvalidJobDefinition,
    JobAlreadyExists,
    NotFound,
    UnreadableInput,
)

_GZIP_MAGIC = b"\x1f\x8b"
_INPUT_TYPE = {"x-ms-blob-content-type": "application/json"}
_GZIP = {"x-ms-blob-content-encoding": "gzip"}


@final
class HttpJobs:
    """Jobs of one workspace of a server; safe to use from several threads."""

    def __init__(
        self,
        connection: Connection,
        *,
        user_agent: str | None = None,
        patience: Patience | None = None,
        on_bytes: Callable[[str, int, int], None] | None = None,
    ) -> None:
        """``on_bytes`` is told of up- and downloads as (what, bytes so far, all bytes or 0)."""
        self._transport = Transport(
            connection.url, api_key=connection.api_key, user_agent=user_agent, patience=patience
        )
        self._root = self._transport.base + connection.workspace_path
        self._on_bytes = on_bytes
        self._blobs = Blobs(self._transport, self._signed_container, on_bytes)

    def submit(self, command: SubmitJob) -> JobView:
        """Queue a job; see ``JobsApi``. Its input is stored first, also if the job is refused then."""
        job_id = command.id or str(uuid4())
        container = _last_segment(command.container_uri) if command.container_uri else f"job-{job_id}"
        container_uri = command.container_uri or self._blobs.container_uri(container).partition("?")[0]
        uri = command.input_data_uri
        if command.input_data is not None:
            if uri is not None:
                raise InvalidJobDefinition(f"job {job_id}: give input_data or input_data_uri, not both")
            uri = self._store_input(job_id, container, command.input_data)
        complete = replace(command, id=job_id, container_uri=container_uri, input_data=None, input_data_uri=uri)
        return self._job("PUT", _path(job_id), body=codec.submission(complete))

    def get(self, job_id: str) -> JobView:
        """The job as it is now. Raises JobNotFound."""
        return self._job("GET", _path(job_id))

    def list(self, query: JobQuery) -> Iterator[JobView]:
        """Matching jobs in the query's order; pages are fetched as they are needed. Raises InvalidFilter."""
        page = self.page(query)
        return self._pages(query, page)

    def page(
        self, query: JobQuery, *, top: int = DEFAULT_PAGE, skip: int = 0, token: str | None = None
    ) -> Page[JobView]:
        """At most ``top`` matching jobs behind those of the page that came with ``token``; see ``JobsApi``."""
        path, asked = "/jobs", query
        if query.session_id is not None:
            path, asked = f"/sessions/{quote(query.session_id, safe='')}/jobs", replace(query, is_top_level=False)
        elif query.is_top_level:
            path = "/topLevelItems"
        parameters = {"filter": filter_text(asked), "orderby": orderby_text(query), "token": token}
        parameters |= {"top": str(top), "skip": str(skip) if skip else None}
        if is_empty(query):
            return Page(())
        members = _object(self._send("GET", path, query=parameters))
        views = tuple(map(codec.job_view, _listed(members, "value")))
        return Page(views, _token(members.get("nextLink")))

    def cancel(self, job_id: str) -> JobView:
        """Ask a job to stop; see ``JobsApi``."""
        return self._job("POST", f"{_path(job_id)}:cancel")

    def delete(self, job_id: str) -> None:
        """Remove a job and its data; one that still runs is cancelled first. Raises JobNotFound, Conflict."""
        try:
            self._send("POST", f"{_path(job_id)}:purge")
        except NotFound as error:
            if "tries" not in error.details:  # else an earlier try has removed it
                raise

    def update(self, job_id: str, patch: JobPatch) -> JobView:
        """Change descriptive members. Raises JobNotFound, InvalidJobDefinition."""
        members = {"name": patch.name, "tags": patch.tags, "priority": patch.priority}
        body = {name: value for name, value in members.items() if value is not None}
        return self._job("PATCH", _path(job_id), body=body, content_type="application/merge-patch+json")

    def wait(self, job_id: str, timeout_s: float) -> JobView:
        """The job, as soon as it changed state or made progress, at the latest after ``timeout_s``."""
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
        """The job now, then whenever something changed, its end last; see ``JobsApi``."""
        url = f"{self._root}{_path(job_id)}/events"
        return events.updates(self._transport, url, job_id, after=max(0, after), timeout_s=timeout_s)

    def results(self, job_id: str) -> bytes:
        """The results blob. Raises JobNotFound; BlobNotFound if the job has none (yet)."""
        return self._send("GET", f"{_path(job_id)}/results", on_received=self._telling(f"results of {job_id}")).body

    def best(self, job_id: str) -> bytes | None:
        """Best solution so far in the results format, also while the job runs; None if there is none yet."""
        answer = self._send("GET", f"{_path(job_id)}/best")
        return None if answer.status == 204 else answer.body

    def trace(self, job_id: str, after: int = 0) -> Sequence[TracePoint]:
        """New bests in order, from the ``after``-th on. Raises JobNotFound."""
        rows = self._send("GET", f"{_path(job_id)}/trace", query={"after": str(max(0, after))}).json()
        try:
            return codec.decode_trace(rows)
        except (TypeError, ValueError, OverflowError) as error:
            raise UnreadableInput(f"reply: is no trace: {error}") from error

    def targets(self) -> Sequence[TargetView]:
        """Every target the server can run."""
        members = _object(self._send("GET", "/providerStatus"))
        return [
            codec.from_wire(TargetView, {**target, "providerId": provider.get("id")})
            for provider in _listed(members, "value")
            for target in _listed(provider, "targets")
        ]

    def quotas(self) -> Sequence[QuotaView]:
        """What the workspace may use, and has used."""
        members = _object(self._send("GET", "/quotas"))
        return [codec.from_wire(QuotaView, quota) for quota in _listed(members, "value")]

    def container_uri(self, container: str) -> str:
        """Signed URL of a container, which is created if it does not exist."""
        return self._blobs.container_uri(container)

    def put_blob(self, container: str, name: str, data: bytes, *, overwrite: bool = True) -> str:
        """Store a blob; returns its URL. Raises BlobAlreadyExists if it exists and may not be overwritten."""
        return self._blobs.put(container, name, data, overwrite=overwrite, headers={})

    def upload_blob(self, container: str, name: str, *, overwrite: bool = True) -> BlobUpload:
        """A blob to be stored piece by piece, of any size. Raises BlobAlreadyExists at its commit."""
        return self._blobs.upload(container, name, overwrite=overwrite)

    def get_blob(self, container: str, name: str) -> bytes:
        """Content of a blob. Raises BlobNotFound."""
        return self._blobs.get(container, name)

    def list_blobs(self, container: str) -> Sequence[str]:
        """Names of a container's blobs, sorted."""
        return self._blobs.list(container)

    def close(self) -> None:
        """Close the connections. Jobs go on."""
        self._transport.close()

    def _store_input(self, job_id: str, container: str, data: bytes) -> str:
        # What lies there is left alone, for another job may be reading it.
        headers = {**_INPUT_TYPE, **(_GZIP if data.startswith(_GZIP_MAGIC) else {})}
        try:
            return self._blobs.put(container, INPUT_BLOB, data, overwrite=False, headers=headers)
        except BlobAlreadyExists as error:
            if self._blobs.get(container, INPUT_BLOB) != data:
                raise JobAlreadyExists(f"job {job_id}: {error.message} with other data", job_id=job_id) from error
            return codec.blob_uri(self._blobs.container_uri(container).partition("?")[0], INPUT_BLOB)

    def _pages(self, query: JobQuery, page: Page[JobView]) -> Iterator[JobView]:
        yield from page.items
        while page.next is not None:
            page = self.page(query, token=page.next)
            yield from page.items

    def _signed_container(self, container: str) -> str:
        members = _object(self._send("POST", "/storage/sasUri", body={"containerName": container}))
        uri = members.get("sasUri")
        if not isinstance(uri, str):
            raise UnreadableInput("reply: `sasUri` must be a text")
        return uri

    def _job(self, method: str, path: str, **members: Any) -> JobView:
        return codec.job_view(self._send(method, path, **members).json())

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | None] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        on_received: OnBytes | None = None,
    ) -> Answer:
        given = {name: value for name, value in (query or {}).items() if value is not None}
        url = f"{self._root}{path}?{urlencode(given, quote_via=quote)}" if given else f"{self._root}{path}"
        headers = {"Accept": "application/json"} | ({} if body is None else {"Content-Type": content_type})
        data = None if body is None else msgspec.json.encode(body)
        request = Request(method=method, url=url, body=data, headers=headers, on_received=on_received)
        return self._transport.send(request)

    def _telling(self, what: str) -> OnBytes | None:
        tell = self._on_bytes
        return None if tell is None else lambda size, total: tell(what, size, total)


def _path(job_id: str) -> str:
    return f"/jobs/{quote(job_id, safe='')}"


def _object(answer: Answer) -> dict[str, Any]:
    members = answer.json()
    if not isinstance(members, dict):
        raise UnreadableInput("reply: must be an object")
    return members


def _listed(members: Mapping[str, Any], name: str) -> Sequence[dict[str, Any]]:
    """The objects of a list; a missing one is empty. Raises UnreadableInput."""
    value = members.get(name)
    listed = [] if value is None else value
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise UnreadableInput(f"reply: `{name}` must be a list of objects")
    return listed


def _token(next_link: object) -> str | None:
    """What a link to the next page hands back; only that, for a link may lead to other hosts."""
    if not isinstance(next_link, str):
        return None
    return parse_qs(urlsplit(next_link).query).get("token", [None])[0]


def _last_segment(uri: str) -> str:
    return urlsplit(uri).path.rstrip("/").rpartition("/")[2]
