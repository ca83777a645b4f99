"""Counts of jobs in memory."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import final

from qiosk.service.jobs.job import Job, JobState
from qiosk.service.jobs.statistics import EndedJob
from qiosk.testing.jobs import MemoryJobStore


@final
class MemoryStatistics:
    """``StatisticsStore`` over the jobs of a store in memory.

    >>> from qiosk.testing import MemoryJobStore, MemoryStatistics
    >>> MemoryStatistics(MemoryJobStore()).oldest_waiting() is None
    True
    """

    def __init__(self, jobs: MemoryJobStore) -> None:
        self._jobs = jobs

    def counts(self) -> Mapping[JobState, int]:
        """How many jobs there are in each state."""
        return Counter(job.state for job in self._jobs.all())

    def by_workspace(self, only: Collection[str] | None = None) -> Mapping[str, int]:
        """How many jobs each workspace has that has any; with ``only``, each of these workspaces."""
        return Counter(sorted(job.workspace for job in self._jobs.all() if only is None or job.workspace in only))

    def oldest_waiting(self) -> datetime | None:
        """When the job that has waited longest was created."""
        return min((job.created_at for job in self._jobs.all() if job.state is JobState.WAITING), default=None)

    def ended_since(self, since: datetime, limit: int) -> Sequence[EndedJob]:
        """At most ``limit`` jobs that ended at ``since`` or later, the first ones first."""
        return [job for job in self._ended() if job.ended_at >= since][:limit]

    def last_ended(self, limit: int) -> Sequence[EndedJob]:
        """The last ``limit`` jobs that ended, the first ones first."""
        return self._ended()[-limit:]

    def _ended(self) -> list[EndedJob]:
        ended = [found for job in self._jobs.all() if (found := _as_ended(job)) is not None]
        return sorted(ended, key=lambda job: job.ended_at)


def _as_ended(job: Job) -> EndedJob | None:
    if job.ended_at is None:
        return None
    return EndedJob(
        job.workspace,
        job.id,
        job.target.lower(),
        job.state,
        job.created_at,
        job.begun_at,
        job.ended_at,
        job.fence,
        job.progress.sweeps,
        job.progress.seconds,
    )
