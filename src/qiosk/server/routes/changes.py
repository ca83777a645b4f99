"""Wakes the requests that wait for changes of jobs: one task polls the store on behalf of all.

How it works. Jobs change in the supervisor's process, so the server must ask the store. The store has a version number
that changes with every write, and reading it is cheap. While at least one request follows a job, a task reads it again
and again, and when it has changed, wakes all followers; each of them then polls its own job. A follower reads ``count``
before it polls and waits for another count afterwards, so no change between the two is missed.

A reading takes a server of databases far longer than a file. So the pause after it is ``PAUSES`` times what it took,
within the bounds of ``POLL_S``: an open page or a waiting program costs the server next to nothing.

Every change of any job wakes every follower. So that many followers do not keep the server busy, each one waits for at
least ``pace_s`` between two polls, a time that grows with the number of followers.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import final

import structlog
from starlette.concurrency import run_in_threadpool

POLL_S = (0.005, 0.25)
"""Shortest and longest pause between two readings of the store's version."""
PAUSES = 20
"""How many times as long as a reading the pause after it is."""
ERROR_PAUSE_S = 1.0
"""Pause after the store's version could not be read."""
PER_FOLLOWER_S = 0.0005
"""What each follower adds to the shortest pause between two polls of a job."""

log = structlog.get_logger("qiosk.server")


@final
class Changes:
    """Wakes followers when the store has changed. Used within one event loop."""

    def __init__(self, version: Callable[[], int]) -> None:
        """``version`` reads the store's version number."""
        self._version = version
        self.is_stopped = False
        self._followers = 0
        self._count = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """Poll the store while this context lasts."""
        self._followers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._poll())
        try:
            yield
        finally:
            self._followers -= 1
            if self._followers == 0 and self._task is not None:
                self._task.cancel()
                self._task = None

    @property
    def pace_s(self) -> float:
        """Shortest pause of a follower between two polls of its job."""
        return PER_FOLLOWER_S * self._followers

    @property
    def count(self) -> int:
        """Number of changes so far."""
        return self._count

    async def wait(self, after: int, timeout_s: float) -> bool:
        """Return True as soon as ``count`` is not ``after``, False after ``timeout_s``."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._count == after:
                    await self._changed.wait()
                return True
        return False

    def stop(self) -> None:
        """Wake all followers a last time, so that they end: the server stops."""
        self.is_stopped = True
        self._wake()

    def _wake(self) -> None:
        self._count += 1
        self._changed.set()
        self._changed = asyncio.Event()

    async def _poll(self) -> None:
        seen: int | None = None
        shortest, longest = POLL_S
        while True:
            began = time.monotonic()
            try:
                version = await run_in_threadpool(self._version)
            except Exception:
                log.exception("cannot read the store's version")
                await asyncio.sleep(ERROR_PAUSE_S)
                continue
            if version != seen:
                seen = version
                self._wake()
            await asyncio.sleep(min(max(shortest, PAUSES * (time.monotonic() - began)), longest))
