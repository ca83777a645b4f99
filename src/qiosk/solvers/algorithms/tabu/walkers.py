"""Tabu walkers on one problem.

Coefficients are integers, so that stored deltas never drift. A walker is a lane group whose arrays the
kernels change in place; ``kernels.tabu_flips`` describes them. It keeps two records, so that a kick need not touch all
variables: ``trail``, the best configuration since the last kick, and ``home``, the best of all.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.rng import combine_seed
from qiosk.kernels.search import tabu as kernels
from qiosk.kernels.search import tabu_flips as layout
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I8
from qiosk.solvers.algorithms.starts import local_minimum, random_configuration
from qiosk.solvers.algorithms.tabu.rules import SHORTEST_PATIENCE, Rules, automatic_tenure, rules_for
from qiosk.solvers.algorithms.tabu.tables import TabuTables
from qiosk.solvers.samplers.sampler import LaneGroup
from qiosk.solvers.search.context import SearchContext

# Moves a variable without improvement after which a search may end.
CUTOFF_PER_VARIABLE = 500
SHORTEST_CUTOFF = 10_000
# Moves a variable of a search that path relinking begins.
IMPROVEMENT_PER_VARIABLE = 10

ARRAYS = (
    *("high", "deltas", "penalties", "free_minima", "minima", "is_stale", "stale", "slots", "links", "grown"),
    *("counts", "home", "trail", "numbers", "random", "changed", "pending", "marks"),
)
"""Arrays of a walker, in the order of the kernels."""


@dataclass(frozen=True, eq=False)
class TabuWalkers:
    """Starts and moves walkers. A walker is a lane group of one lane; its random numbers are its own.

    Deltas are integers: those of ``TabuTables``.
    """

    problem: CompiledProblem

    @cached_property
    def tables(self) -> TabuTables:
        """The problem as integers."""
        return TabuTables(self.problem)

    @property
    def kernel(self) -> str:
        """Name of the kernel and its arithmetic."""
        layout = "dense" if self.tables.is_dense else "sparse"
        return f"tabu-{layout}-{np.dtype(self.tables.dtype).name}"

    @property
    def tenure(self) -> int:
        """Tenure [moves] that suits many problems."""
        return automatic_tenure(self.problem.n)

    @property
    def records_minima(self) -> bool:
        """Whether deltas are exact: then every record is a local minimum."""
        return self.tables.is_exact

    def rules(self, tenure: int = 0, spread: int = 0) -> tuple[Rules, Rules]:
        """Rules for this many variables, with large and with small kicks; a tenure or a spread of 0 is chosen here."""
        return rules_for(self.problem.n, self.tables.flip_steps, tenure, spread)

    @property
    def cutoff(self) -> int:
        """Moves without improvement after which a search has little left to find."""
        return max(SHORTEST_CUTOFF, CUTOFF_PER_VARIABLE * self.problem.n)

    @property
    def improvement_moves(self) -> int:
        """Moves of a short search, from a configuration that is good already."""
        return max(SHORTEST_PATIENCE, IMPROVEMENT_PER_VARIABLE * self.problem.n)

    def begin(self, context: SearchContext, rules: Rules, seed: tuple[int, ...]) -> LaneGroup:
        """A walker at the given initial configuration, or at the local minimum that a random one leads to."""
        if not self._is_quick:
            x = local_minimum(context, seed)
            change, cost = self.tables.scaled_deltas(context.moves.gains(x)), context.moves.cost(x)
            return self._at(x > 0, change, self.tables.scaled_cost(cost), rules, seed)
        if context.start is not None:
            return self.start(local_minimum(context, seed), rules, seed)
        return self._settled(random_configuration(context, seed), rules, seed, descends=True)

    def start(self, configuration: I8, rules: Rules, seed: tuple[int, ...]) -> LaneGroup:
        """A walker at a configuration (n,), with nothing tabu."""
        if self._is_quick:
            return self._settled(configuration, rules, seed, descends=False)
        return self._at(configuration > 0, *self.tables.at(configuration), rules, seed)

    @property
    def _is_quick(self) -> bool:
        """Whether flips from another configuration are exact, and sooner done than sums over all pairs."""
        return self.tables.is_dense and self.tables.dtype is np.int32 and self.problem.is_quadratic

    def _settled(self, configuration: I8, rules: Rules, seed: tuple[int, ...], *, descends: bool) -> LaneGroup:
        """A walker that flips from all low to a configuration (n,), and may descend from there."""
        walker = self._at(np.zeros(self.problem.n, np.bool_), *self.tables.low, rules, seed)
        with np.errstate(over="ignore"):  # random words wrap when this runs uncompiled
            high = (configuration > 0).astype(np.int8)
            kernels.settle(*self.tables.kind)(self.tables.arrays, self._arrays(walker), high, descends)
        self._drop_records(walker)
        return walker

    def _at(
        self, is_high: NDArray[np.bool_], delta: NDArray[Any], cost: int, rules: Rules, seed: tuple[int, ...]
    ) -> LaneGroup:
        """A walker where variables are high (n,), with deltas (n,) and a cost as integers."""
        n, padded, dtype = self.problem.n, self.tables.padded, self.tables.dtype
        largest = np.iinfo(dtype).max // 2
        high = np.zeros(padded, np.int8)
        high[:n] = -is_high.astype(np.int8)
        change = np.full(padded, largest, dtype)
        change[:n] = delta
        penalties = np.full(padded, largest, dtype)
        penalties[:n] = -largest
        blocks = padded // layout.BLOCK
        numbers = np.zeros(layout.NUMBERS, np.int64)
        numbers[layout.COST] = cost
        numbers[[layout.HOME, layout.TRAIL]] = numbers[layout.COST], layout.UNSEEN
        numbers[layout.STALE] = blocks
        numbers[layout.PATIENCE] = rules.patience
        numbers[layout.SLOTS], numbers[layout.TABU] = rules.tenure + rules.spread + 2, largest
        arrays = {
            "high": high,
            "deltas": change,
            "penalties": penalties,
            "free_minima": np.empty(blocks, dtype),
            "minima": np.empty(blocks, dtype),
            "is_stale": np.ones(blocks, np.uint8),
            "stale": np.arange(blocks, dtype=np.int32),
            "slots": np.full(rules.tenure + rules.spread + 2, -1, np.int32),
            "links": np.full(n, -1, np.int32),
            "grown": np.zeros(n, np.int32),
            "counts": self._counts(is_high),
            "home": is_high.astype(np.int8),
            "trail": is_high.astype(np.int8),
            "numbers": numbers,
            "random": np.array([combine_seed(seed)], np.uint64),
            "changed": np.zeros(n, np.int32),
            "pending": np.zeros(n, np.int32),
            "marks": np.zeros(n, np.uint8),
        }
        return LaneGroup(arrays)

    def _counts(self, is_high: NDArray[np.bool_]) -> NDArray[np.int32]:
        p = self.problem
        if not len(p.term_values):
            return np.zeros(0, np.int32)
        lows = np.add.reduceat((~is_high[p.term_variables]).astype(np.int32), p.term_indptr[:-1])
        return (-(lows % 2) if p.is_spin else lows).astype(np.int32)

    def run(self, walker: LaneGroup, rules: Rules, moves: int) -> None:
        """So many moves, in place. Releases the GIL."""
        with np.errstate(over="ignore"):  # random words wrap when this runs uncompiled
            kernels.tabu_moves(*self.tables.kind)(self.tables.arrays, self._arrays(walker), rules.array, moves)

    def relink(self, walker: LaneGroup, ends: tuple[I8, I8], band: tuple[int, int], *, is_greedy: bool) -> None:
        """Put the walker on the best configuration of a path, and drop its records.

        ``ends`` are two configurations (n,); ``band``: the first and the last step of the path, counted from the first
        end, that are considered. Variables that were tabu stay so until their time is over.
        """
        arrays = self._arrays(walker)
        begin, target = ((end > 0).astype(np.int8) for end in ends)
        with np.errstate(over="ignore"):  # random words wrap when this runs uncompiled
            kernels.relink(*self.tables.kind)(self.tables.arrays, arrays, begin, target, band[0], band[1], is_greedy)
        self._drop_records(walker)

    def _drop_records(self, walker: LaneGroup) -> None:
        """The present configuration is the only one that a walker knows."""
        numbers = walker.arrays["numbers"]
        for name in ("home", "trail"):
            walker.arrays[name][:] = walker.arrays["high"][: self.problem.n] & 1
        walker.arrays["marks"][:] = 0
        numbers[[layout.CHANGED, layout.PENDING]] = 0
        numbers[[layout.HOME, layout.TRAIL]] = numbers[layout.COST], layout.UNSEEN
        numbers[layout.LAST] = numbers[layout.CLOCK]

    @cached_property
    def are_moves_loaded(self) -> bool:
        """True; the kernels of moves are compiled or loaded when it is first asked for."""
        self.run(self._low(), self.rules()[0], 1)
        return True

    @cached_property
    def are_paths_loaded(self) -> bool:
        """The same of those of paths."""
        low = np.full(self.problem.n, -1 if self.problem.is_spin else 0, np.int8)
        self.relink(self._low(), (low, low), (1, 0), is_greedy=False)
        return True

    def _low(self) -> LaneGroup:
        """A walker where all variables are low."""
        return self._at(np.zeros(self.problem.n, np.bool_), *self.tables.low, self.rules()[0], (0,))

    @staticmethod
    def _arrays(walker: LaneGroup) -> tuple[NDArray[Any], ...]:
        return tuple(walker.arrays[name] for name in ARRAYS)

    def best(self, walker: LaneGroup) -> tuple[float, Callable[[], I8]]:
        """Cost of the best configuration that the walker has recorded, and a function that returns it."""
        numbers = walker.arrays["numbers"]
        name = "trail" if numbers[layout.TRAIL] < numbers[layout.HOME] else "home"
        scaled = min(int(numbers[layout.TRAIL]), int(numbers[layout.HOME]))
        return self.tables.cost(scaled), lambda: self._configuration(walker.arrays[name])

    def _configuration(self, is_high: NDArray[np.int8]) -> I8:
        return np.asarray(2 * is_high - 1 if self.problem.is_spin else is_high, np.int8)


def warm_walkers(context: SearchContext, *, with_paths: bool = False) -> TabuWalkers:
    """Walkers for a problem, with all kernels compiled or loaded; those of paths if they are wanted."""
    walkers = context.problem.derived(TabuWalkers)
    assert walkers.are_moves_loaded
    assert walkers.are_paths_loaded or not with_paths
    return walkers
