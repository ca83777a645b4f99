"""The comparison of jobs in a browser."""

from __future__ import annotations

import pytest
from msgspec import structs
from playwright.sync_api import Browser, Page, expect

from browsers import tab, violations
from qiosk.contract.jobs import JobProgress, TracePoint
from qiosk.contract.provenance import environment
from qiosk.service.jobs.attempts import Attempt, claim_next
from qiosk.service.jobs.job import BlobRef
from qiosk.service.jobs.runs import RunOutcome, RunUpdate
from servers import MemoryParts


def begin(memory: MemoryParts) -> Attempt:
    """A run of the job that has waited longest, whose reports the test makes."""
    job = claim_next(memory.store, memory.clock, worker="a test")
    assert job is not None
    return Attempt(job, jobs=memory.store, blobs=memory.storage.blobs("default"), clock=memory.clock)


def report(attempt: Attempt, costs: list[float], speed: float) -> None:
    """Report a trace, of which an improvement takes ``speed`` seconds."""
    points = tuple(TracePoint(speed * k, 10 * k, cost) for k, cost in enumerate(costs, 1))
    progress = JobProgress(fraction=0.5, sweeps=100, best_cost=costs[-1], seconds=points[-1].seconds)
    provenance = structs.replace(environment(), problem="sha256:abc", given={"seed": 1}, parameters={"sweeps": 100})
    attempt.report(RunUpdate(progress=progress, trace=points, trace_start=0, provenance=provenance))


def colours(page: Page) -> int:
    """How many of the lines of the key have pixels of their colour in the chart."""
    return page.evaluate(
        """() => {
          const canvas = document.querySelector("#chart canvas");
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          const found = new Set();
          for (let at = 0; at < data.length; at += 4) found.add(`rgb(${data[at]}, ${data[at + 1]}, ${data[at + 2]})`);
          const lines = [...document.querySelectorAll(".key .line")];
          return lines.filter((line) => found.has(getComputedStyle(line).stroke)).length;
        }"""
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_selected_jobs_are_compared_live(browser: Browser, url: str, memory: MemoryParts, scheme: str) -> None:
    memory.submit("the slow one")
    memory.submit("the quick one")
    slow, quick = begin(memory), begin(memory)
    report(slow, [-1.0, -5.0], speed=1.0)
    report(quick, [-2.0, -9.0, -10.0], speed=0.1)
    with tab(browser, url, color_scheme=scheme, viewport={"width": 360, "height": 800}) as page:
        page.goto("/ui/w/default/jobs?sort=name")
        page.get_by_label("Select the quick one").check()
        page.get_by_label("Select the slow one").check()
        page.get_by_role("button", name="Compare").click()
        expect(page.get_by_role("heading", name="Comparison of 2 jobs")).to_be_visible()
        expect(page.locator(".key")).to_contain_text("the quick one")
        expect(page.locator(".key")).to_contain_text("the slow one")
        expect(page.locator("#chart")).to_have_attribute("data-points", "5")
        assert colours(page) == 2
        expect(page.get_by_role("row", name="2 of 2")).to_contain_text("–")
        report(slow, [-1.0, -5.0, -10.0], speed=1.0)
        expect(page.locator("#chart")).to_have_attribute("data-points", "6")
        expect(page.get_by_role("row", name="2 of 2")).to_contain_text("3 s")
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"
        for button in ("Logarithmic", "Sweeps", "Only what differs"):
            page.get_by_role("button", name=button).click()
            expect(page.get_by_role("button", name=button)).to_have_attribute("aria-pressed", "true")
            expect(page.locator("#chart")).to_have_attribute("data-points", "6")
        assert all(choice in page.url for choice in ("scale=log", "axis=sweeps", "rows=differing"))
        expect(page.get_by_text("Nothing differs so far")).to_be_visible()
        for attempt in (slow, quick):
            memory.storage.blobs("default").put(BlobRef(attempt.job.container, "out"), b"{}")
            assert attempt.finish(RunOutcome(output_blob="out", stop_reason="finished"))
        expect(page.locator(".key .status").first).to_have_text("Succeeded")
        memory.jobs("default").delete(slow.job.id)
        page.reload()
        expect(page.get_by_text(f"There is no job {slow.job.id}")).to_be_visible()
