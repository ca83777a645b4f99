"""Problems with promises that are small enough to try every configuration, in float64.

All 2^n costs are computed at once: the coefficients are laid out by the bit mask of their variables, and one butterfly
for each variable turns them into costs (a Walsh-Hadamard transform for spins, a subset-sum transform for bits); squared
linear combinations are added from their own 2^n sums. That is n 2^n additions, whatever the number and size of the
terms, and some 2^n more for every combination.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from qiosk.bounds.bound import Bound
from qiosk.model.compiled import CompiledProblem
from qiosk.model.constraints.one_hot import OneHot
from qiosk.model.cost_function import F64, I8
from qiosk.model.flips import cost_of, magnitude
from qiosk.model.units import common_unit
from qiosk.solvers.exact.minimum import EXHAUSTIVE, UNDECIDED, Exact, evaluate_everywhere, in_exact_order
from qiosk.solvers.result import ENUMERATION
from qiosk.solvers.samplers.one_hot.core import core_of
from qiosk.solvers.search.incumbents import Incumbents

# 2^20 costs: 8 MB and some 20 ms.
MAX_VARIABLES = 20
# Additions that take some 0.2 s.
MAX_WORK = 40 << 20
MOST_UNITS = 2.0**40
ROUNDING = 2.0**-44
"""Of the sum of all sizes: some hundred times the error of float64 sums."""
# Fewer additions than this in one pass take no less time.
LEAST_PASS = 1 << 12


def is_enumerable(problem: CompiledProblem) -> bool:
    """Whether all configurations can be tried in well under a second."""
    n = problem.n - sum(row.n_slack for row in problem.slack)
    passes = n + len(problem.group_values) + sum(row.group < 0 for row in problem.slack)
    return n <= MAX_VARIABLES and passes * max(LEAST_PASS, 1 << n) <= MAX_WORK


def all_costs(problem: CompiledProblem, widths: F64 | None = None, check: Callable[[], None] = lambda: None) -> F64:
    """(2^n,) cost of every configuration; bit i of the index is set where variable i is 1 (or spin -1).

    ``widths`` are those of squared linear combinations (see ``samplers/one_hot/core.py``); none by default.
    ``check`` is called after each pass and may raise.
    """
    costs = _coefficients_by_mask(problem)
    evaluate_everywhere(costs, problem.n, problem.is_spin)
    check()
    for g in range(len(problem.group_values)):
        sums = _sums(problem, g)
        if widths is not None and widths[g] > 0:
            sums = np.minimum(sums, 0.0) + np.maximum(sums - widths[g], 0.0)
        costs += problem.group_values[g] * sums**2
        check()
    return costs


def enumerated(problem: CompiledProblem, wanted: int, check: Callable[[], None] = lambda: None) -> Exact:
    """The best ``wanted`` configurations there are, of those that keep the one-hot groups.

    Groups that cannot be kept all together are disregarded. Slack is not tried: it has its best values. That is proved
    where all costs are whole multiples of a unit, and rounding is much smaller than that; else where few cost as little
    as the best but for rounding, which are then compared by their costs in exact fractions.
    """
    is_proved = _is_decisive(problem)
    found = Incumbents(wanted if is_proved else wanted + UNDECIDED)
    enumerate_best(problem, found, check)
    configurations = found.configurations
    if not is_proved and not problem.slack:
        least = found.best + 2.0 * ROUNDING * magnitude(problem)
        near = int(np.count_nonzero(np.array(found.costs) <= least))
        if is_proved := near < found.capacity:
            configurations = [*in_exact_order(problem, configurations[:near]), *configurations[near:]]
    cost = cost_of(problem, configurations[0])
    value = cost if is_proved else cost - ROUNDING * magnitude(problem)
    bound = Bound(value=value, method=ENUMERATION, seconds=0.0, certificate={}, exact=Fraction(value))
    return Exact(configurations=configurations[:wanted], kernel=EXHAUSTIVE, bound=bound, is_proved=is_proved)


def _is_decisive(problem: CompiledProblem) -> bool:
    """Whether costs that differ do so by much more than float64 rounds them."""
    parts = [problem.linear, problem.pair_values, problem.term_values]
    indptr = problem.group_indptr.tolist()
    for g, (first, end) in enumerate(pairwise(indptr)):
        weights = np.append(problem.group_weights[first:end], problem.group_offsets[g])
        parts.append((problem.group_values[g] * np.multiply.outer(weights, weights)).ravel())
    unit = common_unit(np.concatenate(parts))
    return unit is not None and magnitude(problem) < MOST_UNITS * unit


def enumerate_best(problem: CompiledProblem, found: Incumbents, check: Callable[[], None] = lambda: None) -> None:
    """Fill ``found`` with the configurations of ``enumerated``."""
    core = core_of(problem) if problem.slack else None
    tried = problem if core is None else core.problem
    costs = all_costs(tried, None if core is None else core.widths, check)
    keep = min(found.capacity, len(costs))
    if tried.one_hot is not None and (is_kept := _is_kept(tried, tried.one_hot)).any():
        costs[~is_kept] = np.inf
        keep = min(keep, int(np.count_nonzero(is_kept)))
    best = np.argpartition(costs, keep - 1)[:keep]
    for index in best[np.lexsort((best, costs[best]))]:
        configuration, cost = _configuration(tried, int(index)), float(costs[index])
        if core is not None:
            configuration = core.lift(configuration > 0)
            cost = cost_of(problem, configuration)
        found.offer(configuration, cost, 0)


def _is_kept(problem: CompiledProblem, one_hot: OneHot) -> NDArray[np.bool_]:
    """(2^n,) whether a configuration, numbered as in ``all_costs``, keeps the groups."""
    masks = np.arange(1 << problem.n, dtype=np.uint32)
    if problem.is_spin:
        masks = ~masks  # there a bit stands for a spin of -1
    kept = np.ones(len(masks), np.bool_)
    for members, least in [*one_hot.groups(), *(([i], None) for i in one_hot.never.tolist())]:
        count = np.bitwise_count(masks & np.uint32(sum(1 << i for i in members)))
        kept &= count == 0 if least is None else count == 1 if least else count <= 1
    return kept


def _coefficients_by_mask(problem: CompiledProblem) -> F64:
    bits = np.int64(1) << np.arange(problem.n, dtype=np.int64)
    coefficients = np.zeros(1 << problem.n)
    coefficients[0] = problem.constant
    coefficients[bits] += problem.linear
    coefficients[bits[problem.pair_rows] | bits[problem.pair_cols]] += problem.pair_values
    if len(problem.term_values):
        masks = np.bitwise_or.reduceat(bits[problem.term_variables], problem.term_indptr[:-1])
        coefficients[masks] += problem.term_values
    return coefficients


def _sums(problem: CompiledProblem, g: int) -> F64:
    """(2^n,) value of one linear combination at every configuration, built by doubling."""
    members = slice(problem.group_indptr[g], problem.group_indptr[g + 1])
    weights = np.zeros(problem.n)
    weights[problem.group_variables[members]] = problem.group_weights[members]
    sums = np.array([problem.group_offsets[g] + (weights.sum() if problem.is_spin else 0.0)])
    for weight in weights:
        sums = np.concatenate([sums, sums + (-2.0 * weight if problem.is_spin else weight)])
    return sums


def _configuration(problem: CompiledProblem, index: int) -> I8:
    bits = (index >> np.arange(problem.n)) & 1
    return (1 - 2 * bits if problem.is_spin else bits).astype(np.int8)
