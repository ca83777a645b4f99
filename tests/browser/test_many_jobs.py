"""The dashboard of a server with many jobs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from benchmarks.service.stored import KEY, TARGETS, fill
from browsers import tab
from qiosk.bootstrap import open_server
from qiosk.settings import Settings
from servers import listening


@pytest.fixture
def url(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[str]:
    fill(tmp_path / "home", request.param)
    parts = open_server(Settings(home=tmp_path / "home"))
    try:
        with listening(parts) as url:
            yield url
    finally:
        parts.stop()
        parts.close()


@pytest.mark.slow
@pytest.mark.parametrize("url", [10_000, pytest.param(100_000, marks=pytest.mark.long)], indirect=True)
def test_many_jobs_are_paged_sorted_and_filtered(browser: Browser, url: str) -> None:
    with tab(browser, url) as page:
        page.goto(f"/ui/w/{KEY}/jobs")
        rows = page.locator("tbody tr")
        expect(rows).to_have_count(50)
        first = rows.first.get_attribute("id")
        for _ in range(3):
            page.get_by_role("link", name="Next page").click()
            page.wait_for_url("**token=**")
        assert rows.first.get_attribute("id") != first
        page.get_by_role("link", name="First page").click()
        expect(rows.first).to_have_attribute("id", first or "")
        page.get_by_role("link", name="Name").click()
        expect(page.locator("[aria-sort=ascending]")).to_contain_text("Name")
        page.get_by_label("Target").select_option(TARGETS[1])
        page.get_by_text("Status", exact=True).first.click()
        page.get_by_label("Failed").check()
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("tbody .status.failed")).to_have_count(50)
        expect(page.locator("tbody").get_by_text(TARGETS[1])).to_have_count(50)
        page.get_by_role("link", name="Overview").click()
        expect(page.get_by_role("heading", name="Failures of the last 24 hours")).to_be_visible()
