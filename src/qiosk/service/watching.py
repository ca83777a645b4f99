"""Following one job until it ends."""

from __future__ import annotations

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


def follow(
    jobs: Watched, job_id: str, *, after: int, timeout_s: float | None, monotonic: Callable[[], float]
) -> Iterator[JobUpdate]:
    """What ``JobsApi.updates`` promises, by waiting for each change."""
    deadline = None if timeout_s is None else monotonic() + timeout_s
    seen = after
    view, last = jobs.get(job_id), None
    while True:
        trace = jobs.trace(job_id, seen)
        if trace or view != last:
            yield JobUpdate(view=view, trace_start=seen, new_trace=trace)
        seen += len(trace)
        if view.status.is_final:
            return
        left = LONGEST_WAIT_S if deadline is None else min(LONGEST_WAIT_S, deadline - monotonic())
        if left <= 0:
            raise not_completed(job_id, timeout_s, view.status)
        last, view = view, jobs.wait(job_id, left)
