"""Greedy descent in float64: the last step from a sampled configuration to a local minimum."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain, pairwise

import numpy as np

from qiosk.kernels.plain.general import general_descent
from qiosk.kernels.search.descent import first_pass, pair_descent
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8, I32, I64, Column
from qiosk.model.flips import cost_of, deltas, pair_sums, smaller_rows, steps, term_magnitude, term_slopes
from qiosk.solvers.samplers.incidence import Incidence
from qiosk.solvers.samplers.parts import PART_STEPS
from qiosk.solvers.search.stopping import Interrupted

_ROUNDING = 2.0**-48
_EXACT = 2.0**53
_PASSES = 10_000
_REFRESHES = 100
_RANGE_STEPS = 1_000_000
"""Steps between two checks in a pass over a large problem: some milliseconds."""


@dataclass(frozen=True, eq=False)
class Minimum:
    """Where a descent led to: ``values`` (n,), and of a quadratic problem their slopes (n,) [cost]."""

    problem: CompiledProblem
    values: I8
    slopes: F64 | None
    is_exact: bool
    """Whether no sum of slopes is rounded."""

    def gains(self, every: int) -> F64:
        """Change of cost by each flip, as ``model.flips.deltas``."""
        if self.slopes is None:
            return deltas(self.problem, self.values, every)
        return steps(self.problem, self.values[::every]) * self.slopes[::every]

    @property
    def cost(self) -> float:
        """The cost, constant included."""
        if self.slopes is None or not self.is_exact:
            return cost_of(self.problem, self.values)
        v = self.values.astype(np.float64)  # each pair is in two slopes
        return float(self.problem.constant + (v * (self.slopes + self.problem.linear)).sum() / 2.0)


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
    def _pass_steps(self) -> int:
        p = self.problem
        return max(1, p.n + 2 * p.n_pairs + len(p.term_variables) + len(p.group_variables))

    @cached_property
    def _passes_at_once(self) -> int:
        """Passes of a kernel call, which cannot be interrupted."""
        return max(1, PART_STEPS // self._pass_steps)

    @cached_property
    def _ranges(self) -> list[tuple[int, int]]:
        """The first variable and the one after the last of each part of a pass: the run may end between them."""
        parts = self._pass_steps // PART_STEPS and self._pass_steps // _RANGE_STEPS
        return list(pairwise(np.linspace(0, self.problem.n, max(1, parts) + 1).astype(int).tolist()))

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
        return self.minimum(configuration).values

    def minimum(self, configuration: I8) -> Minimum:
        """The same with what is known of it. An ``Interrupted`` that ``check`` raises gets what was ``reached``."""
        values = np.array(configuration, np.int8)
        try:
            if self.problem.is_quadratic:
                slopes = self._by_slopes(values)
                return Minimum(self.problem, values, slopes, self._tables.are_slopes_exact)
            self._by_sums(values)
        except Interrupted as interrupted:
            interrupted.reached = values
            raise
        return Minimum(self.problem, values, None, is_exact=False)

    def _by_slopes(self, values: I8) -> F64:
        """With stored slopes, which are returned. Where rounding adds up in them, they are computed again until nothing
        flips.
        """
        p, tables = self.problem, self._tables
        if tables.are_slopes_exact:
            slopes = p.linear.copy()
            arrays = *tables.upper, *tables.lower, slopes, p.is_spin, values, tables.tolerances
            if self._pass(partial(first_pass(), *arrays)):
                self._descend(partial(self._slope_passes, partial(pair_descent(), *arrays)))
            return slopes
        for _ in range(_REFRESHES):
            slopes = term_slopes(p, values)
            arrays = *tables.upper, *tables.lower, slopes, p.is_spin, values, tables.tolerances
            if not self._descend(partial(self._slope_passes, partial(pair_descent(), *arrays))):
                break
        return slopes

    def _slope_passes(self, descend: Callable[..., int], passes: int) -> int:
        return self._pass(partial(descend, passes if len(self._ranges) == 1 else 1))

    def _pass(self, descend: Callable[[tuple[int, int]], int]) -> int:
        """What all parts of a pass flip."""
        flips = 0
        for k, part in enumerate(self._ranges):
            if k:
                self.check()
            flips += descend(part)
        return flips

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
