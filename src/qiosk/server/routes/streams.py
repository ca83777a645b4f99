"""Limits how many event streams are open at once, so that they cannot use up all connections of a server.

A stream lasts until its job has ended. One caller may have a quarter of the server's connections open as streams, the
callers of one workspace half of them, and all callers together three quarters. The others get 429 and try again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, final

from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from qiosk.errors import QuotaExceeded

EVENTS = "text/event-stream"
"""The media type of server-sent events."""
EVENT_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
"""Headers of a stream of events, for which neither browsers nor proxies should wait."""
RETRY_S = 5
"""How long a caller with too many streams should wait."""


@final
class StreamLimits:
    """Counts the open streams. Used within one event loop."""

    def __init__(self, connections: int) -> None:
        """``connections`` is the number of connections that the server allows."""
        self._limits = {
            "this caller": max(1, connections // 4),
            "this workspace": max(1, connections // 2),
            "all callers together": max(1, connections * 3 // 4),
        }
        self._open: Counter[tuple[str, str]] = Counter()

    def take(self, caller: str, workspace: str) -> Callable[[], None]:
        """Count one more stream; returns what ends it. Raises QuotaExceeded."""
        names = ("this caller", caller), ("this workspace", workspace), ("all callers together", "")
        for name in names:
            most = self._limits[name[0]]
            if self._open[name] >= most:
                raise QuotaExceeded(f"event streams: {name[0]} may have {most} open at once", retry_after_s=RETRY_S)
        self._open.update(names)

        def give_back() -> None:
            for name in names:
                self._open[name] -= 1
                if not self._open[name]:
                    del self._open[name]

        return give_back


@final
class CountedStream(StreamingResponse):
    """A stream that ``when_done`` is called after, however it ends."""

    def __init__(self, *arguments: Any, when_done: Callable[[], None], **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._when_done = when_done

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the stream."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._when_done()
