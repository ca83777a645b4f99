"""Connections that do not wait for ever: the head of a request must arrive in some seconds, and must not be endless.

Uvicorn bounds the time between two requests only. Whoever opened connections and sent nothing, or a header a minute,
could take all that a server has. Bodies are bounded where they are read. And each connection is an open file, of which
a process may have so many: those that blobs and databases need are kept free.

Nor are there more connections than the server's limit, for long: requests on those that came when it was reached are
refused, and end them.
"""

from __future__ import annotations

import asyncio
import resource
from typing import Final, final

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from qiosk.errors import ServiceUnavailable
from qiosk.server.web.errors import error_reply

HEAD_S = 30.0
"""How long a request line and its headers may take to arrive, from the connection or the first byte on."""
MAX_HEAD_BYTES: Final = 64 << 10
"""Names and values of headers, and the address, together."""
_IS_EXTRA: Final = "is_extra_connection"
"""Member of the state of requests that are to be refused."""
TOLD: Final = 64
"""So many connections beyond the limit are told so; further ones are closed without a word."""
OWN_FILES: Final = 256
"""Files that a server opens for other ends."""
BURST: Final = 2048
"""Connections that may be accepted before any of them is looked at."""


def room_for(connections: int) -> int:
    """How many connections, at most so many, this process may have at once. Raises its limit of open files if need be
    and allowed.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + TOLD + OWN_FILES + BURST
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return connections
    files = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    return max(1, min(connections, files - TOLD - OWN_FILES))


@final
class Connection(HttpToolsProtocol):
    """Uvicorn's connection with a time limit on heads, and a limit of their size. Extra ones are marked, see
    ``ConnectionLimit``; Uvicorn would refuse all of them, and in words of its own.
    """

    _closing: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _is_extra = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for the first request, unless there are far too many others."""
        most, self.limit_concurrency = self.config.limit_concurrency, None
        super().connection_made(transport)
        beyond = 0 if most is None else len(self.connections) - most
        self._is_extra = beyond > 0
        if beyond > TOLD:
            transport.abort()
        else:
            self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; if nothing is being answered it has to be a head."""
        if self.cycle is None or self.cycle.response_complete:
            self._expect_head()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._head_bytes = 0
        super().on_message_begin()
        if self._is_extra:
            self.scope["state"][_IS_EXTRA] = True

    def on_url(self, url: bytes) -> None:
        """Part of the address. Raises ValueError, which the parser reports as a bad request."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. Raises ValueError, as ``on_url``."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is there."""
        self._stop_waiting()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The request is there; what was left of its body did not begin another one."""
        self._stop_waiting()
        super().on_message_complete()

    def _expect_head(self) -> None:
        if self._closing is None:
            self._closing = self.loop.call_later(HEAD_S, self.transport.close)

    def _stop_waiting(self) -> None:
        if self._closing is not None:
            self._closing.cancel()
            self._closing = None

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > MAX_HEAD_BYTES:
            raise ValueError(f"headers: must have at most {MAX_HEAD_BYTES} bytes")


@final
class ConnectionLimit:
    """Middleware that refuses requests which come through extra connections."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 503."""
        if not scope.get("state", {}).get(_IS_EXTRA, False):
            await self._app(scope, receive, send)
            return
        refusal = error_reply(ServiceUnavailable("the server has as many connections as it takes; try again"))
        refusal.headers["Connection"] = "close"
        await refusal(scope, receive, send)
