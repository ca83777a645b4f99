"""Calls the synchronous library from an event loop, in threads of a separate pool."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from qiosk.forks import PerProcess

MAX_THREADS = 64
"""Most calls at once; further ones wait. Only the runs of studies take longer than a request."""

P = ParamSpec("P")
T = TypeVar("T")


# not the event loop's default pool: that has few threads, which other libraries' slow calls may use
_executor = PerProcess(partial(ThreadPoolExecutor, MAX_THREADS, thread_name_prefix="qiosk-aio"))


async def in_thread(function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
    """Call a blocking function in a thread and return its result; the event loop is not blocked."""
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(_executor.get(), partial(function, *args, **kwargs))
