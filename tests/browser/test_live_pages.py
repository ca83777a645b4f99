"""Pages that stay open: servers that restart, many tabs, sessions that end elsewhere, and the back button."""

from __future__ import annotations

from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect

from browsers import opened, session, tab
from qiosk.service.accounts.keys import KeyService
from servers import MemoryParts, listening

AWAY = "The server does not answer"
HIDDEN = """
let hidden = false;
Object.defineProperty(document, "hidden", { get: () => hidden });
window.hide = (value) => { hidden = value; document.dispatchEvent(new Event("visibilitychange")); };
"""
"""A page that a test hides, as browsers hide the tabs behind."""
TABS = 12


@pytest.fixture
def memory() -> MemoryParts:
    memory = MemoryParts()
    memory.submit("the first")
    return memory


def shows(page: Page, name: str) -> None:
    expect(page.get_by_role("link", name=name, exact=True)).to_be_visible()


def test_a_page_goes_on_after_a_restart_of_the_server(browser: Browser, memory: MemoryParts) -> None:
    with ExitStack() as first, ExitStack() as second:
        url = first.enter_context(listening(memory.parts))
        page = second.enter_context(tab(browser, url))
        page.goto("/")
        shows(page, "the first")
        first.close()
        expect(page.locator("#connection")).to_contain_text(AWAY)
        memory.submit("the second")
        with listening(memory.parts, port=urlsplit(url).port or 0):
            shows(page, "the second")
            expect(page.locator("#connection")).to_be_empty()
            memory.submit("the third")
            shows(page, "the third")


def test_a_page_without_a_stream_is_fetched_again_and_says_so(browser: Browser, memory: MemoryParts) -> None:
    with listening(memory.parts, max_connections=8) as url, session(browser, url) as context, ExitStack() as tabs:
        pages = [tabs.enter_context(opened(context)) for _ in range(3)]  # a caller may have two streams
        for page in pages:
            page.clock.install()
            page.goto("/")
            shows(page, "the first")
        expect(pages[-1].locator("#connection")).to_contain_text("fetched again every 10 seconds")
        memory.submit("the second")
        pages[-1].clock.fast_forward(11_000)
        shows(pages[-1], "the second")
        pages[0].close()
        memory.submit("the third")
        pages[-1].clock.fast_forward(11_000)
        shows(pages[-1], "the third")
        expect(pages[-1].locator("#connection")).to_be_empty()


def test_many_tabs_do_not_block_one_another(browser: Browser, memory: MemoryParts) -> None:
    with listening(memory.parts) as url, session(browser, url) as context, ExitStack() as tabs:
        context.add_init_script(HIDDEN)
        pages = [tabs.enter_context(opened(context)) for _ in range(TABS)]
        for page in pages:
            page.goto("/")
            shows(page, "the first")
            page.evaluate("hide(true)")
        memory.submit("the second")
        for page in pages:
            page.evaluate("hide(false)")
            shows(page, "the second")
            page.evaluate("hide(true)")


def test_signing_out_ends_the_pages_of_other_tabs(browser: Browser, memory: MemoryParts) -> None:
    key = KeyService(memory.keys, memory.clock).create("tester")[1]
    with (
        listening(memory.parts) as url,
        session(browser, url) as context,
        opened(context) as page,
        opened(context) as other,
    ):
        page.goto("/")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        shows(page, "the first")
        other.goto("/")
        shows(other, "the first")
        page.get_by_text("tester").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("API key")).to_be_visible()
        memory.submit("the second")
        expect(other.get_by_label("API key")).to_be_visible()


def test_the_back_button_leads_to_a_current_list(browser: Browser, memory: MemoryParts) -> None:
    with listening(memory.parts) as url, tab(browser, url) as page:
        page.goto("/")
        page.get_by_label("Select the first").check()
        memory.submit("the second")
        shows(page, "the second")
        page.get_by_role("link", name="the second", exact=True).click()
        expect(page.get_by_role("heading", name="the second")).to_be_visible()
        memory.submit("the third")
        page.go_back()
        shows(page, "the third")
        expect(page.get_by_label("Select the first")).to_be_checked()
        memory.submit("the fourth")
        shows(page, "the fourth")
        page.go_forward()
        expect(page.get_by_role("heading", name="the second")).to_be_visible()


def test_the_list_works_without_javascript(browser: Browser, memory: MemoryParts) -> None:
    key = KeyService(memory.keys, memory.clock).create("tester")[1]
    memory.submit("another")
    with listening(memory.parts) as url, tab(browser, url, java_script_enabled=False) as page:
        page.goto("/")
        page.get_by_label("API key").fill(key)
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_label("Select all jobs of this page")).to_be_hidden()
        page.get_by_role("link", name="Name").click()
        expect(page.locator("tbody tr").first).to_contain_text("another")
        page.get_by_label("Select another").check()
        page.get_by_role("button", name="Cancel").click()
        expect(page.get_by_role("row", name="another")).to_contain_text("Cancelled")
        assert "sort=name" in page.url
        page.get_by_text("Status", exact=True).first.click()
        page.get_by_label("Waiting").check()
        page.get_by_role("button", name="Filter").click()
        expect(page.locator("tbody tr")).to_have_count(1)
        shows(page, "the first")
        page.get_by_text("tester").click()
        page.get_by_role("button", name="Dark").click()
        expect(page.locator("html")).to_have_attribute("data-theme", "dark")
        assert "status=Waiting" in page.url
        page.get_by_role("link", name="the first", exact=True).click()
        expect(page.get_by_role("heading", name="the first")).to_be_visible()
        page.get_by_text("tester").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("API key")).to_be_visible()
