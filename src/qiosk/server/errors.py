"""Errors as answers: which status each class gets, and what the body says."""

from __future__ import annotations

import http
from collections.abc import Mapping
from typing import Final

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from qiosk import errors
from qiosk.contract import codec
from qiosk.errors import QioskError
from qiosk.server.openapi import methods_of
from qiosk.server.replies import reply

RETRY_S = 5
"""What ``Retry-After`` says when the server cannot do its work for now."""

_STATUSES: Final[Mapping[type[QioskError], int]] = {  # the first class that fits counts
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
_CODES = {404: "NotFound", 405: "MethodNotAllowed"}


def status_of(error: QioskError) -> int:
    """HTTP status of an error; 500 for those that no caller can be blamed for."""
    return next((status for kind, status in _STATUSES.items() if isinstance(error, kind)), 500)


def error_reply(error: QioskError) -> Response:
    """The answer to a request that ended with this error."""
    status = status_of(error)
    headers: dict[str, str] = {}
    if isinstance(error, errors.QuotaExceeded):
        headers["Retry-After"] = str(error.retry_after_s)
    elif status == 503:
        headers["Retry-After"] = str(RETRY_S)
    elif status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return reply(codec.error_body(error), status=status, headers=headers)


def add_error_handlers(app: FastAPI) -> None:
    """Make every error an answer in the words of the protocol."""

    async def on_qiosk_error(_request: Request, error: Exception) -> Response:
        assert isinstance(error, QioskError)
        return error_reply(error)

    async def on_http_error(request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        headers = dict(error.headers or {})
        if error.status_code == http.HTTPStatus.METHOD_NOT_ALLOWED:  # a route knows its own methods only
            headers["Allow"] = ", ".join(methods_of(app.openapi(), request.scope["path"])) or headers.get(
                "Allow", "GET"
            )
        status = http.HTTPStatus(error.status_code)
        members = codec.ErrorMembers(code=_CODES.get(status, status.phrase.replace(" ", "")), message=error.detail)
        return reply(codec.ErrorBody(error=members), status=int(status), headers=headers)

    async def on_invalid_request(_request: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)
        first = error.errors()[0]
        return error_reply(errors.InvalidJobDefinition(f"{' '.join(map(str, first['loc']))}: {first['msg']}"))

    app.add_exception_handler(QioskError, on_qiosk_error)
    app.add_exception_handler(HTTPException, on_http_error)
    app.add_exception_handler(RequestValidationError, on_invalid_request)
