"""The operations on containers and blobs that optimization jobs need, with the status codes and headers of Azure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from qiosk.contract.jobs import ACCOUNT
from qiosk.errors import BlobNotFound, Forbidden
from qiosk.server.blobs.bodies import SMALL, Body
from qiosk.server.blobs.errors import BlobRefusal
from qiosk.server.blobs.replies import (
    BlobResponse,
    blob_headers,
    decode_marker,
    http_date,
    listing,
    span_headers,
    written_headers,
)
from qiosk.server.blobs.requests import (
    MAX_LIST_BYTES,
    Place,
    check_conditions,
    has_conditions,
    may_overwrite,
    read_block_list,
    read_headers,
    read_metadata,
    read_span,
)
from qiosk.service.blobs import sas
from qiosk.service.blobs.store import LEAST_BYTES, BlobProperties, BlobStore, Storage
from qiosk.service.jobs.job import BlobRef

MAX_PUT_BYTES = 5000 << 20
"""Largest body of one request, as in Azure; larger blobs are uploaded in blocks."""
IDLE_S = 60.0
"""Longest pause between two pieces of a body that is being uploaded."""
MAX_PAGE = 5000
"""Most blobs in one page of a listing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BlobService:
    """What the blob endpoint needs.

    ``check_bytes(workspace, extra)`` raises QuotaExceeded if a workspace may not store so many more bytes.
    """

    storage: Storage
    secret: bytes
    now: Callable[[], datetime]
    check_bytes: Callable[[str, int], None]
    max_put_bytes: int = MAX_PUT_BYTES
    idle_s: float = IDLE_S


