"""Blobs of a workspace, read and written through signed URLs that its server issues.

The requests are those of Azure Blob Storage, so a signed URL may also belong to a real storage account. Large content
is uploaded in blocks and downloaded in ranges; each of these requests is retried on its own.

Some uploads must not replace an existing blob. If such an upload is sent again because the first answer was lost, the
store rejects it as a duplicate. So the client marks the blob with the number of its upload (``qioskupload`` in the
metadata), and when the store reports that the blob exists, compares that mark with its own.
"""

from __future__ import annotations

import base64
import os
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from io import BytesIO
from typing import Any
from urllib.parse import parse_qs, quote, urlencode, urlsplit
from uuid import uuid4

from qiosk.client.remote.transport import Answer, OnBytes, Request, Transfers, Transport, whole_size
from qiosk.client.remote.xml import read_xml
from qiosk.contract.blob_names import check_blob, check_container
from qiosk.contract.http.blobs import blob_uri, check_metadata
from qiosk.errors import BlobAlreadyExists, BlobNotFound, Forbidden, NotFound, QioskError
from qiosk.forks import PerProcess, check_process

BLOCK = 8 << 20
"""Bytes of a block."""
SINGLE = 32 << 20
"""Content up to this many bytes is uploaded in one request, and downloaded in one range."""
_SAFETY = 0.1  # a signature with less than this share of its lifetime left is replaced
_KEPT_SIGNATURES = 256  # when there are more, the oldest are dropped
_VERSION = {"x-ms-version": "2021-08-06"}
_LIST_PAGE = 5000
_MARK = "x-ms-meta-qioskupload"


class Blobs:
    """Blobs of one workspace."""

    def __init__(self, transport: Transport, sign: Callable[[str], str], transfers: Transfers) -> None:
        """``sign`` returns the signed URL of a container, and creates the container if necessary."""
        self._transport = transport
        self._sign = sign
        self.transfers = transfers
        self._signed: dict[str, tuple[str, float]] = {}
        self._lock = PerProcess(threading.Lock)

    def container_uri(self, container: str) -> str:
        """Signed URL of a container; a new one if the last is about to expire. Raises InvalidValue."""
        check_container(container)
        with self._lock.get():
            url, until = self._signed.get(container, ("", 0.0))
        if time.time() < until:
            return url
        url, now = self._sign(container), time.time()
        with self._lock.get():
            self._signed.pop(container, None)  # so that it becomes the newest
            self._signed[container] = url, now + (1.0 - _SAFETY) * (_expiry(url) - now)
            if len(self._signed) > _KEPT_SIGNATURES:
                del self._signed[next(iter(self._signed))]
        return url

    def put(self, container: str, name: str, data: bytes, *, overwrite: bool, headers: Mapping[str, str]) -> str:
        """Store a blob; returns its URL, without a signature. Raises BlobAlreadyExists, InvalidValue."""

        def store(conditions: Mapping[str, str]) -> None:
            described = {"x-ms-blob-content-type": "application/octet-stream", **headers, **conditions}
            self._put(container, name, data, described)

        return self.store(container, name, store, overwrite=overwrite)

    def get(self, container: str, name: str) -> bytes:
        """Content of a blob, byte for byte as it was stored. Raises BlobNotFound, InvalidValue."""
        check_blob(name)
        transfer, content = f"download {name}", BytesIO()
        total, etag = SINGLE, ""
        with self.transfers.reporting_failure(transfer):
            while (size := content.tell()) < total:
                headers = {"x-ms-range": f"bytes={size}-{size + SINGLE - 1}"} | ({"If-Match": etag} if etag else {})
                on_received = self.transfers.part(transfer, size)
                try:
                    answer = self._send("GET", container, name, headers=headers, on_received=on_received)
                except _EmptyRange:
                    answer = self._send("GET", container, name)
                content.write(answer.body)
                total = whole_size(answer.headers) if answer.status == 206 else 0
                etag = answer.headers.get("ETag", "")
                del answer  # free it before the next range arrives
        return content.getvalue()  # no copy

    def list(self, container: str) -> Sequence[str]:
        """Names of a container's blobs, sorted. Raises UnreadableInput."""
        names: list[str] = []
        marker: str | None = ""
        while marker is not None:
            query = {"restype": "container", "comp": "list", "maxresults": str(_LIST_PAGE), "marker": marker}
            answer = self._send("GET", container, "", query={k: v for k, v in query.items() if v})
            page = read_xml(answer.body)
            names += [name.text or "" for name in page.iterfind("Blobs/Blob/Name")]
            marker = page.findtext("NextMarker") or None
        return sorted(names)

    def _put(self, container: str, name: str, data: bytes, headers: Mapping[str, str]) -> None:
        transfer = f"upload {name}"
        with self.transfers.reporting_failure(transfer):
            if len(data) <= SINGLE:
                whole = {"x-ms-blob-type": "BlockBlob", **headers}
                self._send("PUT", container, name, body=data, headers=whole, on_sent=self.transfers.part(transfer))
                return
            view = memoryview(data)
            ids = []
            for number, start in enumerate(range(0, len(data), BLOCK)):
                on_sent = self.transfers.part(transfer, start, len(data))
                ids.append(self.put_block(container, name, number, view[start : start + BLOCK], on_sent))
            self.commit_blocks(container, name, ids, headers)

    def upload(self, container: str, name: str, *, overwrite: bool) -> Upload:
        """A blob that the caller writes piece by piece. Raises InvalidValue."""
        check_container(container)
        check_blob(name)
        return Upload(self, container, name, overwrite=overwrite)

    def put_block(
        self, container: str, name: str, number: int, data: bytes | memoryview, on_sent: OnBytes | None
    ) -> str:
        """Upload a block; returns its id. It is not visible until the block list is committed."""
        block = base64.b64encode(b"%08d" % number).decode()
        query = {"comp": "block", "blockid": block}
        self._send("PUT", container, name, query=query, body=data, on_sent=on_sent)
        return block

    def commit_blocks(self, container: str, name: str, ids: Sequence[str], headers: Mapping[str, str]) -> None:
        """Make a blob of uploaded blocks. Raises BlobAlreadyExists, InvalidBlockList."""
        blocks = "".join(f"<Latest>{block}</Latest>" for block in ids)
        body = f'<?xml version="1.0" encoding="utf-8"?><BlockList>{blocks}</BlockList>'.encode()
        self._send("PUT", container, name, query={"comp": "blocklist"}, body=body, headers=headers)

    def store(self, container: str, name: str, store: Callable[[Mapping[str, str]], None], *, overwrite: bool) -> str:
        """Call ``store`` with the headers to send; returns the blob's URL. Raises BlobAlreadyExists."""
        check_blob(name)
        mark = uuid4().hex
        try:
            store({} if overwrite else {"If-None-Match": "*", _MARK: mark})
        except BlobAlreadyExists as error:
            if self._mark(container, name) != mark:
                raise BlobAlreadyExists(f"blob {container}/{name} exists") from error
        return self.uri(container, name)

    def _mark(self, container: str, name: str) -> str | None:
        """The mark of the upload that stored a blob, if it has one."""
        try:
            return self._send("HEAD", container, name).headers.get(_MARK)
        except BlobNotFound:  # it has been deleted
            return None

    def uri(self, container: str, name: str) -> str:
        """URL of a blob, without a signature."""
        return blob_uri(self.container_uri(container).partition("?")[0], quote(name))

    def _send(
        self, method: str, container: str, name: str, *, query: Mapping[str, str] | None = None, **members: Any
    ) -> Answer:
        """Send a request; if the server rejects the signature, again with a new one."""
        headers = {**_VERSION, **members.pop("headers", {})}
        if name:
            check_blob(name)  # an HTTP library would resolve "." and ".." to the path of another blob
        for is_fresh in (False, True):
            base, _, signature = self.container_uri(container).partition("?")
            url = f"{base}/{quote(name)}" if name else base
            url += "?" + "&".join(filter(None, (urlencode(query or {}), signature)))
            try:
                return self._transport.send(Request(method=method, url=url, headers=headers, is_signed=True, **members))
            except Forbidden as error:
                if is_fresh or error.details.get("storage_code") != "AuthenticationFailed":
                    raise
                with self._lock.get():
                    self._signed.pop(container, None)
            except NotFound as error:
                raise BlobNotFound(f"blob {container}/{name} was not found") from error
            except QioskError as error:
                if error.details.get("storage_code") == "InvalidRange":
                    raise _EmptyRange(error.message) from error
                raise
        raise AssertionError("the second turn returns or raises")


