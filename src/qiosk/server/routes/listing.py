"""Which part of a list a request asks for, and the link to the next part."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.requests import Request

from qiosk.contract.paging import DEFAULT_PAGE, MAX_PAGE
from qiosk.errors import InvalidFilter

_TOKEN = "token"
_COUNT = re.compile(r"[0-9]{1,15}")


@dataclass(frozen=True, slots=True)
class Window:
    """The query parameters of a list."""

    filter: str | None
    orderby: str | None
    top: int
    skip: int
    token: str | None


def _parameter(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


_COUNT_SCHEMA: dict[str, Any] = {"type": "integer", "maximum": 10**15 - 1}
AFTER: Final[dict[str, Any]] = {
    "parameters": [_parameter("after", "Trace points that are known already.", minimum=0, **_COUNT_SCHEMA)]
}
"""What the description of a route with a trace says about its parameter."""
PAGING: Final[dict[str, Any]] = {
    "parameters": [
        _parameter("filter", "Conditions, joined by ` and `; see the reference.", type="string"),
        _parameter("orderby", "A property, then `asc` or `desc`.", type="string"),
        _parameter("top", f"Most items of a page; {MAX_PAGE} are the most there can be.", minimum=1, **_COUNT_SCHEMA),
        _parameter("skip", "Items to leave out.", minimum=0, **_COUNT_SCHEMA),
        _parameter(_TOKEN, "Where the page begins; taken from `nextLink`.", type="string"),
    ]
}
"""What the description of a route with a list says about its parameters."""


def window(request: Request) -> Window:
    """The parameters of a request, with or without ``$`` before their names. Raises InvalidFilter."""
    return Window(
        filter=_text(request, "filter"),
        orderby=_text(request, "orderby"),
        top=_count(request, "top", DEFAULT_PAGE),
        skip=_count(request, "skip", 0),
        token=_text(request, _TOKEN),
    )


def next_link(request: Request, base: str, token: str | None) -> str | None:
    """URL of the page behind this one, None if this is the last.

    Braces are percent-encoded like everything else that needs it: old clients send the URL through a formatter.
    """
    if token is None:
        return None
    kept = [
        (name, value) for name, value in request.query_params.multi_items() if name.strip("$") not in ("skip", _TOKEN)
    ]
    query = urlencode([*kept, (_TOKEN, token)], quote_via=quote, errors="replace")
    return f"{base}{quote(request.scope.get('sent_path', request.url.path))}?{query}"


def read_count(name: str, text: str) -> int:
    """A number of things, from the parameter or header that holds it. Raises InvalidFilter."""
    if not _COUNT.fullmatch(text):
        raise InvalidFilter(f"{name}: must be a number of at most 15 digits, found {text[:100]!r}")
    return int(text)


def _text(request: Request, name: str) -> str | None:
    return _given(request, name) or None


def _count(request: Request, name: str, default: int) -> int:
    text = _given(request, name)
    return default if text is None else read_count(name, text)


def _given(request: Request, name: str) -> str | None:
    return request.query_params.get(name, request.query_params.get(f"${name}"))
