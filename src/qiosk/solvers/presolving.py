"""Whether a search works on a smaller problem with the same minimum, and its configurations as those of the whole."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from qiosk.kernels.exact.best import MOST_SPINS
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I8
from qiosk.model.exact import spin_integers
from qiosk.presolve.blocks import MOST_WORK, share_of_wide_blocks
from qiosk.presolve.graph import make_graph
from qiosk.presolve.reduced import Reduced
from qiosk.presolve.reduction import MOST_NODES
from qiosk.presolve.roof import seems_to_decide

LEAST_VARIABLES = 200
"""Variables from which a problem is reduced without being asked to: smaller ones are searched in no time."""
LEAST_SHARE = 0.1
"""Share of the variables that must have at most three neighbours, or be dominated by one, for a reduction to be tried
without being asked to; and that it must take out."""
SECONDS_EACH, ROOF_SECONDS_EACH = 1e-6, 4e-6
"""Time per variable and pair that a reduction takes [s], without and with roof duality: the rules take 0.5e-6 on sparse
graphs and 2e-6 where spins get many edges."""
NARROW_DEGREE, NARROW_TERMS, NARROW_SECONDS = 6, 10_000, 5.0
"""Mean neighbours, and variables and pairs, of problems that may be narrow enough for elimination, at most; the time
limit from which that is tried without being asked to [s]: it takes 2 % of it at most."""
MOST_TIME = 0.2
"""Share of the time limit that a reduction may take."""
NODES_PER_SECOND, LONG = 50_000, 3600.0
"""Nodes of the search trees of blocks for each second of the time limit, 2 % of it, and the longest that counts [s]."""
LEAST_WIDE = 0.5
"""Share of the variables in blocks within reach of search trees from which a problem is reduced."""


def is_reducible(problem: CompiledProblem) -> bool:
    """Whether the rules of presolve apply to a problem of this kind."""
    return problem.is_quadratic and problem.one_hot is None and problem.n > 0


def nodes_within(time_limit: float) -> int:
    """Nodes of the search trees of all blocks in a run of a time limit [s], which may be infinite."""
    return MOST_NODES if time_limit == math.inf else int(NODES_PER_SECOND * min(time_limit, LONG))


def is_promising(problem: CompiledProblem, time_limit: float) -> bool:
    """Whether a reduction seems worth a share of the time limit [s]."""
    is_long = SECONDS_EACH * (problem.n + problem.n_pairs) > MOST_TIME * time_limit
    return not is_long and problem.n >= LEAST_VARIABLES and _is_decidable(problem, time_limit)


def _is_decidable(problem: CompiledProblem, time_limit: float) -> bool:
    """Whether the rules, roof duality or elimination seem to decide many variables."""
    terms = problem.n + problem.n_pairs
    if ROOF_SECONDS_EACH * terms <= MOST_TIME * time_limit and _has_deciding_fields(problem):
        return True
    if 2 * problem.n_pairs <= NARROW_DEGREE * problem.n and terms <= NARROW_TERMS and time_limit >= NARROW_SECONDS:
        return True
    n = problem.n
    degrees, totals, largest = np.zeros(n, np.int64), np.zeros(n), np.zeros(n)
    for rows, cols, values in problem.pair_blocks():
        sizes = np.abs(values)
        for ends in (rows, cols):
            degrees += np.bincount(ends, minlength=n)
            totals += np.bincount(ends, sizes, n)
            np.maximum.at(largest, ends, sizes)
    return int(np.count_nonzero((degrees <= 3) | (2 * largest >= totals))) >= LEAST_SHARE * n


def falls_apart(problem: CompiledProblem, time_limit: float) -> bool:
    """Whether most variables are in small but wide blocks, which search trees solve apart."""
    terms = problem.n + problem.n_pairs
    if terms > min(MOST_WORK, MOST_TIME * time_limit / SECONDS_EACH) or 2 * problem.n_pairs > MOST_SPINS * problem.n:
        return False
    graph = make_graph(spin_integers(problem), lambda: None)
    return share_of_wide_blocks(graph, nodes_within(time_limit)) >= LEAST_WIDE


def _has_deciding_fields(problem: CompiledProblem) -> bool:
    """Whether roof duality may decide something. A bit has a field, unless its coefficients cancel out."""
    n_fields = int(np.count_nonzero(problem.linear)) if problem.is_spin else problem.n
    is_ferromagnetic = n_fields > 0 and all(bool(np.all(values <= 0)) for _, _, values in problem.pair_blocks())
    return seems_to_decide(problem.n, problem.n_pairs, n_fields, is_ferromagnetic=is_ferromagnetic)


def pays(reduced: Reduced, kernel: Callable[[CompiledProblem], str]) -> bool:
    """Whether to search what is left: half of the variables are gone, or a tenth and the kernel stays the same."""
    left, n = reduced.problem.n, reduced.original.n
    if 2 * left <= n:
        return True
    return left <= (1 - LEAST_SHARE) * n and kernel(reduced.problem) == kernel(reduced.original)


def described(reduced: Reduced, seconds: float, *, is_used: bool) -> Mapping[str, Any]:
    """What ``statistics["presolve"]`` contains."""
    return {
        "is_used": is_used,
        "variables": reduced.problem.n,
        "removed": reduced.n_removed,
        "rules": dict(reduced.counts),
        "seconds": seconds,
    }


def lifted(reduced: Reduced, configurations: list[I8], initial: I8 | None) -> list[I8]:
    """Configurations of the whole problem; with the one that the search began from, which may cost less."""
    found = [reduced.lift(x) for x in configurations]
    return found if initial is None else [*found, initial]