class Upload:
    """Implements ``BlobUpload``: uploads blocks of ``BLOCK`` bytes, and their list at the end."""

    def __init__(self, blobs: Blobs, container: str, name: str, *, overwrite: bool) -> None:
        self._blobs = blobs
        self._container = container
        self._name = name
        self._overwrite = overwrite
        self._transfer = f"upload {name}"
        self._rest = bytearray()
        self._ids: list[str] = []
        self._size = 0
        self._process = os.getpid()

    def write(self, data: bytes) -> None:
        """Append bytes; full blocks are uploaded at once. Raises Conflict in a forked child."""
        check_process(self._process)
        self._rest += data
        with self._blobs.transfers.reporting_failure(self._transfer):
            while len(self._rest) >= BLOCK:
                self._put(bytes(self._rest[:BLOCK]))
                del self._rest[:BLOCK]

    def commit(self, metadata: Mapping[str, str] | None = None) -> str:
        """Upload the rest and make the blob visible; returns its URL. Raises BlobAlreadyExists, InvalidValue; Conflict
        in a forked child.
        """
        check_process(self._process)
        check_metadata(metadata or {})
        described = {f"x-ms-meta-{key}": value for key, value in (metadata or {}).items()}

        def store(conditions: Mapping[str, str]) -> None:
            headers = {"x-ms-blob-content-type": "application/octet-stream", **described, **conditions}
            self._blobs.commit_blocks(self._container, self._name, self._ids, headers)

        with self._blobs.transfers.reporting_failure(self._transfer):
            if self._rest:
                self._put(bytes(self._rest))
                self._rest.clear()
            uri = self._blobs.store(self._container, self._name, store, overwrite=self._overwrite)
        self._blobs.transfers.report(self._transfer, self._size, self._size)
        self._ids.clear()
        return uri

    def abort(self) -> None:
        """Drop what was written; the server removes blocks that are never committed."""
        if self._ids and os.getpid() == self._process:
            self._blobs.transfers.report(self._transfer, 0, 0)
        self._rest.clear()
        self._ids.clear()

    def _put(self, data: bytes) -> None:
        on_sent = self._blobs.transfers.part(self._transfer, self._size, 0)
        self._ids.append(self._blobs.put_block(self._container, self._name, len(self._ids), data, on_sent))
        self._size += len(data)


class _EmptyRange(QioskError):
    """The requested range contains no bytes, because the blob is empty."""


def _expiry(url: str) -> float:
    """When a signed URL expires, in seconds since 1970; 0 if it does not contain that."""
    values = parse_qs(urlsplit(url).query).get("se")
    try:
        return datetime.fromisoformat(values[0]).timestamp() if values else 0.0
    except ValueError:
        return 0.0
