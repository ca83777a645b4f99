"""Uvicorn's server with connections that ``Admission`` accepts."""

from __future__ import annotations

import asyncio
import socket

import structlog
import uvicorn

from qiosk.server.web.admission import Admission, Place
from qiosk.server.web.connections import Connection

log = structlog.get_logger("qiosk.server")


class Server(uvicorn.Server):
    """Serves the connections of ``listener``, which it closes when it stops."""

    def __init__(self, config: uvicorn.Config, listener: socket.socket, admission: Admission) -> None:
        super().__init__(config)
        self._listener = listener
        self._admission = admission
        self._accepting: asyncio.Task[None] | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start to accept connections."""
        await super().startup(sockets=[])
        accept = self._admission.accept(self._listener, self._connection, self.config.ssl)
        self._accepting = asyncio.create_task(accept)
        self._accepting.add_done_callback(self._on_end)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more connections, and let open requests end."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait([self._accepting])
        self._listener.close()
        await self._admission.stop()
        await super().shutdown(sockets)

    def _connection(self, place: Place) -> Connection:
        return Connection(self.config, self.server_state, self.lifespan.state, place)

    def _on_end(self, accepting: asyncio.Task[None]) -> None:
        """Stop the server if it can accept no connections any more."""
        if not accepting.cancelled() and (error := accepting.exception()) is not None:
            log.error("connections are accepted no more", exc_info=error)
            self.should_exit = True
