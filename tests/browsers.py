"""A real browser for tests of the dashboard: Chromium, driven by Playwright, which reaches this machine only."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

import patience

ROOT = Path(__file__).parents[1]
AXE = ROOT / ".browser" / "node_modules" / "axe-core" / "axe.min.js"
SCREENSHOTS = ROOT / ".screenshots"
NAMES = ("chromium", "chromium-browser", "google-chrome")
OPTIONS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@contextmanager
def running() -> Iterator[Browser]:
    """A browser without windows: the machine's Chromium, else the one that Playwright has installed.

    Skips the test if there is none, or fails it where a browser is required.
    """
    expect.set_options(timeout=1000 * patience.HANG_S)
    with sync_playwright() as playwright:
        found = next(filter(None, map(shutil.which, NAMES)), playwright.chromium.executable_path)
        if not (Path(found).exists() and AXE.exists()):
            if os.environ.get("QIOSK_TEST_BROWSER") == "require":
                pytest.fail("a browser and axe-core are required and not installed: make browser")
            pytest.skip("there is no browser, or no axe-core: make browser")
        browser = playwright.chromium.launch(executable_path=found, args=list(OPTIONS))
        try:
            yield browser
        finally:
            browser.close()


@contextmanager
def tab(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """A tab of a new session; it fails the test if the page reports an error, or asks another host."""
    with session(browser, url, **options) as context, opened(context) as page:
        yield page


@contextmanager
def session(browser: Browser, url: str, **options: Any) -> Iterator[BrowserContext]:
    """A session with cookies of its own. ``url`` is the server that paths belong to."""
    context = browser.new_context(base_url=url, **{"viewport": {"width": 1280, "height": 900}, **options})
    context.set_default_timeout(1000 * patience.HANG_S)
    try:
        yield context
    finally:
        context.close()


@contextmanager
def opened(context: BrowserContext) -> Iterator[Page]:
    """A tab; it fails the test if the page reports an error of a script or of its policy, or asks another host."""
    page = context.new_page()
    troubles: list[str] = []
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on(
        "console",
        lambda message: (
            troubles.append(message.text)
            if message.type == "error" and "Content Security Policy" in message.text
            else None
        ),
    )
    page.on("request", lambda request: _check_host(request.url, troubles))
    yield page
    assert not troubles, troubles


def _check_host(url: str, troubles: list[str]) -> None:
    if not url.startswith(("http://127.0.0.1:", "https://127.0.0.1:", "data:", "blob:")):
        troubles.append(f"the page asks {url}")


def violations(page: Page) -> list[str]:
    """What axe-core finds on a page that is serious or critical: rule and element of each."""
    page.evaluate(AXE.read_text())  # not as a script of the page, which its policy would refuse
    found = page.evaluate("axe.run()")
    return [
        f"{violation['id']}: {node['target']} {node['failureSummary']}"
        for violation in found["violations"]
        if violation["impact"] in ("serious", "critical")
        for node in violation["nodes"]
    ]


def screenshot(page: Page, name: str) -> None:
    """Keep a picture of the whole page, for people to look at."""
    SCREENSHOTS.mkdir(exist_ok=True)
    page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
