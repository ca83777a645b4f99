"""One look-out for changes in the store, on behalf of all who follow a job."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from typing import final

import structlog
from starlette.concurrency import run_in_threadpool

POLL_S = 0.005
"""How often the store is asked whether anything changed, while anybody wants to know."""
TROUBLE_S = 1.0
"""Pause after the store could not be asked."""
PER_FOLLOWER_S = 0.0005
"""Each follower's share of the shortest pause between two looks at a job: many followers are served more slowly."""

log = structlog.get_logger("qiosk.server")


@final
class Changes:
    """Wakes followers when the store has changed. Used within one event loop."""

    def __init__(self, version: Callable[[], int]) -> None:
        self._version = version
        self.is_over = False
        self._followers = 0
        self._count = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def followed(self) -> AsyncIterator[None]:
        """While this context lasts, changes are looked for."""
        self._followers += 1
        if self._task is None:
            self._task = asyncio.create_task(self._watch())
        try:
            yield
        finally:
            self._followers -= 1
            if self._followers == 0 and self._task is not None:
                self._task.cancel()
                self._task = None

    @property
    def pace_s(self) -> float:
        """How long a follower should at least wait between two looks at its job."""
        return PER_FOLLOWER_S * self._followers

    @property
    def count(self) -> int:
        """Changes so far. Whoever reads this before a look, and waits for the next one after it, misses none."""
        return self._count

    async def wait(self, after: int, timeout_s: float) -> bool:
        """Return as soon as ``count`` is not ``after``; False if it still is after so long."""
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._count == after:
                    await self._changed.wait()
                return True
        return False

    def end(self) -> None:
        """Wake all followers a last time: the server stops, and they should."""
        self.is_over = True
        self._announce()

    def _announce(self) -> None:
        self._count += 1
        self._changed.set()  # wakes all who wait now
        self._changed = asyncio.Event()

    async def _watch(self) -> None:
        seen: int | None = None
        while True:
            try:
                version = await run_in_threadpool(self._version)
            except Exception:
                log.exception("the store cannot be asked for changes")
                await asyncio.sleep(TROUBLE_S)
                continue
            if version != seen:
                seen = version
                self._announce()
            await asyncio.sleep(POLL_S)
