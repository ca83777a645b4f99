"""What happens around every request: an id, headers that keep browsers careful, a line in the log, numbers."""

from __future__ import annotations

import errno
import re
import time
import uuid
from typing import Final

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qiosk.errors import QioskError, StorageFull
from qiosk.server.web.errors import error_reply
from qiosk.server.web.metrics import RequestMetrics

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; sandbox",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-store",
}
"""Added to every answer that does not say otherwise itself; what lies in a blob must never run as a page of ours."""

_SECURITY_HEADERS: Final = [(name.lower().encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]

CLIENT_CLOSED: Final = 499
"""Status under which requests are counted whose client went away."""

SMALL_BODY: Final = 1 << 16
"""A connection is kept although this many bytes of a request were not read."""

_CLIENT_ID = re.compile(r"[\x21-\x7e]{1,100}")
_FULL = (errno.ENOSPC, errno.EDQUOT)

log = structlog.get_logger("qiosk.server")


class Requests:
    """Middleware around everything else; every request gets an answer, whatever happens further in."""

    def __init__(self, app: ASGIApp, metrics: RequestMetrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back."""
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
        seconds = time.perf_counter() - exchange.begun_at
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
    """One request and what has been answered so far."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        self.id = str(uuid.uuid4())
        self.begun_at = time.perf_counter()
        self.status = CLIENT_CLOSED
        self.bytes_sent = 0
        self._receive = receive
        self._send = send
        self._has_begun = False
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
        """Template of the path; empty if there is no such route."""
        return getattr(self.scope.get("route"), "path", "")

    async def receive(self) -> Message:
        """The next piece of the request."""
        message = await self._receive()
        if not message.get("more_body", False):
            self._body_left = False
        return message

    async def send(self, message: Message) -> None:
        """Pass on a piece of the answer."""
        if message["type"] == "http.response.start":
            self._has_begun = True
            self.status = message["status"]
            if self._body_left:  # nobody is going to read it, so it must not keep coming
                MutableHeaders(scope=message)["Connection"] = "close"
            said = {name for name, _ in message["headers"]}
            message["headers"] = [*message["headers"], *(pair for pair in self._added if pair[0] not in said)]
        elif message["type"] == "http.response.body":
            self.bytes_sent += len(message.get("body", b""))
        await self._send(message)

    async def fail(self, error: Exception) -> None:
        """Log what nobody expected, and say so to the client if nothing was said yet."""
        log.exception("request failed", method=self.scope["method"], path=self.scope["path"])
        if self._has_begun:
            return
        if isinstance(error, OSError) and error.errno in _FULL:
            said: QioskError = StorageFull("the server's disk is full; nothing was stored")
        else:
            said = QioskError(f"the server made a mistake; its log says more about request {self.id}")
        await error_reply(said)(self.scope, self.receive, self.send)


def _has_large_body(headers: Headers) -> bool:
    """Whether a request brings more than what can just as well be read and forgotten."""
    length = headers.get("content-length", "0")
    return "transfer-encoding" in headers or not length.isdigit() or len(length) > 9 or int(length) > SMALL_BODY
