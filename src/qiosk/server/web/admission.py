"""Admits connections from the moment the system hands them over, before TLS, so that silent ones shut no client out.

Why. A server that first counts a connection when its TLS handshake is done can lose all its open files to clients that
connect and send nothing. So this module accepts connections itself, one at a time, and counts each one until its file
is closed. The handshake must end within ``HANDSHAKE_S``.

How many. Of ``most`` connections those that wait for a request are idle. When a client connects and all places are
taken, the connection that has been idle for the longest time is closed, and the client gets its place: one that sends
its request at once is served, however many others stay silent. Only if requests are being answered on all of them, the
client's connection is extra: its first request is answered 503, which closes it. If more than ``extras`` of those are
open at once, further ones are closed without an answer.

Files. Every connection is an open file, and the system limits the open files of a process. The server raises that limit
if it may, and reserves ``OWN_FILES`` for blobs and databases, so that clients cannot make its own work fail. If no file
is left all the same, the connection that has been idle for the longest time makes room.
"""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
import ssl
from collections.abc import Callable
from typing import Final, NamedTuple, final

import structlog

HANDSHAKE_S = 20.0
"""Longest time of a TLS handshake, from the acceptance of the connection on."""
GOODBYE_S = 5.0
"""Longest time for a client to take part in the end of a TLS connection."""
MAX_EXTRA: Final = 64
"""Most connections beyond the limit that are answered 503; further ones are closed at once."""
OWN_FILES: Final = 256
"""Open files reserved for blobs and databases; at most half of all."""
BURST: Final = 2048
"""Connections that the system completes before the server accepts them."""
PAUSE_S = 0.1
"""Pause after a connection could not be accepted, such as for want of a file."""

_SHORTAGES = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)

log = structlog.get_logger("qiosk.server")


class Room(NamedTuple):
    """How many connections there may be, and how many extra ones."""

    most: int
    extras: int


def room_for(connections: int) -> Room:
    """Room for at most ``connections``, as far as the limit of open files allows.

    Raises that limit first, if necessary and permitted.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = connections + MAX_EXTRA + OWN_FILES
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return Room(connections, MAX_EXTRA)
    files = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
    if files > soft:
        resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
    extras = min(MAX_EXTRA, files // 8)
    return Room(max(1, min(connections, files - extras - min(OWN_FILES, files // 2))), extras)


@final
class Place:
    """The place of one connection, idle at first. Its user calls ``work`` when a request has arrived, ``rest`` when it
    is answered, and ``leave`` when the connection is closed.

    ``close`` is what closes the connection; ``may_close`` whether it can be closed without a loss.
    """

    def __init__(self, admission: Admission, *, is_extra: bool) -> None:
        self._admission = admission
        self.is_extra = is_extra
        self.close: Callable[[], object] = lambda: None
        self.may_close: Callable[[], bool] = lambda: True

    def work(self) -> None:
        """A request has arrived."""
        self._admission.idle.pop(self, None)

    def rest(self) -> None:
        """All requests are answered. Does nothing if the connection is closed."""
        if self in self._admission.taken or self in self._admission.extras:
            self._admission.idle[self] = None

    def leave(self) -> None:
        """The connection is closed."""
        self._admission.idle.pop(self, None)
        self._admission.taken.discard(self)
        self._admission.extras.discard(self)


@final
class Admission:
    """Accepts the connections of a listening socket, and limits them. Used within one event loop."""

    def __init__(self, room: Room) -> None:
        self._room = room
        self.taken: set[Place] = set()
        self.extras: set[Place] = set()
        self.idle: dict[Place, None] = {}
        """Places that wait for a request, the longest wait first."""
        self._greeting: set[asyncio.Task[None]] = set()

    async def accept(
        self, listener: socket.socket, protocol: Callable[[Place], asyncio.Protocol], tls: ssl.SSLContext | None
    ) -> None:
        """Accept connections until cancelled; ``protocol`` makes that of a connection."""
        loop = asyncio.get_running_loop()
        listener.setblocking(False)
        while True:
            try:
                connection, _ = await loop.sock_accept(listener)
            except OSError as error:
                if error.errno in _SHORTAGES:
                    log.warning("no file or memory is left for a connection", error=str(error))
                    self._make_room()
                await asyncio.sleep(PAUSE_S)
                continue
            place = self.admit()
            if place is None:
                connection.close()
            else:
                task = asyncio.create_task(_greet(connection, place, protocol, tls))
                place.close = task.cancel
                self._greeting.add(task)
                task.add_done_callback(self._greeting.discard)
            await asyncio.sleep(0)  # what was closed gives its file back first

    def admit(self) -> Place | None:
        """A place for a new connection; None if there are far too many."""
        is_extra = len(self.taken) >= self._room.most and not self._make_room()
        if is_extra and len(self.extras) >= self._room.extras:
            return None
        place = Place(self, is_extra=is_extra)
        (self.extras if is_extra else self.taken).add(place)
        self.idle[place] = None
        return place

    async def stop(self) -> None:
        """End the handshakes that have not ended."""
        for task in list(self._greeting):
            task.cancel()
        await asyncio.gather(*self._greeting, return_exceptions=True)

    def _make_room(self) -> bool:
        """Close the connection that has been idle for the longest time; False if none can be closed."""
        for place in self.idle:
            if not place.is_extra and place.may_close():
                place.leave()
                place.close()
                return True
        return False


async def _greet(
    connection: socket.socket,
    place: Place,
    protocol: Callable[[Place], asyncio.Protocol],
    tls: ssl.SSLContext | None,
) -> None:
    """Let a connection begin, with a TLS handshake if there is a context."""
    loop = asyncio.get_running_loop()
    try:
        if tls is None:
            await loop.connect_accepted_socket(lambda: protocol(place), connection)
        else:
            await loop.connect_accepted_socket(
                lambda: protocol(place),
                connection,
                ssl=tls,
                ssl_handshake_timeout=HANDSHAKE_S,
                ssl_shutdown_timeout=GOODBYE_S,
            )
    except OSError as error:  # such as a failed or slow handshake
        log.debug("a connection did not begin", reason=str(error))
        place.leave()
    except asyncio.CancelledError:
        place.leave()
        raise
