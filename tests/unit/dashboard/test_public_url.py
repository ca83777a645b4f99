"""Pages behind a proxy that serves them over TLS, below a path."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from pages import HTML, Page, send, visit
from qiosk.contract.jobs import SubmitJob
from qiosk.service.accounts.keys import KeyService
from servers import MemoryParts, serving

PREFIX = "/base/of/qiosk"
PLACE = "/ui/w/default"


@pytest.fixture
def memory() -> MemoryParts:
    memory = MemoryParts()
    command = SubmitJob(id="first", name="a job", provider_id="qiosk", target="qiosk.auto", input_data=b"{}")
    memory.jobs("default").submit(command)
    memory.run("default")
    return memory


@pytest.fixture
def http(memory: MemoryParts) -> Iterator[httpx.Client]:
    """A client behind a proxy, which takes the prefix from the paths."""

    def strip(request: httpx.Request) -> None:
        assert request.url.raw_path.startswith(PREFIX.encode()), request.url
        request.url = request.url.copy_with(raw_path=request.url.raw_path.removeprefix(PREFIX.encode()) or b"/")

    with serving(memory.parts, public_url=f"https://public.test{PREFIX}") as http:
        http.base_url = "https://public.test"
        http.event_hooks["request"].append(strip)
        yield http


@pytest.mark.parametrize(
    "path", ["/jobs", "/jobs?q=nothing", "/jobs/first", "/overview", "/sessions", "/quotas", "/new", "/compare", "/no"]
)
def test_all_links_of_pages_begin_with_the_path(http: httpx.Client, path: str) -> None:
    page = Page(http.get(PREFIX + PLACE + path, headers=HTML).text)
    names = ("href", "src", "action", "sse-connect", "data-curves")
    links = [given[name] or "" for _, given in page.tags for name in names if name in given]
    assert len(links) > 5
    for link in links:
        assert link.startswith((PREFIX, "#", f"https://public.test{PREFIX}/"))


def test_signing_in_leads_back_by_the_path_and_cookies_are_of_it(http: httpx.Client, memory: MemoryParts) -> None:
    key = KeyService(memory.keys, memory.clock).create("tester")[1]
    wanted = f"{PREFIX}{PLACE}/jobs?sort=name"
    assert http.get(wanted, headers=HTML).headers["location"].startswith(f"{PREFIX}/ui/sign-in?next=")
    asked = visit(http, wanted)
    assert asked.fields["next"][-1] == wanted
    for form, fields in (("theme", {"theme": "dark"}), ("sign-in", {"key": key})):
        answer = send(http, f"{PREFIX}/ui/{form}", asked, follow=False, next=wanted, **fields)
        assert answer.headers["location"] == wanted
        assert f"Path={PREFIX};" in answer.headers["set-cookie"]
        assert answer.headers["set-cookie"].endswith("Secure")
    page = visit(http, wanted)
    assert "a job" in page.text
    assert dict(page.tags)["html"].get("data-theme") == "dark"
    assert send(http, f"{PREFIX}/ui/sign-out", page, follow=False).headers["location"] == f"{PREFIX}/ui/sign-in"
    assert http.get(wanted, headers=HTML).status_code == 303
