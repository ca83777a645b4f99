"""The best distinct configurations found so far, with costs computed in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from qiosk.model.cost_function import I8
from qiosk.solvers.checkpoint import checkpointed


def rank(cost: float, configuration: I8) -> tuple[float, bytes]:
    """What solutions are sorted by where it must not matter which came first: costs, then values."""
    return cost, configuration.tobytes()


@checkpointed
@dataclass(slots=True)
class Improvement:
    """A new best: sweeps done when it was found, and its cost."""

    sweep: int
    cost: float


@checkpointed
@dataclass(slots=True)
class Incumbents:
    """At most ``capacity`` distinct configurations, best first. Ties keep the one that came first."""

    capacity: int
    costs: list[float] = field(default_factory=list)
    configurations: list[I8] = field(default_factory=list)
    improvements: list[Improvement] = field(default_factory=list)

    @property
    def best(self) -> float:
        """Cost of the best configuration; ``inf`` before the first."""
        return self.costs[0] if self.costs else np.inf

    @property
    def threshold(self) -> float:
        """A configuration must cost less than this to be kept."""
        return self.costs[-1] if len(self.costs) == self.capacity else np.inf

    def offer(self, configuration: I8, cost: float, sweep: int) -> bool:
        """Keep the configuration if it is new and good enough; returns whether it is a new best.

        ``cost`` must be that of ``cost_of``, to the last bit, so that equal configurations have equal costs.
        """
        if not cost < self.threshold:
            return False
        place = int(np.searchsorted(self.costs, cost, side="right"))
        equal = range(int(np.searchsorted(self.costs, cost, side="left")), place)
        if any(np.array_equal(self.configurations[k], configuration) for k in equal):
            return False
        self.costs.insert(place, cost)
        self.configurations.insert(place, configuration.copy())
        del self.costs[self.capacity :], self.configurations[self.capacity :]
        if place == 0:
            self.improvements.append(Improvement(sweep, cost))
        return place == 0

    def merge(self, others: Sequence[Incumbents], sweep: int) -> None:
        """Keep the best of these and of those of others, whatever came first: ties by :func:`rank`."""
        near = [found for found in others if found.costs and found.costs[0] <= self.threshold]
        if not near:
            return
        before = self.best
        pairs = [pair for found in (self, *near) for pair in zip(found.costs, found.configurations, strict=True)]
        distinct = {x.tobytes(): (cost, x) for cost, x in pairs}
        ranked = sorted(distinct.values(), key=lambda pair: rank(*pair))[: self.capacity]
        self.costs, self.configurations = [cost for cost, _ in ranked], [x for _, x in ranked]
        if self.best < before:
            self.improvements.append(Improvement(sweep, self.best))

    def retrace(self, before: float, steps: Sequence[Improvement]) -> None:
        """Replace the improvements on a best of ``before`` by the finer steps in which they were made."""
        while self.improvements and self.improvements[-1].cost < before:
            self.improvements.pop()
        self.improvements.extend(step for step in steps if step.cost < before)
