"""Live updates of a job, as server-sent events.

Every event is ``event: update``; its ``id`` is the number of trace points sent so far and, behind a dot, a mark of the
last one, which is also what a client that comes back shows as ``Last-Event-ID``; its data are the job, and the trace
from ``traceStart`` on. The first event comes at once, the one with a final state is the last.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import AsyncIterator
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from qiosk.contract import codec, error_codec
from qiosk.contract.jobs import JobUpdate, JobView
from qiosk.errors import QioskError
from qiosk.server.auth.access import Access, Reading
from qiosk.server.routes.changes import Changes
from qiosk.server.routes.listing import AFTER, read_count
from qiosk.server.web.openapi import streams
from qiosk.server.web.routing import Routes
from qiosk.service.watching import KnownTrace

PACE_S: Final = 0.05
"""Shortest time between two events, unless the state changed."""
PING_S: Final = 15.0
"""A comment is sent when there was nothing to say for so long: proxies cut silent connections."""
RETRY_MS: Final = 1000
"""How long a client should wait before it comes back."""

_EVENT_ID: Final = re.compile(r"([0-9]+)\.([0-9a-f]{8})", re.ASCII)
_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

router = Routes("Jobs")


@router.get(
    "/jobs/{job_id}/events", operation_id="followJob", **streams(JobUpdate, "Updates until the job has ended."), **AFTER
)
async def follow_job(request: Request, job_id: str, access: Reading) -> Response:
    """The job now, and whenever something changed, as `text/event-stream`.

    `Last-Event-ID`, or the parameter `after`, is how many trace points are known already. An id that an event had also
    tells whether they are still those of the trace; if not, it is sent from its beginning.
    """
    changes: Changes = request.app.state.changes
    known, mark = _known(request)
    follower = Follower(access, job_id, known=known, mark=mark)
    first = await run_in_threadpool(follower.look)  # an unknown job is an error, not a stream that ends at once
    return StreamingResponse(_events(follower, first, changes), headers=_HEADERS, media_type="text/event-stream")


class Follower:
    """What one client knows of a job."""

    def __init__(self, access: Access, job_id: str, *, known: int, mark: str | None = None) -> None:
        self._access = access
        self._job_id = job_id
        self._trace = KnownTrace(access.jobs, job_id, known, mark)
        self._view: JobView | None = None
        self._is_behind = False

    @property
    def known(self) -> str:
        """Trace points that were sent: how many, and which was the last."""
        return f"{self._trace.size}.{self._trace.mark}" if self._trace.mark else str(self._trace.size)

    @property
    def is_behind(self) -> bool:
        """Whether the last look saw something that it kept for later."""
        return self._is_behind

    def look(self, *, states_only: bool = False) -> JobUpdate | None:
        """What is new since the last look; None if nothing is. Raises JobNotFound.

        With ``states_only`` all that is new waits for a later look, unless the job's status is.
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


async def _events(follower: Follower, first: JobUpdate | None, changes: Changes) -> AsyncIterator[bytes]:
    event, said_at = first, time.monotonic()
    count = -1  # so that there is a second look at once: nobody looked out for changes before the first one
    yield b"retry: %d\n\n" % RETRY_MS
    async with changes.followed():
        while not changes.is_over:
            if event is not None:
                yield _encode(event, follower.known)
                said_at = time.monotonic()
                if event.status.is_final:
                    return
            patience = PACE_S if follower.is_behind else PING_S
            await changes.wait(count, said_at + patience - time.monotonic())
            if time.monotonic() - said_at >= PING_S:  # also while other jobs change all the time
                yield b": ping\n\n"
                said_at = time.monotonic()
            await asyncio.sleep(changes.pace_s)
            count = changes.count
            try:
                event = await run_in_threadpool(follower.look, states_only=time.monotonic() - said_at < PACE_S)
            except QioskError as error:  # deleted meanwhile, or a store that does not answer
                yield b"event: error\ndata: %b\n\n" % codec.encode(error_codec.error_body(error))
                return


def _encode(event: JobUpdate, known: str) -> bytes:
    return b"event: update\nid: %b\ndata: %b\n\n" % (known.encode(), codec.encode(event))


def _known(request: Request) -> tuple[int, str | None]:
    """Trace points that a client knows, and the mark of the last one if it shows that."""
    event_id = request.headers.get("last-event-id", "")
    if match := _EVENT_ID.fullmatch(event_id):
        return read_count("after", match[1]), match[2]
    return read_count("after", event_id or request.query_params.get("after", "0")), None
