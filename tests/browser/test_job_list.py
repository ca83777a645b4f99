"""The list of jobs in a browser."""

from __future__ import annotations

from playwright.sync_api import Browser, expect

from browsers import opened, session, tab, violations
from servers import MemoryParts, listening


def test_new_jobs_appear_by_themselves_and_selected_ones_stay_so(
    browser: Browser, url: str, memory: MemoryParts
) -> None:
    job_id = memory.submit("the first")
    with session(browser, url) as context, opened(context) as page, opened(context) as other:
        page.goto("/")
        page.get_by_label("Select the first").check()
        expect(page.get_by_text("1 selected")).to_be_visible()
        assert f"selected={job_id}" in page.url
        other.goto(page.url)
        expect(other.get_by_label("Select the first")).to_be_checked()
        memory.submit("the second")
        page.bring_to_front()
        expect(page.get_by_role("link", name="the second")).to_be_visible()
        expect(page.get_by_label("Select the first")).to_be_checked()
        page.get_by_role("button", name="Cancel").click()
        expect(page.locator(f"#job-{job_id}")).to_contain_text("Cancelled")


def test_filters_are_in_the_url_and_the_back_button_takes_them_back(
    browser: Browser, url: str, memory: MemoryParts
) -> None:
    memory.submit("alpha")
    memory.submit("beta")
    with tab(browser, url) as page:
        page.goto("/")
        page.get_by_role("searchbox").fill("al")
        page.get_by_role("searchbox").press("Enter")
        expect(page.get_by_role("link", name="beta")).to_have_count(0)
        assert "q=al" in page.url
        page.go_back()
        expect(page.get_by_role("link", name="beta")).to_be_visible()


def test_the_command_of_an_empty_list_is_copied(browser: Browser) -> None:
    with (
        listening(MemoryParts().parts) as url,
        tab(browser, url, permissions=["clipboard-read", "clipboard-write"]) as page,
    ):
        page.goto("/")
        page.get_by_role("button", name="Copy").click()
        expect(page.get_by_role("button", name="Copied")).to_be_visible()
        assert page.evaluate("navigator.clipboard.readText()").endswith(f"--url {url}")
        assert violations(page) == []
