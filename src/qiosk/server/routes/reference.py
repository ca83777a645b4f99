"""Routes of the API reference: the OpenAPI document for programs, and Swagger UI, which shows it to people.

The viewer's files are those of its npm package, unchanged; ``manifest.json`` beside them names the package and the
checksums. Its page loads nothing from other hosts, and the Content-Security-Policy makes browsers enforce that.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.staticfiles import StaticFiles

from qiosk.server.web import openapi
from qiosk.server.web.replies import reply
from qiosk.server.web.routing import Route, Routes
from qiosk.version import __version__

FILES: Final = Path(openapi.__file__).parent / "reference"
"""Folder of our page; Swagger UI is in ``swagger-ui`` below it."""
CONTENT_SECURITY_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_PATHS: Final = {
    "/docs": "page.html",
    "/docs/start.js": "start.js",
    "/docs/swagger-ui.css": "swagger-ui/swagger-ui.css",
    "/docs/swagger-ui-bundle.js": "swagger-ui/swagger-ui-bundle.js",
}
_HEADERS: Final = {"Content-Security-Policy": CONTENT_SECURITY_POLICY, "Cache-Control": "no-cache"}


def reference_routes(described: Sequence[Route]) -> Routes:
    """The routes of a reference to ``described``."""
    router = Routes()
    files = StaticFiles(directory=FILES)

    @cache
    def document() -> dict[str, Any]:
        return openapi.describe(
            described, title="Qiosk", version=__version__, description="Quantum-inspired optimization jobs."
        )

    @router.get("/openapi.json")
    async def get_document() -> Response:
        return reply(document())

    for path, file in _PATHS.items():
        router.get(path)(_file_endpoint(files, file))
    return router


def _file_endpoint(files: StaticFiles, file: str) -> Callable[[Request], Awaitable[Response]]:
    async def get_file(request: Request) -> Response:
        response = await files.get_response(file, request.scope)
        response.headers.update(_HEADERS)
        return response

    return get_file
