"""Counts of jobs in memory."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import final

from qiosk.service.jobs.job import Job, JobState
from qiosk.service.jobs.statistics import EndedJob, EndedJobs
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

    def counts(self, workspace: str | None = None) -> Mapping[JobState, int]:
        """How many jobs there are in each state, in one workspace or in all."""
        return Counter(job.state for job in self._of(workspace))

    def ended_by_hour(self, workspace: str, since: datetime) -> Sequence[EndedJobs]:
        """The jobs of a workspace that ended at ``since`` or later, by hour, target and state, in this order."""
        found: defaultdict[tuple[datetime, str, JobState], list[EndedJob]] = defaultdict(list)
        for job in self.ended_since(since, len(self._jobs.all())):
            if job.workspace == workspace:
                hour = job.ended_at.replace(minute=0, second=0, microsecond=0)
                found[hour, job.target, job.state].append(job)
        return [_summed(*key, ended) for key, ended in sorted(found.items())]

    def by_workspace(self, only: Collection[str] | None = None) -> Mapping[str, int]:
        """How many jobs each workspace has that has any; with ``only``, each of these workspaces."""
        return Counter(sorted(job.workspace for job in self._jobs.all() if only is None or job.workspace in only))

    def oldest_waiting(self, workspace: str | None = None) -> datetime | None:
        """When the job that has waited longest was created, in one workspace or in all; None if none waits."""
        return min((job.created_at for job in self._of(workspace) if job.state is JobState.WAITING), default=None)

    def ended_since(self, since: datetime, limit: int) -> Sequence[EndedJob]:
        """At most ``limit`` jobs that ended at ``since`` or later, the first ones first."""
        return [job for job in self._ended() if job.ended_at >= since][:limit]

    def last_ended(self, limit: int) -> Sequence[EndedJob]:
        """The last ``limit`` jobs that ended, the first ones first."""
        return self._ended()[-limit:]

    def _of(self, workspace: str | None) -> Sequence[Job]:
        return [job for job in self._jobs.all() if workspace in (None, job.workspace)]

    def _ended(self) -> list[EndedJob]:
        ended = [found for job in self._jobs.all() if (found := _as_ended(job)) is not None]
        return sorted(ended, key=lambda job: job.ended_at)


def _summed(hour: datetime, target: str, state: JobState, ended: Sequence[EndedJob]) -> EndedJobs:
    waits = [(job.begun_at - job.created_at).total_seconds() for job in ended if job.begun_at is not None]
    return EndedJobs(
        hour,
        target,
        state,
        len(ended),
        len(waits),
        sum(waits),
        sum(job.seconds for job in ended),
        sum(max(0, job.attempts - 1) for job in ended),
    )


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
        job.attempts,
        job.progress.sweeps,
        job.progress.seconds,
    )
