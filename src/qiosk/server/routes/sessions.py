"""Routes of sessions."""

from __future__ import annotations

from functools import partial

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from qiosk.contract.http import requests
from qiosk.contract.jobs import JobView
from qiosk.contract.sessions import SessionView
from qiosk.server.auth.access import Reading, Writing
from qiosk.server.routes.listing import PAGING, page_reply, window
from qiosk.server.web.bodies import request_body
from qiosk.server.web.openapi import answers, pages, takes
from qiosk.server.web.replies import reply_from
from qiosk.server.web.routing import Routes
from qiosk.service.filters import item_query, job_query

router = Routes("Sessions")

_SESSION = answers(SessionView)


@router.put("/sessions/{session_id}", operation_id="openSession", **_SESSION, **takes(requests.PutSession))
async def open_session(request: Request, session_id: str, access: Writing) -> Response:
    """Open a session. Repeating a request has no further effect; another one with the same id is rejected."""
    body = await request_body(request, access.settings)
    return await reply_from(lambda: access.sessions.open(requests.decode_session(body, session_id)))


@router.get("/sessions/{session_id}", operation_id="getSession", **_SESSION)
async def get_session(session_id: str, access: Reading) -> Response:
    """The session as it is now."""
    return await reply_from(lambda: access.sessions.get(session_id))


@router.post("/sessions/{session_id}:close", operation_id="closeSession", **_SESSION)
async def close_session(session_id: str, access: Writing) -> Response:
    """End a session; its jobs continue to run. A session that has ended does not change."""
    return await reply_from(lambda: access.sessions.close(session_id))


@router.get("/sessions", operation_id="listSessions", **pages(SessionView), **PAGING)
async def list_sessions(request: Request, access: Reading) -> Response:
    """Sessions, by default newest first, in pages. `nextLink` is the URL of the next page."""
    return await page_reply(request, access.base, window(request), item_query, access.sessions.page)


@router.get("/sessions/{session_id}/jobs", operation_id="listSessionJobs", **pages(JobView), **PAGING)
async def list_session_jobs(request: Request, session_id: str, access: Reading) -> Response:
    """Jobs of a session, in pages. `nextLink` is the URL of the next page."""
    asked = window(request)
    await run_in_threadpool(access.sessions.get, session_id)
    query = partial(job_query, session_id=session_id)
    return await page_reply(request, access.base, asked, query, access.jobs.page)


@router.get("/topLevelItems", operation_id="listTopLevelItems", **pages(JobView, SessionView), **PAGING)
async def list_items(request: Request, access: Reading) -> Response:
    """Sessions, and jobs without a session (see `itemType`), in pages. `nextLink` is the URL of the next page."""
    return await page_reply(request, access.base, window(request), item_query, access.sessions.items)
