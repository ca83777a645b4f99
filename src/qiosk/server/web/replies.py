"""JSON responses from contract values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response

from qiosk.contract import codec

JSON = "application/json"


def reply(value: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON response."""
    return Response(codec.encode(value), status, headers, JSON)


def list_reply(items: list[Any], next_link: str | None = None) -> Response:
    """A page of a list."""
    return reply({"value": items, "nextLink": next_link})
