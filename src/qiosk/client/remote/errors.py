"""Error responses of a server, as the exceptions that the service raised there."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Final

import urllib3
from urllib3.exceptions import InvalidHeader
from urllib3.response import BaseHTTPResponse

from qiosk import errors
from qiosk.client.remote.xml import read_xml
from qiosk.contract.http import error_codec
from qiosk.contract.http.blobs import BLOB_ANSWERS
from qiosk.errors import QioskError, ServiceUnavailable, UnreadableInput

MAX_RETRY_AFTER_S: Final = 30.0
"""Longest pause that a ``Retry-After`` header can ask for."""
_BY_STATUS: Final[Mapping[int, type[QioskError]]] = {
    400: errors.InvalidJobDefinition,
    401: errors.Unauthorized,
    403: errors.Forbidden,
    404: errors.NotFound,
    409: errors.Conflict,
    412: errors.BlobChanged,
    413: errors.RequestTooLarge,
    429: errors.QuotaExceeded,
    503: ServiceUnavailable,
    507: errors.StorageFull,
}
_BY_STORAGE_CODE: Final = {code: kind for kind, (_, code) in BLOB_ANSWERS.items()}


def error_of(response: BaseHTTPResponse) -> QioskError:
    """The exception that an error response describes."""
    body = b"".join(response.stream(1 << 16, decode_content=True))
    if response.headers.get("Content-Type", "").partition(";")[0] == "application/json":
        error = error_codec.decode_error(body, default=_BY_STATUS.get(response.status, QioskError))
    else:
        error = _error_of_blobs(response, body)
    if isinstance(error, errors.QuotaExceeded) and (seconds := retry_after(response)):
        error.details.setdefault("retry_after_s", seconds)
    return error


def retry_after(response: BaseHTTPResponse) -> float:
    """Seconds that the response asks the client to wait, at most ``MAX_RETRY_AFTER_S``; 0 if it does not ask."""
    try:
        seconds = urllib3.Retry().get_retry_after(response)
    except (InvalidHeader, ValueError, OverflowError):
        return 0.0
    return min(seconds or 0.0, MAX_RETRY_AFTER_S)


def _error_of_blobs(response: BaseHTTPResponse, body: bytes) -> QioskError:
    """The error of a blob request: a header contains Azure's code, and an XML document a message."""
    code = response.headers.get("x-ms-error-code", "")
    default = errors.InvalidValue if code and response.status == 400 else _BY_STATUS.get(response.status, QioskError)
    kind = _BY_STORAGE_CODE.get(code, default)
    text = ""
    with suppress(UnreadableInput):
        text = (read_xml(body).findtext("Message") or "").strip()
    reason = code or response.reason or ""
    message = text.splitlines()[0] if text else f"the server answered {response.status} {reason}".rstrip()
    return (default if issubclass(default, kind) else kind)(message, storage_code=code)
