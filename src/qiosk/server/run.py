"""Runs the server: socket, TLS, signals, and a stop that lets running jobs save their state."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import final

import structlog
import uvicorn
from starlette.applications import Starlette

from qiosk.bootstrap import ServerParts
from qiosk.errors import Forbidden, ServiceUnavailable
from qiosk.server.app import CreatePages, create_app
from qiosk.server.opening import Opening
from qiosk.server.settings import ServerSettings
from qiosk.server.web.admission import BURST, Admission, room_for
from qiosk.server.web.serving import Server

KEEP_ALIVE_S = 75
"""Longest time between two requests of a connection: longer than clients and proxies keep idle connections."""

log = structlog.get_logger("qiosk.server")


def serve(
    open_parts: Callable[[], ServerParts],
    settings: ServerSettings,
    *,
    announce: Callable[[str], None],
    create_pages: CreatePages | None = None,
    may_wait: bool = False,
) -> None:
    """Answer requests until SIGTERM or SIGINT, then let open requests end and running jobs save their state.

    The server listens before ``open_parts`` is called; with ``may_wait`` it waits until that does not raise
    ServiceUnavailable, as ``Opening`` does. ``announce`` is called with the server's URL after the first try. Raises
    what ``open_parts`` raises otherwise; Forbidden if other machines could reach the server without a key;
    ServiceUnavailable if it cannot listen.
    """
    limits = room_for(settings.max_connections)
    if limits.most < settings.max_connections:
        log.warning(
            "fewer connections than QIOSK_MAX_CONNECTIONS: the limit of open files is too low", limit=limits.most
        )

    def create(parts: ServerParts) -> Starlette:
        check_exposure(parts, settings)
        return create_app(parts, replace(settings, max_connections=limits.most), create_pages=create_pages)

    opening = Opening(open_parts, create, may_wait=may_wait)
    try:
        with listen(settings) as listener:
            _serve_on(listener, opening, settings, Admission(limits), announce)
        if opening.parts is not None and not opening.parts.stop():
            log.warning("the supervisor did not stop in time; it continues to run its jobs")
    finally:
        if opening.parts is not None:
            opening.parts.close()


def check_exposure(parts: ServerParts, settings: ServerSettings) -> None:
    """Raise Forbidden if other machines could reach the server without a key."""
    if settings.is_loopback or settings.insecure or settings.has_oidc or parts.authenticator.has_keys():
        return
    raise Forbidden(
        f"host {settings.host}: without a key only a loopback address is allowed; "
        "make a key with 'qiosk keys create', set QIOSK_ADMIN_KEY, or give --insecure"
    )


def listen(settings: ServerSettings) -> socket.socket:
    """A listening socket. Raises ServiceUnavailable."""
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=BURST)
    except OSError as error:
        raise ServiceUnavailable(f"{settings.host}:{settings.port}: cannot listen: {error}") from error


def _serve_on(
    listener: socket.socket,
    opening: Opening,
    settings: ServerSettings,
    admission: Admission,
    announce: Callable[[str], None],
) -> None:
    config = uvicorn.Config(
        opening,
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(settings.stop_seconds)),
        ssl_certfile=settings.certfile,
        ssl_keyfile=settings.keyfile,
    )
    host, port = listener.getsockname()[:2]
    scheme = "http" if settings.certfile is None else "https"
    url = settings.public_url or f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    server = _OpeningServer(config, listener, admission, opening, when_tried=lambda: announce(url))
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run()  # raises the signal that stopped it again, which is ignored
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    if server.error is not None:
        raise server.error


@final
class _OpeningServer(Server):
    """Opens the stores when it listens, and ends endless streams when it stops. ``error`` is why it could not."""

    def __init__(
        self,
        config: uvicorn.Config,
        listener: socket.socket,
        admission: Admission,
        opening: Opening,
        *,
        when_tried: Callable[[], None],
    ) -> None:
        super().__init__(config, listener, admission)
        self.error: BaseException | None = None
        self._opening = opening
        self._when_tried = when_tried
        self._task: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen, and to open the stores."""
        await super().startup(sockets)
        self._task = asyncio.create_task(self._opening.open(self._when_tried))
        self._task.add_done_callback(self._on_opened)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and let open requests end."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
        if self._opening.app is not None:
            self._opening.app.state.changes.stop()
        await super().shutdown(sockets)
        await self._opening.close()

    def _on_opened(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self.error = error
            self.should_exit = True
