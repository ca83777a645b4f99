"""Nothing that grows with a request runs on the event loop, where it would stop all other requests."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from qiosk.contract.http import requests as job_requests
from qiosk.server.blobs import operations
from servers import WORKSPACE, MemoryParts, serving


def is_on_loop() -> bool:
    """Whether an event loop runs in this thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@pytest.fixture
def watched(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """By name of a function that reads or writes a document: whether it ran on the event loop."""
    found: dict[str, bool] = {}

    def watch(module: object, name: str) -> None:
        function: Callable[..., Any] = getattr(module, name)

        def call(*args: Any, **members: Any) -> Any:
            found[name] = found.get(name, False) or is_on_loop()
            return function(*args, **members)

        monkeypatch.setattr(module, name, call)

    watch(operations, "read_block_list")
    watch(operations, "listing")
    watch(job_requests, "decode_request")
    return found


def test_documents_are_read_and_written_in_threads(watched: dict[str, bool]) -> None:
    with serving(MemoryParts().parts) as http:
        link = http.post(f"{WORKSPACE}/storage/sasUri", json={"containerName": "c"}).json()["sasUri"]
        base, query = link.split("?")
        block_list = b"<BlockList>" + b"<Latest>AAAA</Latest>" * 1000 + b"</BlockList>"
        assert http.put(f"{base}/blob?comp=blocklist&{query}", content=block_list).status_code == 400
        assert http.get(f"{base}?restype=container&comp=list&{query}").status_code == 200
        assert http.put(f"{WORKSPACE}/jobs/j", json={"containerUri": link}).status_code == 400
        assert http.patch(f"{WORKSPACE}/jobs/j", json={"name": "n"}).status_code == 404
    assert watched == {"read_block_list": False, "listing": False, "decode_request": False}
