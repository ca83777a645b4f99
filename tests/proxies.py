"""Ways to a TCP server that can be cut, refused, silenced and slowed down, for tests and the endurance run."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress

_PIECE_BYTES = 65536


class Proxy:
    """A way from a free port of this machine to a server. All its methods may be called while connections are open."""

    def __init__(self, host: str, port: int) -> None:
        self._server = (host, port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._is_cut = False
        self._delay_s = 0.0
        self._passes = threading.Event()
        self._passes.set()
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        threading.Thread(target=self._accept, daemon=True).start()

    def drop(self) -> None:
        """Drop all connections; new ones are let through."""
        with self._lock:
            for end in self._open:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """Drop all connections, and every new one at once."""
        self._is_cut = True
        self.drop()

    def silence(self) -> None:
        """Pass nothing on and close nothing, as a network does that loses every packet."""
        self._passes.clear()

    def slow(self, delay_s: float) -> None:
        """Pass every piece on after a delay."""
        self._delay_s = delay_s

    def mend(self) -> None:
        """Let everything through again, at once."""
        self._is_cut = False
        self._delay_s = 0.0
        self._passes.set()

    def close(self) -> None:
        """Drop everything for good."""
        self._passes.set()
        self.cut()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                client.close()
                continue
            threading.Thread(target=self._connect, args=(client,), daemon=True).start()

    def _connect(self, client: socket.socket) -> None:
        self._passes.wait()
        try:
            server = socket.create_connection(self._server)
        except OSError:  # it is not there at the moment
            client.close()
            return
        for end in (client, server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with self._lock:
            self._open |= {client, server}
        if self._is_cut:  # since this connection was accepted
            self.drop()
        for ends in ((client, server), (server, client)):
            threading.Thread(target=self._pass_on, args=ends, daemon=True).start()

    def _pass_on(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_PIECE_BYTES):
                if self._delay_s:
                    threading.Event().wait(self._delay_s)
                self._passes.wait()
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        with self._lock:
            self._open.discard(source)
        source.close()
