"""A server whose connections are all taken by clients that send nothing still serves others."""

from __future__ import annotations

import socket
import ssl
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest

from patience import HANG_S
from served import certificate, served
from servers import WORKSPACE

FILES = 160
SILENT = 400


@pytest.mark.parametrize("has_tls", [False, True], ids=["plain", "tls"])
def test_silent_connections_shut_no_client_out(tmp_path: Path, has_tls: bool) -> None:
    settings: dict[str, str] = {}
    context: ssl.SSLContext | bool = True
    if has_tls:
        files = certificate(tmp_path)
        if files is None:
            pytest.skip("needs openssl")
        settings = {"certfile": str(files[0]), "keyfile": str(files[1])}
        context = ssl.create_default_context(cafile=str(files[0]))
    with served(tmp_path / "home", open_files=FILES, **settings) as server, ExitStack() as stack:
        address = urlsplit(server.url)
        for _ in range(SILENT):
            stack.enter_context(socket.create_connection((address.hostname, address.port), timeout=HANG_S))
        with httpx.Client(base_url=server.url, verify=context, timeout=HANG_S) as http:
            assert http.get("/healthz").status_code == 200
            assert http.get("/readyz").json()["checks"]["database"] == "ok"
            assert http.get(f"{WORKSPACE}/jobs").status_code == 200
        log = server.log.read_text()
        assert "Too many open files" not in log
        assert "out of system resource" not in log
