"""The smallest difference between costs of one problem that is not rounding.

Costs are sums in floating point. Their rounding error is a share of the magnitudes that are added up, even where these
nearly cancel.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64
from qiosk.model.flips import group_magnitudes, largest_sums, term_magnitude
from qiosk.model.units import common_unit_of

# Of the sum of all magnitudes, and of the constant, which is added once: some hundred times the error of float64 sums.
ROUNDING, CONSTANT_ROUNDING = 2.0**-44, 2.0**-50
# Sums of integers are exact below this, and sums of up to as many multiples of a unit that is none nearly so.
EXACT_SUMS, NEARLY_EXACT_SUMS = 2.0**53, 2.0**48
# Of a cost without the constant: the error of kernels with fields in float32.
KERNEL_ROUNDING = 2.0**-30
# Terms up to which a unit is searched for.
MOST_TERMS = 10_000_000


@dataclass(frozen=True, slots=True)
class Resolution:
    """Costs [cost] of a problem: its ``constant``; the ``rounding`` up to which float64 costs count as equal; and the
    ``unit`` of which all differences of costs are whole multiples, None if there is none.
    """

    constant: float
    rounding: float
    unit: float | None

    @classmethod
    def of(cls, problem: CompiledProblem) -> Resolution:
        """From the coefficients, once."""
        return problem.derived(cls._of)

    @classmethod
    def _of(cls, problem: CompiledProblem) -> Resolution:
        magnitude, unit = _rounded_magnitude(problem), _unit(problem)
        rounding = _rounding(magnitude, unit) + CONSTANT_ROUNDING * abs(problem.constant)
        return cls(problem.constant, rounding if np.isfinite(rounding) else 0.0, unit)

    def of_sum(self, cost: float) -> float:
        """Difference up to which a cost that was added up in float64 counts as ``cost``."""
        return self.rounding + _rounding(abs(cost - self.constant), self.unit)

    def of_kernel(self, cost: float) -> float:
        """Difference up to which a cost that a kernel added up counts as ``cost``."""
        coarse = KERNEL_ROUNDING * abs(cost - self.constant)
        return max(self.rounding, coarse if self.unit is None else min(coarse, self.unit / 2))


def _rounding(magnitude: float, unit: float | None) -> float:
    """Difference up to which sums of so much count as equal: less than half a ``unit``, if they are next to exact."""
    share = ROUNDING * magnitude
    if unit is None:
        return share
    most = EXACT_SUMS if unit.is_integer() else NEARLY_EXACT_SUMS
    return min(share, unit / 8) if magnitude < most * unit else share


def _rounded_magnitude(problem: CompiledProblem) -> float:
    """Sum of the magnitudes of all that is rounded, whatever the cost.

    Squares of exact sums are not: they are rounded by a share of the cost, and where they are 0, not at all.
    """
    p = problem
    fractions = np.abs(p.group_weights - np.trunc(p.group_weights))
    owner = np.repeat(np.arange(len(p.group_values)), np.diff(p.group_indptr))
    is_whole = np.bincount(owner, fractions, len(p.group_values)) + np.abs(p.group_offsets % 1.0) == 0.0
    is_exact = is_whole & (largest_sums(p) < EXACT_SUMS)
    with np.errstate(over="ignore", invalid="ignore"):
        return term_magnitude(p) + float(group_magnitudes(p)[~is_exact].sum())


def _unit(problem: CompiledProblem) -> float | None:
    if problem.n_pairs + len(problem.term_variables) + len(problem.group_variables) > MOST_TERMS:
        return None
    squares = np.empty(0)
    if len(problem.group_values):
        value = common_unit_of(lambda: iter([problem.group_values]))
        member = common_unit_of(lambda: iter([problem.group_weights, problem.group_offsets]))
        if value is None or member is None:
            return None
        squares = np.array([value * member**2])

    def blocks() -> Iterator[F64]:
        yield from (problem.linear, problem.term_values, squares)
        yield from (values for _, _, values in problem.pair_blocks())

    return common_unit_of(blocks)
