"""Every page in a browser: in both colour schemes and on screens of all sizes, for everybody, whatever it shows."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from browsers import screenshot, tab, violations
from qiosk.contract.jobs import SubmitJob
from qiosk.contract.sessions import OpenSession
from qiosk.service.jobs.definition import MAX_NAME
from servers import MemoryParts, listening

RIGHT_TO_LEFT = "\N{RIGHT-TO-LEFT OVERRIDE}"
HOSTILE = f"<script>alert(1)</script>{RIGHT_TO_LEFT}'\"&{{{{7*7}}}}"
NAMES = (
    "an ordinary name",
    "x" * MAX_NAME,
    "\N{FAMILY}\N{VARIATION SELECTOR-16}\N{ZERO WIDTH JOINER}" * (MAX_NAME // 3),
    "\N{HEBREW LETTER ALEF}\N{ARABIC LETTER BEH} 12 (" * 20,
    HOSTILE.replace(RIGHT_TO_LEFT, ""),
)
METADATA = {"k" * 100: "v" * 10_000, "markup": "<img src=x onerror=alert(1)>", "emoji": "\N{PILE OF POO}" * 1000}
PLACE = "/ui/w/default"
PATHS = {
    "sign-in": "/ui/sign-in",
    "workspaces": "/ui/workspaces",
    "errors": "/ui/errors",
    "jobs": f"{PLACE}/jobs",
    "no jobs": f"{PLACE}/jobs?q=nothing",
    "job that failed": f"{PLACE}/jobs/{{0}}",
    "job with a long name": f"{PLACE}/jobs/{{1}}",
    "job with emoji": f"{PLACE}/jobs/{{2}}",
    "job from right to left": f"{PLACE}/jobs/{{3}}",
    "job that waits": f"{PLACE}/jobs/{{4}}",
    "compare": f"{PLACE}/compare?job={{1}}&job={{2}}&job={{3}}",
    "new": f"{PLACE}/new",
    "overview": f"{PLACE}/overview",
    "sessions": f"{PLACE}/sessions",
    "quotas": f"{PLACE}/quotas",
    "error": f"{PLACE}/nothing",
}


@pytest.fixture(scope="module")
def memory() -> MemoryParts:
    return MemoryParts(combined_job_hours=2.0)


@pytest.fixture(scope="module")
def ids(memory: MemoryParts) -> list[str]:
    """Jobs of all names; the first has failed, the last one waits."""
    jobs = memory.jobs("default")
    done = [jobs.submit(a_job(name, {"do": "raise"} if not at else {})).id for at, name in enumerate(NAMES[:-1])]
    memory.run("default")
    tags = ("a" * 100, "short", NAMES[-1][:50])
    waits = jobs.submit(a_job(NAMES[-1], {}, tags=tags, metadata=METADATA)).id
    for name in NAMES:
        jobs.sessions.open(OpenSession(name=name, provider_id="qiosk", target="qiosk.auto"))
    memory.jobs("a/b/c").submit(a_job("elsewhere", {}))
    return [*done, waits]


@pytest.fixture(scope="module")
def url(memory: MemoryParts, ids: list[str]) -> Iterator[str]:
    with listening(memory.parts) as url:
        yield url


def a_job(name: str, order: dict, **members) -> SubmitJob:
    data = json.dumps(order).encode()
    return SubmitJob(name=name, provider_id="qiosk", target="qiosk.auto", input_data=data, **members)


@pytest.mark.parametrize(("width", "scheme"), [(360, "light"), (1280, "dark")])  # one does not depend on the other
@pytest.mark.parametrize("name", list(PATHS))
def test_everybody_can_use_it(browser: Browser, url: str, ids: list[str], name: str, width: int, scheme: str) -> None:
    with tab(browser, url, color_scheme=scheme, viewport={"width": width, "height": 800}) as page:
        page.goto(PATHS[name].format(*ids))
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"
        screenshot(page, f"{name}-{scheme}-{width}")
