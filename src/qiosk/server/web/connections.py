"""Limits on a connection: how long and how large the head of a request may be, and how long a client may not read.

Why. Uvicorn limits only the time between two requests. A client that opened many connections and sent nothing, or one
header a minute, could use up all connections of a server. So the head of a request (its first line and headers) must
arrive within ``HEAD_S`` and have at most ``MAX_HEAD_BYTES``. Bodies are limited where they are read. A client that does
not read its responses loses its connection: of what waits to be sent, ``MIN_SENT_BYTES`` must leave every ``SEND_S``.
How many connections there may be is up to ``admission``.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final, final

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from qiosk.errors import ServiceUnavailable
from qiosk.server.web.admission import Place
from qiosk.server.web.errors import error_reply

HEAD_S = 30.0
"""Time for a request line and its headers to arrive, from the opening of the connection or the first byte on."""
SEND_S = 20.0
"""How often is looked whether a client reads what waits for it."""
MIN_SENT_BYTES: Final = 4096
"""Fewest bytes that a client must read in that time, or all if there are fewer."""
MAX_HEAD_BYTES: Final = 64 << 10
"""Most bytes of the address and of all names and values of headers together."""
_IS_EXTRA: Final = "is_extra_connection"
"""Key in the state of requests that came through an extra connection."""
PROBES: Final = ("/healthz", "/readyz")
"""Paths that are answered on extra connections, too: a busy server is alive."""


@final
class Connection(HttpToolsProtocol):
    """Uvicorn's connection with limits on heads, in a place that ``Admission`` gave it."""

    _closing: asyncio.TimerHandle | None = None
    _watching: asyncio.TimerHandle | None = None
    _has_sent = False
    _head_bytes = 0

    def __init__(self, config: Config, server_state: ServerState, app_state: dict[str, Any], place: Place) -> None:
        super().__init__(config, server_state, app_state)
        self._place = place
        self._cycles: list[RequestResponseCycle] = []

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request."""
        super().connection_made(transport)
        self._place.close = transport.abort
        self._place.may_close = lambda: transport.get_write_buffer_size() == 0
        self._expect_head()
        self._watch_sending(0)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._place.leave()
        self._stop_waiting()
        if self._watching is not None:
            self._watching.cancel()
        for cycle in self._cycles:  # uvicorn itself ends the last request only
            cycle.disconnected = True
            cycle.message_event.set()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse bytes. They are a head, unless a request is being answered."""
        if self.cycle is None or self.cycle.response_complete:
            self._expect_head()
        super().data_received(data)

    def on_message_begin(self) -> None:
        """A head begins."""
        self._head_bytes = 0
        super().on_message_begin()
        if self._place.is_extra:
            self.scope["state"][_IS_EXTRA] = True

    def on_url(self, url: bytes) -> None:
        """A part of the address. Raises ValueError, which the parser turns into a bad request."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header. Raises ValueError, as ``on_url``."""
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head has arrived."""
        self._stop_waiting()
        self._place.work()
        super().on_headers_complete()
        self._cycles = [*(cycle for cycle in self._cycles if not cycle.response_complete), self.cycle]

    def on_message_complete(self) -> None:
        """The request has arrived. The rest of its body was not the head of another one."""
        self._stop_waiting()
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """A request was answered, perhaps the last one."""
        super().on_response_complete()
        if self.cycle.response_complete:
            self._place.rest()

    def resume_writing(self) -> None:
        """The client has read most of what waited to be sent."""
        self._has_sent = True
        super().resume_writing()

    def _watch_sending(self, before: int) -> None:
        """Close the connection if what waited to be sent, ``before`` bytes, still waits."""
        unsent = self.transport.get_write_buffer_size()
        if before and not self._has_sent and before - unsent < min(before, MIN_SENT_BYTES):
            self.transport.abort()
            return
        self._has_sent = False
        self._watching = self.loop.call_later(SEND_S, self._watch_sending, unsent)

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
    """Middleware that answers 503 to requests on extra connections, and closes those."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer 503."""
        is_extra = scope.get("state", {}).get(_IS_EXTRA, False)
        if not is_extra or scope["path"] in PROBES:
            await self._app(scope, receive, send)
            return
        refusal = error_reply(ServiceUnavailable("the server has too many connections; try again"))
        refusal.headers["Connection"] = "close"
        await refusal(scope, receive, send)
