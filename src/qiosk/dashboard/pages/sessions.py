"""The sessions of a workspace: a list, and the end of an open one."""

from __future__ import annotations

from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from qiosk.contract.items import ItemQuery
from qiosk.contract.sessions import SessionStatus
from qiosk.dashboard.forms import statuses_in
from qiosk.dashboard.visits import Visit, changed, visited

PAGE_SESSIONS: Final = 50
"""Sessions on a page."""


@visited
async def show_sessions(visit: Visit) -> Response:
    """A page of the list, newest first."""
    given = visit.request.query_params
    text, token = given.get("q", "").strip(), given.get("token") or None
    statuses = statuses_in(given, SessionStatus)
    query = ItemQuery(name_prefix=text or None, statuses=statuses or None)
    page = await run_in_threadpool(lambda: visit.access.sessions.page(query, top=PAGE_SESSIONS, token=token))
    return visit.page(
        "sessions.html",
        sessions=page.items,
        next=page.next,
        is_first=token is None,
        text=text,
        chosen=statuses,
        statuses=SessionStatus,
    )


@changed
async def close_session(visit: Visit, _form: FormData) -> Response:
    """End a session; its jobs continue."""
    await run_in_threadpool(visit.access.sessions.close, visit.request.path_params["session_id"])
    return visit.go(visit.link("/sessions"))


routes: Final[list[BaseRoute]] = [
    Route("/sessions", show_sessions, methods=["GET"]),
    Route("/sessions/{session_id}/close", close_session, methods=["POST"]),
]
