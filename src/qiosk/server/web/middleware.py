"""Middleware for every request: a request id, security headers, a log line, metrics, and an answer to any exception."""

from __future__ import annotations

import re
import time
import uuid
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qiosk.server.web.errors import error_reply, failure
from qiosk.server.web.metrics import RequestMetrics

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Added to every response that does not set them itself. A blob must never run as a page of the server."""

_SECURITY_HEADERS: Final = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]

CLIENT_CLOSED: Final = 499
"""Status in logs and metrics of requests whose client disconnected."""

SMALL_BODY: Final = 1 << 16
"""A connection is kept open if at most this many bytes of a request's body were not read."""

_CLIENT_ID = re.compile(r"[\x21-\x7e]{1,100}")

log = structlog.get_logger("qiosk.server")


class Requests:
    """The outermost middleware. Every request gets a response, whatever is raised inside."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its response back."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, receive, send)
        structlog.contextvars.bind_contextvars(request_id=exchange.id)
        with self._metrics.in_progress.track_inprogress():
            try:
                await self._app(scope, exchange.receive, exchange.send)
            except Exception as error:  # noqa: BLE001 - logged, and answered
                await exchange.fail(error)
            finally:
                self._finish(exchange)
                structlog.contextvars.unbind_contextvars("request_id")

    def _finish(self, exchange: _Exchange) -> None:
        seconds = time.perf_counter() - exchange.started_at
        self._metrics.observe(exchange.scope["method"], exchange.route, exchange.status, seconds)
        state = exchange.scope.get("state", {})
        log.info(
            "request",
            method=exchange.scope["method"],
            path=exchange.scope["path"],
            status=exchange.status,
            milliseconds=round(1e3 * seconds, 1),
            bytes_sent=exchange.bytes_sent,
            workspace=state.get("workspace"),
            caller=state.get("caller"),
        )


class _Exchange:
    """A request and the state of its response."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.id = str(uuid.uuid4())
        self.started_at = time.perf_counter()
        self.status = CLIENT_CLOSED
        self.bytes_sent = 0
        self._receive = receive
        self._send = send
        self._has_started = False
        headers = Headers(scope=scope)
        self._body_left = _has_large_body(headers)
        self._added = [*_SECURITY_HEADERS, (b"x-ms-request-id", self.id.encode())]
        if scope["scheme"] == "https":
            self._added.append((b"strict-transport-security", b"max-age=31536000"))
        client_id = headers.get("x-ms-client-request-id", "")
        if _CLIENT_ID.fullmatch(client_id):
            self._added.append((b"x-ms-client-request-id", client_id.encode()))

    @property
    def route(self) -> str:
        """Template of the path; empty if no route has answered."""
        return getattr(self.scope.get("route"), "path", "")

    async def receive(self) -> Message:
        """The next message of the request."""
        message = await self._receive()
        if not message.get("more_body", False):
            self._body_left = False
        return message

    async def send(self, message: Message) -> None:
        """Pass on a message of the response, with headers added."""
        if message["type"] == "http.response.start":
            self._has_started = True
            self.status = message["status"]
            if self._body_left:  # the rest of the body is not read, so the client must stop sending it
                MutableHeaders(scope=message)["Connection"] = "close"
            present = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(pair for pair in self._added if pair[0] not in present)]
        elif message["type"] == "http.response.body":
            self.bytes_sent += len(message.get("body", b""))
        await self._send(message)

    async def fail(self, error: Exception) -> None:
        """Log an unexpected exception, and send an error if no response has started."""
        log.exception("request failed", method=self.scope["method"], path=self.scope["path"])
        if self._has_started:
            return
        await error_reply(failure(error, self.id))(self.scope, self.receive, self.send)


def _has_large_body(headers: Headers) -> bool:
    """Whether a request's body is too large, or may be too large, to be read and dropped."""
    length = headers.get("content-length", "0")
    return "transfer-encoding" in headers or not length.isdigit() or len(length) > 9 or int(length) > SMALL_BODY
