"""Runs the server: socket, TLS, signals, and a stop that lets running jobs save their state."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from dataclasses import replace
from typing import final

import structlog
import uvicorn

from qiosk.bootstrap import ServerParts
from qiosk.errors import Forbidden, ServiceUnavailable
from qiosk.server.app import create_app
from qiosk.server.settings import ServerSettings
from qiosk.server.web.connections import BURST, Connection, room_for

KEEP_ALIVE_S = 75
"""Longest time between two requests of a connection: longer than clients and proxies keep idle connections."""

log = structlog.get_logger("qiosk.server")


def serve(parts: ServerParts, settings: ServerSettings, *, announce: Callable[[str], None]) -> None:
    """Answer requests until SIGTERM or SIGINT, then let open requests end and running jobs save their state.

    ``announce`` is called with the server's URL as soon as it listens. Closes ``parts``. Raises Forbidden if other
    machines could reach the server without a key; ServiceUnavailable if it cannot listen.
    """
    try:
        check_exposure(parts, settings)
        with listen(settings) as listener:
            _serve_on(listener, parts, settings, announce)
        if not parts.stop():
            log.warning("the supervisor did not stop in time; it continues to run its jobs")
    finally:
        parts.close()


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
    listener: socket.socket, parts: ServerParts, settings: ServerSettings, announce: Callable[[str], None]
) -> None:
    limit = room_for(settings.max_connections)
    if limit < settings.max_connections:
        log.warning("fewer connections than QIOSK_MAX_CONNECTIONS: the limit of open files is too low", limit=limit)
    app = create_app(parts, replace(settings, max_connections=limit))
    config = uvicorn.Config(
        app,
        log_config=None,
        http=Connection,
        access_log=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(settings.stop_seconds)),
        limit_concurrency=limit,
        backlog=BURST,
        ssl_certfile=settings.certfile,
        ssl_keyfile=settings.keyfile,
    )
    host, port = listener.getsockname()[:2]
    scheme = "http" if settings.certfile is None else "https"
    url = settings.public_url or f"{scheme}://{f'[{host}]' if ':' in host else host}:{port}"
    server = _Server(config, when_ready=lambda: announce(url), when_stopping=app.state.changes.stop)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listener])  # raises the signal that stopped it again, which is ignored
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@final
class _Server(uvicorn.Server):
    """Calls ``when_ready`` when it listens, and ``when_stopping`` when it stops, so that endless streams end."""

    def __init__(
        self, config: uvicorn.Config, *, when_ready: Callable[[], None], when_stopping: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._when_ready = when_ready
        self._when_stopping = when_stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to listen."""
        await super().startup(sockets)
        self._when_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and let open requests end."""
        self._when_stopping()
        await super().shutdown(sockets)
