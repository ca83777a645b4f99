"""A small SOCKS5 proxy (RFC 1928, with the login of RFC 1929) on a socket of the loopback."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping
from contextlib import suppress

VERSION, LOGIN_VERSION = 5, 1
NO_LOGIN, LOGIN, NONE_FITS = 0, 2, 255
IPV4, NAME = 1, 3
DONE, UNREACHABLE = 0, 4


class SocksProxy:
    """Accepts connections until its context ends. ``asked`` lists the places that clients wanted to be connected to.

    With ``login``, a user and a password, clients without it are refused. Names are looked up in ``names`` alone.
    """

    def __init__(self, login: tuple[str, str] | None, names: Mapping[str, str]) -> None:
        self.asked: list[str] = []
        self._login = login
        self._names = names
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def __enter__(self) -> SocksProxy:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _accept(self) -> None:
        with suppress(OSError):  # it was closed
            while True:
                peer, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer: socket.socket) -> None:
        with peer, suppress(OSError, EOFError):
            if not self._greet(peer):
                return
            host, port = self._read_place(peer)
            self.asked.append(f"{host}:{port}")
            address = self._names.get(host, host if host.startswith("127.") else "")
            peer.sendall(bytes([VERSION, DONE if address else UNREACHABLE, 0, IPV4, 0, 0, 0, 0, 0, 0]))
            if address:
                with socket.create_connection((address, port)) as server:
                    back = threading.Thread(target=_copy, args=(server, peer), daemon=True)
                    back.start()
                    _copy(peer, server)
                    back.join()

    def _greet(self, peer: socket.socket) -> bool:
        version, count = _read(peer, 2)
        assert version == VERSION
        offered = _read(peer, count)
        method = NO_LOGIN if self._login is None else LOGIN
        if method not in offered:
            peer.sendall(bytes([VERSION, NONE_FITS]))
            return False
        peer.sendall(bytes([VERSION, method]))
        if self._login is None:
            return True
        (_, size) = _read(peer, 2)
        user = _read(peer, size).decode()
        password = _read(peer, _read(peer, 1)[0]).decode()
        is_known = (user, password) == self._login
        peer.sendall(bytes([LOGIN_VERSION, DONE if is_known else 1]))
        return is_known

    def _read_place(self, peer: socket.socket) -> tuple[str, int]:
        kind = _read(peer, 4)[3]
        host = _read(peer, _read(peer, 1)[0]).decode() if kind == NAME else socket.inet_ntoa(_read(peer, 4))
        return host, int.from_bytes(_read(peer, 2), "big")


def _read(peer: socket.socket, size: int) -> bytes:
    found = b""
    while len(found) < size:
        piece = peer.recv(size - len(found))
        if not piece:
            raise EOFError
        found += piece
    return found


def _copy(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)
