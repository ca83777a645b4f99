"""The pages: who may see and do what, and what every page has in common."""

from __future__ import annotations

import doctest
import gzip
import hashlib
import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import Response

from pages import HOSTILE, HTML, KEY, PLACE, Page, send, sign_in, visit
from qiosk.contract.jobs import JobProgress, JobQuery
from qiosk.dashboard import units
from qiosk.dashboard.pages.jobs import PAGE_JOBS
from qiosk.dashboard.render import STATIC
from qiosk.dashboard.sign_in import Sessions, new_session
from qiosk.errors import ServiceUnavailable
from qiosk.service.accounts.keys import ANYBODY, KeyService
from servers import MemoryParts

MAX_FIRST_PAGE_BYTES = 150_000


def make_key(memory: MemoryParts, **members: Any) -> str:
    return KeyService(memory.keys, memory.clock).create("tester", **{"workspace": KEY, **members})[1]


def test_a_browser_is_led_from_the_root_to_the_jobs(http: httpx.Client) -> None:
    assert "No jobs yet" in visit(http, "/").text
    assert http.get("/", headers={"accept": "application/json"}).status_code == 404


def test_a_list_without_jobs_has_the_command_that_submits_one(http: httpx.Client, memory: MemoryParts) -> None:
    url = str(http.base_url).rstrip("/")
    command = f"qiosk submit problem.json --name 'my first job' --url {url}"
    assert f"a terminal: {command} Copy" in visit(http, "/ui/w/default/jobs").text
    sign_in(http, make_key(memory))
    assert f"with the key in QIOSK_API_KEY: {command} --workspace {KEY}" in visit(http, f"{PLACE}/jobs").text


@pytest.mark.parametrize("path", ["/ui/w/default", "/ui/w/default/", PLACE, f"{PLACE}/"])
def test_the_address_of_a_workspace_leads_to_its_jobs(http: httpx.Client, path: str) -> None:
    assert "No jobs yet" in visit(http, path).text


def test_the_units_are_as_their_examples_say() -> None:
    assert doctest.testmod(units).failed == 0


def test_the_files_of_others_are_those_of_the_manifest() -> None:
    packages = json.loads((STATIC / "vendor" / "manifest.json").read_text())
    listed = {name: digest for package in packages for name, digest in package["sha256"].items()}
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (STATIC / "vendor").iterdir()}
    del found["manifest.json"]
    assert found == listed
    for package in packages:
        assert package["version"] in package["source"]
        assert any(name.endswith(".LICENSE") for name in package["sha256"])


@pytest.mark.parametrize("path", ["/jobs", "/nothing"])
def test_pages_load_nothing_from_elsewhere_and_have_no_inline_code(http: httpx.Client, path: str) -> None:
    response = http.get(PLACE + path, headers=HTML)
    page = Page(response.text)
    assert page.inline == []
    for source in page.sources:
        assert source.startswith("/ui/static/")
        answer = http.get(source)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    policy = response.headers["content-security-policy"]
    assert "unsafe" not in policy
    assert "default-src 'none'" in policy
    assert response.headers["cache-control"] == "no-store"


def test_without_a_key_the_page_leads_to_signing_in_and_back(http: httpx.Client, memory: MemoryParts) -> None:
    key = make_key(memory)
    response = http.get(f"{PLACE}/jobs?sort=name", headers=HTML)
    assert response.status_code == 303
    asked = visit(http, response.headers["location"])
    answer = send(http, "/ui/sign-in", asked, follow=False, key=key, next=asked.fields["next"][-1])
    assert answer.headers["location"] == f"{PLACE}/jobs?sort=name"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert key not in cookie
    assert "No jobs yet" in visit(http, f"{PLACE}/jobs").text


def test_a_wrong_key_is_refused_and_repeated_nowhere(http: httpx.Client, memory: MemoryParts) -> None:
    make_key(memory)
    response = sign_in(http, "qk_wrong_secretsecret")
    assert response.status_code == 401
    assert "secretsecret" not in response.text


