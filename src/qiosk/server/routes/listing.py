"""Pages of lists: the parameters that select one, the response, and the link to the next page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from qiosk.contract.paging import DEFAULT_PAGE, MAX_PAGE, Page
from qiosk.errors import InvalidFilter
from qiosk.server.web.replies import compressed, list_reply

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
    "parameters": [_parameter("after", "Number of trace points that the client has.", minimum=0, **_COUNT_SCHEMA)]
}
"""The OpenAPI parameter of routes with a trace."""
AFTER_LINE: Final[dict[str, Any]] = {
    "parameters": [_parameter("after", "Position of the last line that the client has.", minimum=0, **_COUNT_SCHEMA)]
}
"""The OpenAPI parameter of the route of a log."""
PAGING: Final[dict[str, Any]] = {
    "parameters": [
        _parameter("filter", "Conditions, joined by ` and `.", type="string"),
        _parameter("orderby", "A property, then `asc` or `desc`.", type="string"),
        _parameter("top", f"Most items of a page, at most {MAX_PAGE}.", minimum=1, **_COUNT_SCHEMA),
        _parameter("skip", "Items to skip.", minimum=0, **_COUNT_SCHEMA),
        _parameter(_TOKEN, "Start of the page, from `nextLink`.", type="string"),
    ]
}
"""The OpenAPI parameters of routes with a list."""


def window(request: Request) -> Window:
    """The parameters of a request, with or without ``$`` before their names. Raises InvalidFilter."""
    return Window(
        filter=_text(request, "filter"),
        orderby=_text(request, "orderby"),
        top=_count(request, "top", DEFAULT_PAGE),
        skip=_count(request, "skip", 0),
        token=_text(request, _TOKEN),
    )


async def page_reply(
    request: Request,
    base: str,
    asked: Window,
    read_query: Callable[[str | None, str | None], Any],
    page: Callable[..., Page[Any]],
) -> Response:
    """A page of a list. ``read_query`` makes a query of filter and order, and ``page`` returns the page.

    ``base`` is the server's URL. Raises InvalidFilter.
    """

    def work() -> Response:
        query = read_query(asked.filter, asked.orderby)
        found = page(query, top=asked.top, skip=asked.skip, token=asked.token)
        return compressed(request, list_reply(list(found.items), next_link(request, base, found.next)))

    return await run_in_threadpool(work)


def next_link(request: Request, base: str, token: str | None) -> str | None:
    """URL of the next page; None if this is the last.

    Braces are percent-encoded, too: old clients use the URL as a format string.
    """
    if token is None:
        return None
    kept = [
        (name, value) for name, value in request.query_params.multi_items() if name.strip("$") not in ("skip", _TOKEN)
    ]
    query = urlencode([*kept, (_TOKEN, token)], quote_via=quote, errors="replace")
    return f"{base}{quote(request.scope.get('sent_path', request.url.path))}?{query}"


def read_count(name: str, text: str) -> int:
    """The count in a parameter or header. Raises InvalidFilter."""
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
