"""A server and a workspace in memory."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from fake_jobs import FakeJobs
from qiosk.client.workspace import Workspace
from servers import MemoryParts, serving


@pytest.fixture
def memory() -> MemoryParts:
    """Parts of a server, in memory."""
    return MemoryParts()


@pytest.fixture
def http(memory: MemoryParts) -> Iterator[httpx.Client]:
    """A client of a server of these parts."""
    with serving(memory.parts) as client:
        yield client


@pytest.fixture
def api() -> FakeJobs:
    """Jobs that a test settles by hand."""
    return FakeJobs()


@pytest.fixture
def workspace(api: FakeJobs) -> Workspace:
    """A workspace of these jobs."""
    return Workspace(api=api)
