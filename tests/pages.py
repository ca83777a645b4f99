"""Reads pages of the dashboard in tests, as a browser without JavaScript would."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urljoin

import httpx

from qiosk.contract.jobs import JobStatus, JobView

NOW = datetime(2026, 1, 1, tzinfo=UTC)
HTML = {"accept": "text/html"}
KEY = "abc-1/group/mine"
"""The workspace of most tests of pages, and its own pages."""
PLACE = f"/ui/w/{KEY}"
HOSTILE = "<script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE}'\"&{{7*7}}"
"""A text that must be shown as a text."""
_INLINE = {"a", "bdi", "code", "small", "span", "strong", "time"}
_VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


def job_view(**members: Any) -> JobView:
    """What users see of a job that has succeeded, with these members."""
    given = {
        "id": "0123456789",
        "name": "a job",
        "container_uri": "",
        "input_data_uri": "",
        "input_data_format": "microsoft.qio.v2",
        "input_params": {},
        "provider_id": "qiosk",
        "target": "qiosk.auto",
        "metadata": None,
        "output_data_uri": None,
        "output_data_format": "microsoft.qio-results.v2",
        "status": JobStatus.SUCCEEDED,
        "creation_time": NOW,
    }
    return JobView(**{**given, **members})


class Page(HTMLParser):
    """A parsed page: its text, its links and its forms' fields."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.links: list[str] = []
        self.sources: list[str] = []
        self.inline: list[str] = []
        self.fields: dict[str, list[str]] = {}
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self._words: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert not self._open, f"tags that are not closed: {self._open}"

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", "".join(self._words)).strip()

    def field(self, name: str) -> str:
        return self.fields[name][0]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in _INLINE:
            self._words.append(" ")
        self.tags.append((tag, given))
        assert "style" not in given, f"an inline style: {given}"
        for name in given:
            assert not name.startswith("on"), f"an inline handler: {given}"
        if tag == "a":
            self.links.append(given.get("href") or "")
        self.sources += [given[name] or "" for name in ("src",) if name in given]
        if tag == "link":
            self.sources.append(given.get("href") or "")
        if tag == "input" and given.get("name"):
            self.fields.setdefault(given["name"] or "", []).append(given.get("value") or "")
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag in _VOID:
            return
        while self._open and self._open[-1] != tag and self._open[-1] in ("option", "li", "dt", "dd", "p"):
            self._open.pop()
        assert self._open, f"</{tag}> closes nothing"
        assert self._open[-1] == tag, f"</{tag}> closes <{self._open[-1]}>"
        self._open.pop()

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] in ("script", "style"):
            if data.strip():
                self.inline.append(data)
        else:
            self._words.append(data)


def visit(http: httpx.Client, path: str, *, status: int = 200) -> Page:
    """The page at a path; redirections are followed."""
    response = http.get(path, headers=HTML, follow_redirects=True)
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("text/html")
    return Page(response.text)


def send(
    http: httpx.Client, path: str, page: Page, *, follow: bool = True, **fields: str | list[str]
) -> httpx.Response:
    """Send a form of a page, with the session's token."""
    headers = {"origin": str(http.base_url).rstrip("/"), **HTML}
    data = {"csrf": page.field("csrf"), **fields}
    response = http.post(path, data=data, headers=headers)
    while follow and response.is_redirect:
        response = http.get(urljoin(path, response.headers["location"]), headers=HTML)
    return response


def sign_in(http: httpx.Client, key: str) -> httpx.Response:
    """Sign in with a key."""
    return send(http, "/ui/sign-in", visit(http, "/ui/sign-in"), follow=False, key=key)
