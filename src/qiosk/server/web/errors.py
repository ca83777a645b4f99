"""Turns exceptions into error responses."""

from __future__ import annotations

import errno
import http
from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from qiosk import errors
from qiosk.contract.http import error_codec
from qiosk.errors import QioskError
from qiosk.server.web.replies import reply

RETRY_S = 5
"""``Retry-After`` of 503 responses."""

_STATUSES: Final[Mapping[type[QioskError], int]] = {  # the first matching class counts
    errors.Unauthorized: 401,
    errors.AccessDenied: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.RequestTooLarge: 413,
    errors.QuotaExceeded: 429,
    errors.InvalidJobDefinition: 400,
    errors.InvalidBlockList: 400,
    errors.InvalidInput: 400,
    errors.InsufficientResources: 400,
    errors.RequestTimeout: 408,
    errors.StorageFull: 507,
    errors.ServiceUnavailable: 503,
    errors.SupervisorUnavailable: 503,
}
_NOT_WRITABLE = (errno.EROFS, errno.EACCES, errno.EPERM)
_DISK_FULL = (errno.ENOSPC, errno.EDQUOT)
_CODES = {404: "NotFound", 405: "MethodNotAllowed"}


def status_of(error: QioskError) -> int:
    """HTTP status of an error; 500 for errors that the caller did not cause."""
    return next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 500)


def error_reply(error: QioskError) -> Response:
    """The response to a request that raised this error."""
    return reply(error_codec.error_body(error), status=status_of(error), headers=headers_of(error))


def headers_of(error: QioskError) -> Mapping[str, str]:
    """Headers of the response to a request that raised this error: when to try again, and with what."""
    if isinstance(error, errors.QuotaExceeded):
        return {"Retry-After": str(error.retry_after_s)}
    found = {503: {"Retry-After": str(RETRY_S)}, 401: {"WWW-Authenticate": "Bearer"}}
    return found.get(status_of(error), {})


def failure(error: Exception, request_id: str) -> QioskError:
    """What to tell a caller of an unexpected exception, which is in the log under ``request_id``."""
    if isinstance(error, OSError) and error.errno in _DISK_FULL:
        return errors.StorageFull("the server's disk is full; nothing was stored")
    if isinstance(error, OSError) and error.errno in _NOT_WRITABLE:
        return errors.ServiceUnavailable("the server's storage cannot be written; nothing was stored")
    if isinstance(error, OSError):  # such as a store that does not respond, or too many open files
        return errors.ServiceUnavailable("the server's storage does not respond; try again")
    return QioskError(f"internal server error; see the server log for request {request_id}")


async def on_qiosk_error(_request: Request, error: Exception) -> Response:
    """The response to a request that raised a QioskError."""
    assert isinstance(error, QioskError)
    return error_reply(error)


async def on_http_error(_request: Request, error: Exception) -> Response:
    """The response to a request that no route accepts, with the reason phrase of HTTP as its code."""
    assert isinstance(error, HTTPException)
    status = http.HTTPStatus(error.status_code)
    members = error_codec.ErrorMembers(code=_CODES.get(status, status.phrase.replace(" ", "")), message=error.detail)
    return reply(error_codec.ErrorBody(error=members), status=int(status), headers=error.headers)


ERROR_HANDLERS: Final = {QioskError: on_qiosk_error, HTTPException: on_http_error}
"""Exception handlers of the application."""
