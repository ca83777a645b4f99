"""Greedy descent in float64: the last step from a sampled configuration to a local minimum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.descent import halves_descent, pair_descent
from qiosk.kernels.pairs import lower_rows
from qiosk.kernels.plain.general import general_descent
from qiosk.model.compact import CompactProblem
from qiosk.model.compiled import I32, CompiledProblem
from qiosk.model.cost_function import BLOCK, F64, I8, I64
from qiosk.model.flips import term_slopes
from qiosk.solvers.samplers.incidence import Incidence, symmetric_rows

_ROUNDING = 2.0**-48
_PASSES = 10_000
_REFRESHES = 100


@dataclass(frozen=True, eq=False)
class Descent:
    """Single-variable descent of one problem; keeps the problem's index by variable between calls."""

    problem: CompiledProblem

    @cached_property
    def _incidence(self) -> Incidence:
        return Incidence(self.problem)

    @cached_property
    def tolerances(self) -> F64:
        """(n,) least decrease of cost that counts, above the rounding error of a float64 sum."""
        is_large = isinstance(self.problem, CompactProblem) and self.problem.is_quadratic
        return _ROUNDING * (_pair_bounds(self.problem) if is_large else self._incidence.bounds)

    def __call__(self, configuration: I8) -> I8:
        """The local minimum that passes over the variables in order lead to; ``configuration`` (n,) is not changed.

        No flip of one variable lowers the cost by more than its tolerance, unless 10 000 passes did not suffice. Its
        cost is never above that of ``configuration``, up to rounding.
        """
        values = np.array(configuration, np.int8)
        if self.problem.is_quadratic:
            self._by_slopes(values)
        else:
            self._anew(values)
        return values

    def _by_slopes(self, values: I8) -> None:
        """With stored slopes, which are computed anew until they, too, find nothing: rounding adds up in them."""
        p = self.problem
        for _ in range(_REFRESHES):
            slopes = term_slopes(p, values.astype(np.float64))
            if isinstance(p, CompactProblem):
                flips = halves_descent()(
                    p.pair_indptr,
                    p.pair_cols,
                    p.narrow_values,
                    *self._lower,
                    slopes,
                    p.is_spin,
                    values,
                    self.tolerances,
                    _PASSES,
                )
            else:
                flips = pair_descent()(*self._rows, slopes, p.is_spin, values, self.tolerances, _PASSES)
            if not flips:
                return

    @cached_property
    def _lower(self) -> tuple[I64, I32, NDArray[Any]]:
        """Of a large problem, the pairs of each variable with smaller ones: indptr (n + 1,), rows and values (P,)."""
        p = cast(CompactProblem, self.problem)
        indptr = np.zeros(p.n + 1, np.int64)
        for start in range(0, p.n_pairs, BLOCK):
            indptr[1:] += np.bincount(p.pair_cols[start : start + BLOCK], minlength=p.n)
        np.cumsum(indptr, out=indptr)
        rows, values = np.empty(p.n_pairs, np.int32), np.empty(p.n_pairs, p.narrow_values.dtype)
        lower_rows()(p.pair_indptr, p.pair_cols, p.narrow_values, indptr[:-1].copy(), rows, values)
        return indptr, rows, values

    @cached_property
    def _rows(self) -> tuple[I64, I32, F64]:
        p = self.problem
        return symmetric_rows(p.pair_rows, p.pair_cols, p.pair_values, p.n)

    def _anew(self, values: I8) -> None:
        """With every delta summed when its variable comes up."""
        index, p = self._incidence, self.problem
        sums = np.empty(len(p.group_values))
        general_descent()(
            p.linear, index.terms, index.groups, index.by_variable, p.is_spin, values, sums, self.tolerances, _PASSES
        )


def _pair_bounds(problem: CompiledProblem) -> F64:
    """(n,) the most that flipping each variable of a quadratic problem can change the cost, either way."""
    sizes = np.zeros(problem.n)
    for rows, cols, values in problem.pair_blocks():
        sizes += np.bincount(rows, np.abs(values), problem.n)
        sizes += np.bincount(cols, np.abs(values), problem.n)
    return (2.0 if problem.is_spin else 1.0) * (np.abs(problem.linear) + sizes)
