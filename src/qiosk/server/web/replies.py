"""JSON responses from contract values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from qiosk.contract import codec

JSON = "application/json"


def reply(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(codec.encode(value), status, headers, JSON)


async def reply_from(work: Callable[[], Any]) -> Response:
    """A JSON response with what ``work`` returns, which is called in a thread, since it may wait for a disk."""
    return await run_in_threadpool(lambda: reply(work()))


def list_reply(items: list[Any], next_link: str | None = None) -> Response:
    """A page of a list."""
    return reply({"value": items, "nextLink": next_link})
