"""The server as a process: how it begins, what it survives, how it ends."""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from homes import close_home, eventually, is_supervised
from patience import HANG_S, SLOWNESS
from servers import WORKSPACE

JOBS = f"{WORKSPACE}/jobs"
PROGRAM = """
import os, sys
from qiosk.bootstrap import open_server
from qiosk.server.web.logs import configure_logs
from qiosk.server.run import serve
from qiosk.server.settings import read_server_settings
from qiosk.settings import read_settings
configure_logs("json")
def open_parts():
    return open_server(read_settings(os.environ), runner="fake_runners:run")
serve(open_parts, read_server_settings(), announce=lambda url: print(url, flush=True))
"""
FINAL = ("Succeeded", "Failed", "Cancelled")


class Server:
    """A server in a process of its own; its jobs are run by ``fake_runners``."""

    def __init__(self, home: Path, **variables: str) -> None:
        environ = {
            **os.environ,
            "QIOSK_HOME": str(home),
            "QIOSK_PORT": "0",
            "QIOSK_CONCURRENT_JOBS": "1",
            "QIOSK_IDLE_SECONDS": "30",
            "PYTHONPATH": str(Path(__file__).parents[1]),
            **variables,
        }
        self.log = home.parent / "server.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-c", PROGRAM], env=environ, stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().strip()
        assert self.url.startswith("http"), self.log.read_text()[-3000:]
        self.http = httpx.Client(base_url=self.url, timeout=HANG_S, verify=False)

    def end(self, number: int = signal.SIGTERM) -> int:
        self.http.close()
        self.process.send_signal(number)
        return self.process.wait(HANG_S)

    def submit(self, job_id: str, order: dict) -> None:
        link = self.http.post(f"{WORKSPACE}/storage/sasUri", json={"containerName": f"job-{job_id}"}).json()["sasUri"]
        base, query = link.split("?")
        self.http.put(
            f"{base}/inputData?{query}", content=json.dumps(order).encode(), headers={"x-ms-blob-type": "BlockBlob"}
        ).raise_for_status()
        body = {
            "containerUri": link,
            "inputDataUri": f"{base}/inputData",
            "inputDataFormat": "microsoft.qio.v2",
            "providerId": "Microsoft",
            "target": "microsoft.tabu.cpu",
        }
        self.http.put(f"{JOBS}/{job_id}", json=body).raise_for_status()

    def job(self, job_id: str) -> dict:
        return self.http.get(f"{JOBS}/{job_id}").json()

    def wait(self, job_id: str, is_there: Callable[[dict], bool]) -> dict:
        assert eventually(lambda: is_there(self.job(job_id))), self.job(job_id)
        return self.job(job_id)


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path / "home"
    if (tmp_path / "home").exists():
        close_home(tmp_path / "home")


@contextmanager
def running(home: Path, **variables: str) -> Iterator[Server]:
    server = Server(home, **variables)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.end()
        server.http.close()
        server.process.stdout.close()


def test_jobs_that_run_when_the_server_stops_go_on_when_it_is_started_again(home: Path) -> None:
    with running(home) as server:
        server.submit("j", {"chunks": 300})
        server.wait("j", lambda job: job["progress"]["sweeps"] > 20)
        assert server.end() == 0
        assert not is_supervised(home)
    with running(home) as server:
        job = server.wait("j", lambda job: job["status"] in FINAL)
        assert job["status"] == "Succeeded"
        assert server.http.get(f"{JOBS}/j/results").json()["resumed"] > 0
        assert len(server.http.get(f"{JOBS}/j/trace").json()) == 300


def test_a_killed_server_stops_nothing(home: Path) -> None:
    with running(home) as server:
        server.submit("j", {"chunks": 200})
        server.wait("j", lambda job: job["status"] == "Executing")
        server.end(signal.SIGKILL)
        assert is_supervised(home)
    with running(home) as server:
        assert server.wait("j", lambda job: job["status"] in FINAL)["attempts"] == 1


def test_followers_are_told_until_the_server_stops(home: Path) -> None:
    with running(home) as server:
        server.submit("j", {"chunks": 100_000})
        server.submit("short", {"chunks": 30})
        server.wait("j", lambda job: job["status"] == "Executing")
        lines: list[str] = []
        seen = threading.Event()

        def follow() -> None:
            with (
                httpx.Client(base_url=server.url, timeout=HANG_S) as http,
                http.stream("GET", f"{JOBS}/j/events") as answer,
            ):
                for line in answer.iter_lines():
                    lines.append(line)
                    if len(lines) > 20:
                        seen.set()

        follower = threading.Thread(target=follow)
        follower.start()
        assert seen.wait(HANG_S)
        server.http.delete(f"{JOBS}/j")
        follower.join(HANG_S)
        last = json.loads(next(line for line in reversed(lines) if line.startswith("data: "))[6:])
        assert last["job"]["status"] == "Cancelled"

        server.submit("k", {"chunks": 100_000})
        begun = threading.Event()
        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(_drain, server.url, "k", begun)
            assert begun.wait(HANG_S)
            assert server.end() == 0
            following.result(HANG_S)  # the server has ended the stream itself, which would go on for long


