"""Down to a local minimum, in float64."""

from __future__ import annotations

import numpy as np

from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I8
from qiosk.solvers.sampler import LaneGroup
from qiosk.solvers.samplers.plain import PlainSampler


class Descent:
    """Sweeps of one problem at zero temperature: flips that do not raise the cost, until a sweep gains nothing."""

    def __init__(self, problem: CompiledProblem) -> None:
        self._sampler = PlainSampler(problem, lanes=1)

    def __call__(self, x: I8) -> I8:
        """A configuration that no single flip improves, reached from ``x`` (n,) without ever going up."""
        group = self._sampler.start((0,), x)
        cost = np.inf
        while (lower := self._sweep(group)) < cost:
            cost = lower
        return self._sampler.configuration(group, 0)

    def _sweep(self, group: LaneGroup) -> float:
        self._sampler.sweep(group, np.array([np.inf]))
        return float(self._sampler.costs(group)[0])
