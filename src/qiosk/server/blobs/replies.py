"""Responses to blob requests: headers of a blob, its content, and listings."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import datetime
from email.utils import format_datetime
from xml.sax.saxutils import escape, quoteattr

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from qiosk.server.blobs.errors import XML, BlobRefusal
from qiosk.server.blobs.requests import Span
from qiosk.service.blobs.store import PLAIN, BlobPage, BlobProperties, BlobReader

_SAFE = {
    # A stored page or script must not run as one of the server.
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "sandbox; default-src 'none'",
}
_END = object()


def written_headers(blob: BlobProperties) -> dict[str, str]:
    """Headers of the response to a write."""
    return {
        "ETag": f'"{blob.etag}"',
        "Last-Modified": http_date(blob.modified_at),
        "x-ms-request-server-encrypted": "false",
    }


def blob_headers(blob: BlobProperties) -> dict[str, str]:
    """Headers that describe a blob."""
    headers = blob.headers or PLAIN
    described = {
        "ETag": f'"{blob.etag}"',
        "Last-Modified": http_date(blob.modified_at),
        "x-ms-creation-time": http_date(blob.created_at),
        "Content-Type": headers.content_type,
        "Accept-Ranges": "bytes",
        "x-ms-blob-type": "BlockBlob",
        "x-ms-lease-status": "unlocked",
        "x-ms-lease-state": "available",
        "x-ms-server-encrypted": "false",
        **_SAFE,
        **{f"x-ms-meta-{name}": value for name, value in headers.metadata.items()},
    }
    if headers.content_encoding is not None:
        described["Content-Encoding"] = headers.content_encoding
    return described


def span_headers(span: Span | None, size: int) -> dict[str, str]:
    """Headers for the part of a blob that a response contains."""
    if span is None:
        return {"Content-Length": str(size)}
    return {
        "Content-Length": str(span.stop - span.start),
        "Content-Range": f"bytes {span.start}-{span.stop - 1}/{size}",
    }


class BlobResponse(Response):
    """The content of a blob, byte for byte. A piece is read when the client has received the one before it."""

    def __init__(self, reader: BlobReader, span: Span | None, headers: Mapping[str, str] | None = None) -> None:
        """``headers`` replace those that describe the blob. The response closes the reader."""
        size = reader.properties.size_bytes
        self.status_code = 200 if span is None else 206
        self.background = None
        self._reader = reader
        self._pieces = reader.pieces(*(span or (0, size)))
        described = blob_headers(reader.properties) if headers is None else headers
        self.init_headers({**described, **span_headers(span, size)})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the content. If reading fails half-way, the connection ends, so that the client notices."""
        try:
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            while (piece := await run_in_threadpool(_next, self._pieces)) is not _END:
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            self._reader.close()


def _next(pieces: Iterator[bytes]) -> object:
    return next(pieces, _END)


def listing(service: str, container: str, prefix: str, limit: int, page: BlobPage, *, has_metadata: bool) -> Response:
    """A page of a container's blobs as XML."""
    blobs = "".join(_listed(blob, has_metadata=has_metadata) for blob in page.blobs)
    document = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f"<EnumerationResults ServiceEndpoint={quoteattr(service)} ContainerName={quoteattr(container)}>"
        f"<Prefix>{escape(prefix)}</Prefix><MaxResults>{limit}</MaxResults>"
        f"<Blobs>{blobs}</Blobs><NextMarker>{encode_marker(page.marker)}</NextMarker></EnumerationResults>"
    )
    return Response(document.encode(), 200, media_type=XML)


def encode_marker(marker: str | None) -> str:
    """A store's marker as text for XML and URLs."""
    return "" if marker is None else base64.urlsafe_b64encode(marker.encode()).decode()


def decode_marker(text: str | None) -> str | None:
    """The marker that ``encode_marker`` encoded. Raises BlobRefusal."""
    if not text:
        return None
    try:
        return base64.b64decode(text, altchars=b"-_", validate=True).decode()
    except ValueError as error:
        raise BlobRefusal(400, "InvalidQueryParameterValue", "marker: must be one that the server returned") from error


def http_date(time: datetime) -> str:
    """A time in the format of HTTP, in whole seconds."""
    return format_datetime(time, usegmt=True)


def _listed(blob: BlobProperties, *, has_metadata: bool) -> str:
    members = {
        "Creation-Time": http_date(blob.created_at),
        "Last-Modified": http_date(blob.modified_at),
        "Etag": blob.etag,
        "Content-Length": str(blob.size_bytes),
    }
    if blob.headers is not None:
        members["Content-Type"] = blob.headers.content_type
        members["Content-Encoding"] = blob.headers.content_encoding or ""
    members |= {"BlobType": "BlockBlob", "LeaseStatus": "unlocked", "LeaseState": "available"}
    metadata = ""
    if has_metadata and blob.headers is not None:
        metadata = f"<Metadata>{_elements(dict(blob.headers.metadata))}</Metadata>"
    return f"<Blob><Name>{escape(blob.name)}</Name><Properties>{_elements(members)}</Properties>{metadata}</Blob>"


def _elements(members: dict[str, str]) -> str:
    return "".join(f"<{name}>{escape(value)}</{name}>" for name, value in members.items())
