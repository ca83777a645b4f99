"""JSON requests to one workspace of a server."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar, final
from urllib.parse import parse_qs, quote, urlencode, urlsplit

import msgspec

from qiosk.client.remote.queries import filter_text, is_empty, orderby_text
from qiosk.client.remote.transport import Answer, OnBytes, Request, Transport
from qiosk.contract.items import ItemQuery
from qiosk.contract.jobs import JobQuery
from qiosk.contract.paging import Page
from qiosk.errors import UnreadableInput

T = TypeVar("T")


@final
class Calls:
    """Sends requests to paths below ``root``, the URL of a workspace."""

    def __init__(self, transport: Transport, workspace_path: str) -> None:
        self._transport = transport
        self.root = transport.base + workspace_path

    def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | None] | None = None,
        body: Mapping[str, Any] | None = None,
        content_type: str = "application/json",
        accepts_gzip: bool = False,
        on_received: OnBytes | None = None,
    ) -> Answer:
        """Send a request with ``body`` as JSON, and return the answer. Raises the error in the server's response."""
        given = {name: value for name, value in (query or {}).items() if value is not None}
        url = f"{self.root}{path}?{urlencode(given, quote_via=quote)}" if given else f"{self.root}{path}"
        headers = {"Accept": "application/json"} | ({} if body is None else {"Content-Type": content_type})
        headers |= {"Accept-Encoding": "gzip"} if accepts_gzip else {}
        data = None if body is None else msgspec.json.encode(body)
        request = Request(method=method, url=url, body=data, headers=headers, on_received=on_received)
        return self._transport.send(request)

    def members(self, method: str, path: str, **request: Any) -> dict[str, Any]:
        """As ``send``; returns the members of the JSON object in the answer. Raises UnreadableInput."""
        members = self.send(method, path, **request).json()
        if not isinstance(members, dict):
            raise UnreadableInput("reply: must be an object")
        return members

    def page(
        self,
        path: str,
        query: JobQuery | ItemQuery,
        read: Callable[[dict[str, Any]], T],
        *,
        top: int,
        skip: int,
        token: str | None,
    ) -> Page[T]:
        """One page of a list; ``read`` decodes each item. Raises InvalidFilter."""
        parameters = {"filter": filter_text(query), "orderby": orderby_text(query), "token": token}
        parameters |= {"top": str(top), "skip": str(skip) if skip else None}
        if is_empty(query):
            return Page(())
        members = self.members("GET", path, query=parameters, accepts_gzip=True)
        return Page(tuple(map(read, listed(members, "value"))), _token(members.get("nextLink")))


def listed(members: Mapping[str, Any], name: str) -> Sequence[dict[str, Any]]:
    """The objects in a list; a missing list is empty. Raises UnreadableInput."""
    value = members.get(name)
    found = [] if value is None else value
    if not isinstance(found, list) or not all(isinstance(item, dict) for item in found):
        raise UnreadableInput(f"reply: `{name}` must be a list of objects")
    return found


def _token(next_link: object) -> str | None:
    """The token in a link to the next page. The link itself is not followed: it may lead to another host."""
    if not isinstance(next_link, str):
        return None
    return parse_qs(urlsplit(next_link).query).get("token", [None])[0]
