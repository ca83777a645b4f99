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
from qiosk.model.flips import magnitude
from qiosk.solvers.samplers.arithmetic import common_unit_of

# Of the sum of all magnitudes, and of the constant, which is added once: some hundred times the error of float64 sums.
ROUNDING, CONSTANT_ROUNDING = 2.0**-44, 2.0**-50
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
        """From the coefficients."""
        rounding = ROUNDING * magnitude(problem) + CONSTANT_ROUNDING * abs(problem.constant)
        return cls(problem.constant, rounding if np.isfinite(rounding) else 0.0, _unit(problem))

    def of_kernel(self, cost: float) -> float:
        """Difference up to which a cost that a kernel added up counts as ``cost``."""
        coarse = KERNEL_ROUNDING * abs(cost - self.constant)
        return max(self.rounding, coarse if self.unit is None else min(coarse, self.unit / 2))


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