def _drain(url: str, job_id: str, begun: threading.Event) -> None:
    """Read a job's events. Raises an error if the stream is cut and not ended."""
    with (
        suppress(httpx.TransportError),
        httpx.Client(base_url=url, timeout=HANG_S) as http,
        http.stream("GET", f"{JOBS}/{job_id}/events") as answer,
    ):
        for _ in answer.iter_lines():
            begun.set()


JSON = "Content-Type: application/json\r\n"


def test_bodies_that_are_slow_or_endless_are_given_up(home: Path) -> None:
    with running(home, QIOSK_BODY_SECONDS=str(SLOWNESS), QIOSK_MAX_BODY_BYTES="2048") as server:
        place = httpx.URL(server.url)
        with socket.create_connection((place.host, place.port), timeout=HANG_S) as connection:
            head = f"PUT {JOBS}/x HTTP/1.1\r\nHost: localhost\r\n{JSON}Content-Length: 100\r\n\r\n"
            connection.sendall(head.encode() + b"{")
            assert connection.recv(100).startswith(b"HTTP/1.1 408")

        with socket.create_connection((place.host, place.port), timeout=HANG_S) as connection:
            head = f"PUT {JOBS}/x HTTP/1.1\r\nHost: localhost\r\n{JSON}Transfer-Encoding: chunked\r\n\r\n"
            connection.sendall(head.encode())
            with suppress(OSError):  # what is sent after the server has closed
                for _ in range(10_000):
                    connection.sendall(b"400\r\n" + b"x" * 1024 + b"\r\n")
            with suppress(ConnectionResetError):
                assert connection.recv(100).startswith(b"HTTP/1.1 413")
        deep = b"[" * 2000
        assert (
            server.http.put(f"{JOBS}/x", content=deep, headers={"Content-Type": "application/json"}).status_code == 400
        )
        assert server.http.get("/healthz").status_code == 200


def test_strange_requests_do_no_harm(home: Path) -> None:
    with running(home) as server:
        place = httpx.URL(server.url)
        for request in (
            b"GET / HTTP/9.9\r\n\r\n",
            b"\x16\x03\x01\x00\xff" * 50,
            b"GET /%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"GET //v1.0//subscriptions//// HTTP/1.1\r\nHost: localhost\r\n\r\n",
            b"PUT " + JOBS.encode() + b"/x HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
            b"PUT " + JOBS.encode() + b"/x HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"GET " + JOBS.encode() + b" HTTP/1.0\r\n\r\n",
            b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
        ):
            with suppress(OSError), socket.create_connection((place.host, place.port), timeout=HANG_S) as connection:
                connection.sendall(request)
                connection.shutdown(socket.SHUT_WR)
                answer = connection.recv(200)
                assert not answer.startswith(b"HTTP/1.1 5"), request[:40]
        assert server.http.get("/healthz").status_code == 200


def test_without_a_key_it_serves_this_machine_only(home: Path) -> None:
    environ = {**os.environ, "QIOSK_HOME": str(home)}
    command = [sys.executable, "-m", "qiosk", "serve", "--host", "0.0.0.0", "--port", "0"]
    done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 1
    assert "without a key" in done.stderr


def test_a_port_that_is_taken_is_named(home: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        environ = {**os.environ, "QIOSK_HOME": str(home)}
        command = [sys.executable, "-m", "qiosk", "serve", "--port", port]
        done = subprocess.run(command, env=environ, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 1
    assert f"127.0.0.1:{port}: cannot listen" in done.stderr


def test_it_speaks_tls(home: Path, tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path)
    with running(home, QIOSK_CERTFILE=str(certificate), QIOSK_KEYFILE=str(key)) as server:
        assert server.url.startswith("https://127.0.0.1")
        trusting = ssl.create_default_context(cafile=str(certificate))
        with httpx.Client(base_url=server.url, verify=trusting) as http:
            response = http.post(f"{WORKSPACE}/storage/sasUri", json={"containerName": "c"})
            assert response.json()["sasUri"].startswith(server.url)
            assert "max-age" in response.headers["strict-transport-security"]


def make_certificate(folder: Path) -> tuple[Path, Path]:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "cert.pem", folder / "key.pem"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private = serialization.PrivateFormat.PKCS8
    paths[1].write_bytes(key.private_bytes(serialization.Encoding.PEM, private, serialization.NoEncryption()))
    return paths
