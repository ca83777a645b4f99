"""A workspace that every suite of clients runs on: in this process, and on a server."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from qiosk import Workspace
from servers import MemoryParts, listening


@pytest.fixture
def memory() -> MemoryParts:
    """The service behind the workspace."""
    return MemoryParts()


@pytest.fixture(params=["embedded", "http"])
def workspace(request: pytest.FixtureRequest, memory: MemoryParts) -> Iterator[Workspace]:
    """A workspace in this process, and one on a server."""
    if request.param == "embedded":
        yield Workspace(api=memory.jobs("default"))
        return
    with listening(memory.parts) as url, Workspace(url) as remote:
        yield remote
