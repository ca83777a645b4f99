"""The application of the pages: routes, static files, error pages and the headers of every response."""

from __future__ import annotations

from typing import Final

from anyio import CapacityLimiter
from starlette.applications import Starlette
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.datastructures import State
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from qiosk.dashboard.job.documents import Documents
from qiosk.dashboard.job.kept_traces import KeptTraces
from qiosk.dashboard.live import follow_changes
from qiosk.dashboard.pages import (
    administration,
    compare,
    configuration,
    errors,
    job,
    job_files,
    jobs,
    new_job,
    overview,
    quotas,
    sessions,
    sign_in,
)
from qiosk.dashboard.render import STATIC, Renderer
from qiosk.dashboard.sign_in import Sessions
from qiosk.dashboard.visits import Visit, error_page, failure_page, visited
from qiosk.errors import QioskError
from qiosk.server.settings import ServerSettings

CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
PROBLEM_THREADS: Final = 2
"""Problems that are read for pages at once: each may take some hundred MB."""
_PATH: Final = "/ui"
_FOREVER: Final = b"public, max-age=31536000, immutable"


class _WorkspaceConvertor(StringConvertor):
    """The key of a workspace in a path: ``default``, or three names."""

    regex = "default|[^/]+/[^/]+/[^/]+"


register_url_convertor("key", _WorkspaceConvertor())


def create_dashboard(state: State, *, opening_token: str | None = None) -> ASGIApp:
    """The application of the pages of a server, whose own application has ``state``.

    It answers ``/`` and all paths below ``/ui``. ``opening_token`` is a key that a URL may contain: only for a server
    that one user starts for themselves, and that forgets the key when it ends.
    """
    settings: ServerSettings = state.settings
    app = Starlette(
        routes=page_routes(),
        middleware=[Middleware(GZipMiddleware, minimum_size=1000)],
        exception_handlers={QioskError: error_page, HTTPException: error_page, Exception: failure_page},
    )
    app.state = state
    # Servers of one home on one host: the cookies of the one that a user has started for themselves are its own.
    secret = state.parts.secret + (opening_token or "").encode()
    state.dashboard_sessions = Sessions(secret, path=settings.base_path)
    state.renderer = Renderer(settings.base_path)
    state.opening_token = opening_token
    state.problem_limiter = CapacityLimiter(PROBLEM_THREADS)
    state.documents = Documents()
    state.traces = KeptTraces()
    return _Headers(app)  # around what answers unexpected exceptions, too


def page_routes() -> list[BaseRoute]:
    """All routes of the pages."""
    of_workspace: list[BaseRoute] = [
        Route("/", _workspace),
        *jobs.routes,
        *overview.routes,
        *sessions.routes,
        *quotas.routes,
        *new_job.routes,
        *job.routes,
        *job_files.routes,
        *configuration.routes,
        *compare.routes,
        Route("/live", follow_changes),
    ]
    return [
        Route("/", _home),
        Route(_PATH, _home),
        Mount(f"{_PATH}/static", StaticFiles(directory=STATIC)),
        Mount(f"{_PATH}/w/{{workspace:key}}", routes=of_workspace),
        Route(f"{_PATH}/w/{{workspace:key}}", _workspace),
        # The last one, since it answers all that is left below /ui.
        Mount(_PATH, routes=[Route("/", _home), *sign_in.routes, *errors.routes, *administration.routes]),
    ]


@visited
async def _workspace(visit: Visit) -> Response:
    return visit.go(visit.link("/jobs"))


async def _home(request: Request) -> Response:
    return RedirectResponse(request.app.state.renderer.link("/ui/workspaces"), status_code=303)


class _Headers:
    """Middleware that adds the headers of every page."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                is_versioned = scope["path"].startswith(f"{_PATH}/static/") and scope["query_string"].startswith(b"v=")
                present = {name for name, _ in message["headers"]}
                added = [
                    (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
                    (b"referrer-policy", b"same-origin"),  # without a referrer, forms have no origin either
                    (b"cache-control", _FOREVER if is_versioned and message["status"] == 200 else b"no-store"),
                ]
                message["headers"] = [*message["headers"], *(pair for pair in added if pair[0] not in present)]
            await send(message)

        await self._app(scope, receive, send_with_headers)
