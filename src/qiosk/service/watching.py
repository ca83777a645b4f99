"""Following one job until it ends."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from qiosk.contract.jobs import JobUpdate, JobView, TracePoint, not_completed

LONGEST_WAIT_S = 1.0
"""An end that falls between two looks is seen after this long at the latest."""


class Watched(Protocol):
    """The part of ``JobsApi`` that following needs."""

    def get(self, job_id: str) -> JobView:
        """The job as it is now."""
        ...

    def wait(self, job_id: str, timeout_s: float) -> JobView:
        """The job, as soon as it changed."""
        ...

    def trace(self, job_id: str, after: int = 0) -> Sequence[TracePoint]:
        """New bests, from the ``after``-th on."""
        ...


class KnownTrace:
    """What a follower knows of a job's trace: how many points, and a mark of the last one.

    A run that goes on from a checkpoint writes the trace anew from there on, which the mark gives away. None: whatever
    is there is taken for what is known.
    """

    def __init__(self, jobs: Watched, job_id: str, size: int, mark: str | None = None) -> None:
        self._jobs = jobs
        self._job_id = job_id
        self.size = size
        self.mark = mark

    def read(self) -> tuple[int, Sequence[TracePoint]]:
        """Points that are new, and the place of the first: 0 if the trace is no longer the one that is known."""
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
    """What ``JobsApi.updates`` promises, by waiting for each change."""
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
