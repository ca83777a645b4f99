"""Health, readiness and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import final

import structlog
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from qiosk.errors import QioskError
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
    """Whether everything that the server needs works. Otherwise the status is 503, and the body says what failed."""
    readiness: Readiness = request.app.state.readiness
    failures = await readiness.check()
    checks = {name: "failed" if name in failures else "ok" for name in readiness.names}
    if not failures:
        return reply({"status": "ready", "checks": checks})
    reasons = {name: reason for name, reason in failures.items() if reason}
    return reply({"status": "not ready", "checks": checks, "reasons": reasons}, status=503)


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

    @property
    def names(self) -> Sequence[str]:
        """All checks."""
        return tuple(self._checks)

    async def check(self) -> dict[str, str]:
        """What does not work, or not in time, with the reason.

        The reason is empty where it may contain what only the log may: it is not an error raised on purpose.
        """
        found = zip(self._checks, await asyncio.gather(*map(self._check, self._checks)), strict=True)
        return {name: reason for name, reason in found if reason is not None}

    async def _check(self, name: str) -> str | None:
        task = self._running.get(name)
        if task is None or task.done():
            task = self._running[name] = asyncio.create_task(run_in_threadpool(self._checks[name]))
        done, _ = await asyncio.wait([task], timeout=CHECK_S)
        if not done:
            reason = f"has not ended within {CHECK_S:g} s"
            log.error("check failed", check=name, reason=reason)
            return reason
        error = task.exception()
        if error is None:
            return None
        log.error("check failed", check=name, exc_info=error)
        return error.message if isinstance(error, QioskError) else ""
