"""Live pages: one stream of server-sent events tells a page that something has changed, and htmx fetches it again.

The events carry no data. A page's stream wakes when the store changes, at most every ``PACE_S``; the browser then asks
for the page's own URL and replaces the parts marked as live. So a page shows the same after an update as after a
reload, the server keeps nothing for a tab, and after a restart of the server the browser connects again by itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final

from starlette.responses import Response

from qiosk.dashboard.visits import Visit, visit_of, visited
from qiosk.errors import QioskError
from qiosk.server.auth import auth
from qiosk.server.routes.changes import Changes
from qiosk.server.routes.streams import EVENT_HEADERS, EVENTS, CountedStream, StreamLimits

PACE_S: Final = 1.0
"""Shortest time between two events."""
PING_S: Final = 15.0
"""Longest time without an event or a comment."""


@visited
async def follow_changes(visit: Visit) -> Response:
    """An event ``changed`` whenever jobs of the store have changed, until the browser leaves."""
    if visit.request.method == "HEAD":
        return Response(headers=EVENT_HEADERS, media_type=EVENTS)
    state = visit.request.app.state
    streams: StreamLimits = state.streams
    access = visit.access
    give_back = streams.take(access.caller, access.workspace)
    events = _events(state.changes, partial(visit_of, visit.request))
    return CountedStream(events, headers=EVENT_HEADERS, media_type=EVENTS, when_done=give_back)


async def _events(changes: Changes, permit: Callable[[], Awaitable[object]]) -> AsyncIterator[bytes]:
    """The events; ``permit`` raises when the caller may not read any longer."""
    yield b"retry: 2000\n\n"
    count, sent_at = changes.count, time.monotonic()
    async with changes.followed():
        while not changes.is_stopped:
            await changes.wait(count, min(auth.RECALL_S * 5, sent_at + PING_S - time.monotonic()))
            try:
                await permit()
            except QioskError:
                yield b"event: changed\ndata:\n\n"  # so that the page asks again, and learns that it may not
                return
            now = time.monotonic()
            if changes.count != count:
                await asyncio.sleep(max(changes.pace_s, sent_at + PACE_S - now))
                count, sent_at = changes.count, time.monotonic()
                yield b"event: changed\ndata:\n\n"
            elif now - sent_at >= PING_S:
                sent_at = now
                yield b": ping\n\n"
