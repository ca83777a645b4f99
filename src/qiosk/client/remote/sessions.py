"""Sessions of a workspace on a server. Implements ``SessionsApi`` over HTTP."""

from __future__ import annotations

from typing import Any, final
from urllib.parse import quote
from uuid import uuid4

from msgspec.structs import replace

from qiosk.client.remote.calls import Calls
from qiosk.contract import codec
from qiosk.contract.http import requests
from qiosk.contract.items import ItemQuery, ItemType
from qiosk.contract.jobs import JobView
from qiosk.contract.paging import DEFAULT_PAGE, Page
from qiosk.contract.plain import plain_session
from qiosk.contract.sessions import OpenSession, SessionView


@final
class HttpSessions:
    """Sessions of one workspace on a server. Threads may share it."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def open(self, command: OpenSession) -> SessionView:
        """Open a session; see ``SessionsApi``."""
        # A repeated request must open the same session.
        named = replace(plain_session(command), id=command.id or str(uuid4()))
        return _view(self._calls.members("PUT", session_path(str(named.id)), body=requests.session_request(named)))

    def get(self, session_id: str) -> SessionView:
        """The session as it is now. Raises SessionNotFound."""
        return _view(self._calls.members("GET", session_path(session_id)))

    def close(self, session_id: str) -> SessionView:
        """End a session; see ``SessionsApi``."""
        return _view(self._calls.members("POST", f"{session_path(session_id)}:close"))

    def page(
        self, query: ItemQuery, *, top: int = DEFAULT_PAGE, skip: int = 0, token: str | None = None
    ) -> Page[SessionView]:
        """At most ``top`` matching sessions; see ``SessionsApi``."""
        return self._calls.page("/sessions", query, _view, top=top, skip=skip, token=token)

    def items(
        self, query: ItemQuery, *, top: int = DEFAULT_PAGE, skip: int = 0, token: str | None = None
    ) -> Page[JobView | SessionView]:
        """Sessions, and jobs without a session; see ``SessionsApi``."""
        return self._calls.page("/topLevelItems", query, _item, top=top, skip=skip, token=token)


def session_path(session_id: str) -> str:
    """Path of a session below its workspace."""
    return f"/sessions/{quote(session_id, safe='', errors='replace')}"


def _view(members: dict[str, Any]) -> SessionView:
    return codec.convert(SessionView, members)


def _item(members: dict[str, Any]) -> JobView | SessionView:
    return _view(members) if members.get("itemType") == ItemType.SESSION else codec.convert(JobView, members)
