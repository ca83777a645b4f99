"""The proxy of tests does to connections what its methods say."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import closing

import pytest

from patience import HANG_S
from proxies import Proxy


@pytest.fixture
def proxy() -> Iterator[Proxy]:
    """A way to a server that sends back what it receives."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    client, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=send_back, args=(client,), daemon=True).start()

        def send_back(client: socket.socket) -> None:
            with client:
                while data := client.recv(100):
                    client.sendall(data)

        threading.Thread(target=serve, daemon=True).start()
        proxy = Proxy(*listener.getsockname())
        yield proxy
        proxy.close()
        listener.shutdown(socket.SHUT_RDWR)


def connect(proxy: Proxy) -> closing[socket.socket]:
    return closing(socket.create_connection(("127.0.0.1", proxy.port), HANG_S))


def is_closed(client: socket.socket) -> bool:
    try:
        return client.recv(100) == b""
    except ConnectionError:
        return True


def answers(client: socket.socket) -> bool:
    client.sendall(b"hello")
    return client.recv(100) == b"hello"


def test_it_passes_on_both_ways(proxy):
    with connect(proxy) as client:
        assert answers(client)


def test_dropped_connections_end_and_new_ones_are_let_through(proxy):
    with connect(proxy) as client:
        assert answers(client)
        proxy.drop()
        assert is_closed(client)
    with connect(proxy) as client:
        assert answers(client)


def test_a_way_that_is_cut_lets_nothing_through_until_it_is_mended(proxy):
    with connect(proxy) as client:
        assert answers(client)
        proxy.cut()
        assert is_closed(client)
    with connect(proxy) as client:
        assert is_closed(client)
    proxy.mend()
    with connect(proxy) as client:
        assert answers(client)


def test_what_is_sent_into_silence_arrives_when_it_is_mended(proxy):
    with connect(proxy) as client:
        assert answers(client)
        proxy.silence()
        client.sendall(b"hello")
        client.settimeout(0.2)
        with pytest.raises(TimeoutError):
            client.recv(100)
        client.settimeout(HANG_S)
        proxy.mend()
        assert client.recv(100) == b"hello"


def test_a_slow_way_is_slow_and_loses_nothing(proxy):
    proxy.slow(0.2)
    with connect(proxy) as client:
        client.sendall(b"hello")
        client.settimeout(0.1)
        with pytest.raises(TimeoutError):
            client.recv(100)
        client.settimeout(HANG_S)
        assert client.recv(100) == b"hello"
