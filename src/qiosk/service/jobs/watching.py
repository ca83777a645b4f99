"""Following one job until it ends.

Theory of operation. A follower knows how many points of the trace it has received, and the **mark** of the last one, a
checksum. Each time the job changes it reads the trace from that last point on. If the point still has this mark, the
points after it are new. If not, a run has continued from a checkpoint and replaced the end of the trace; then the
follower receives the whole trace again, from index 0. A client that reconnects sends number and mark, so it misses
nothing even if the run was replaced while it was away.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from qiosk.contract.jobs import JobUpdate, JobView, TracePoint, not_completed

LONGEST_WAIT_S = 1.0
"""Longest time until a change is noticed that ``wait`` missed because it happened just before."""


class Watched(Protocol):
    """The part of ``JobsApi`` that ``follow`` needs."""

    def get(self, job_id: str) -> JobView:
        """The job as it is now."""
        ...

    def wait(self, job_id: str, timeout_s: float) -> JobView:
        """The job, as soon as it changes."""
        ...

    def trace(self, job_id: str, after: int = 0) -> Sequence[TracePoint]:
        """Improvements of the best cost, from index ``after`` on."""
        ...


class KnownTrace:
    """The part of a job's trace that a follower has received: how many points, and the mark of the last one.

    Without a mark (None) the follower's points are taken to be those of the trace.
    """

    def __init__(self, jobs: Watched, job_id: str, size: int, mark: str | None = None) -> None:
        self._jobs = jobs
        self._job_id = job_id
        self.size = size
        self.mark = mark

    def read(self) -> tuple[int, Sequence[TracePoint]]:
        """New points, and the index of the first one: 0 if the follower's points are no longer those of the trace."""
        start, points = self.size, self._jobs.trace(self._job_id, max(0, self.size - 1))
        if start > 0:
            if points and self.mark in (None, _mark(points[0])):
                self.mark, points = _mark(points[0]), points[1:]
            else:
                start, points = 0, self._jobs.trace(self._job_id)
        self.size = start + len(points)
        self.mark = _mark(points[-1]) if points else self.mark
        return start, points


def _mark(point: TracePoint) -> str:
    return f"{zlib.crc32(repr(point).encode()):08x}"


def follow(
    jobs: Watched, job_id: str, *, after: int, timeout_s: float | None, monotonic: Callable[[], float]
) -> Iterator[JobUpdate]:
    """``JobsApi.updates`` by means of ``get``, ``wait`` and ``trace``."""
    deadline = None if timeout_s is None else monotonic() + timeout_s
    known = KnownTrace(jobs, job_id, after)
    view, last = jobs.get(job_id), None
    while True:
        start, points = known.read()
        if points or view != last:
            yield JobUpdate(view=view, trace_start=start, new_trace=points)
        if view.status.is_final:
            return
        left = LONGEST_WAIT_S if deadline is None else min(LONGEST_WAIT_S, deadline - monotonic())
        if left <= 0:
            raise not_completed(job_id, timeout_s, view.status)
        last, view = view, jobs.wait(job_id, left)
