"""Greedy descent in float64: the last step from a sampled configuration to a local minimum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain

import numpy as np

from qiosk.kernels.plain.general import general_descent
from qiosk.kernels.search.descent import pair_descent
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8, I32, I64, Column
from qiosk.model.flips import pair_sums, smaller_rows, term_magnitude, term_slopes
from qiosk.solvers.samplers.incidence import Incidence
from qiosk.solvers.samplers.parts import PART_STEPS

_ROUNDING = 2.0**-48
_EXACT = 2.0**53
_PASSES = 10_000
_REFRESHES = 100


@dataclass(frozen=True, eq=False)
class Descent:
    """Single-variable descent of one problem; keeps the problem's index by variable between calls."""

    problem: CompiledProblem
    check: Callable[[], None] = lambda: None
    """Called between passes of large problems; what it raises ends the descent."""

    @property
    def tolerances(self) -> F64:
        """(n,) least decrease of cost that counts, above the rounding error of a float64 sum."""
        return self._tables.tolerances

    @property
    def _tables(self) -> _Tables:
        return self.problem.derived(_Tables)

    @cached_property
    def _passes_at_once(self) -> int:
        """Passes of a kernel call, which cannot be interrupted."""
        p = self.problem
        return int(max(1, PART_STEPS // max(1, p.n + 2 * p.n_pairs + len(p.term_variables) + len(p.group_variables))))

    def _descend(self, passes: Callable[[int], int]) -> int:
        """Up to ``_PASSES`` passes, until one flips nothing: ``passes(k)`` makes k of them and returns their flips."""
        flips = 0
        for _ in range(0, _PASSES, self._passes_at_once):
            found = passes(min(_PASSES, self._passes_at_once))
            if not found:
                break
            flips += found
            self.check()
        return flips

    def __call__(self, configuration: I8) -> I8:
        """The local minimum that passes over the variables in order lead to; ``configuration`` (n,) is not changed.

        No flip of one variable lowers the cost by more than its tolerance, unless 10 000 passes did not suffice. Its
        cost is never above that of ``configuration``, up to rounding.
        """
        values = np.array(configuration, np.int8)
        if self.problem.is_quadratic:
            self._by_slopes(values)
        else:
            self._by_sums(values)
        return values

    def _by_slopes(self, values: I8) -> None:
        """With stored slopes. Where rounding adds up in them, they are computed again until nothing flips."""
        p, tables = self.problem, self._tables
        for _ in range(_REFRESHES):
            slopes = term_slopes(p, values)
            arrays = *tables.upper, *tables.lower, slopes, p.is_spin, values, tables.tolerances
            if not self._descend(partial(pair_descent(), *arrays)) or tables.are_slopes_exact:
                return

    def _by_sums(self, values: I8) -> None:
        """With every delta summed when its variable comes up."""
        index, p = self._tables.incidence, self.problem
        scratch = np.empty(len(p.group_values)), np.empty(len(index.terms[2]), np.int32)
        arrays = p.linear, index.terms, index.groups, index.by_variable
        self._descend(partial(general_descent(), *arrays, p.is_spin, values, *scratch, self.tolerances))


@dataclass(frozen=True, eq=False)
class _Tables:
    """What descents read of a problem; kept with it."""

    problem: CompiledProblem

    @cached_property
    def incidence(self) -> Incidence:
        """Terms and groups by variable."""
        return Incidence(self.problem)

    @cached_property
    def tolerances(self) -> F64:
        """(n,) least decrease of cost that counts, above the rounding error of a float64 sum."""
        return _ROUNDING * (pair_bounds(self.problem) if self.problem.is_quadratic else self.incidence.bounds)

    @cached_property
    def are_slopes_exact(self) -> bool:
        """Whether no sum of coefficients is rounded, because they are integers."""
        blocks = chain([self.problem.linear], (values for _, _, values in self.problem.pair_blocks()))
        return 2.0 * term_magnitude(self.problem) < _EXACT and all(np.array_equal(v, np.trunc(v)) for v in blocks)

    @cached_property
    def upper(self) -> tuple[I64, I32, Column]:
        """The pairs of each variable with larger ones: indptr (n + 1,), cols and values (P,)."""
        return self.problem.pairs.by_row(self.problem.n)

    @property
    def lower(self) -> tuple[I64, I32, Column]:
        """The pairs of each variable with smaller ones: indptr (n + 1,), rows and values (P,)."""
        return self.problem.derived(smaller_rows)


def pair_bounds(problem: CompiledProblem) -> F64:
    """(n,) the most that flipping each variable of a quadratic problem can change the cost, either way."""
    sizes = np.zeros(problem.n)
    for sums in pair_sums(problem, np.ones(problem.n), is_absolute=True):
        sizes += sums
    return (2.0 if problem.is_spin else 1.0) * (np.abs(problem.linear) + sizes)
