"""Calls of the synchronous library from an event loop: each in a thread of its own pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import ParamSpec, TypeVar

MAX_THREADS = 64
"""Calls that may be under way at once; more of them wait. None of them takes longer than a request."""

P = ParamSpec("P")
T = TypeVar("T")


@cache
def _executor() -> ThreadPoolExecutor:
    # not the loop's own: that has few threads, which other libraries' slow calls may hold
    return ThreadPoolExecutor(MAX_THREADS, thread_name_prefix="qiosk-aio")


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """The result of a function that blocks; the event loop goes on meanwhile."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_executor(), partial(function, *args, **kwargs))
