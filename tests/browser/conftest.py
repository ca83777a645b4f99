"""A browser for the tests of a module: while it runs, its thread has an event loop, which other tests must not find."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser

import browsers
from servers import MemoryParts, listening


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with browsers.running() as browser:
        yield browser


@pytest.fixture
def memory() -> MemoryParts:
    """Parts of a server, in memory."""
    return MemoryParts()


@pytest.fixture
def url(memory: MemoryParts) -> Iterator[str]:
    """The address of a server of these parts."""
    with listening(memory.parts) as url:
        yield url
