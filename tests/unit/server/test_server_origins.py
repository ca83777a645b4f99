"""Requests that foreign web pages make through a browser are refused."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest
from starlette.datastructures import Headers

from qiosk.errors import InvalidValue
from qiosk.server.settings import ServerSettings, read_server_settings
from qiosk.server.web.origins import KnownNames
from servers import HOST, WORKSPACE, MemoryParts, serving

JOBS = f"{WORKSPACE}/jobs"


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with serving(MemoryParts().parts) as client:
        yield client


def refusal(method: str = "GET", headers: dict[str, str] | None = None, **settings: object) -> str | None:
    return KnownNames(ServerSettings(**settings)).refusal(method, Headers(headers or {}))


LOOPBACK = [
    "127.0.0.1",
    "127.0.0.1:8000",
    "127.1.2.3",
    "localhost",
    "LOCALHOST.:9",
    "a.localhost",
    "[::1]",
    "[::1]:8000",
]
FOREIGN = ["evil.example", "evil.example:8000", "localhost.evil.example", "127.0.0.1.evil.example"]
MALFORMED = ["a@localhost", "x y", "evil{0}/path", "localhost:a", "[::1"]


@pytest.mark.parametrize("host", LOOPBACK)
@pytest.mark.parametrize("settings", [{}, {"host": "::1"}, {"host": "0.0.0.0", "insecure": True}])
def test_loopback_names_are_known(host: str, settings: dict) -> None:
    assert refusal(headers={"host": host}, **settings) is None


@pytest.mark.parametrize("host", FOREIGN)
@pytest.mark.parametrize(
    "settings",
    [{}, {"public_url": "https://jobs.example.org/q"}, {"host": "0.0.0.0", "insecure": True}, {"hosts": ("a",)}],
)
def test_other_names_are_refused(host: str, settings: dict) -> None:
    assert "Host" in str(refusal(headers={"host": host}, **settings))


@pytest.mark.parametrize("host", MALFORMED)
def test_malformed_hosts_are_refused(http: httpx.Client, host: str) -> None:
    assert http.get("/healthz", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize(
    ("host", "settings", "is_known"),
    [
        ("10.0.0.7:8000", {}, False),
        ("10.0.0.7:8000", {"host": "0.0.0.0", "insecure": True}, True),
        ("[fd00::7]", {"host": "::", "insecure": True}, True),
        ("10.0.0.7:8000", {"host": "10.0.0.7", "insecure": True}, True),
        ("10.0.0.8:8000", {"host": "10.0.0.7", "insecure": True}, False),
        ("jobs.example.org", {"public_url": "https://jobs.example.org/q"}, True),
        ("Jobs:80", {"hosts": ("jobs",)}, True),
        ("other", {"hosts": ("*",)}, True),
        ("any.name", {"host": "0.0.0.0"}, True),  # a key is required there
        ("any.name", {"host": "0.0.0.0", "hosts": ("jobs",)}, False),
        ("", {}, True),  # HTTP/1.0, no browser
    ],
)
def test_a_server_is_known_by_its_addresses_and_settings(host: str, settings: dict, is_known: bool) -> None:
    assert (refusal(headers={"host": host}, **settings) is None) == is_known


@pytest.mark.parametrize(
    ("origin", "host", "is_own"),
    [
        ("http://127.0.0.1:8000", "127.0.0.1:8000", True),
        ("http://localhost", "localhost:80", True),
        ("https://localhost", "localhost", True),
        ("https://jobs.example.org", "127.0.0.1:8000", True),
        ("http://jobs.example.org", "127.0.0.1:8000", False),
        ("http://127.0.0.1:3000", "127.0.0.1:8000", False),
        ("http://evil.example", "127.0.0.1:8000", False),
        ("http://127.0.0.1:8000@evil.example", "127.0.0.1:8000", False),
        ("null", "127.0.0.1:8000", False),
        ("", "127.0.0.1:8000", False),
        ("http://[", "127.0.0.1:8000", False),
        ("file://", "127.0.0.1:8000", False),
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS"])
def test_an_origin_must_be_the_servers(method: str, origin: str, host: str, is_own: bool) -> None:
    found = refusal(method, {"host": host, "origin": origin}, public_url="https://jobs.example.org")
    assert (found is None) == is_own


@pytest.mark.parametrize(
    ("site", "method", "is_refused"),
    [
        ("cross-site", "GET", True),
        ("Cross-Site", "POST", True),
        ("same-site", "GET", False),
        ("same-site", "POST", True),
        ("same-origin", "PUT", False),
        ("none", "GET", False),
    ],
)
def test_pages_of_other_sites_are_refused(site: str, method: str, is_refused: bool) -> None:
    assert (refusal(method, {"host": "localhost", "sec-fetch-site": site}) is not None) == is_refused


@pytest.mark.parametrize("path", [JOBS, "/healthz", "/docs", "/openapi.json", "/qiosk/c/b?sig=x", "/nothing"])
@pytest.mark.parametrize(
    "headers", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}]
)
def test_every_path_refuses_foreign_pages(http: httpx.Client, path: str, headers: dict[str, str]) -> None:
    response = http.get(path, headers=headers)
    assert response.status_code == 403
    assert response.json()["error"]["code"] == "Forbidden"
    assert "x-ms-request-id" in response.headers


LINK = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}


@pytest.mark.parametrize("path", ["/", "/ui", "/ui/w/default/jobs?sort=name"])
def test_links_on_other_sites_lead_to_pages_by_a_request_of_its_own(http: httpx.Client, path: str) -> None:
    response = http.get(path, headers=LINK)
    assert response.status_code == 200
    assert response.headers["refresh"] == "0"
    assert "set-cookie" not in response.headers
    assert "sandbox" not in response.headers["content-security-policy"]
    assert "x-frame-options" in response.headers


@pytest.mark.parametrize(
    ("path", "method", "headers"),
    [
        (JOBS, "GET", {}),
        ("/uix", "GET", {}),
        ("/ui", "POST", {}),
        ("/ui", "GET", {"Sec-Fetch-Dest": "iframe"}),
        ("/ui", "GET", {"Sec-Fetch-Mode": "no-cors"}),
        ("/ui", "GET", {"Host": "evil.example"}),
        ("/ui", "GET", {"Origin": "http://evil.example"}),
    ],
)
def test_links_on_other_sites_lead_nowhere_else(
    http: httpx.Client, path: str, method: str, headers: dict[str, str]
) -> None:
    assert http.request(method, path, headers=LINK | headers).status_code == 403


def test_its_own_pages_are_answered(http: httpx.Client) -> None:
    assert http.get(JOBS, headers={"Origin": HOST, "Sec-Fetch-Site": "same-origin"}).status_code == 200


@pytest.mark.parametrize(
    ("kind", "status"),
    [
        (None, 415),
        ("text/plain", 415),
        ("application/x-www-form-urlencoded", 415),
        ("text/plain; a=application/json", 415),
        ("application/json", 400),
        ("Application/JSON; charset=utf-8", 400),
        ("application/merge-patch+json", 400),
    ],
)
def test_bodies_must_be_json(http: httpx.Client, kind: str | None, status: int) -> None:
    headers = {} if kind is None else {"Content-Type": kind}
    for method, path in [("PUT", f"{JOBS}/x"), ("PATCH", f"{JOBS}/x"), ("POST", f"{WORKSPACE}/storage/sasUri")]:
        assert http.request(method, path, content=b"[", headers=headers).status_code == status, method


def test_a_write_without_a_body_needs_no_content_type(http: httpx.Client) -> None:
    assert http.post(f"{JOBS}/x:cancel").status_code == 404
    assert http.post(f"{JOBS}/x:cancel", headers={"Content-Type": "text/plain"}).status_code == 415
    assert http.delete(f"{JOBS}/x").status_code == 404


def test_names_are_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QIOSK_HOSTS", "jobs.lan, 10.0.0.7 *")
    assert read_server_settings().hosts == ("jobs.lan", "10.0.0.7", "*")
    monkeypatch.setenv("QIOSK_HOSTS", "http://jobs.lan")
    with pytest.raises(InvalidValue, match="QIOSK_HOSTS"):
        read_server_settings()
