"""Keys in a browser: signing in and out, keys that expire or only read, and the administrator's page."""

from __future__ import annotations

from datetime import timedelta

import pytest
from playwright.sync_api import Browser, Page, expect

from browsers import screenshot, tab, violations
from qiosk.contract.jobs import SubmitJob
from qiosk.service.accounts.keys import CACHE_S, KeyService
from servers import MemoryParts


@pytest.fixture
def memory() -> MemoryParts:
    memory = MemoryParts()
    memory.jobs("default").submit(SubmitJob(name="a job", provider_id="qiosk", target="qiosk.auto", input_data=b"{}"))
    return memory


def make_key(memory: MemoryParts, **members) -> str:
    return KeyService(memory.keys, memory.clock).create("tester", **members)[1]


def sign_in(page: Page, key: str) -> None:
    page.goto("/")
    page.get_by_label("API key").fill(key)
    page.get_by_role("button", name="Sign in").click()


def test_a_key_opens_the_pages_until_signing_out(browser: Browser, url: str, memory: MemoryParts) -> None:
    key = make_key(memory)
    with tab(browser, url) as page:
        sign_in(page, "qk_wrong_key")
        expect(page.get_by_role("alert")).to_contain_text("not valid")
        sign_in(page, key)
        expect(page.get_by_role("link", name="a job")).to_be_visible()
        page.get_by_text("tester").click()
        page.get_by_role("button", name="Sign out").click()
        expect(page.get_by_label("API key")).to_be_visible()
        page.go_back()
        expect(page.get_by_label("API key")).to_be_visible()


def test_a_key_that_expires_ends_an_open_page(browser: Browser, url: str, memory: MemoryParts) -> None:
    key = make_key(memory, expires_at=memory.clock.now() + timedelta(hours=1))
    with tab(browser, url) as page:
        sign_in(page, key)
        expect(page.get_by_role("link", name="a job")).to_be_visible()
        memory.clock.sleep(3600 + CACHE_S)
        expect(page.get_by_label("API key")).to_be_visible()  # by itself


def test_a_link_on_another_site_opens_the_page_with_its_session(
    browser: Browser, url: str, memory: MemoryParts
) -> None:
    with tab(browser, url) as page:
        sign_in(page, make_key(memory))
        expect(page.get_by_role("link", name="a job")).to_be_visible()
        page.goto(f"data:text/html,<a href='{url}/ui/w/default/jobs?sort=name'>look</a>")
        page.get_by_text("look").click()
        expect(page.get_by_role("link", name="a job")).to_be_visible()
        assert page.url.endswith("/jobs?sort=name")


def test_a_key_for_reading_has_no_buttons_that_change(browser: Browser, url: str, memory: MemoryParts) -> None:
    with tab(browser, url) as page:
        sign_in(page, make_key(memory, is_read_only=True))
        expect(page.get_by_role("link", name="a job")).to_be_visible()
        expect(page.get_by_role("button", name="Cancel")).to_have_count(0)
        expect(page.get_by_role("link", name="New job")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_an_administrator_makes_and_revokes_keys(
    browser: Browser, url: str, memory: MemoryParts, width: int, scheme: str
) -> None:
    with tab(browser, url, color_scheme=scheme, viewport={"width": width, "height": 800}) as page:
        sign_in(page, make_key(memory, workspace=None))
        page.goto("/ui/admin")
        page.get_by_label("Name").fill("for the night")
        page.get_by_label("Valid for").fill("90d")
        page.get_by_role("button", name="Make the key").click()
        expect(page.get_by_text("cannot be shown again")).to_be_visible()
        assert violations(page) == []
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"
        screenshot(page, f"administration-{scheme}-{width}")
        page.on("dialog", lambda dialog: dialog.accept())
        page.get_by_role("button", name="Revoke for the night").click()
        expect(page.get_by_role("row", name="for the night")).to_contain_text("revoked")
