"""Health, readiness and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from qiosk.bootstrap import ServerParts
from qiosk.server.auth.access import authenticated
from qiosk.server.auth.auth import ALL
from qiosk.server.web.replies import reply
from qiosk.server.web.routing import Routes

CHECK_S = 5.0
"""Longest time of one readiness check."""

router = Routes()
log = structlog.get_logger("qiosk.server")


@router.get("/healthz")
async def is_alive() -> Response:
    """Whether the process answers requests."""
    return reply({"status": "alive"})


@router.get("/readyz")
async def is_ready(request: Request) -> Response:
    """Whether everything that the server needs works. Otherwise the status is 503, and the body names what failed."""
    parts: ServerParts = request.app.state.parts
    found = {name: await _check(name, check) for name, check in parts.checks.items()}
    works = all(found.values())
    checks = {name: "ok" if is_ok else "failed" for name, is_ok in found.items()}
    return reply({"status": "ready" if works else "not ready", "checks": checks}, status=200 if works else 503)


@router.get("/metrics")
async def get_metrics(request: Request) -> Response:
    """Metrics for Prometheus; if keys are configured, only for administrators. Raises Unauthorized, Forbidden."""
    (await authenticated(request)).require(ALL, write=False)
    text = await run_in_threadpool(generate_latest, request.app.state.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


async def _check(name: str, check: Callable[[], object]) -> bool:
    try:
        async with asyncio.timeout(CHECK_S):
            await run_in_threadpool(check)
    except Exception:
        log.exception("check failed", check=name)
        return False
    return True
