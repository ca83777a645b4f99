"""Configurations that are easy to reach, with which a search is challenged before it counts as converged.

Searches that agree may all have missed a needle in a haystack: a term over many bits counts only where all of them are
1, and no flip of one bit leads there.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I8
from qiosk.solvers.exact.lower_bounds import unfrustrated
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.incumbents import Incumbents

MOST_TERMS = 64
"""Long terms that are tried, the strongest first."""


def challenge(context: SearchContext, found: Incumbents, sweep: int) -> bool:
    """Offer configurations that are easy to reach; returns whether one of them is a new best."""
    before = found.best
    for x in challengers(context.problem, found.configurations[0]):
        context.check()
        context.improve(x, found, sweep)
    return found.best < before - context.resolution.of_kernel(before)


def challengers(problem: CompiledProblem, best: I8) -> Iterator[I8]:
    """Configurations (n,) to compare to the ``best`` one, each after descent to its local minimum.

    One that attains the least that every term can be; both uniform ones; and for bits the best one with all bits of a
    term set that lowers the cost.
    """
    least = problem.derived(unfrustrated)
    if least is not None:
        yield least
    for value in (-1 if problem.is_spin else 0, 1):
        yield np.full(problem.n, value, np.int8)
    if problem.is_spin or not len(problem.term_values):
        return
    counts = np.logical_and.reduceat(best[problem.term_variables] == 1, problem.term_indptr[:-1])
    wanted = np.flatnonzero((problem.term_values < 0.0) & ~counts)
    for t in wanted[np.argsort(problem.term_values[wanted], kind="stable")][:MOST_TERMS].tolist():
        x = best.copy()
        x[problem.term_variables[problem.term_indptr[t] : problem.term_indptr[t + 1]]] = 1
        yield x
