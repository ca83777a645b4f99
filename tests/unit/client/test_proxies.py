"""Proxies from the environment, as curl and requests read them."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import urllib3

from qiosk.client.remote.connection import Connection
from qiosk.client.remote.jobs import HttpJobs
from qiosk.client.remote.proxies import pool_for, proxy_of
from qiosk.client.remote.transport import RetryPolicy
from qiosk.errors import InvalidValue, MissingExtra, ServiceUnavailable
from servers import MemoryParts, listening
from socks_proxy import SocksProxy

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
    with pytest.raises(MissingExtra, match=r"^proxy: 'h:1080': the extra `socks` is not installed"):
        HttpJobs(Connection(url="http://qiosk.example")).targets()


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """The host and port of a server that is reached by a name."""
    with listening(MemoryParts().parts, hosts=("qiosk.example",)) as url:
        yield url.removeprefix("http://")


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Looks up ``qiosk.example`` on this machine."""
    look_up = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **options: Any) -> Any:
        return look_up("127.0.0.1" if host == "qiosk.example" else host, *args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


def targets_through(proxy: str, server: str, monkeypatch: pytest.MonkeyPatch) -> int:
    monkeypatch.setenv("all_proxy", proxy)
    url = f"http://qiosk.example:{server.rpartition(':')[2]}"
    return len(HttpJobs(Connection(url=url), retry_policy=RetryPolicy(tries=1)).targets())


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("scheme", ["socks5", "socks5h"])
@pytest.mark.parametrize("login", [None, ("us@er", "p:ä ss")])
def test_servers_are_reached_through_a_socks_proxy(
    monkeypatch: pytest.MonkeyPatch, server: str, scheme: str, login: tuple[str, str] | None
) -> None:
    with SocksProxy(login, names={"qiosk.example": "127.0.0.1"}) as proxy:
        shown = f"{quote(login[0])}:{quote(login[1])}@" if login else ""
        assert targets_through(f"{scheme}://{shown}127.0.0.1:{proxy.port}", server, monkeypatch) > 0
        wanted = "qiosk.example" if scheme == "socks5h" else "127.0.0.1"
        assert proxy.asked == [f"{wanted}:{server.rpartition(':')[2]}"]


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize("login", ["", "user:secret@"])
def test_a_socks_proxy_that_refuses_is_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch, server: str, login: str
) -> None:
    with SocksProxy(("other", "word"), names={}) as proxy, pytest.raises(ServiceUnavailable) as raised:
        targets_through(f"socks5h://{login}127.0.0.1:{proxy.port}", server, monkeypatch)
    assert proxy.asked == []
    assert "secret" not in str(raised.value)


@pytest.mark.usefixtures("named")
def test_a_socks_proxy_that_cannot_reach_the_server_is_an_error_of_ours(
    monkeypatch: pytest.MonkeyPatch, server: str
) -> None:
    with SocksProxy(None, names={}) as proxy, pytest.raises(ServiceUnavailable):
        targets_through(f"socks5h://127.0.0.1:{proxy.port}", server, monkeypatch)
    assert len(proxy.asked) == 1


def test_a_proxy_that_is_away_is_an_error_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "127.0.0.1:9")
    with pytest.raises(ServiceUnavailable):
        HttpJobs(Connection(url="http://qiosk.example"), retry_policy=RetryPolicy(tries=1)).targets()
