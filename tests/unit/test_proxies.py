"""Proxies from the environment, as curl and requests read them."""

from __future__ import annotations

import socket
import sys
import threading

import pytest
import urllib3

from qiosk.client.remote.connection import Connection
from qiosk.client.remote.jobs import HttpJobs
from qiosk.client.remote.proxies import pool_for, proxy_of
from qiosk.client.remote.transport import RetryPolicy
from qiosk.errors import InvalidValue, ServiceUnavailable

PROXY = "http://proxy.example:3128"


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize(
    ("environ", "url", "is_used"),
    [
        ({"https_proxy": PROXY}, "https://qiosk.example", True),
        ({"HTTPS_PROXY": PROXY}, "https://qiosk.example", True),
        ({"https_proxy": PROXY}, "http://qiosk.example", False),
        ({"all_proxy": PROXY}, "http://qiosk.example", True),
        ({"ALL_PROXY": PROXY}, "https://qiosk.example:8443", True),
        ({"all_proxy": PROXY}, "http://127.0.0.1:8000", False),
        ({"all_proxy": PROXY, "no_proxy": "*"}, "http://qiosk.example", False),
        ({"all_proxy": PROXY, "NO_PROXY": "other, qiosk.example"}, "http://qiosk.example:8000", False),
        ({"all_proxy": PROXY, "no_proxy": ".example"}, "http://qiosk.example", False),
        ({"all_proxy": PROXY, "no_proxy": "ample"}, "http://qiosk.example", True),
        ({"all_proxy": PROXY, "no_proxy": "10.0.0.0/8"}, "http://10.1.2.3:8000", False),
        ({"all_proxy": PROXY, "no_proxy": "10.0.0.0/8"}, "http://11.1.2.3:8000", True),
        ({"all_proxy": PROXY, "no_proxy": "fd00::/8"}, "http://[fd00::1]:8000", False),
    ],
)
def test_the_environment_chooses_the_proxy(
    monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], url: str, is_used: bool
) -> None:
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    assert proxy_of(url) == (PROXY if is_used else None)
    assert isinstance(pool_for(url, {}), urllib3.ProxyManager) is is_used


@pytest.mark.parametrize("scheme", ["", "http://"])
def test_user_and_password_are_sent_to_the_proxy(monkeypatch: pytest.MonkeyPatch, scheme: str) -> None:
    heads: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def answer() -> None:
            peer, _ = listener.accept()
            with peer:
                heads.append(peer.recv(65536))
                peer.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n{"value":[]}')

        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        monkeypatch.setenv("http_proxy", f"{scheme}us%40er:p%3Ass@127.0.0.1:{listener.getsockname()[1]}")
        assert HttpJobs(Connection(url="http://qiosk.example"), retry_policy=RetryPolicy(tries=1)).targets() == []
        thread.join()
    head = heads[0].decode()
    assert head.startswith("GET http://qiosk.example/")
    expected = urllib3.make_headers(proxy_basic_auth="us@er:p:ss")["proxy-authorization"]
    assert f"proxy-authorization: {expected}".lower() in head.lower()


@pytest.mark.parametrize(
    "proxy", ["ftp://h:1", "http://", "http://u:secret@h:port", "http://h:99999", "//", "http://[::1"]
)
def test_a_proxy_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(InvalidValue, match="^AZQ107: proxy: ") as raised:
        HttpJobs(Connection(url="http://qiosk.example")).targets()
    assert "secret" not in str(raised.value)


def test_socks_needs_a_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "urllib3.contrib.socks", None)
    monkeypatch.setenv("all_proxy", "socks5://u:secret@h:1080")
    with pytest.raises(InvalidValue, match="need the package PySocks, found 'h:1080'"):
        HttpJobs(Connection(url="http://qiosk.example")).targets()


def test_a_proxy_that_is_away_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "127.0.0.1:9")
    with pytest.raises(ServiceUnavailable):
        HttpJobs(Connection(url="http://qiosk.example"), retry_policy=RetryPolicy(tries=1)).targets()
