"""Emulators of object stores on this machine, for tests: moto for S3, Azurite for Azure."""

from __future__ import annotations

import os
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from patience import HANG_S

AZURITE = Path(__file__).parents[1] / ".azurite" / "node_modules" / ".bin" / "azurite-blob"
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="  # known to everybody


@contextmanager
def s3_environment() -> Iterator[dict[str, str]]:
    """Variables that lead to an S3 service with a bucket ``bucket``."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    endpoint = f"http://{host}:{port}"
    urllib.request.urlopen(urllib.request.Request(f"{endpoint}/bucket", method="PUT")).close()
    try:
        yield {
            "AWS_ENDPOINT_URL": endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_REGION": "us-east-1",
        }
    finally:
        server.stop()


@contextmanager
def azure_environment() -> Iterator[dict[str, str]]:
    """Variables that lead to an Azure account ``devstoreaccount1``; skips if Azurite is not installed."""
    if not AZURITE.exists():
        if os.environ.get("QIOSK_TEST_AZURITE") == "require":
            pytest.fail("Azurite is required and not installed: make azurite")
        pytest.skip("Azurite is not installed: make azurite")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [AZURITE, "--blobPort", str(port), "--inMemoryPersistence", "--silent", "--disableTelemetry"]
    process = subprocess.Popen(
        [*command, "--skipApiVersionCheck"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd="/"
    )
    try:
        _wait_for(port, process)
        yield {
            "AZURE_STORAGE_KEY": KEY,
            "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{port}/{ACCOUNT}",
        }
    finally:
        process.terminate()
        process.wait(HANG_S)


def _wait_for(port: int, process: subprocess.Popen) -> None:
    deadline = time.monotonic() + HANG_S
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), HANG_S).close()
            return
        except OSError:
            assert process.poll() is None, f"Azurite ended with status {process.returncode}"
            assert time.monotonic() < deadline, "Azurite does not answer"
            time.sleep(0.05)
