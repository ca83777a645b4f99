"""The application while the server waits for its database: a server that is started too early goes on by itself.

How it works. The server listens before it opens its stores. Until they are open, ``/healthz`` is answered, ``/readyz``
says what is missing, and every other request is answered 503. If a database server does not answer, the next try
follows after a pause, which grows from ``FIRST_PAUSE_S`` to ``LONGEST_PAUSE_S``. Errors that no waiting mends, such as
a schema of another release, stop the server.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import final

import structlog
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from qiosk.bootstrap import ServerParts
from qiosk.errors import ServiceUnavailable, StorageFull
from qiosk.server.web.connections import ConnectionLimit
from qiosk.server.web.errors import error_reply
from qiosk.server.web.metrics import RequestMetrics
from qiosk.server.web.middleware import Requests
from qiosk.server.web.replies import reply

FIRST_PAUSE_S = 0.5
"""Pause after the first try; every further one is twice as long."""
LONGEST_PAUSE_S = 15.0
"""Longest pause between two tries."""

log = structlog.get_logger("qiosk.server")


@final
class Opening:
    """An ASGI application that answers 503 until ``open`` has opened ``parts``, and then is the one that ``create``
    makes of them.

    ``may_wait`` is whether a service that is unavailable may become available.
    """

    def __init__(
        self, open_parts: Callable[[], ServerParts], create: Callable[[ServerParts], Starlette], *, may_wait: bool
    ) -> None:
        self.parts: ServerParts | None = None
        self.app: Starlette | None = None
        self._open_parts = open_parts
        self._create = create
        self._may_wait = may_wait
        self._reason = "it is starting"
        self._lifespan = AsyncExitStack()
        self._waiting: ASGIApp = Starlette(
            middleware=[Middleware(Requests, metrics=RequestMetrics(CollectorRegistry())), Middleware(ConnectionLimit)]
        )
        self._waiting.router.default = self._answer

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        await (self._waiting if self.app is None else self.app)(scope, receive, send)

    async def open(self, when_tried: Callable[[], None]) -> None:
        """Open the stores, as soon as that is possible; ``when_tried`` is called after the first try.

        Raises what ``open_parts`` and ``create`` raise, if waiting does not help.
        """
        pause_s = FIRST_PAUSE_S
        is_first = True
        while self.app is None:
            try:
                self.parts = await _in_thread(self._open_parts)
                app = self._create(self.parts)
                await self._lifespan.enter_async_context(app.router.lifespan_context(app))
                self.app = app
            except (ServiceUnavailable, StorageFull) as error:
                if not self._may_wait or self.parts is not None:
                    raise
                self._reason = error.message
                log.warning("the server waits for its database", reason=error.message, next_try_s=pause_s)
            if is_first:
                when_tried()
                is_first = False
            if self.app is None:
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, LONGEST_PAUSE_S)

    async def close(self) -> None:
        """End what the application does while it runs."""
        await self._lifespan.aclose()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._reply(Request(scope))(scope, receive, send)

    def _reply(self, request: Request) -> Response:
        if request.url.path == "/healthz":
            return reply({"status": "alive"})
        if request.url.path == "/readyz":
            checks = {"database": "failed"}
            return reply({"status": "not ready", "checks": checks, "reasons": {"database": self._reason}}, status=503)
        return error_reply(ServiceUnavailable(f"the server is not ready: {self._reason}; try again"))


async def _in_thread(action: Callable[[], ServerParts]) -> ServerParts:
    """The result of ``action``, which a thread computes that does not keep the process from ending."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[ServerParts] = loop.create_future()

    def settle(result: ServerParts | None, error: BaseException | None) -> None:
        if done.cancelled():
            if result is not None:
                result.close()
        elif error is not None:
            done.set_exception(error)
        elif result is not None:
            done.set_result(result)

    def run() -> None:
        result: ServerParts | None = None
        error: BaseException | None = None
        try:
            result = action()
        except BaseException as raised:  # noqa: BLE001 - raised in the event loop
            error = raised
        try:
            loop.call_soon_threadsafe(settle, result, error)
        except RuntimeError:  # the loop is closed, and the process ends
            if result is not None:
                result.close()

    threading.Thread(target=run, name="qiosk-opening", daemon=True).start()
    return await done
