"""Live updates of a job, as server-sent events.

The protocol. Every event is ``event: update``. Its data are the job, and the points of its trace from ``traceStart``
on. Its ``id`` is the number of trace points sent so far, a dot, and a checksum of the last one. The first event is sent
at once; the one with a final state is the last. A client that connects again sends the last id as ``Last-Event-ID`` and
gets only later points. If the checksum no longer matches, a resumed run has rewritten the trace, and all of it is sent.

The pace. ``Changes`` wakes the stream whenever anything in the store changes. A new state is sent at once; progress and
trace points at most every ``PACE_S``, several changes together in one event. When there has been nothing to send for
``PING_S``, a comment is sent, since proxies close silent connections.

The caller's access is checked again as often as that of requests. A stream ends when the key was revoked or has
expired.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from qiosk.contract import codec
from qiosk.contract.http import error_codec
from qiosk.contract.jobs import JobUpdate, JobView
from qiosk.errors import QioskError
from qiosk.server.auth import auth
from qiosk.server.auth.access import Access, Reading, reading
from qiosk.server.routes.changes import Changes
from qiosk.server.routes.listing import AFTER, read_count
from qiosk.server.routes.streams import EVENT_HEADERS, EVENTS, CountedStream, StreamLimits
from qiosk.server.web.openapi import streams
from qiosk.server.web.routing import Routes
from qiosk.service.jobs.watching import KnownTrace

PACE_S: Final = 0.05
"""Shortest time between two events, unless the state changed."""
PING_S: Final = 15.0
"""Longest time without an event or a comment."""
RETRY_MS: Final = 1000
"""How long a client should wait before it connects again."""

_EVENT_ID: Final = re.compile(r"([0-9]+)\.([0-9a-f]{8})", re.ASCII)

router = Routes("Jobs")


@router.get(
    "/jobs/{job_id}/events", operation_id="followJob", **streams(JobUpdate, "Updates until the job has ended."), **AFTER
)
async def follow_job(request: Request, job_id: str, access: Reading) -> Response:
    """The job now, and after every change, as `text/event-stream`.

    `Last-Event-ID`, or the parameter `after`, is the number of trace points that the client has. The id of an event
    also identifies them: if the trace has been rewritten since, it is sent from its beginning.
    """
    changes: Changes = request.app.state.changes
    known, mark = _known(request)
    follower = Follower(access, job_id, known=known, mark=mark)
    first = await run_in_threadpool(follower.poll)  # raises for an unknown job, before the stream starts
    streams: StreamLimits = request.app.state.streams
    give_back = streams.take(access.caller, access.workspace)
    events = _events(follower, first, changes, partial(reading, request))
    return CountedStream(events, headers=EVENT_HEADERS, media_type=EVENTS, when_done=give_back)


class Follower:
    """Polls a job on behalf of one client, and remembers what the client has received."""

    def __init__(self, access: Access, job_id: str, *, known: int, mark: str | None = None) -> None:
        self._access = access
        self._job_id = job_id
        self._trace = KnownTrace(access.jobs, job_id, known, mark)
        self._view: JobView | None = None
        self._is_behind = False

    @property
    def event_id(self) -> str:
        """Id of the last event: the number of trace points sent, and a checksum of the last one."""
        return f"{self._trace.size}.{self._trace.mark}" if self._trace.mark else str(self._trace.size)

    @property
    def is_behind(self) -> bool:
        """Whether the last poll found changes that it did not return."""
        return self._is_behind

    def poll(self, *, states_only: bool = False) -> JobUpdate | None:
        """The update since the last poll; None if nothing changed. Raises JobNotFound.

        With ``states_only``, changes other than of the job's status are left to a later poll.
        """
        job = self._access.unsigned_jobs.find(self._job_id)
        view = self._access.unsigned_jobs.view_of(job)
        if view == self._view:
            return None
        self._is_behind = states_only and self._view is not None and view.status is self._view.status
        if self._is_behind:
            return None
        start, points = self._trace.read()
        self._view = view
        return JobUpdate(view=self._access.jobs.view_of(job), trace_start=start, new_trace=points)


async def _events(
    follower: Follower, first: JobUpdate | None, changes: Changes, permit: Callable[[], Awaitable[object]] | None = None
) -> AsyncIterator[bytes]:
    """The events; ``permit`` raises when the caller may not read any longer, and is called every ``RECALL_S``."""
    event, sent_at = first, time.monotonic()
    count = -1  # poll again at once: changes were not counted when the first event was made
    yield b"retry: %d\n\n" % RETRY_MS
    async with changes.followed():
        while not changes.is_stopped:
            if event is not None:
                yield await run_in_threadpool(_encode, event, follower.event_id)  # it may be long
                sent_at = time.monotonic()
                if event.status.is_final:
                    return
            interval_s = PACE_S if follower.is_behind else PING_S
            await changes.wait(count, min(auth.RECALL_S, sent_at + interval_s - time.monotonic()))
            is_silent = changes.count == count and not follower.is_behind
            if time.monotonic() - sent_at >= PING_S:  # also if other jobs change all the time
                yield b": ping\n\n"
                sent_at, is_silent = time.monotonic(), False
            await asyncio.sleep(changes.pace_s)
            count = count if is_silent else changes.count
            try:
                if permit is not None:
                    await permit()
                event = (
                    None
                    if is_silent
                    else await run_in_threadpool(follower.poll, states_only=time.monotonic() - sent_at < PACE_S)
                )
            except QioskError as error:  # the job was deleted, the key was revoked, or the store did not respond
                yield b"event: error\ndata: %b\n\n" % codec.encode(error_codec.error_body(error))
                return


def _encode(event: JobUpdate, event_id: str) -> bytes:
    return b"event: update\nid: %b\ndata: %b\n\n" % (event_id.encode(), codec.encode(event))


def _known(request: Request) -> tuple[int, str | None]:
    """The number of trace points that a client has, and the checksum of the last one if it sends that."""
    event_id = request.headers.get("last-event-id", "")
    if match := _EVENT_ID.fullmatch(event_id):
        return read_count("after", match[1]), match[2]
    return read_count("after", event_id or request.query_params.get("after", "0")), None
