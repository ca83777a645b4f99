"""Health, readiness and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import final

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

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
    readiness: Readiness = request.app.state.readiness
    found = await readiness.check()
    works = all(found.values())
    checks = {name: "ok" if is_ok else "failed" for name, is_ok in found.items()}
    return reply({"status": "ready" if works else "not ready", "checks": checks}, status=200 if works else 503)


@router.get("/metrics")
async def get_metrics(request: Request) -> Response:
    """Metrics for Prometheus; if keys are configured, only for administrators. Raises Unauthorized, Forbidden."""
    (await authenticated(request)).require(ALL, write=False)
    text = await run_in_threadpool(generate_latest, request.app.state.registry)
    return Response(text, media_type=CONTENT_TYPE_LATEST)


@final
class Readiness:
    """What has to work, by name. Requests share a check that is running, so one that hangs holds one thread only."""

    def __init__(self, checks: Mapping[str, Callable[[], object]]) -> None:
        self._checks = checks
        self._running: dict[str, asyncio.Task[object]] = {}

    async def check(self) -> dict[str, bool]:
        """Whether each one works, and in time."""
        return dict(zip(self._checks, await asyncio.gather(*map(self._check, self._checks)), strict=True))

    async def _check(self, name: str) -> bool:
        task = self._running.get(name)
        if task is None or task.done():
            task = self._running[name] = asyncio.create_task(run_in_threadpool(self._checks[name]))
        done, _ = await asyncio.wait([task], timeout=CHECK_S)
        if not done:
            log.error("check failed", check=name, reason=f"has not ended within {CHECK_S:g} s")
        elif (error := task.exception()) is not None:
            log.error("check failed", check=name, exc_info=error)
        else:
            return True
        return False
