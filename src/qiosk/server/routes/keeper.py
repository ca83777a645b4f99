"""Keeps a supervisor running, examines the database, and makes the server's secret known, while the server runs.

How it works. The supervisor is a process of its own, which can crash or be killed, and exits when it finds no server
and no jobs. A task asks the executor every ``INTERVAL_S`` to make sure that there is one: that is a check of a file
lock, and starts a new process only if no process holds the lock. So jobs also continue after a crash if no request
arrives. Errors are logged, and the next attempt follows: a server without a supervisor still answers requests.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any

import structlog
from starlette.concurrency import run_in_threadpool

from qiosk.errors import SupervisorUnavailable
from qiosk.service.blobs.link_secret import ANNOUNCE_S
from qiosk.service.ports import Executor

INTERVAL_S = 1.0
"""Pause between two checks."""
EXAMINE_INTERVAL_S = 3600.0
"""Pause between two examinations of the database."""

log = structlog.get_logger("qiosk.server")


@asynccontextmanager
async def kept_alive(executor: Executor) -> AsyncIterator[None]:
    """Keep a supervisor running while this context lasts."""
    async with _in_background(_keep(executor)):
        yield


@asynccontextmanager
async def examined(examine: Callable[[], object]) -> AsyncIterator[None]:
    """Look for damage in the database now, and every ``EXAMINE_INTERVAL_S``, while this context lasts."""
    async with _in_background(_examine(examine)):
        yield


@asynccontextmanager
async def announced(announce: Callable[[], object]) -> AsyncIterator[None]:
    """Let other servers know which secret signs links here, while this context lasts."""
    async with _in_background(_announce(announce)):
        yield


@asynccontextmanager
async def _in_background(work: Coroutine[Any, Any, None]) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
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
            log.error("there is no supervisor", reason=error.message)
        except Exception:  # such as too many open files: the next check may succeed
            log.exception("cannot check for a supervisor")
        await asyncio.sleep(INTERVAL_S)


async def _examine(examine: Callable[[], object]) -> None:
    while True:
        try:
            await run_in_threadpool(examine)
        except Exception as error:  # noqa: BLE001 - readiness shows damage; anything else is tried again
            log.warning("the database could not be examined", reason=str(error))
        await asyncio.sleep(EXAMINE_INTERVAL_S)


async def _announce(announce: Callable[[], object]) -> None:
    reason = ""
    while True:
        before, reason = reason, ""
        try:
            await run_in_threadpool(announce)
        except Exception as error:  # noqa: BLE001 - readiness shows it; the next time may be better
            reason = str(error)
        if reason not in ("", before):
            log.error("the secret of this server does not fit", reason=reason)
        await asyncio.sleep(ANNOUNCE_S)
