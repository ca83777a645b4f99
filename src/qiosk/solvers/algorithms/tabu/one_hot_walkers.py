"""Tabu walkers that keep one-hot groups."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from qiosk.kernels.one_hot import tabu as kernels
from qiosk.kernels.one_hot.places import one_hot_costs, one_hot_fill
from qiosk.kernels.rng import combine_seed
from qiosk.model.cost_function import I8
from qiosk.solvers.algorithms.starts import local_minimum
from qiosk.solvers.algorithms.tabu.rules import Rules, automatic_tenure
from qiosk.solvers.samplers.one_hot.layout import Layout
from qiosk.solvers.samplers.one_hot.sampler import STATE, place_arrays
from qiosk.solvers.samplers.sampler import LaneGroup
from qiosk.solvers.search.context import SearchContext

# A kick follows so many moves a choice without improvement, at most.
PATIENCE_PER_CHOICE = 100
SHORTEST_PATIENCE = 200
# Random moves of kicks that stay local.
SMALL_KICK = 4
# Moves a choice without improvement after which a search may end.
CUTOFF_PER_CHOICE = 10_000
SHORTEST_CUTOFF = 10_000
RECORDS = ("until", "home", "trail", "costs", "numbers", "random")
"""Arrays of a walker besides its state, in the order of the kernel."""


@dataclass(frozen=True, eq=False)
class OneHotWalkers:
    """Starts and moves walkers, each a lane group of one lane. The interface is that of ``TabuWalkers``.

    Arithmetic: that of the layout; the cost of a walker is float64, added up again every some thousand moves.
    """

    layout: Layout

    @property
    def kernel(self) -> str:
        """Name of the kernel and its arithmetic."""
        return f"tabu-one-hot-{self.layout.real}"

    @cached_property
    def tenure(self) -> int:
        """Tenure [moves] that suits many problems: the rows of an assignment."""
        rows = int(self.layout.structure.sizes.max(initial=0))
        return max(1, rows, automatic_tenure(self._choices - self.layout.structure.n_assigned))

    @property
    def cutoff(self) -> int:
        """Moves without improvement after which a search has little left to find."""
        return max(SHORTEST_CUTOFF, CUTOFF_PER_CHOICE * self._choices)

    @cached_property
    def _choices(self) -> int:
        """Choices between two places or more."""
        return max(1, int(np.count_nonzero(np.diff(self.layout.structure.starts) > 1)))

    def rules(self, tenure: int = 0, spread: int = 0) -> tuple[Rules, Rules]:
        """Rules with large and with small kicks; a tenure or a spread of 0 is chosen here."""
        n = max(1, self.layout.problem.n)
        tenure = min(tenure or self.tenure, n)
        spread = min(spread or tenure // 4 + 2, n)
        patience = max(SHORTEST_PATIENCE, PATIENCE_PER_CHOICE * self._choices)
        large = max(2, self._choices // 2)
        return Rules(tenure, spread, patience, large), Rules(tenure, spread, patience, min(large, SMALL_KICK))

    @property
    def records_minima(self) -> bool:
        """Not in the sense of all moves."""
        return False

    def begin(self, context: SearchContext, rules: Rules, seed: tuple[int, ...]) -> LaneGroup:
        """A walker at the given initial configuration, or at the local minimum that a random one leads to."""
        return self.start(local_minimum(context, seed), rules, seed)

    def start(self, configuration: I8, rules: Rules, seed: tuple[int, ...]) -> LaneGroup:
        """A walker at the configuration nearest to this one that keeps the groups, with nothing tabu."""
        layout = self.layout
        taken = layout.taken(configuration)
        arrays = place_arrays(layout, taken[None, :])
        state = tuple(arrays[name] for name in STATE)
        one_hot_fill()(*layout.tables, state)
        cost = np.empty(1)
        one_hot_costs()(layout.couplings, layout.more, state, cost)
        numbers = np.zeros(kernels.NUMBERS, np.int64)
        numbers[kernels.PATIENCE] = rules.patience
        return LaneGroup(
            arrays
            | {
                "until": np.zeros(layout.width, np.int64),
                "home": taken.copy(),
                "trail": taken.copy(),
                "costs": np.array([cost[0], cost[0], np.inf, layout.tolerance]),
                "numbers": numbers,
                "random": np.array([combine_seed(seed)], np.uint64),
            }
        )

    def run(self, walker: LaneGroup, rules: Rules, moves: int) -> None:
        """So many moves, in place. Releases the GIL."""
        state = tuple(walker.arrays[name] for name in STATE)
        with np.errstate(over="ignore"):  # random words wrap when this runs uncompiled
            records = (walker.arrays[name] for name in RECORDS)
            run = kernels.one_hot_tabu(self.layout.has_orders)
            run(*self.layout.tables, self.layout.orders, state, *records, rules.array, moves)

    def best(self, walker: LaneGroup) -> tuple[float, Callable[[], I8]]:
        """Cost of the best configuration that the walker has recorded, and a function that returns it."""
        costs = walker.arrays["costs"]
        name = "trail" if costs[kernels.TRAIL] < costs[kernels.HOME] else "home"
        cost = float(costs[[kernels.HOME, kernels.TRAIL]].min())
        found = self.layout.reduced.constant + self.layout.scale * cost
        return found, lambda: self.layout.configuration(walker.arrays[name])


def warm_one_hot_walkers(context: SearchContext) -> OneHotWalkers:
    """Walkers for a problem with one-hot groups, with all kernels compiled or loaded."""
    walkers = OneHotWalkers(context.layout)
    start = context.moves.nearest(np.zeros(context.problem.n, np.int8))
    rules = walkers.rules()[0]
    walkers.run(walkers.start(start, rules, (0,)), rules, 1)
    return walkers
