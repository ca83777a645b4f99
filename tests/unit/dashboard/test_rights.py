"""Every route of the pages: no form without its token, no page of another workspace, nothing changed by readers."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

import httpx
import pytest
from starlette.routing import BaseRoute, Mount, Route

from pages import HTML, KEY, Page, sign_in, visit
from qiosk.contract.jobs import JobQuery, SubmitJob
from qiosk.contract.sessions import OpenSession
from qiosk.dashboard.app import page_routes
from qiosk.service.accounts.keys import KeyService
from servers import MemoryParts

JOB, SESSION, API_KEY = "11111111-2222-3333-4444-555555555555", "66666666-2222-3333-4444-555555555555", "0123456789"
PLACE = "/ui/w/{workspace:key}"
OPEN_TO_ALL = ("/ui/sign-in", "/ui/open")
"""Pages that need no key."""
FORM = {"action": "delete", "selected": JOB, "name": "x", "scope": "admin", "example": "maxcut.json", "key": "x"}
PARAMETERS = {"{workspace:key}": KEY, "{job_id}": JOB, "{session_id}": SESSION, "{key_id}": API_KEY}


def routes(below: Sequence[BaseRoute], before: str = "") -> Iterator[tuple[str, str]]:
    """Method and template of each route."""
    for route in below:
        if isinstance(route, Mount):
            yield from routes(route.routes or (), before + route.path.replace("{workspace}", "{workspace:key}"))
        elif isinstance(route, Route):
            for method in route.methods or ():
                yield method, before + route.path


ALL = sorted(set(routes(page_routes())))
POSTS = [path for method, path in ALL if method == "POST"]
GETS = [path for method, path in ALL if method == "GET"]


def filled(template: str) -> str:
    """A path of this template. The job and the session in it exist."""
    for name, value in PARAMETERS.items():
        template = template.replace(name, value)
    assert "{" not in template
    return template


@pytest.fixture
def memory() -> MemoryParts:
    memory = MemoryParts()
    jobs = memory.jobs(KEY)
    command = SubmitJob(id=JOB, name="a job", provider_id="qiosk", target="qiosk.auto", input_data=b"{}")
    jobs.submit(command)
    jobs.sessions.open(OpenSession(id=SESSION, name="a session", provider_id="qiosk", target="qiosk.auto"))
    return memory


def signed_in(http: httpx.Client, memory: MemoryParts, **members: object) -> str:
    """Sign in with a new key; returns the token of the session's forms."""
    key = KeyService(memory.keys, memory.clock).create("tester", **{"workspace": KEY, **members})[1]
    assert sign_in(http, key).status_code == 303
    return visit(http, "/ui/errors").field("csrf")


def is_unchanged(memory: MemoryParts) -> bool:
    jobs = memory.jobs(KEY)
    states = [str(view.status) for view in jobs.page(JobQuery(), top=10).items], str(jobs.sessions.get(SESSION).status)
    return states == (["Waiting"], "Waiting") and len(KeyService(memory.keys, memory.clock).list()) <= 1


def test_the_routes_are_found() -> None:
    assert {f"{PLACE}/jobs", f"{PLACE}/jobs/{{job_id}}", "/ui/admin/keys", "/ui/theme", "/ui/sign-in"} <= set(POSTS)
    assert len(GETS) > len(POSTS) > 5


@pytest.mark.parametrize("token", ["", "wrong"])
@pytest.mark.parametrize("path", POSTS)
def test_no_form_is_taken_without_its_token(http: httpx.Client, memory: MemoryParts, path: str, token: str) -> None:
    signed_in(http, memory, workspace=None)
    answer = http.post(filled(path), data={"csrf": token, **FORM}, headers=HTML)
    assert answer.status_code == 403
    assert "out of date" in answer.text
    assert is_unchanged(memory)


@pytest.mark.parametrize("path", [path for path in POSTS if path.startswith(PLACE) or "/admin" in path])
def test_a_key_for_reading_changes_nothing(http: httpx.Client, memory: MemoryParts, path: str) -> None:
    token = signed_in(http, memory, is_read_only=True)
    assert http.post(filled(path), data={"csrf": token, **FORM}, headers=HTML).status_code == 403
    assert is_unchanged(memory)


@pytest.mark.parametrize(("method", "path"), [pair for pair in ALL if pair[1].startswith(PLACE)])
def test_the_key_of_another_workspace_opens_no_page(
    http: httpx.Client, memory: MemoryParts, method: str, path: str
) -> None:
    token = signed_in(http, memory, workspace="another/one/here")
    data = {"csrf": token, **FORM} if method == "POST" else None
    answer = http.request(method, filled(path), data=data, headers=HTML)
    assert answer.status_code == 403
    assert "a job" not in answer.text
    assert is_unchanged(memory)


@pytest.mark.parametrize(("method", "path"), [pair for pair in ALL if pair[1] not in OPEN_TO_ALL])
def test_without_a_key_every_page_leads_to_signing_in(
    http: httpx.Client, memory: MemoryParts, method: str, path: str
) -> None:
    KeyService(memory.keys, memory.clock).create("tester")
    token = visit(http, "/ui/sign-in").field("csrf")
    data = {"csrf": token, **FORM} if method == "POST" else None
    answer = http.request(method, filled(path), data=data, headers=HTML)
    leads_on = path in ("/", "/ui", "/ui/", "/ui/theme")
    assert answer.status_code == 303
    assert leads_on or answer.headers["location"].startswith("/ui/sign-in")
    assert is_unchanged(memory)


@pytest.mark.parametrize("path", [path for path in GETS if not path.endswith("/live")])
def test_every_page_has_its_policy_a_title_and_headings_in_order(
    http: httpx.Client, memory: MemoryParts, path: str
) -> None:
    signed_in(http, memory, workspace=None)
    answer = http.get(filled(path), headers=HTML, follow_redirects=True)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    if answer.headers["content-type"].startswith("text/html"):
        page = Page(answer.text)
        assert re.search(r"<title>[^<]+ · Qiosk</title>", answer.text)
        levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
        assert levels.count(1) == 1
        assert levels[0] == 1
        assert all(level <= before + 1 for before, level in pairwise(levels))
    head = http.head(filled(path), headers=HTML, follow_redirects=True)
    assert head.status_code == answer.status_code
    assert head.content == b""


def test_a_head_of_the_live_stream_ends(http: httpx.Client) -> None:
    answer = http.head("/ui/w/default/live")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.status_code == 200


def test_a_job_leads_to_the_jobs_of_its_session(http: httpx.Client, memory: MemoryParts) -> None:
    command = SubmitJob(name="in it", provider_id="qiosk", target="qiosk.auto", input_data=b"{}", session_id=SESSION)
    job_id = memory.jobs(KEY).submit(command).id
    link = f"/ui/w/{KEY}/jobs?session={SESSION}"
    assert link in visit(http, f"/ui/w/{KEY}/jobs/{job_id}").links
    page = visit(http, link)
    assert "in it" in page.text
    assert "a job" not in page.text
