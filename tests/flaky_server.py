"""A server on the loopback that answers as a test says, or does not."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Asked:
    """A request as it arrived."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """An answer. ``stop_after`` breaks the connection behind so many bytes of the body; 0: before anything."""

    status: int = 200
    body: bytes = b"{}"
    headers: dict[str, str] = field(default_factory=lambda: {"Content-Type": "application/json"})
    stop_after: int | None = None
    pieces: Iterator[bytes] | None = None


class FlakyServer:
    """``script`` holds the answers in order; the last one is repeated. A callable is given the request."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.script: list[Reply | Callable[[Asked], Reply]] = [Reply()]
        self.url = ""
        self._lock = threading.Lock()

    def next(self, asked: Asked) -> Reply:
        with self._lock:
            self.asked.append(asked)
            reply = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        return reply(asked) if callable(reply) else reply


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    flaky: FlakyServer

    def answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        reply = self.flaky.next(Asked(self.command, self.path, headers, body))
        if reply.stop_after == 0:
            self.close_connection = True
            return
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.pieces is not None:
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            self._chunks(reply.pieces)
            return
        self.send_header("Content-Length", str(len(reply.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(reply.body[: reply.stop_after])
        self.close_connection = reply.stop_after is not None

    def _chunks(self, pieces: Iterator[bytes]) -> None:
        try:
            for piece in pieces:
                self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.flush()
            self.wfile.write(b"0\r\n\r\n")
        except ConnectionError:  # the client has heard enough
            self.close_connection = True

    do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = answer  # noqa: N815

    def log_message(self, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        pass  # connections that break are what this is about


@contextmanager
def flaky_server() -> Iterator[FlakyServer]:
    flaky = FlakyServer()
    handler = type("Handler", (_Handler,), {"flaky": flaky})
    with _Server(("127.0.0.1", 0), handler) as server:
        flaky.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        try:
            yield flaky
        finally:
            server.shutdown()
            thread.join()
