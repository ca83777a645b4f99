"""Runs the server: socket, TLS, signals, and an end that lets jobs save what they have."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from typing import final

import structlog
import uvicorn

from qiosk.bootstrap import ServerParts
from qiosk.errors import Forbidden, ServiceUnavailable
from qiosk.server.app import create_app
from qiosk.server.settings import ServerSettings
from qiosk.server.web.connections import BURST, Connection, room_for

KEEP_ALIVE_S = 75
"""How long a connection may idle between two requests: longer than clients and proxies keep them."""

log = structlog.get_logger("qiosk.server")


def serve(parts: ServerParts, settings: ServerSettings, *, announce: Callable[[str], None]) -> None:
    """Answer requests until SIGTERM or SIGINT comes, then let requests end and running jobs be saved.

    ``announce`` is told the server's URL as soon as it listens. Closes ``parts``. Raises Forbidden if everybody could
    reach the server though no key is configured; ServiceUnavailable if it cannot listen.
    """
    try:
        check_exposure(parts, settings)
        with listen(settings) as listener:
            _serve_on(listener, parts, settings, announce)
        if not parts.stop():
            log.warning("the supervisor does not stop; it goes on with its jobs")
    finally:
        parts.close()


def check_exposure(parts: ServerParts, settings: ServerSettings) -> None:
    """Raise Forbidden if others than this machine could reach a server that asks nobody for a key."""
    if settings.is_loopback or settings.insecure or settings.has_oidc or parts.authenticator.has_keys():
        return
    raise Forbidden(
        f"host {settings.host}: without a key only a loopback address is allowed; "
        "make a key with 'qiosk keys create', set QIOSK_ADMIN_KEY, or say --insecure"
    )


def listen(settings: ServerSettings) -> socket.socket:
    """A socket that listens. Raises ServiceUnavailable."""
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
    app = create_app(parts, settings)
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
    server = _Server(config, when_ready=lambda: announce(url), when_stopping=app.state.changes.end)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        server.run(sockets=[listener])  # raises the signal that ended it once more, which is ignored then
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@final
class _Server(uvicorn.Server):
    """Tells when it listens, and when it begins to stop: streams that never end by themselves have to know."""

    def __init__(
        self, config: uvicorn.Config, *, when_ready: Callable[[], None], when_stopping: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._when_ready = when_ready
        self._when_stopping = when_stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen."""
        await super().startup(sockets)
        self._when_ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop listening, and let requests end."""
        self._when_stopping()
        await super().shutdown(sockets)
