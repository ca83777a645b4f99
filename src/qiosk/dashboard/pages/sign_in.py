"""Signing in by a key, signing out, the choice of colours, and the list of workspaces."""

from __future__ import annotations

import hmac
from typing import Final
from urllib.parse import urlsplit

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from qiosk.contract.workspaces import DEFAULT_KEY
from qiosk.dashboard.forms import read_form, text_of
from qiosk.dashboard.sign_in import CSRF_FIELD, Sessions, new_session
from qiosk.dashboard.visits import THEME_COOKIE, THEMES, Visit, changed, is_secure, visited
from qiosk.errors import InvalidValue, Unauthorized
from qiosk.server.auth.auth import Gate
from qiosk.server.web.errors import status_of
from qiosk.service.accounts.keys import ANYBODY

_THEME_S: Final = 365 * 86400


async def show_sign_in(request: Request) -> Response:
    """The page that asks for a key."""
    sessions: Sessions = request.app.state.dashboard_sessions
    visit = Visit(request, ANYBODY, sessions.read(request) or new_session())
    return visit.page("sign_in.html", next=_local(request.query_params.get("next")), error=None)


async def sign_in(request: Request) -> Response:
    """Keep the key in a session if the server accepts it."""
    sessions: Sessions = request.app.state.dashboard_sessions
    gate: Gate = request.app.state.gate
    session = sessions.read(request) or new_session()
    async with read_form(request) as form:
        session.check(text_of(form, CSRF_FIELD))
        credential, following = text_of(form, "key"), _local(text_of(form, "next"))
    visit = Visit(request, ANYBODY, session)
    if not credential:
        return visit.page("sign_in.html", status=400, next=following, error="Enter a key.")
    response = RedirectResponse(following or request.app.state.renderer.link("/ui/workspaces"), status_code=303)
    try:
        await run_in_threadpool(gate.authenticate, credential)
        sessions.write(response, new_session(credential), is_secure=is_secure(request))
    except (Unauthorized, InvalidValue) as error:
        return visit.page(
            "sign_in.html", status=status_of(error), next=following, error=f"{error.message}.".capitalize()
        )
    return response


async def open_pages(request: Request) -> Response:
    """Begin a session for the user who started this server, by the token in the URL that the server printed."""
    token: str | None = request.app.state.opening_token
    sent = request.query_params.get("token", "").encode("utf-8", "replace")
    if token is None or not hmac.compare_digest(sent, token.encode()):
        raise HTTPException(404)
    sessions: Sessions = request.app.state.dashboard_sessions
    response = RedirectResponse(request.app.state.renderer.link("/ui/workspaces"), status_code=303)
    sessions.write(response, new_session(token), is_secure=is_secure(request))
    return response


@changed
async def sign_out(visit: Visit, _form: FormData) -> Response:
    """Let the browser forget the key."""
    response = RedirectResponse(visit.root_link("/ui/sign-in"), status_code=303)
    sessions: Sessions = visit.request.app.state.dashboard_sessions
    sessions.forget(response, is_secure=is_secure(visit.request))
    return response


async def choose_theme(request: Request) -> Response:
    """Keep the choice of colours: light, dark, or those of the system."""
    sessions: Sessions = request.app.state.dashboard_sessions
    session = sessions.read(request) or new_session()
    async with read_form(request) as form:
        session.check(text_of(form, CSRF_FIELD))
        theme, following = text_of(form, "theme"), _local(text_of(form, "next"))
    response = RedirectResponse(following or request.app.state.renderer.link("/ui/workspaces"), status_code=303)
    response.set_cookie(
        THEME_COOKIE,
        theme if theme in THEMES else "",
        max_age=_THEME_S if theme in THEMES else 0,
        path=request.app.state.settings.base_path or "/",
        secure=is_secure(request),
        httponly=True,
        samesite="strict",
    )
    return response


@visited
async def show_workspaces(visit: Visit) -> Response:
    """The workspaces that the caller may see, with their numbers of jobs; the only one is opened at once."""
    only = visit.caller.named_workspaces
    statistics = visit.request.app.state.parts.statistics
    counts = dict(await run_in_threadpool(statistics.by_workspace, only))
    for key in only if only is not None else (DEFAULT_KEY,):
        counts.setdefault(key, 0)
    if len(counts) == 1:
        return visit.go(visit.root_link(f"/ui/w/{next(iter(counts))}/jobs"))
    return visit.page("workspaces.html", counts=sorted(counts.items()))


def _local(url: str | None) -> str | None:
    """The same URL if it is a path of this server; None if it leads elsewhere."""
    if url is None or not url.startswith("/") or url.startswith(("//", "/\\")) or not url.isprintable():
        return None
    parts = urlsplit(url)
    return None if parts.scheme or parts.netloc else url


routes: Final[list[BaseRoute]] = [
    Route("/sign-in", show_sign_in, methods=["GET"]),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/open", open_pages),
    Route("/sign-out", sign_out, methods=["POST"]),
    Route("/theme", choose_theme, methods=["POST"]),
    Route("/workspaces", show_workspaces),
]
