"""Terms of any size in integers, in the values that the variables have: spins, or bits."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from qiosk.bounds.bound import Scale, scale_of
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I8, I64
from qiosk.model.exact import MOST_BITS, integer_unit
from qiosk.model.flips import group_magnitudes

ROUNDING = 2.0**-44
"""Of what squared linear combinations add up to: some hundred times the error of float64 sums."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Polynomial:
    """level = sum_t values[t] prod_{i in term t} x_i, over terms of at least one variable, each set of them once.

    Squared linear combinations are not in it: they are at least ``least_of_groups`` [cost].
    """

    n: int
    is_spin: bool
    indptr: I64  # (T + 1,)
    variables: I64  # (K,) ascending inside a term
    values: I64  # (T,) none is 0
    scale: Scale

    @property
    def size(self) -> int:
        """Sum of the sizes of all values."""
        return int(np.abs(self.values).sum())

    def level(self, x: I8) -> int:
        """Of a configuration (n,)."""
        if not len(self.values):
            return 0
        products = np.multiply.reduceat(x[self.variables].astype(np.int64), self.indptr[:-1])
        return int((self.values * products).sum())

    def scopes(self) -> list[list[int]]:
        """The variables of every term."""
        ids, indptr = self.variables.tolist(), self.indptr.tolist()
        return [ids[a:b] for a, b in pairwise(indptr)]


def polynomial(problem: CompiledProblem) -> Polynomial:
    """The terms of a problem. What squared linear combinations are at least is part of the scale's offset and error."""
    unit, is_exact = integer_unit(problem, MOST_BITS)
    pairs = np.stack([problem.pair_rows, problem.pair_cols], axis=1).astype(np.int64)
    floats = np.concatenate([problem.linear, problem.pair_values, problem.term_values])
    sizes = np.concatenate(
        [np.ones(problem.n, np.int64), np.full(len(pairs), 2, np.int64), np.diff(problem.term_indptr)]
    )
    variables = np.concatenate(
        [np.arange(problem.n, dtype=np.int64), pairs.ravel(), problem.term_variables.astype(np.int64)]
    )
    values = np.rint(floats / unit).astype(np.int64)
    is_there = values != 0
    indptr = np.zeros(int(is_there.sum()) + 1, np.int64)
    np.cumsum(sizes[is_there], out=indptr[1:])
    scale = scale_of(problem, unit, int(np.count_nonzero(floats)), is_exact=is_exact)
    least, error = least_of_groups(problem)
    return Polynomial(
        n=problem.n,
        is_spin=problem.is_spin,
        indptr=indptr,
        variables=variables[np.repeat(is_there, sizes)],
        values=values[is_there],
        scale=Scale(offset=scale.offset + least, unit=scale.unit, error=scale.error + error),
    )


def least_of_groups(problem: CompiledProblem) -> tuple[Fraction, Fraction]:
    """The least that the squared linear combinations add up to, one by one, and how much of that may be rounding.

    A square is at least 0. With a negative coefficient it is at most as large as all members together permit.
    """
    negative = problem.group_values < 0.0
    if not negative.any():
        return Fraction(0), Fraction(0)
    most = sum((Fraction(float(size)) for size in group_magnitudes(problem)[negative]), Fraction(0))
    return -most, most * Fraction(ROUNDING)