@final
class BlobCall:
    """One request with a valid signature. Every operation checks that the signature permits it."""

    def __init__(self, service: BlobService, request: Request, place: Place, grant: sas.Grant) -> None:
        self._service = service
        self._request = request
        self._place = place
        self._grant = grant
        self._headers = request.headers
        self._blobs: BlobStore = service.storage.blobs(grant.workspace)

    async def on_container(self) -> Response:
        """Get properties, list, or create."""
        if self._place.parameter("restype") != "container":
            raise BlobRefusal(400, "InvalidUri", "the address names no blob")
        method, comp = self._request.method, self._place.parameter("comp")
        if method == "GET" and comp == "list":
            self._need("l")
            return await self._list()
        if comp is not None:
            raise _unknown_comp(comp)
        if method in ("GET", "HEAD"):
            self._need(sas.PERMISSIONS)
            return await self._container_properties()
        if method == "PUT":
            self._need("cw")
            return await self._create_container()
        raise _unknown_method(method)

    async def on_blob(self, name: str) -> Response:
        """Read a blob, its properties, write it in one of three ways, set its metadata, or delete it."""
        ref = BlobRef(self._place.container, name)
        method, comp = self._request.method, self._place.parameter("comp")
        if method in ("GET", "HEAD") and comp is None:
            self._need("r")
            return await (self._get(ref) if method == "GET" else self._head(ref))
        if method == "PUT" and comp is None:
            return await self._put(ref)
        if method == "PUT" and comp == "block":
            return await self._put_block(ref)
        if method == "PUT" and comp == "blocklist":
            return await self._put_block_list(ref)
        if method == "PUT" and comp == "metadata":
            self._need("w")
            return await self._set_metadata(ref)
        if method == "DELETE" and comp is None:
            self._need("d")
            return await self._delete(ref)
        raise _unknown_method(method) if comp is None else _unknown_comp(comp)

    def _need(self, any_of: str) -> None:
        if not self._grant.allows(any_of):
            raise Forbidden(f"signature: does not permit this, which needs one of {any_of!r}")

    async def _container_properties(self) -> Response:
        if not await run_in_threadpool(self._blobs.has_container, self._place.container):
            raise BlobRefusal(404, "ContainerNotFound", f"container {self._place.container} was not found")
        return Response(headers=self._container_headers())

    async def _create_container(self) -> Response:
        container = self._place.container

        def work() -> Response:
            if not self._blobs.has_container(container):
                self._service.check_bytes(self._grant.workspace, LEAST_BYTES)
                if self._blobs.create(container):
                    return Response(status_code=201, headers=self._container_headers())
            raise BlobRefusal(409, "ContainerAlreadyExists", f"container {container} exists")

        return await run_in_threadpool(work)

    def _container_headers(self) -> dict[str, str]:
        # Containers have no versions, so the ETag depends only on the name.
        etag = hashlib.sha256(self._place.container.encode()).hexdigest()[:16]
        return {"ETag": f'"{etag}"', "Last-Modified": http_date(self._service.now())}

    async def _list(self) -> Response:
        if self._place.parameter("delimiter"):
            raise BlobRefusal(400, "UnsupportedQueryParameter", "parameter 'delimiter' is not supported")
        container, prefix = self._place.container, self._place.parameter("prefix") or ""
        limit = _page_size(self._place.parameter("maxresults"))
        marker = decode_marker(self._place.parameter("marker"))
        has_metadata = "metadata" in (self._place.parameter("include") or "")
        service = str(self._request.url.replace(path=f"/{ACCOUNT}/", query=""))

        def work() -> Response:
            if not self._blobs.has_container(container):
                raise BlobRefusal(404, "ContainerNotFound", f"container {container} was not found")
            page = self._blobs.page(container, prefix=prefix, marker=marker, limit=limit)
            return listing(service, container, prefix, limit, page, has_metadata=has_metadata)

        return await run_in_threadpool(work)

    async def _get(self, ref: BlobRef) -> Response:
        def work() -> Response:
            reader = self._blobs.open(ref)
            try:
                check_conditions(self._headers, reader.properties, is_write=False)
                size = reader.properties.size_bytes
                span = read_span(self._headers, size)
                start, stop = span or (0, size)
                if stop - start > SMALL:
                    return BlobResponse(reader, span)
                content = b"".join(reader.pieces(start, stop))
            except BaseException:
                reader.close()
                raise
            reader.close()
            headers = {**blob_headers(reader.properties), **span_headers(span, size)}
            return Response(content, 200 if span is None else 206, headers)

        return await run_in_threadpool(work)

    async def _head(self, ref: BlobRef) -> Response:
        blob = await run_in_threadpool(self._blobs.properties, ref)
        check_conditions(self._headers, blob, is_write=False)
        return Response(headers={**blob_headers(blob), **span_headers(None, blob.size_bytes)})

    async def _put(self, ref: BlobRef) -> Response:
        headers = read_headers(self._headers)
        overwrite = await self._check_write(ref)
        body = self._body(self._service.max_put_bytes)
        blob = await body.store(lambda: self._blobs.writer(ref, overwrite=overwrite, headers=headers))
        return Response(status_code=201, headers=written_headers(blob))

    async def _put_block(self, ref: BlobRef) -> Response:
        self._need("acw")
        read_headers(self._headers)
        block_id = self._place.parameter("blockid") or ""
        body = self._body(self._service.max_put_bytes)
        await body.store(lambda: self._blobs.block_writer(ref, block_id))
        return Response(status_code=201, headers={"x-ms-request-server-encrypted": "false"})

    async def _put_block_list(self, ref: BlobRef) -> Response:
        headers = read_headers(self._headers)
        overwrite = await self._check_write(ref)
        document = await self._body(MAX_LIST_BYTES).read()

        def work() -> BlobProperties:
            blocks = read_block_list(document)
            return self._blobs.commit_blocks(ref, blocks, overwrite=overwrite, headers=headers)

        blob = await run_in_threadpool(work)
        return Response(status_code=201, headers=written_headers(blob))

    async def _set_metadata(self, ref: BlobRef) -> Response:
        metadata = read_metadata(self._headers)

        def work() -> BlobProperties:
            check_conditions(self._headers, self._blobs.properties(ref), is_write=True)
            return self._blobs.set_metadata(ref, metadata)

        return Response(headers=written_headers(await run_in_threadpool(work)))

    async def _delete(self, ref: BlobRef) -> Response:
        def work() -> None:
            check_conditions(self._headers, self._blobs.properties(ref), is_write=True)
            self._blobs.delete(ref)

        await run_in_threadpool(work)
        return Response(status_code=202)

    async def _check_write(self, ref: BlobRef) -> bool:
        """Whether the write may replace an existing blob. Raises if it is not permitted, or if a condition fails."""
        self._need("cw")
        if has_conditions(self._headers):
            found = await run_in_threadpool(_properties_or_none, self._blobs, ref)
            check_conditions(self._headers, found, is_write=True)
        return self._grant.allows("w") and may_overwrite(self._headers)

    def _body(self, max_bytes: int) -> Body:
        workspace = self._grant.workspace
        return Body(
            self._request,
            max_bytes=max_bytes,
            idle_s=self._service.idle_s,
            check_bytes=lambda extra: self._service.check_bytes(workspace, extra),
        )


def _properties_or_none(blobs: BlobStore, ref: BlobRef) -> BlobProperties | None:
    try:
        return blobs.properties(ref)
    except BlobNotFound:
        return None


def _page_size(text: str | None) -> int:
    if text is None:
        return MAX_PAGE
    if not (text.isascii() and text.isdigit() and 1 <= len(text) <= 9 and int(text) > 0):
        raise BlobRefusal(
            400, "OutOfRangeQueryParameterValue", f"maxresults: must be 1 to {MAX_PAGE}, found {text[:40]!r}"
        )
    return min(int(text), MAX_PAGE)


def _unknown_comp(comp: str) -> BlobRefusal:
    return BlobRefusal(400, "InvalidQueryParameterValue", f"comp={comp[:40]} is not supported here")


def _unknown_method(method: str) -> BlobRefusal:
    return BlobRefusal(405, "UnsupportedHttpVerb", f"method {method[:20]} is not supported here")
