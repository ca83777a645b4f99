"""One browser for all tests of a process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

import browsers


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    with browsers.running() as browser:
        yield browser
