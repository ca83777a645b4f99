"""Routes of sessions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from qiosk.contract import requests
from qiosk.contract.items import ItemQuery
from qiosk.contract.jobs import JobView
from qiosk.contract.paging import Page
from qiosk.contract.sessions import SessionView
from qiosk.server.auth.access import Access, Reading, Writing
from qiosk.server.routes.jobs import list_page
from qiosk.server.routes.listing import PAGING, next_link, window
from qiosk.server.web.bodies import request_body
from qiosk.server.web.openapi import answers, pages, takes
from qiosk.server.web.replies import list_reply, reply
from qiosk.server.web.routing import Routes
from qiosk.service.filters import item_query

router = Routes("Sessions")

_SESSION = answers(SessionView)


@router.put("/sessions/{session_id}", operation_id="openSession", **_SESSION, **takes(requests.PutSession))
async def open_session(request: Request, session_id: str, access: Writing) -> Response:
    """Open a session. The same request again gives the same session; another one under a taken id is refused."""
    body = await request_body(request, access.settings)
    return await _reply(lambda: access.sessions.open(requests.decode_session(body, session_id)))


@router.get("/sessions/{session_id}", operation_id="getSession", **_SESSION)
async def get_session(session_id: str, access: Reading) -> Response:
    """The session as it is now."""
    return await _reply(lambda: access.sessions.get(session_id))


@router.post("/sessions/{session_id}:close", operation_id="closeSession", **_SESSION)
async def close_session(session_id: str, access: Writing) -> Response:
    """End a session; its jobs run on. One that has ended is left alone."""
    return await _reply(lambda: access.sessions.close(session_id))


@router.get("/sessions", operation_id="listSessions", **pages(SessionView), **PAGING)
async def list_sessions(request: Request, access: Reading) -> Response:
    """Sessions, newest first unless `orderby` says otherwise, in pages that `nextLink` leads through."""
    return await _items(request, access, access.sessions.page)


@router.get("/sessions/{session_id}/jobs", operation_id="listSessionJobs", **pages(JobView), **PAGING)
async def list_session_jobs(request: Request, session_id: str, access: Reading) -> Response:
    """Jobs of a session, in pages that `nextLink` leads through."""
    asked = window(request)
    await run_in_threadpool(access.sessions.get, session_id)
    return await list_page(request, access, asked, session_id=session_id)


@router.get("/topLevelItems", operation_id="listTopLevelItems", **pages(JobView, SessionView), **PAGING)
async def list_items(request: Request, access: Reading) -> Response:
    """Sessions, and jobs without one, told apart by `itemType`, in pages that `nextLink` leads through."""
    return await _items(request, access, access.sessions.items)


async def _items(request: Request, access: Access, page: Callable[..., Page[Any]]) -> Response:
    asked = window(request)

    def work() -> Response:
        query: ItemQuery = item_query(asked.filter, asked.orderby)
        found = page(query, top=asked.top, skip=asked.skip, token=asked.token)
        return list_reply(list(found.items), next_link(request, access.base, found.next))

    return await run_in_threadpool(work)


async def _reply(work: Callable[[], SessionView]) -> Response:
    return await run_in_threadpool(lambda: reply(work()))
