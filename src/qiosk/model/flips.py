"""Cost of one configuration of a compiled problem, and what flipping each variable would change, in float64."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from qiosk.errors import InvalidValue
from qiosk.model.arrays.pairs import MANY_PAIRS
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import BLOCK, F64, I8, I32, I64, Column


def cost_of(problem: CompiledProblem, x: I8) -> float:
    """Cost of configuration ``x`` (n,), constant included."""
    # sums of products, not inner products: those may wake the threads of a BLAS, which takes longer on busy machines
    v = x.astype(np.float64)
    cost = problem.constant + (problem.linear * v).sum()
    for products in _pair_products(problem, x):
        cost += products.sum()
    if len(problem.term_values):
        products = np.multiply.reduceat(v[problem.term_variables], problem.term_indptr[:-1])
        cost += (problem.term_values * products).sum()
    return float(cost + (problem.group_values * group_sums(problem, v) ** 2).sum())


def magnitude(problem: CompiledProblem) -> float:
    """Sum of the magnitudes of all that a cost is added up from, the constant apart; not finite beyond float64."""
    with np.errstate(over="ignore", invalid="ignore"):
        return float(term_magnitude(problem) + group_magnitudes(problem).sum())


def term_magnitude(problem: CompiledProblem) -> float:
    """Sum of the absolute coefficients of the terms, constant and groups apart."""
    p = problem
    with np.errstate(over="ignore", invalid="ignore"):
        pairs = sum(np.abs(values).sum() for _, _, values in p.pair_blocks())
        return float(np.abs(p.linear).sum() + pairs + np.abs(p.term_values).sum())


def group_magnitudes(problem: CompiledProblem) -> F64:
    """(G,) the most that each squared linear combination can add to a cost, or take from it."""
    return np.asarray(np.abs(problem.group_values) * largest_sums(problem) ** 2, np.float64)


def largest_sums(problem: CompiledProblem) -> F64:
    """(G,) the most that the size of each linear combination can be, before it is squared."""
    owner = np.repeat(np.arange(len(problem.group_values)), np.diff(problem.group_indptr))
    sizes = np.bincount(owner, np.abs(problem.group_weights), len(problem.group_values))
    return np.asarray(np.abs(problem.group_offsets) + sizes, np.float64)


def largest_cost(problem: CompiledProblem) -> float:
    """A bound on twice the absolute cost, constant apart, and on all sums of its coefficients.

    Raises InvalidValue if it is beyond float64.
    """
    bound = 8.0 * magnitude(problem) + 1.0
    if not math.isfinite(bound):
        raise InvalidValue("coefficients: the sum of their absolute values must be in the range of a float")
    return bound


def group_sums(problem: CompiledProblem, v: F64) -> F64:
    """(G,) value of every linear combination, offset included, before it is squared."""
    members = problem.group_weights * v[problem.group_variables]
    owner = np.repeat(np.arange(len(problem.group_values)), np.diff(problem.group_indptr))
    return problem.group_offsets + np.bincount(owner, members, len(problem.group_values))


def flip(problem: CompiledProblem, x: I8, variable: int) -> I8:
    """``x`` with one variable at its other value."""
    flipped = x.copy()
    flipped[variable] = -x[variable] if problem.is_spin else 1 - x[variable]
    return flipped


def deltas(problem: CompiledProblem, x: I8, every: int = 1) -> F64:
    """(n,) change of cost if variable i alone took its other value; or of variables 0, ``every`` and so on only."""
    if problem.is_quadratic and problem.n_pairs >= MANY_PAIRS:
        return steps(problem, x[::every]) * _pair_slopes(problem, x, every)
    step = steps(problem, x)
    return (step * term_slopes(problem, x) + _group_deltas(problem, x.astype(np.float64), step))[::every]


def steps(problem: CompiledProblem, x: I8) -> F64:
    """Change of each variable whose value is in ``x`` when it takes the other one."""
    v = x.astype(np.float64)
    return -2.0 * v if problem.is_spin else 1.0 - 2.0 * v


def _pair_slopes(problem: CompiledProblem, x: I8, every: int = 1) -> F64:
    from qiosk.kernels.pair_sums import row_slopes  # here: small problems need no Numba

    slopes = problem.linear[::every].copy()
    row_slopes()(problem.pairs.by_row(problem.n), problem.derived(smaller_rows), x, every, slopes)
    return slopes


def term_slopes(problem: CompiledProblem, x: I8) -> F64:
    """(n,) derivative of the terms, groups apart, by each x_i at the values ``x`` (n,)."""
    if problem.n_pairs >= MANY_PAIRS:
        slopes = _pair_slopes(problem, x)
    else:
        slopes = problem.linear.copy()
        for sums in pair_sums(problem, x.astype(np.float64)):
            slopes += sums
    if len(problem.term_values):
        v = x.astype(np.float64)
        sizes = np.diff(problem.term_indptr)
        members = v[problem.term_variables]
        others = np.repeat(_products(problem, members), sizes)
        # the product without x_i: a spin divides itself out; a zero bit counts only if it is the only one
        others = others * members if problem.is_spin else _without(members, problem)
        weights = np.repeat(problem.term_values, sizes) * others
        slopes += np.bincount(problem.term_variables, weights, problem.n)
    return slopes


def smaller_rows(problem: CompiledProblem) -> tuple[I64, I32, Column]:
    """The pairs of each variable with smaller ones, as ``by_row`` has those with larger ones."""
    from qiosk.kernels.pairs import lower_rows  # here: small problems need no Numba

    above, cols, values = problem.pairs.by_row(problem.n)
    indptr = np.zeros(problem.n + 1, np.int64)
    for start in range(0, len(cols), BLOCK):
        indptr[1:] += np.bincount(cols[start : start + BLOCK], minlength=problem.n)
    np.cumsum(indptr, out=indptr)
    rows, below = np.empty(len(cols), np.int32), np.empty(len(cols), values.dtype)
    lower_rows()(above, cols, values, indptr[:-1].copy(), rows, below)
    return indptr, rows, below


def pair_sums(problem: CompiledProblem, v: F64, *, share: float = 1.0, is_absolute: bool = False) -> Iterator[F64]:
    """(n,) parts of sum_j J_ij v_j, to be added in this order; J is ``share`` times a coefficient, or the size of that.

    Of each block of pairs the first part is that of their smaller variables, the second one that of the larger ones.
    """
    if problem.n_pairs < MANY_PAIRS:
        for rows, cols, values in problem.pair_blocks():
            couplings = np.abs(values * share) if is_absolute else values * share
            yield np.bincount(rows, couplings * v[cols], problem.n).astype(np.float64, copy=False)
            yield np.bincount(cols, couplings * v[rows], problem.n).astype(np.float64, copy=False)
        return
    from qiosk.kernels.pair_sums import pair_sums  # here: small problems need no Numba

    indptr, cols, values = problem.pairs.by_row(problem.n)
    for some in problem.pairs.row_ranges(problem.n):
        above, below = np.zeros(problem.n), np.zeros(problem.n)
        pair_sums()(indptr, cols, values, v, share, is_absolute, some, above, below)
        yield above
        yield below


def _pair_products(problem: CompiledProblem, x: I8) -> Iterator[F64]:
    """Coefficients of pairs times the values of their variables, in blocks."""
    if problem.n_pairs < MANY_PAIRS:
        v = x.astype(np.float64)
        for rows, cols, values in problem.pair_blocks():
            yield values * v[rows] * v[cols]
        return
    from qiosk.kernels.pair_sums import pair_products

    indptr, cols, values = problem.pairs.by_row(problem.n)
    for some in problem.pairs.row_ranges(problem.n):
        products = np.empty(int(indptr[some[1]] - indptr[some[0]]))
        pair_products()(indptr, cols, values, x, some, products)
        yield products


def _products(problem: CompiledProblem, members: F64) -> F64:
    products: F64 = np.multiply.reduceat(members, problem.term_indptr[:-1])
    return products


def _without(members: F64, problem: CompiledProblem) -> F64:
    zeros: F64 = np.add.reduceat(1.0 - members, problem.term_indptr[:-1])
    is_only_zero = np.repeat(zeros, np.diff(problem.term_indptr)) == 1.0 - members
    return np.where(is_only_zero, 1.0, 0.0)


def _group_deltas(problem: CompiledProblem, v: F64, step: F64) -> F64:
    if not len(problem.group_values):
        return np.zeros(problem.n)
    sizes = np.diff(problem.group_indptr)
    sums = np.repeat(group_sums(problem, v), sizes)
    moved = problem.group_weights * step[problem.group_variables]
    change = np.repeat(problem.group_values, sizes) * moved * (2.0 * sums + moved)
    summed: F64 = np.bincount(problem.group_variables, change, problem.n).astype(np.float64)
    return summed
