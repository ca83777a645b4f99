"""Connections on which nothing sensible arrives come to an end; all others are left alone."""

from __future__ import annotations

import json
import resource
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from queue import Queue
from urllib.parse import urlsplit

import pytest
import structlog

from patience import HANG_S
from qiosk.server.web import connections
from qiosk.server.web.admission import Place, room_for
from qiosk.server.web.connections import PROBES, Connection
from servers import WORKSPACE, MemoryParts, listening

OTHER = f"GET {WORKSPACE}/jobs HTTP/1.1\r\nHost: localhost\r\n\r\n".encode()
REQUEST = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def url() -> Iterator[str]:
    with listening(MemoryParts().parts) as url:
        yield url


@pytest.fixture
def limits(monkeypatch: pytest.MonkeyPatch) -> Queue[object]:
    """What limits the time of a connection that has just read a whole request."""
    found: Queue[object] = Queue()
    complete = Connection.on_message_complete

    def look(connection: Connection) -> None:
        complete(connection)
        found.put(connection._closing)

    monkeypatch.setattr(Connection, "on_message_complete", look)
    return found


@pytest.fixture
def works(monkeypatch: pytest.MonkeyPatch) -> Queue[object]:
    """The places of connections on which a request has arrived."""
    found: Queue[object] = Queue()
    work = Place.work

    def look(place: Place) -> None:
        work(place)
        found.put(place)

    monkeypatch.setattr(Place, "work", look)
    return found


@contextmanager
def connected(url: str) -> Iterator[socket.socket]:
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=HANG_S) as connection:
        yield connection


def answer(connection: socket.socket) -> bytes:
    """An answer whose body is a JSON object; what came of it if the connection ends."""
    received = b""
    while not received.endswith(b"}"):
        try:
            piece = connection.recv(4096)
        except ConnectionError:
            break
        if not piece:
            break
        received += piece
    return received


def send_until_it_ends(connection: socket.socket, piece: bytes) -> bool:
    """Send a piece now and then; whether the other side hung up."""
    connection.settimeout(0.02)
    deadline = time.monotonic() + HANG_S
    while time.monotonic() < deadline:
        try:
            connection.sendall(piece)
            if connection.recv(1) == b"":
                return True
        except TimeoutError:
            continue
        except ConnectionError:
            return True
    return False


@contextmanager
def working(url: str) -> Iterator[socket.socket]:
    """A connection whose request has begun, and whose body never ends."""
    with connected(url) as connection:
        connection.sendall(f"PUT {WORKSPACE}/jobs/j HTTP/1.1\r\nHost: localhost\r\n".encode())
        connection.sendall(b"Content-Type: application/json\r\nContent-Length: 9\r\n\r\n")
        yield connection


def test_connections_beyond_the_limit_are_refused_in_the_words_of_the_protocol(works: Queue[object]) -> None:
    with listening(MemoryParts().parts, max_connections=1) as url, working(url):
        assert works.get(timeout=HANG_S)
        with connected(url) as second:
            second.sendall(OTHER)
            head, _, body = answer(second).partition(b"\r\n\r\n")
            assert second.recv(1) == b""
        lines = head.decode().lower().split("\r\n")
        assert lines[0].startswith("http/1.1 503 ")
        assert {"content-type: application/json", "retry-after: 5", "connection: close"} <= set(lines)
        assert any(line.startswith("x-ms-request-id: ") for line in lines)
        assert json.loads(body)["error"]["code"] == "ServiceUnavailable"


def test_a_busy_server_answers_probes(works: Queue[object]) -> None:
    with listening(MemoryParts().parts, max_connections=1) as url, working(url):
        assert works.get(timeout=HANG_S)
        for path in PROBES:
            with connected(url) as probe:
                probe.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
                assert b" 200 " in answer(probe).partition(b"\r\n")[0]


@pytest.mark.parametrize("begin", [b"", REQUEST, REQUEST[:9]], ids=["silent", "idle", "slow"])
def test_the_connection_that_is_idle_for_longest_makes_room(begin: bytes) -> None:
    with listening(MemoryParts().parts, max_connections=2) as url, ExitStack() as stack:
        idle = [stack.enter_context(connected(url)) for _ in range(2)]
        for connection in idle:
            connection.sendall(begin)
            if begin == REQUEST:
                assert b"alive" in answer(connection)
        for _ in range(3):
            with connected(url) as other:
                other.sendall(OTHER)
                assert b"value" in answer(other)
        assert answer(idle[0]) == b""


