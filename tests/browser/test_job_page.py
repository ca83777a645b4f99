"""The page of a job in a browser."""

from __future__ import annotations

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from browsers import opened, screenshot, session, tab, violations
from qiosk.contract.jobs import BoundPoint, JobProgress, TracePoint
from qiosk.contract.logs import LogLine
from qiosk.formats.qio.results import encode
from qiosk.service.jobs.attempts import Attempt, claim_next
from qiosk.service.jobs.job import BlobRef
from qiosk.service.jobs.runs import RunOutcome, RunUpdate
from servers import MemoryParts


class Run:
    """A run of the waiting job, whose reports the test makes."""

    def __init__(self, memory: MemoryParts) -> None:
        job = claim_next(memory.store, memory.clock, worker="a test")
        assert job is not None
        self._memory = memory
        self._blobs = memory.storage.blobs("default")
        self._attempt = Attempt(job, jobs=memory.store, blobs=self._blobs, clock=memory.clock)
        self._reported = 0

    def report(self, n: int) -> None:
        """Report ``n`` improvements in all, and a line."""
        points = tuple(TracePoint(0.1 * k + 0.1, 10 * k, -float(k)) for k in range(self._reported, n))
        progress = JobProgress(
            fraction=min(1.0, n / 1000),
            sweeps=10 * n,
            best_cost=-float(n - 1),
            seconds=0.1 * n,
            bound=-1.5 * n,
            bounds=(BoundPoint(0.05, -3.0 * n), BoundPoint(0.2, -1.5 * n)),
        )
        line = LogLine(time=self._memory.clock.now(), level="INFO", text=f"{n} points")
        update = RunUpdate(progress=progress, trace=points, trace_start=self._reported, log=(line,))
        self._attempt.report(update)
        self._reported = n

    def finish(self) -> None:
        n = 100_000
        found = np.arange(n), np.where(np.arange(n) % 7 < 3, 1, -1).astype(np.int8), -float(self._reported)
        self._blobs.put(BlobRef(self._attempt.job.container, "out"), encode([found, found], {"sweeps": 3}))
        assert self._attempt.finish(RunOutcome(output_blob="out", stop_reason="finished"))


def drawn(page: Page) -> int:
    """How many pixels of the chart are not transparent."""
    return page.evaluate(
        """() => {
          const canvas = document.querySelector("#chart canvas");
          const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data;
          return data.filter((value, place) => place % 4 === 3 && value > 0).length;
        }"""
    )


def test_a_running_job_is_watched_and_cancelled(browser: Browser, url: str, memory: MemoryParts) -> None:
    job_id = memory.submit()
    with tab(browser, url) as page:
        page.goto(f"/ui/w/default/jobs/{job_id}")
        expect(page.get_by_text("No solution yet")).to_be_visible()
        run = Run(memory)
        run.report(5)
        expect(page.locator("#chart")).to_have_attribute("data-points", "5")
        expect(page.get_by_text("5 improvements: from")).to_be_visible()
        page.get_by_text("All improvements as a table").click()
        page.get_by_label("Problem as").select_option("rudy")
        run.report(50)
        expect(page.locator("#chart")).to_have_attribute("data-points", "50")
        expect(page.locator("#convergence-table")).to_have_attribute("open", "")
        expect(page.get_by_label("Problem as")).to_have_value("rudy")
        expect(page.locator(".u-legend")).to_contain_text("Bound")
        assert drawn(page) > 500
        page.get_by_role("button", name="Logarithmic").click()
        assert "time=log" in page.url
        expect(page.locator("#chart")).to_have_attribute("data-points", "50")
        expect(page.get_by_role("button", name="Logarithmic")).to_have_attribute("aria-pressed", "true")
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator(".title .status")).to_have_text("Cancelling")
        run.finish()
        expect(page.locator(".title .status")).to_have_text("Cancelled")
        expect(page.get_by_role("link", name="Values of solution 2")).to_be_visible()
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)


def test_a_job_is_deleted_after_a_question(browser: Browser, url: str, memory: MemoryParts) -> None:
    job_id = memory.submit()
    with session(browser, url) as context, opened(context) as page, opened(context) as other:
        other.goto(f"/ui/w/default/jobs/{job_id}")
        page.goto(f"/ui/w/default/jobs/{job_id}")
        page.once("dialog", lambda dialog: dialog.dismiss())
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_role("heading", name="a job")).to_be_visible()
        page.once("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Delete").click()
        expect(page.get_by_text("No jobs yet")).to_be_visible()
        other.bring_to_front()
        expect(other.get_by_role("heading", name="Not Found")).to_be_visible()


@pytest.mark.parametrize(("scheme", "width"), [("light", 360), ("dark", 1280)])
def test_everybody_can_use_the_page(browser: Browser, url: str, memory: MemoryParts, scheme: str, width: int) -> None:
    job_id = memory.submit("job " + "x" * 300, tags=("a tag", "y" * 300), metadata={"z" * 300: "w" * 300})
    run = Run(memory)
    run.report(300)
    run.finish()
    with tab(browser, url, color_scheme=scheme, viewport={"width": width, "height": 800}) as page:
        for path in ("", "/values", "/values?solution=1&q=5-50000&page=3"):
            page.goto(f"/ui/w/default/jobs/{job_id}{path}")
            if not path:
                expect(page.locator("#chart")).to_have_attribute("data-points", "300")
            assert violations(page) == []
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
            screenshot(page, f"job{path.partition('?')[0].replace('/', '-')}-{scheme}-{width}")


def test_without_javascript_the_numbers_are_there(browser: Browser, url: str, memory: MemoryParts) -> None:
    job_id = memory.submit()
    run = Run(memory)
    run.report(100)
    run.finish()
    with tab(browser, url, java_script_enabled=False) as page:
        page.goto(f"/ui/w/default/jobs/{job_id}")
        page.get_by_text("improvements as a table").click()
        expect(page.locator("#convergence-table tbody tr").first).to_be_visible()
        page.get_by_role("link", name="Values of solution 1").click()
        page.get_by_role("searchbox").fill("99999")
        page.get_by_role("button", name="Search").click()
        expect(page.locator("dl.values")).to_contain_text("99999")
        with page.expect_download() as download:
            page.goto(f"/ui/w/default/jobs/{job_id}")
            page.get_by_role("link", name="Solutions (CSV)").click()
        assert download.value.suggested_filename.endswith("-solutions.csv")
