"""A server that is started before its PostgreSQL listens already, and goes on when that answers."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa

import databases
from patience import HANG_S, eventually
from proxies import Proxy
from served import served
from servers import WORKSPACE


@pytest.fixture
def url() -> Iterator[sa.URL]:
    with databases.postgres_schema() as text:
        yield sa.make_url(text)


def test_a_server_waits_for_its_database(tmp_path: Path, url: sa.URL) -> None:
    proxy = Proxy(url.host or "127.0.0.1", url.port or 5432)
    proxy.cut()
    through = url.set(host="127.0.0.1", port=proxy.port).render_as_string(hide_password=False)
    with (
        served(tmp_path / "home", database=through) as server,
        httpx.Client(base_url=server.url, timeout=HANG_S) as http,
    ):
        assert http.get("/healthz").json() == {"status": "alive"}
        found = http.get("/readyz")
        assert (found.status_code, found.json()["checks"]) == (503, {"database": "failed"})
        assert "database: " in found.json()["reasons"]["database"]
        refused = http.get(f"{WORKSPACE}/jobs")
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "ServiceUnavailable")
        assert refused.headers["retry-after"]
        assert refused.headers["x-ms-request-id"]
        assert eventually(lambda: len(_pauses(server.log)) >= 3)
        assert _pauses(server.log)[:3] == [0.5, 1.0, 2.0]
        proxy.mend()
        assert eventually(lambda: http.get("/readyz").status_code == 200), http.get("/readyz").text
        assert http.get(f"{WORKSPACE}/jobs").json()["value"] == []
    proxy.close()
    assert server.process.returncode == 0


def test_a_server_that_waits_can_be_stopped(tmp_path: Path) -> None:
    nowhere = "postgresql://qiosk@127.0.0.1:9/qiosk"
    with served(tmp_path / "home", database=nowhere) as server:
        assert httpx.get(f"{server.url}/readyz").status_code == 503
    assert server.process.returncode == 0


def _pauses(log: Path) -> list[float]:
    return [float(found) for found in re.findall(r'"next_try_s": ?([\d.]+)', log.read_text())]
