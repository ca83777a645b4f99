"""Puts the application together: routes, middleware and exception handlers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import anyio.to_thread
from prometheus_client import CollectorRegistry
from starlette.applications import Starlette
from starlette.datastructures import Headers, State
from starlette.middleware import Middleware
from starlette.types import ASGIApp, Receive, Scope, Send

from qiosk.bootstrap import ServerParts
from qiosk.server.auth.auth import open_gate
from qiosk.server.blobs.endpoint import BlobEndpoint
from qiosk.server.blobs.operations import BlobService
from qiosk.server.routes import events, health, jobs, sessions, workspace, workspaces
from qiosk.server.routes.changes import Changes
from qiosk.server.routes.keeper import announced, examined, kept_alive
from qiosk.server.routes.reference import reference_routes
from qiosk.server.routes.streams import StreamLimits
from qiosk.server.settings import ServerSettings
from qiosk.server.web.connections import ConnectionLimit
from qiosk.server.web.errors import ERROR_HANDLERS
from qiosk.server.web.metrics import JobMetrics, RequestMetrics
from qiosk.server.web.middleware import Requests
from qiosk.server.web.origins import SameOrigin, is_page
from qiosk.server.web.paths import WORKSPACE, CanonicalPaths
from qiosk.server.web.routing import Route, RouteTable

_OF_WORKSPACE = (jobs.router, events.router, sessions.router, workspace.router)

CreatePages = Callable[[State], ASGIApp]
"""Makes the application of the pages for browsers, of the state of the server's application."""


def create_app(parts: ServerParts, settings: ServerSettings, *, create_pages: CreatePages | None = None) -> Starlette:
    """The server's application. The caller closes ``parts`` after it.

    What ``create_pages`` makes answers ``/`` to browsers, and all paths below ``/ui``.
    """

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = settings.server_threads
        async with kept_alive(parts.executor), examined(parts.examine), announced(parts.announce):
            yield

    registry = CollectorRegistry()
    registry.register(JobMetrics(parts.statistics))
    requests = Middleware(Requests, metrics=RequestMetrics(registry))
    middleware = [requests, Middleware(ConnectionLimit), Middleware(SameOrigin, settings), Middleware(CanonicalPaths)]
    app = Starlette(lifespan=lifespan, middleware=middleware, exception_handlers=ERROR_HANDLERS)
    app.state.parts = parts
    app.state.settings = settings
    app.state.gate = open_gate(parts.authenticator, settings)
    app.state.changes = Changes(parts.version)
    app.state.streams = StreamLimits(settings.max_connections)
    app.state.readiness = health.Readiness(parts.checks)
    app.state.registry = registry
    table = RouteTable(all_routes(), BlobEndpoint(_blob_service(parts, settings)))
    app.router.default = table if create_pages is None else _beside(create_pages(app.state), table)
    return app


def _beside(pages: ASGIApp, table: ASGIApp) -> ASGIApp:
    """An application that passes on what browsers ask for to ``pages``, and everything else to ``table``."""

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        is_browsers = path != "/" or "text/html" in Headers(scope=scope).get("accept", "")
        await (pages if is_page(path) and is_browsers else table)(scope, receive, send)

    return dispatch


def all_routes() -> Sequence[Route]:
    """Every route of the server. Paths without a route may be those of blobs."""
    described = [route for routes in _OF_WORKSPACE for route in routes.below(WORKSPACE)]
    described += workspaces.router.below("")
    return [*described, *health.router.below(""), *reference_routes(described).below("")]


def _blob_service(parts: ServerParts, settings: ServerSettings) -> BlobService:
    return BlobService(
        storage=parts.storage,
        secret=parts.secret,
        now=parts.now,
        check_bytes=parts.check_bytes,
        max_put_bytes=settings.max_blob_bytes,
    )
