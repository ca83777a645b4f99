"""The API reference: a vendored viewer that asks no other host for anything."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from html.parser import HTMLParser

import httpx
import pytest

from qiosk.server.routes.reference import FILES
from servers import MemoryParts, serving

VIEWER = FILES / "swagger-ui"
SOURCES = {"'none'", "'self'", "data:"}


@pytest.fixture(scope="module")
def http() -> Iterator[httpx.Client]:
    with serving(MemoryParts().parts) as client:
        yield client


class Page(HTMLParser):
    """Collects what a page refers to, and which of its elements hold code."""

    def __init__(self) -> None:
        super().__init__()
        self.links: list[str] = []
        self.inline: list[str] = []
        self._code: str | None = None

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self._code = tag if tag in ("script", "style") else None
        for name, value in attributes:
            if name in ("src", "href", "action", "data", "srcset"):
                self.links.append(value or "")
            assert name != "style"
            assert not name.startswith("on")

    def handle_endtag(self, tag: str) -> None:
        self._code = None

    def handle_data(self, data: str) -> None:
        if self._code is not None and data.strip():
            self.inline.append(data)


def test_the_viewer_is_the_one_in_its_manifest() -> None:
    manifest = json.loads((VIEWER / "manifest.json").read_text())
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in VIEWER.iterdir()}
    del found["manifest.json"]
    assert found == manifest["sha256"]
    assert manifest["version"] in manifest["source"]
    assert "Apache License" in (VIEWER / "LICENSE").read_text()


def test_everything_on_the_page_comes_from_the_server(http: httpx.Client) -> None:
    response = http.get("/docs")
    assert response.headers["content-type"].startswith("text/html")
    page = Page()
    page.feed(response.text)
    assert page.inline == []
    assert len(page.links) == 5
    for link in page.links:
        assert ":" not in link.removeprefix("data:")
        assert not link.startswith("/")  # a proxy may put a path before ours
        if link != "data:,":
            assert http.get(f"/{link}").status_code == 200, link


@pytest.mark.parametrize("path", ["/docs", "/docs/start.js", "/docs/swagger-ui.css", "/docs/swagger-ui-bundle.js"])
def test_browsers_must_not_ask_anybody_else(http: httpx.Client, path: str) -> None:
    response = http.get(path)
    policy = response.headers["content-security-policy"]
    directives = {name: sources for name, *sources in (part.split() for part in policy.split(";"))}
    assert {source for sources in directives.values() for source in sources} <= SOURCES
    assert directives["default-src"] == directives["base-uri"] == directives["frame-ancestors"] == ["'none'"]
    assert directives["script-src"] == directives["style-src"] == directives["connect-src"] == ["'self'"]
    again = http.get(path, headers={"If-None-Match": response.headers["etag"]})
    assert again.status_code == 304


def test_styles_and_configuration_name_no_other_host(http: httpx.Client) -> None:
    css = http.get("/docs/swagger-ui.css")
    assert css.headers["content-type"].startswith("text/css")
    assert "@import" not in css.text
    urls = re.findall(r"url\(\s*[\"']?([^)]{5})", css.text)
    assert set(urls) == {"data:"}
    start = http.get("/docs/start.js")
    assert "javascript" in start.headers["content-type"]
    assert "//" not in re.sub(r"^//.*$", "", start.text, flags=re.MULTILINE)
    assert "validatorUrl: null" in start.text  # else it is that of swagger.io
    assert "javascript" in http.get("/docs/swagger-ui-bundle.js").headers["content-type"]


@pytest.mark.parametrize("path", ["/docs/manifest.json", "/docs/../page.html", "/docs/"])
def test_nothing_else_is_served(http: httpx.Client, path: str) -> None:
    assert http.get(path).status_code == 404
