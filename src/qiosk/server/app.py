"""The application: routes, middleware and errors put together."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any

import anyio.to_thread
from fastapi import FastAPI
from prometheus_client import CollectorRegistry
from starlette.responses import HTMLResponse, Response

import qiosk
from qiosk.bootstrap import ServerParts
from qiosk.server import events, health, jobs, openapi, sessions, workspace
from qiosk.server.auth import open_gate
from qiosk.server.blobs import BlobEndpoint, BlobService
from qiosk.server.changes import Changes
from qiosk.server.errors import add_error_handlers
from qiosk.server.keeper import kept_alive
from qiosk.server.metrics import JobMetrics, RequestMetrics
from qiosk.server.paths import WORKSPACE, CanonicalPaths
from qiosk.server.reference import CONTENT_SECURITY_POLICY, reference_page
from qiosk.server.replies import reply
from qiosk.server.requests import Requests
from qiosk.server.settings import ServerSettings

_ROUTERS = (jobs.router, events.router, sessions.router, workspace.router)


def create_app(parts: ServerParts, settings: ServerSettings) -> FastAPI:
    """The server over a service. The caller closes ``parts`` when the app is done with."""

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = settings.server_threads
        async with kept_alive(parts.executor):
            yield

    app = FastAPI(
        title="Qiosk",
        version=qiosk.__version__,
        description="Quantum-inspired optimization jobs.",
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )
    app.state.parts = parts
    app.state.settings = settings
    app.state.gate = open_gate(parts.authenticator, settings)
    app.state.changes = Changes(parts.version)
    app.state.registry = CollectorRegistry()
    app.state.registry.register(JobMetrics(parts.statistics))
    for router in _ROUTERS:
        app.include_router(router, prefix=WORKSPACE)
    app.include_router(health.router)
    _add_description(app)
    app.router.default = BlobEndpoint(_blob_service(parts, settings))  # every other path may be a blob's
    add_error_handlers(app)
    app.add_middleware(CanonicalPaths)
    app.add_middleware(Requests, metrics=RequestMetrics(app.state.registry))  # added last: around all others
    return app


def _blob_service(parts: ServerParts, settings: ServerSettings) -> BlobService:
    return BlobService(
        storage=parts.storage,
        secret=parts.secret,
        now=parts.now,
        check_bytes=parts.check_bytes,
        max_put_bytes=settings.max_blob_bytes,
    )


def _add_description(app: FastAPI) -> None:
    @cache
    def description() -> dict[str, Any]:
        return openapi.describe(app)

    @app.get("/openapi.json", include_in_schema=False)
    async def get_description() -> Response:
        return reply(description())

    @app.get("/docs", include_in_schema=False)
    async def get_reference() -> Response:
        page = reference_page(description(), prefix=WORKSPACE)
        return HTMLResponse(page, headers={"Content-Security-Policy": CONTENT_SECURITY_POLICY})

    app.openapi = description  # type: ignore[method-assign]