@pytest.mark.slow
@pytest.mark.parametrize("begin", [b"", REQUEST])
@pytest.mark.parametrize("piece", [b"", b"\r\n", b"X-A: b\r\n"], ids=["nothing", "empty lines", "headers"])
def test_a_head_that_does_not_end_ends_the_connection(
    monkeypatch: pytest.MonkeyPatch, url: str, begin: bytes, piece: bytes
) -> None:
    if not begin:
        monkeypatch.setattr(connections, "HEAD_S", 1.0)
    with connected(url) as connection:
        if begin:
            connection.sendall(begin)
            assert b"alive" in answer(connection)
            monkeypatch.setattr(connections, "HEAD_S", 1.0)
            if not piece:
                connection.sendall(b"G")  # silence between requests is what the keep-alive time is for
        elif piece.startswith(b"X"):
            connection.sendall(b"GET / HTTP/1.1\r\n")
        if begin and piece.startswith(b"X"):
            connection.sendall(b"GET / HTTP/1.1\r\n")
        assert send_until_it_ends(connection, piece)


def test_requests_one_after_the_other_are_answered(limits: Queue[object], url: str) -> None:
    with connected(url) as connection:
        for _ in range(2):
            connection.sendall(REQUEST)
            assert b"alive" in answer(connection)
            assert limits.get(timeout=HANG_S) is None


def test_a_slow_body_is_no_slow_head(limits: Queue[object], url: str) -> None:
    with connected(url) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nContent-Length: 6\r\n\r\n")
        assert b"alive" in answer(connection)
        connection.sendall(b"abc")
        connection.sendall(b"def")
        assert limits.get(timeout=HANG_S) is None
        connection.sendall(REQUEST)
        assert b"alive" in answer(connection)


def test_a_client_that_never_reads_loses_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "SEND_S", 0.2)
    lost: Queue[Connection] = Queue()
    connection_lost = Connection.connection_lost

    def look(connection: Connection, error: Exception | None) -> None:
        connection_lost(connection, error)
        lost.put(connection)

    monkeypatch.setattr(Connection, "connection_lost", look)
    request = b"GET /docs/swagger-ui-bundle.js HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with (
        structlog.testing.capture_logs() as logs,
        listening(MemoryParts().parts, max_connections=1) as url,
        connected(url) as silent,
    ):
        silent.sendall(request * 20)  # more than all buffers between here and there
        assert lost.get(timeout=HANG_S)
        with connected(url) as other:
            other.sendall(REQUEST)
            assert b"alive" in answer(other)
    assert "request failed" not in [entry["event"] for entry in logs]


LONG = b"X: " + b"a" * 70_000
MANY = b"".join(b"X-%d: abcdef\r\n" % n for n in range(8000))


@pytest.mark.parametrize("head", [LONG, MANY], ids=["long", "many"])
def test_heads_have_a_largest_size(url: str, head: bytes) -> None:
    with connected(url) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n" + head + b"\r\n\r\n")
        assert b" 400 " in connection.recv(4096).partition(b"\r\n")[0]


def test_those_who_are_far_too_many_are_sent_away(works: Queue[object]) -> None:
    with listening(MemoryParts().parts, max_connections=1, extras=1) as url, ExitStack() as stack:
        stack.enter_context(working(url))
        assert works.get(timeout=HANG_S)
        told = stack.enter_context(connected(url))
        others = [stack.enter_context(connected(url)) for _ in range(2)]
        assert answer(others[1]) == b""
        told.sendall(OTHER)
        assert b" 503 " in told.recv(4096)


@pytest.mark.parametrize(
    ("soft", "hard", "room", "files"),
    [
        (1024, 1 << 20, (2000, 64), 2000 + 64 + 256),
        (1024, resource.RLIM_INFINITY, (2000, 64), 2000 + 64 + 256),
        (1024, 2048, (2048 - 64 - 256, 64), 2048),
        (1024, 1024, (1024 - 64 - 256, 64), None),
        (80, 80, (30, 10), None),
        (1, 1, (1, 0), None),
        (1 << 20, 1 << 20, (2000, 64), None),
        (resource.RLIM_INFINITY, resource.RLIM_INFINITY, (2000, 64), None),
    ],
)
def test_there_are_as_many_connections_as_files_allow(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, room: tuple[int, int], files: int | None
) -> None:
    limits: list[tuple[int, int]] = []
    monkeypatch.setattr("resource.getrlimit", lambda _kind: (soft, hard))
    monkeypatch.setattr("resource.setrlimit", lambda _kind, both: limits.append(both))
    assert room_for(2000) == room
    assert limits == ([] if files is None else [(files, hard)])
