"""Which of the compared jobs solve the same problem, and how soon they reached the best cost that any of them found."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

from qiosk.contract.jobs import JobView, TracePoint
from qiosk.studies.rows import time_to
from qiosk.studies.trials import cost_within

GAPS: Final = (0.0, 0.001, 0.01)
"""Distances from the best cost, as shares of its size, for which there is a curve."""


class Compared(NamedTuple):
    """A job of a comparison. ``number`` counts from 1, ``trace`` are the improvements of its best cost, and ``best`` is
    when it found the lowest one; None without a solution."""

    number: int
    view: JobView
    trace: Sequence[TracePoint]
    best: TracePoint | None

    @property
    def name(self) -> str:
        """Its name; its id if that is blank."""
        return self.view.name.strip() or self.view.id

    @property
    def has_begun(self) -> bool:
        """Whether it has run, if only for a moment."""
        return self.view.begin_execution_time is not None


def compared(number: int, view: JobView, trace: Sequence[TracePoint]) -> Compared:
    """A job of a comparison."""
    return Compared(number, view, trace, min(trace, key=lambda point: point.cost, default=None))


class Goal(NamedTuple):
    """A cost to reach, within ``gap`` of the best one. ``times`` [s] has one for each job; infinite if it did not."""

    gap: float
    cost: float
    times: Sequence[float]

    @property
    def steps(self) -> Sequence[float]:
        """When the share of jobs that have reached the cost became larger [s], sorted: by one job each."""
        return sorted(time for time in self.times if math.isfinite(time))


class Profile(NamedTuple):
    """How soon ``jobs``, which solve the same problem, have reached each of the ``goals``, relative to ``best``.

    ``end`` is the longest search time [s] of a job.
    """

    jobs: Sequence[Compared]
    best: float
    goals: Sequence[Goal]
    end: float

    def goal(self, gap: float) -> Goal:
        """The goal for one of ``GAPS``."""
        return self.goals[GAPS.index(gap)]

    @property
    def rows(self) -> list[tuple[int, list[float | None]]]:
        """For each number of jobs, when so many had reached each of the goals [s]; None if that did not happen."""
        return [
            (count, [goal.steps[count - 1] if count <= len(goal.steps) else None for goal in self.goals])
            for count in range(1, len(self.jobs) + 1)
        ]


def by_problem(jobs: Sequence[Compared]) -> tuple[list[list[Compared]], list[Compared]]:
    """The jobs by problem, and those of which it is not known.

    A job reports the digest of its problem when its run has begun; before, it is known from a job of the same input.
    """
    of_input = {job.view.input_data_uri: found for job in jobs if (found := _digest(job.view)) is not None}
    groups: dict[str, list[Compared]] = {}
    unknown: list[Compared] = []
    for job in jobs:
        digest = _digest(job.view) or of_input.get(job.view.input_data_uri)
        if digest is None:
            unknown.append(job)
        else:
            groups.setdefault(digest, []).append(job)
    return list(groups.values()), unknown


def _digest(view: JobView) -> str | None:
    return None if view.provenance is None else view.provenance.problem


def profile(jobs: Sequence[Compared]) -> Profile | None:
    """The profile of jobs of one problem; None if fewer than two of them have begun, or none has found a solution."""
    begun = [job for job in jobs if job.has_begun]
    best = min((job.best.cost for job in begun if job.best), default=math.inf)
    if len(begun) < 2 or not math.isfinite(best):
        return None
    goals = []
    for gap in GAPS:
        cost = cost_within(best, gap)
        goals.append(Goal(gap, cost, [time_to(cost, job.trace) for job in begun]))
    ends = [max(job.view.progress.seconds, *(point.seconds for point in job.trace[-1:]), 0.0) for job in begun]
    return Profile(begun, best, goals, max(ends))
