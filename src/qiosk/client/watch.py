"""Following a job until it ends."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from time import monotonic

from qiosk.contract.jobs import JobProgress, JobsApi, JobStatus, JobView, TracePoint

DEFAULT_POLL_S = 1.0
"""Longest single wait; an end that falls between two waits is seen after this long at the latest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class JobUpdate:
    """A job at one moment, and the new bests since the update before."""

    view: JobView
    new_trace: Sequence[TracePoint]

    @property
    def status(self) -> JobStatus:
        """State of the job."""
        return self.view.status

    @property
    def progress(self) -> JobProgress:
        """How far it has come."""
        return self.view.progress


def updates(
    api: JobsApi, job_id: str, *, timeout_s: float | None = None, poll_s: float = DEFAULT_POLL_S
) -> Iterator[JobUpdate]:
    """The job now, then whenever something changed; the last update is the final state.

    Raises JobNotFound; TimeoutError after ``timeout_s`` (None waits for ever), the job itself goes on.
    """
    deadline = None if timeout_s is None else monotonic() + timeout_s
    seen = 0
    view, last = api.get(job_id), None
    while True:
        trace = api.trace(job_id, seen)
        seen += len(trace)
        if trace or view != last:
            yield JobUpdate(view=view, new_trace=trace)
        if view.status.is_final:
            return
        left = poll_s if deadline is None else min(poll_s, deadline - monotonic())
        if left <= 0:
            raise TimeoutError(f"job {job_id}: not completed after {timeout_s} s, status is {view.status}")
        last, view = view, api.wait(job_id, left)
