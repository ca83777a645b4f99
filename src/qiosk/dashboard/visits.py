"""Visits of pages: who calls, what they may do, and the answer as a page.

A route's function gets a :class:`Visit`. It is made here from the session's cookie, with the same gate and the same
rules as requests of the REST interface.
"""

from __future__ import annotations

import functools
import http
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, final
from urllib.parse import quote, urlencode

import structlog
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from qiosk.bootstrap import ServerParts
from qiosk.contract.workspaces import parse_workspace
from qiosk.dashboard.forms import MAX_FORM_BYTES, read_form, text_of
from qiosk.dashboard.render import Renderer
from qiosk.dashboard.sign_in import CSRF_FIELD, Session, Sessions, new_session
from qiosk.errors import Forbidden, QioskError, Unauthorized
from qiosk.server.auth.access import Access, base_url
from qiosk.server.auth.auth import ALL, Caller, Gate, TokenHolder
from qiosk.server.settings import ServerSettings
from qiosk.server.web.errors import failure, headers_of, status_of
from qiosk.service.accounts.keys import ANYBODY, digest

THEMES: Final = ("light", "dark")
THEME_COOKIE: Final = "qiosk-theme"

QueryValue = str | Sequence[str] | None
"""A parameter of a URL, once or several times; None leaves it out."""


@final
@dataclass(frozen=True, slots=True)
class Visit:
    """A request for a page, by a caller that may see it.

    ``workspace`` is the workspace's key; None for pages that belong to none. ``session`` is written to the response.
    """

    request: Request
    caller: Caller
    session: Session
    workspace: str | None = None

    @property
    def access(self) -> Access:
        """The caller's access to the page's workspace."""
        assert self.workspace is not None
        state = self.request.app.state
        return Access(
            self.workspace,
            state.parts,
            state.settings,
            base_url(self.request, state.settings),
            may_write=self.may_write,
            caller=self._identity,
            label=self.caller.label,
        )

    @property
    def may_write(self) -> bool:
        """Whether the caller may change the page's workspace."""
        return self.workspace is not None and self.caller.may(self.workspace, write=True)

    @property
    def is_administrator(self) -> bool:
        """Whether the caller has a key that may change every workspace."""
        return self.is_signed_in and self.caller is not ANYBODY and self.caller.may(ALL, write=True)

    @property
    def is_signed_in(self) -> bool:
        """Whether there is a key that signing out makes the browser forget."""
        return self.session.credential is not None

    @property
    def is_own(self) -> bool:
        """Whether the server is one that a user has started for themselves, over the jobs of this machine."""
        return self.request.app.state.opening_token is not None

    @property
    def is_fragment(self) -> bool:
        """Whether htmx asks for the page, to replace a part of another one by its like."""
        return "hx-request" in self.request.headers

    @property
    def _identity(self) -> str:
        is_named = self.caller is ANYBODY or isinstance(self.caller, TokenHolder)
        return self.caller.name if is_named else digest(self.session.credential or "")

    @property
    def here(self) -> str:
        """The path and the query of this page."""
        return _here(self.request)

    def link(self, path: str, **query: QueryValue) -> str:
        """The URL of a page of this workspace, such as ``/jobs``; members that are None are left out."""
        assert self.workspace is not None
        return self.root_link(f"/ui/w/{quote(self.workspace)}{path}", **query)

    def root_link(self, path: str, **query: QueryValue) -> str:
        """The URL of a page that belongs to no workspace, such as ``/ui/workspaces``."""
        given = {name: value for name, value in query.items() if value is not None}
        return self._renderer.link(path) + (f"?{urlencode(given, doseq=True, quote_via=quote)}" if given else "")

    def page(self, template: str, *, status: int = 200, **context: Any) -> Response:
        """The page that a template makes of ``context``."""
        text = self._renderer.render(template, visit=self, theme=_theme(self.request), now=self.now, **context)
        return self._kept(Response(text, status, media_type="text/html"))

    def go(self, url: str) -> Response:
        """Send the browser to another page, after a form was accepted."""
        return self._kept(RedirectResponse(url, status_code=303))

    @property
    def now(self) -> datetime:
        """The time, by the server's clock."""
        parts: ServerParts = self.request.app.state.parts
        return parts.now()

    @property
    def _renderer(self) -> Renderer:
        renderer: Renderer = self.request.app.state.renderer
        return renderer

    def _kept(self, response: Response) -> Response:
        sessions: Sessions = self.request.app.state.dashboard_sessions
        if sessions.read(self.request) != self.session:
            sessions.write(response, self.session, is_secure=is_secure(self.request))
        return response


