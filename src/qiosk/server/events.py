"""Live updates of a job, as server-sent events.

Every event is ``event: update``; its ``id`` is the number of trace points sent so far, which is also what a client that
comes back shows as ``Last-Event-ID``; its data are the job, and the trace from ``traceStart`` on. The first event comes
at once, the one with a final state is the last.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from qiosk.contract import codec
from qiosk.contract.jobs import JobView, TracePoint
from qiosk.errors import QioskError
from qiosk.server.access import Access, Reading
from qiosk.server.changes import Changes
from qiosk.server.listing import AFTER, read_count
from qiosk.server.openapi import streams
from qiosk.server.routing import Routes

PACE_S: Final = 0.05
"""Shortest time between two events, unless the state changed."""
PING_S: Final = 15.0
"""A comment is sent when there was nothing to say for so long: proxies cut silent connections."""
RETRY_MS: Final = 1000
"""How long a client should wait before it comes back."""

_HEADERS: Final = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}

router = Routes("Jobs")


@dataclass(frozen=True, slots=True, kw_only=True)
class JobEvent:
    """Data of an event: the job now, and its trace from ``trace_start`` on."""

    job: JobView
    trace_start: int
    trace: Sequence[TracePoint]


@router.get(
    "/jobs/{job_id}/events", operation_id="followJob", **streams(JobEvent, "Updates until the job has ended."), **AFTER
)
async def follow_job(request: Request, job_id: str, access: Reading) -> Response:
    """The job now, and whenever something changed, as `text/event-stream`.

    `Last-Event-ID`, or the parameter `after`, is how many trace points are known already.
    """
    changes: Changes = request.app.state.changes
    follower = Follower(access, job_id, known=_known(request))
    first = await run_in_threadpool(follower.look)  # an unknown job is an error, not a stream that ends at once
    return StreamingResponse(_events(follower, first, changes), headers=_HEADERS, media_type="text/event-stream")


class Follower:
    """What one client knows of a job."""

    def __init__(self, access: Access, job_id: str, *, known: int) -> None:
        self._access = access
        self._job_id = job_id
        self._known = known
        self._last_point: TracePoint | None = None
        self._view: JobView | None = None
        self._is_behind = False

    @property
    def known(self) -> int:
        """Trace points that were sent."""
        return self._known

    @property
    def is_behind(self) -> bool:
        """Whether the last look saw something that it kept for later."""
        return self._is_behind

    def look(self, *, states_only: bool = False) -> JobEvent | None:
        """What is new since the last look; None if nothing is. Raises JobNotFound.

        With ``states_only`` all that is new waits for a later look, unless the job's status is.
        """
        view = self._access.jobs.get(self._job_id)
        if view == self._view:
            return None
        self._is_behind = states_only and self._view is not None and view.status is self._view.status
        if self._is_behind:
            return None
        start, points = self._new_points()
        self._view = view
        self._known = start + len(points)
        self._last_point = points[-1] if points else self._last_point
        return JobEvent(job=self._access.shown(view), trace_start=start, trace=points)

    def _new_points(self) -> tuple[int, Sequence[TracePoint]]:
        jobs = self._access.jobs
        if self._known == 0:
            return 0, jobs.trace(self._job_id)
        points = jobs.trace(self._job_id, self._known - 1)
        if points and self._last_point in (None, points[0]):
            return self._known, points[1:]
        return 0, jobs.trace(self._job_id)  # a run that resumed dropped what its predecessor found later


async def _events(follower: Follower, first: JobEvent | None, changes: Changes) -> AsyncIterator[bytes]:
    event, said_at = first, time.monotonic()
    count = -1  # so that there is a second look at once: nobody looked out for changes before the first one
    yield b"retry: %d\n\n" % RETRY_MS
    async with changes.followed():
        while not changes.is_over:
            if event is not None:
                yield _encode(event, follower.known)
                said_at = time.monotonic()
                if event.job.status.is_final:
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
                yield b"event: error\ndata: %b\n\n" % codec.encode(codec.error_body(error))
                return


def _encode(event: JobEvent, known: int) -> bytes:
    return b"event: update\nid: %d\ndata: %b\n\n" % (known, codec.encode(event))


def _known(request: Request) -> int:
    return read_count("after", request.headers.get("last-event-id") or request.query_params.get("after", "0"))
