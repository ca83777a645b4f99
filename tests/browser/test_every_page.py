"""Every page in a browser: in both colour schemes and on screens of all sizes, for everybody, whatever it shows."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

from browsers import screenshot, tab, violations
from qiosk.contract.jobs import SubmitJob
from qiosk.contract.sessions import OpenSession
from servers import MemoryParts, listening

HOSTILE = "<script>alert(1)</script>\N{RIGHT-TO-LEFT OVERRIDE}'\"&{{7*7}}"
PATHS = {
    "sign-in": "/ui/sign-in",
    "workspaces": "/ui/workspaces",
    "jobs": "/ui/w/default/jobs",
    "no jobs": "/ui/w/default/jobs?q=nothing",
    "overview": "/ui/w/default/overview",
    "sessions": "/ui/w/default/sessions",
    "quotas": "/ui/w/default/quotas",
    "comparison": "/ui/w/default/compare?job=first&job=second&job=unknown&scale=log",
    "no comparison": "/ui/w/default/compare?job=first",
    "error": "/ui/w/default/nothing",
}


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    memory = MemoryParts(combined_job_hours=2.0)
    jobs = memory.jobs("default")
    for order in ({}, {"do": "raise"}):
        jobs.submit(a_job("an ordinary name", order))
    jobs.submit(a_job("x" * 200, {}))
    for job_id in ("first", "second"):
        jobs.submit(a_job(HOSTILE, {"chunks": 3}, id=job_id, input_params={"params": {"x" * 200: "y" * 2000}}))
    memory.run("default")
    jobs.submit(a_job(HOSTILE.replace("\N{RIGHT-TO-LEFT OVERRIDE}", ""), {}, tags=("a" * 100, "short")))
    jobs.sessions.open(OpenSession(name="a session", provider_id="qiosk", target="qiosk.auto"))
    memory.jobs("a/b/c").submit(a_job("elsewhere", {}))
    with listening(memory.parts) as url:
        yield url


def a_job(name: str, order: dict, **members) -> SubmitJob:
    data = json.dumps(order).encode()
    return SubmitJob(name=name, provider_id="qiosk", target="qiosk.auto", input_data=data, **members)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
@pytest.mark.parametrize("name", list(PATHS))
def test_everybody_can_use_it(browser: Browser, url: str, name: str, width: int, scheme: str) -> None:
    with tab(browser, url, color_scheme=scheme, viewport={"width": width, "height": 800}) as page:
        page.goto(PATHS[name])
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"
        screenshot(page, f"{name}-{scheme}-{width}")
