"""Keeps a supervisor alive as long as the server is."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import structlog
from starlette.concurrency import run_in_threadpool

from qiosk.errors import SupervisorUnavailable
from qiosk.service.ports import Executor

INTERVAL_S = 1.0
"""How long the supervisor may be gone before a new one is started."""

log = structlog.get_logger("qiosk.server")


@asynccontextmanager
async def kept_alive(executor: Executor) -> AsyncIterator[None]:
    """While this context lasts, somebody runs the jobs, whether a request comes or not."""
    task = asyncio.create_task(_keep(executor))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _keep(executor: Executor) -> None:
    while True:
        try:
            await run_in_threadpool(executor.ensure)
        except SupervisorUnavailable as error:
            log.error("no supervisor", reason=error.message)
        except Exception:  # such as too many open files: the next look may succeed
            log.exception("the supervisor cannot be looked for")
        await asyncio.sleep(INTERVAL_S)