Page = Callable[[Visit], Awaitable[Response]]
Change = Callable[[Visit, FormData], Awaitable[Response]]
Endpoint = Callable[[Request], Awaitable[Response]]


def visited(page: Page) -> Endpoint:
    """The endpoint of a page: it authenticates, and checks that the caller may read the path's workspace."""

    @functools.wraps(page)
    async def endpoint(request: Request) -> Response:
        return await page(await visit_of(request))

    return endpoint


def changed(change: Change, *, max_bytes: int = MAX_FORM_BYTES) -> Endpoint:
    """The endpoint of a form that changes something: as ``visited``, and checks the token and the right to write.

    A form outside of a workspace must check the rights itself. The form may have ``max_bytes``, with its file.
    """

    @functools.wraps(change)
    async def endpoint(request: Request) -> Response:
        visit = await visit_of(request)
        async with read_form(request, max_bytes=max_bytes) as form:
            visit.session.check(request.headers.get(f"x-{CSRF_FIELD}") or text_of(form, CSRF_FIELD))
            if visit.workspace is not None:
                visit.caller.require(visit.workspace, write=True)
            return await change(visit, form)

    return endpoint


async def visit_of(request: Request) -> Visit:
    """The visit of a request. Raises Unauthorized; Forbidden if the caller may not read the path's workspace."""
    sessions: Sessions = request.app.state.dashboard_sessions
    gate: Gate = request.app.state.gate
    session = sessions.read(request) or new_session()
    caller = gate.recall(session.credential)
    if caller is None:
        caller = await run_in_threadpool(gate.authenticate, session.credential)
    request.state.caller = caller.name
    place = request.path_params.get("workspace")
    workspace = None if place is None else parse_workspace(place)
    if workspace is not None:
        caller.require(workspace, write=False)
        request.state.workspace = workspace
    return Visit(request, caller, session, workspace)


def _here(request: Request) -> str:
    """The path and the query of a request, as the browser sees them."""
    renderer: Renderer = request.app.state.renderer
    query = request.url.query
    return renderer.link(quote(request.scope["sent_path"]) + (f"?{query}" if query else ""))


def is_secure(request: Request) -> bool:
    """Whether the browser reaches the server by TLS."""
    settings: ServerSettings = request.app.state.settings
    return base_url(request, settings).startswith("https:")


def _theme(request: Request) -> str | None:
    """The colours that were chosen; None: those of the system."""
    theme = request.cookies.get(THEME_COOKIE)
    return theme if theme in THEMES else None


async def error_page(request: Request, error: Exception) -> Response:
    """The page that tells of an error; without a valid key, the way to the page for signing in."""
    renderer: Renderer = request.app.state.renderer
    if isinstance(error, Unauthorized):
        target = renderer.link("/ui/sign-in")
        target += f"?{urlencode({'next': _here(request)})}" if request.method == "GET" else ""
        if "hx-request" in request.headers:
            return Response(status_code=204, headers={"HX-Redirect": target})
        return RedirectResponse(target, status_code=303)
    status, title, message = _described(error)
    headers = headers_of(error) if isinstance(error, QioskError) else getattr(error, "headers", None)
    theme = _theme(request)
    text = renderer.render("error.html", visit=None, theme=theme, status=status, title=title, message=message)
    return Response(text, status, headers, "text/html")


async def failure_page(request: Request, error: Exception) -> Response:
    """The page that tells of an unexpected exception, which the server logs."""
    request_id = structlog.contextvars.get_contextvars().get("request_id", "")
    return await error_page(request, failure(error, request_id))


def _described(error: Exception) -> tuple[int, str, str]:
    if isinstance(error, QioskError):
        status = status_of(error)
        title = "You may not do this" if isinstance(error, Forbidden) else http.HTTPStatus(status).phrase
        return status, title, error.message
    assert isinstance(error, HTTPException)
    status = error.status_code
    return status, http.HTTPStatus(status).phrase, "This page does not exist." if status == 404 else error.detail
