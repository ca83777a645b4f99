"""Error responses of blob requests: a status, one of Azure's codes, and an XML document."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from xml.sax.saxutils import escape

from starlette.responses import Response

from qiosk import errors
from qiosk.contract.http.blobs import BLOB_ANSWERS
from qiosk.errors import QioskError
from qiosk.server.web.errors import RETRY_S

XML = "application/xml"

log = logging.getLogger(__name__)


class BlobRefusal(Exception):
    """Ends a blob request with an error response."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}


def as_refusal(error: BlobRefusal | QioskError | OSError) -> BlobRefusal:
    """The response to a request that raised this error. Errors that the caller did not cause are logged."""
    if isinstance(error, BlobRefusal):
        return error
    for kind, (status, code) in BLOB_ANSWERS.items():
        if isinstance(error, kind):
            return BlobRefusal(status, code, error.message)
    if isinstance(error, OSError | errors.ServiceUnavailable):
        log.error("the blob store did not respond", exc_info=error)
        return BlobRefusal(503, "ServerBusy", "the blob store did not respond", {"Retry-After": str(RETRY_S)})
    log.error("a blob request failed", exc_info=error)
    return BlobRefusal(500, "InternalError", "internal server error")


def refusal_reply(refusal: BlobRefusal, *, is_head: bool) -> Response:
    """An error as XML; only its code if the response can have no body."""
    headers = {"x-ms-error-code": refusal.code, **refusal.headers}
    if is_head or refusal.status == 304:
        return Response(status_code=refusal.status, headers=headers)
    document = (
        '<?xml version="1.0" encoding="utf-8"?>'
        f"<Error><Code>{escape(refusal.code)}</Code><Message>{escape(_printable(refusal.message))}</Message></Error>"
    )
    return Response(document.encode(), refusal.status, headers, XML)


def _printable(text: str) -> str:
    """The text without characters that XML and UTF-8 cannot contain."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)
