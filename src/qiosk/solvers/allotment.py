"""What bounds a run has, and how much of its time they get."""

from __future__ import annotations

import math
from dataclasses import dataclass

from qiosk.bounds.branch.tree import METHOD as BRANCH
from qiosk.bounds.choice import NONE, SPARSE_DEGREE, has_cycles_first
from qiosk.bounds.semidefinite import first_seconds
from qiosk.model.compiled import CompiledProblem
from qiosk.model.transforms.domain import products_of_groups

SHARE, GAP_SHARE = 0.15, 0.3
"""Share of the time that bounds get beside a search where they were asked for, and where a gap was."""
DEFAULT_SHARE = 0.15
"""The same where nothing was asked for."""
PROOF_SHARE = 0.8
"""The same of branch and bound, which proves an optimum."""
DEFAULT_TERMS = 200_000
"""Terms of the largest problem that gets more than the trivial bound without being asked to."""
DEFAULT_BEGIN_S = 0.02
"""Time that must have come together for bounds that were not asked for before they begin: short runs have none."""
LEAST_AFTERWARDS_S = 5.0
"""Time for bounds after a search that ended early, at least, where they were asked for."""
LARGER_TERM_S = 8e-6
"""Seconds to put a term of more than two variables into tables, about."""
CYCLES_S = 0.1
"""Time until cycles have proved something where they come before the semidefinite bound, about [s]."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What bounds a run has: a ``method``, None where none was asked for; and the relative ``gap`` at which it may end.

    Without ``may_end`` no bound that was not asked for ends it.
    """

    method: str | None = None
    gap: float | None = None
    may_end: bool = True

    @property
    def is_asked(self) -> bool:
        """Whether bounds were asked for."""
        return (self.method is not None and self.method != NONE) or self.gap is not None


def share_of(problem: CompiledProblem, wanted: Wanted, time_limit: float) -> float:
    """Share of the time of a search that bounds get; 0: they have to do with the trivial one.

    Bounds that were not asked for get some where the ``time_limit`` [s] leaves enough for more than the trivial one.
    """
    if wanted.is_asked:
        if wanted.method == BRANCH:
            return PROOF_SHARE
        return SHARE if wanted.gap is None else GAP_SHARE
    terms = problem.n + problem.n_pairs + len(problem.term_values) + products_of_groups(problem)
    is_suited = wanted.method is None and terms <= DEFAULT_TERMS
    return DEFAULT_SHARE if is_suited and time_limit * DEFAULT_SHARE > _least_seconds(problem) else 0.0


def seconds_beside(search: float, share: float, *, has_begun: bool) -> float:
    """Seconds that bounds get beside so many of a ``search``: none, unless they have begun, if these are too few."""
    allowed = search * share / (1.0 - share)
    return allowed if has_begun or allowed >= DEFAULT_BEGIN_S else 0.0


def seconds_left(left: float, search: float, bounds: float, share: float) -> float:
    """What a search gets of the time that is ``left``, when it and its bounds have taken so many seconds.

    Bounds that have had more than their share wait until the search has caught up.
    """
    return min(left, max(0.0, (1.0 - share) * (bounds + left) - share * search))


def seconds_afterwards(search: float, wanted: Wanted) -> float:
    """Seconds that bounds which were asked for get altogether once the search has ended by itself after so many."""
    has_aim = wanted.gap is not None or wanted.method == BRANCH
    return math.inf if has_aim else max(LEAST_AFTERWARDS_S, search)


def _least_seconds(problem: CompiledProblem) -> float:
    """About the time until there is more than the trivial bound [s]."""
    if not problem.is_quadratic:
        return DEFAULT_BEGIN_S + LARGER_TERM_S * len(problem.term_values)
    if 2 * problem.n_pairs <= SPARSE_DEGREE * problem.n:
        return DEFAULT_BEGIN_S
    if has_cycles_first(problem.n, problem.n_pairs):
        return DEFAULT_BEGIN_S + CYCLES_S
    return DEFAULT_BEGIN_S + first_seconds(problem.n, problem.n_pairs)
