"""Greedy descent in float64: the last step from a sampled configuration to a local minimum."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qiosk.kernels.plain.general import general_descent
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8
from qiosk.solvers.samplers.incidence import Incidence

_ROUNDING = 2.0**-48
_PASSES = 10_000


@dataclass(frozen=True, eq=False)
class Descent:
    """Single-variable descent of one problem; keeps the problem's second index between calls."""

    problem: CompiledProblem

    @cached_property
    def _incidence(self) -> Incidence:
        return Incidence(self.problem)

    @cached_property
    def tolerances(self) -> F64:
        """(n,) least decrease of cost that counts, above the rounding error of a float64 sum."""
        return _ROUNDING * self._incidence.bounds

    def __call__(self, configuration: I8) -> I8:
        """The local minimum that passes over the variables in order lead to; ``configuration`` (n,) is not changed.

        No flip of one variable lowers the cost by more than its tolerance, unless 10 000 passes did not suffice. Its
        cost is never above that of ``configuration``, up to rounding.
        """
        index, p = self._incidence, self.problem
        values = np.array(configuration, np.int8)
        sums = np.empty(len(p.group_values))
        general_descent()(
            p.linear,
            index.terms,
            index.groups,
            index.by_variable,
            p.is_spin,
            values,
            sums,
            self.tolerances,
            _PASSES,
        )
        return values
