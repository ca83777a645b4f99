"""A server of its own for a measurement, and clients that cost as little as possible themselves."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

WORKSPACE = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Quantum/workspaces/load"
TARGET = "microsoft.simulatedannealing.cpu"
PROBLEM = json.dumps(
    {"cost_function": {"version": "1.0", "type": "ising", "terms": [{"c": 1, "ids": [0, 1]}, {"c": 1, "ids": [1]}]}}
).encode()
PARAMETERS = {"params": {"sweeps": 2, "restarts": 1, "seed": 1}}
HANG_S = 600.0
"""An answer, or the end of a process, that takes longer does not come at all [s]."""


@contextmanager
def server(home: Path | None = None, **variables: str) -> Iterator[tuple[str, int]]:
    """``qiosk serve`` in a home; the URL and the process id. The server is told to stop at the end."""
    with tempfile.TemporaryDirectory(prefix="qiosk-bench-", ignore_cleanup_errors=True) as folder:
        place = home or Path(folder) / "home"
        log = Path(folder) / "server.log"
        command = [sys.executable, "-m", "qiosk", "serve", "--home", str(place), "--port", "0"]
        with log.open("wb") as errors:
            process = subprocess.Popen(
                command, stdout=subprocess.PIPE, stderr=errors, env={**os.environ, **variables}, text=True
            )
        assert process.stdout is not None
        try:
            line = process.stdout.readline()
            match = re.search(r"http://\S+", line)
            if match is None:
                raise SystemExit(f"the server did not start: {line}{log.read_text()[-2000:]}")
            yield match[0], process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(HANG_S)
            process.stdout.close()


class Client:
    """One connection that is kept alive, in one thread."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=HANG_S)

    def call(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        """The answer's body. Raises RuntimeError unless the request succeeded."""
        self._connection.request(method, path, body, headers or {})
        answer = self._connection.getresponse()
        data = answer.read()
        if not 200 <= answer.status < 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {data[:300]!r}")
        return data

    def json(self, method: str, path: str, value: object = None) -> Any:
        """As ``call``, of JSON."""
        body = None if value is None else json.dumps(value).encode()
        return json.loads(self.call(method, path, body, {"Content-Type": "application/json"}))

    def submit(self, problem: bytes = PROBLEM) -> str:
        """Link, upload, job: the three requests of a submission. Returns the job's id."""
        job_id = str(uuid.uuid4())
        link = self.json("POST", f"{WORKSPACE}/storage/sasUri", {"containerName": f"job-{job_id}"})["sasUri"]
        parts = urlsplit(link)
        self.call("PUT", f"{parts.path}/inputData?{parts.query}", problem, {"x-ms-blob-type": "BlockBlob"})
        body = {
            "containerUri": link,
            "inputDataUri": f"{link.partition('?')[0]}/inputData",
            "inputDataFormat": "microsoft.qio.v2",
            "inputParams": PARAMETERS,
            "providerId": "Microsoft",
            "target": TARGET,
            "name": "load",
        }
        self.json("PUT", f"{WORKSPACE}/jobs/{job_id}", body)
        return job_id

    def follow(self, job_id: str) -> dict[str, Any]:
        """The job when it has ended, by server-sent events."""
        self._connection.request("GET", f"{WORKSPACE}/jobs/{job_id}/events")
        answer = self._connection.getresponse()
        job: dict[str, Any] = {}
        while line := answer.readline():
            if line.startswith(b"data: "):
                job = json.loads(line[6:])["job"]
        return job


class QuickClient(Client):
    """As ``Client``, at a third of its processor time, for measurements that need many on the server's own machine.

    Knows only answers with a length.
    """

    def __init__(self, url: str) -> None:
        super().__init__(url)
        parts = urlsplit(url)
        self._host = parts.netloc
        self._socket = socket.create_connection((parts.hostname, parts.port), timeout=HANG_S)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def call(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> bytes:
        """The answer's body. Raises RuntimeError unless the request succeeded."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {self._host}", f"Content-Length: {len(body or b'')}"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        self._socket.sendall("\r\n".join([*lines, "\r\n"]).encode() + (body or b""))
        received = self._socket.recv(1 << 16)
        while (end := received.find(b"\r\n\r\n")) < 0:
            received += self._receive()
        head = received[:end].lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
        while len(received) < end + 4 + length:
            received += self._receive()
        data = received[end + 4 :]
        if not head.startswith(b"http/1.1 2"):
            raise RuntimeError(f"{method} {path}: {head[9:12]!r} {data[:300]!r}")
        return data

    def _receive(self) -> bytes:
        piece = self._socket.recv(1 << 16)
        if not piece:
            raise RuntimeError("the server closed the connection")
        return piece