def test_a_token_that_no_cookie_can_keep_is_refused_with_a_reason(
    http: httpx.Client, memory: MemoryParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("qiosk.server.auth.auth.Gate.authenticate", lambda *_: ANYBODY)
    assert sign_in(http, "x" * 2500).status_code == 303
    response = sign_in(http, "x" * 3500)
    assert response.status_code == 400
    assert "too long to be kept in a cookie" in response.text


@pytest.mark.parametrize("end", ["expiry", "revocation", "time", "signing out"])
def test_a_session_ends(http: httpx.Client, memory: MemoryParts, end: str, monkeypatch: pytest.MonkeyPatch) -> None:
    service = KeyService(memory.keys, memory.clock)
    key, text = service.create("tester", workspace=KEY, expires_at=memory.clock.now() + timedelta(hours=1))
    sign_in(http, text)
    page = visit(http, f"{PLACE}/jobs")
    if end == "expiry":
        memory.clock.sleep(3601)
    elif end == "revocation":
        service.revoke(key.id)
        memory.clock.sleep(10)
    elif end == "time":
        monkeypatch.setattr("qiosk.dashboard.sign_in.SESSION_S", -1)
    else:
        send(http, "/ui/sign-out", page)
    monkeypatch.setattr("qiosk.server.auth.auth.Gate.recall", lambda *_: None)
    assert http.get(f"{PLACE}/jobs", headers=HTML).status_code == 303
    asked = http.get(f"{PLACE}/jobs", headers={**HTML, "hx-request": "true"})
    assert asked.headers["hx-redirect"].startswith("/ui/sign-in")


def test_a_key_shows_its_own_workspace_only(http: httpx.Client, memory: MemoryParts) -> None:
    memory.submit("secret job", workspace="another/one/here")
    sign_in(http, make_key(memory))
    assert "secret job" not in visit(http, "/ui/workspaces").text
    assert "secret job" not in visit(http, "/ui/w/another/one/here/jobs", status=403).text


@pytest.mark.parametrize("place", ["ABC-1/Group/MINE", "abc-1/group/Mine"])
def test_names_of_workspaces_are_those_of_the_rest_interface(
    http: httpx.Client, memory: MemoryParts, place: str
) -> None:
    memory.submit(workspace=KEY)
    sign_in(http, make_key(memory))
    page = visit(http, f"/ui/w/{place}/jobs")
    assert "a job" in page.text
    assert f"{PLACE}/overview" in page.links


@pytest.mark.parametrize("place", ["%00/a/b", "a/b/" + "c" * 1000])
def test_names_that_no_workspace_has_are_refused(http: httpx.Client, place: str) -> None:
    assert "workspace: must" in visit(http, f"/ui/w/{place}/jobs", status=400).text


def test_a_key_for_reading_sees_no_buttons_and_changes_nothing(http: httpx.Client, memory: MemoryParts) -> None:
    job_id = memory.submit(workspace=KEY)
    sign_in(http, make_key(memory, is_read_only=True))
    page = visit(http, f"{PLACE}/jobs")
    assert "a job" in page.text
    actions = [given.get("value") for tag, given in page.tags if tag == "button"]
    assert "cancel" not in actions
    assert "delete" not in actions
    assert send(http, f"{PLACE}/jobs", page, action="cancel", selected=job_id).status_code == 403
    assert memory.jobs(KEY).get(job_id).status == "Waiting"


@pytest.mark.parametrize("token", ["", "wrong", "ümlaut"])
def test_a_form_without_the_sessions_token_changes_nothing(http: httpx.Client, memory: MemoryParts, token: str) -> None:
    job_id = memory.submit(workspace=KEY)
    visit(http, f"{PLACE}/jobs")
    data = {"csrf": token, "action": "delete", "selected": job_id}
    assert http.post(f"{PLACE}/jobs", data=data, headers=HTML).status_code == 403
    assert memory.jobs(KEY).get(job_id).id == job_id


def test_forged_cookies_are_no_session() -> None:
    one, other = (Sessions(secret, path="") for secret in (b"one secret", b"another secret"))
    kept = Response()
    one.write(kept, new_session("a key"), is_secure=True)
    assert "Secure" in kept.headers["set-cookie"]
    value = kept.headers["set-cookie"].partition(";")[0]
    request = Request({"type": "http", "headers": [(b"cookie", value.encode())]})
    assert one.read(request) is not None
    renamed = value.split("=", 1)[1]
    forged = Request({"type": "http", "headers": [(b"cookie", f"{other._name}={renamed}".encode())]})
    assert other.read(forged) is None


def test_hostile_texts_are_shown_as_texts(http: httpx.Client, memory: MemoryParts) -> None:
    memory.submit(HOSTILE, tags=(HOSTILE.replace("\N{RIGHT-TO-LEFT OVERRIDE}", ""), "x" * 200), workspace=KEY)
    response = http.get(f"{PLACE}/jobs", headers=HTML)
    page = Page(response.text)
    assert page.inline == []
    assert "alert(1)" in page.text
    assert "{{7*7}}" in page.text


@pytest.mark.parametrize("query", ["sort=nothing", "status=nothing", "since=yesterday", "token=nothing", "q=id:%20!"])
def test_a_wrong_url_says_what_is_wrong(http: httpx.Client, query: str) -> None:
    page = visit(http, f"{PLACE}/jobs?{query}", status=400)
    assert query.partition("=")[0] in page.text or "id prefix" in page.text


def test_filters_and_order_are_in_the_url(http: httpx.Client, memory: MemoryParts) -> None:
    memory.submit("beta", tags=("red",), workspace=KEY)
    memory.submit("alpha", workspace=KEY)
    names = [text for text in visit(http, f"{PLACE}/jobs?sort=name").text.split() if text in ("alpha", "beta")]
    assert names == ["alpha", "beta"]
    page = visit(http, f"{PLACE}/jobs?tag=red&q=BE&status=Waiting&target=qiosk.auto")
    assert "beta" in page.text
    assert "alpha" not in page.text
    assert "No jobs match" in visit(http, f"{PLACE}/jobs?q=gamma").text


def test_pages_of_the_list_follow_one_another(http: httpx.Client, memory: MemoryParts) -> None:
    for number in range(120):
        memory.clock.sleep(1)
        memory.submit(f"job-{number:03}", workspace=KEY)
    path, found = f"{PLACE}/jobs?sort=name", []
    while path:
        page = visit(http, path)
        found += [word for word in page.text.split() if word.startswith("job-")]
        path = next((link for link in page.links if "token=" in link), "")
    assert found == [f"job-{number:03}" for number in range(120)]


def test_selected_jobs_are_cancelled_and_deleted(http: httpx.Client, memory: MemoryParts) -> None:
    ids = [memory.submit(f"job {number}", workspace=KEY) for number in range(3)]
    page = visit(http, f"{PLACE}/jobs")
    answer = send(http, f"{PLACE}/jobs", page, action="cancel", selected=ids[:2], query="sort=name")
    assert answer.url.query == b"sort=name"
    assert [memory.jobs(KEY).get(job_id).status for job_id in ids] == ["Cancelled", "Cancelled", "Waiting"]
    send(http, f"{PLACE}/jobs", page, action="delete", selected=[ids[0], "unknown"])
    assert "job 0" not in visit(http, f"{PLACE}/jobs").text
    refused = send(http, f"{PLACE}/jobs", page, action="explode", selected=ids[1])
    assert refused.status_code == 400


def test_selected_jobs_are_run_again_once(http: httpx.Client, memory: MemoryParts) -> None:
    params = {"params": {"seed": 1, "timeout": 5}}
    ids = [
        memory.submit(f"job {number}", workspace=KEY, tags=("red",), input_params=params, priority="High")
        for number in range(2)
    ]
    page = visit(http, f"{PLACE}/jobs")
    assert page.text.count("High") == 2
    fields = {"action": "rerun", "selected": [*ids, "unknown"], "new_id": page.field("new_id")}
    for _ in range(2):  # sent twice by a double click
        assert send(http, f"{PLACE}/jobs", page, query="tag=red", **fields).url.query == b"tag=red"
    jobs = memory.jobs(KEY)
    found = [view for view in jobs.page(JobQuery(), top=10).items if view.id not in ids]
    assert sorted(view.name for view in found) == ["job 0", "job 1"]
    for view in found:
        assert (view.tags, view.priority, view.input_params["params"]["timeout"]) == (("red",), "High", 5)
        assert view.input_params["params"]["seed"] != 1
    assert send(http, f"{PLACE}/jobs", page, **{**fields, "new_id": "none"}).status_code == 200
    assert len(jobs.page(JobQuery(), top=10).items) == 6


def test_the_list_shows_gaps_where_they_are_known(http: httpx.Client, memory: MemoryParts) -> None:
    memory.submit(workspace=KEY)
    (job,) = memory.store.all()
    memory.store.swap(replace(job, progress=JobProgress(best_cost=-100.0, bound=-110.0)), expected=job)
    assert "10 %" in visit(http, f"{PLACE}/jobs").text


def test_the_first_page_is_small_with_all_that_it_loads(http: httpx.Client, memory: MemoryParts) -> None:
    for number in range(PAGE_JOBS):
        memory.submit(
            f"{number}, the longest name that is allowed".ljust(200, "x"), tags=("one", str(number)), workspace=KEY
        )
    page = visit(http, f"{PLACE}/jobs")
    texts = [page.source.encode(), *(http.get(source).content for source in set(page.sources))]
    assert len(texts) > 5
    assert sum(len(gzip.compress(text)) for text in texts) < MAX_FIRST_PAGE_BYTES


@pytest.mark.parametrize("theme", ["light", "dark", ""])
def test_the_choice_of_colours_is_kept(http: httpx.Client, theme: str) -> None:
    page = visit(http, f"{PLACE}/jobs")
    send(http, "/ui/theme", page, theme=theme, next=f"{PLACE}/jobs")
    root = next(given for tag, given in visit(http, f"{PLACE}/jobs").tags if tag == "html")
    assert root.get("data-theme") == (theme or None)


@pytest.mark.parametrize("place", ["https://evil.test/", "//evil.test", "/\\evil.test", "javascript:alert(1)"])
def test_signing_in_leads_to_no_other_host(http: httpx.Client, memory: MemoryParts, place: str) -> None:
    page = visit(http, "/ui/sign-in")
    answer = send(http, "/ui/sign-in", page, follow=False, key=make_key(memory), next=place)
    assert answer.headers["location"] == "/ui/workspaces"


@pytest.mark.parametrize(
    ("error", "status", "text"),
    [
        (ConnectionError("a secret address"), 503, "does not respond"),
        (PermissionError(13, "denied"), 503, "cannot be written"),
        (OSError(28, "full"), 507, "disk is full"),
        (ServiceUnavailable("the database is away"), 503, "the database is away"),
        (RuntimeError("a secret address"), 500, "see the server log for request"),
    ],
)
def test_a_store_that_is_away_is_told_by_a_page(
    http: httpx.Client, memory: MemoryParts, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int, text: str
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(memory.store, "page", fail)
    page = visit(http, f"{PLACE}/jobs", status=status)
    assert text in page.text
    assert "secret" not in page.source
    answer = http.get(f"{PLACE}/jobs", headers=HTML)
    assert "style-src 'self'" in answer.headers["content-security-policy"]
    assert ("retry-after" in answer.headers) == (status == 503)
    assert answer.headers["x-ms-request-id"]


def test_a_form_that_is_too_large_is_refused(http: httpx.Client) -> None:
    page = visit(http, f"{PLACE}/jobs")
    assert send(http, f"{PLACE}/jobs", page, action="x" * (2 << 20)).status_code == 413
