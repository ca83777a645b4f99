"""Tabu walkers on one problem.

Coefficients are scaled to integers, so that stored deltas never drift. A walker is a lane group whose arrays the
kernels change in place; ``kernels.tabu_flips`` describes them. It keeps two records, so that a kick need not touch all
variables: ``trail``, the best configuration since the last kick, and ``home``, the best of all.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.pair_sums import pair_matrix
from qiosk.kernels.rng import combine_seed
from qiosk.kernels.search import tabu as kernels
from qiosk.kernels.search import tabu_flips as layout
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8, I64
from qiosk.model.flips import cost_of, deltas, largest_cost
from qiosk.solvers.algorithms.starts import local_minimum, random_configuration
from qiosk.solvers.samplers.incidence import Incidence, index_by_variable, symmetric_rows
from qiosk.solvers.samplers.sampler import LaneGroup
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.descent import pair_bounds

# Share of all pairs from which they are kept as a matrix, whose rows are read in order and with SIMD: thirty times as
# fast as neighbours at random if coefficients fit a byte, ten times if not.
DENSE_SHARE = 0.06
MOST_MATRIX_BYTES = 1 << 30
# Deltas below this bound are kept in 32 bits, in which twice as many fit a register.
DELTA_BOUND_32 = 2.0**29
# Costs and deltas stay below this many bits, so that no sum overflows.
COST_BITS = 60
# Coefficients that are multiples of 2**-8, or of a larger power of two, count as exact in 32 bits.
FINEST_EXPONENT = 8

# A kick follows so many moves a variable without improvement, at most.
PATIENCE_PER_VARIABLE = 10
# Flips of kicks that stay local. On lattices they do better than large ones, on dense problems worse.
SMALL_KICK = 32
SHORTEST_PATIENCE = 200
# Steps of a kick, at most, which takes about a second then and cannot be interrupted.
KICK_STEPS = 500_000_000
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


def narrowest(values: NDArray[Any]) -> type[Any]:
    """The signed type of fewest bytes, up to that of the integers ``values``, that holds them all."""
    low, high = int(values.min(initial=0)), int(values.max(initial=0))
    fitting = (t for t in (np.int8, np.int16, np.int32) if np.iinfo(t).min <= low and high <= np.iinfo(t).max)
    return next(fitting, np.int64)


def automatic_tenure(n: int) -> int:
    """Tenure [moves] that suits many problems of n variables."""
    return max(1, min(n // 4, 4 + n // 30, 300))


@dataclass(frozen=True, slots=True)
class Rules:
    """How a walker moves: tenure and the largest random addition to it [moves], the most moves without improvement
    before a kick, and the flips of the largest kick."""

    tenure: int
    spread: int
    patience: int
    largest_kick: int

    @property
    def array(self) -> I64:
        """(4,) as the kernels take them."""
        return np.array([self.tenure, self.spread, self.patience, self.largest_kick], np.int64)


@dataclass(frozen=True, eq=False)
class TabuWalkers:
    """Starts and moves walkers. A walker is a lane group of one lane; its random numbers are its own.

    Deltas are integers: coefficients times a power of two, rounded where they are no multiples of its inverse; then the
    error is below 2**-59 of the sum of their absolute values.
    """

    problem: CompiledProblem

    @cached_property
    def _incidence(self) -> Incidence:
        return self.problem.derived(Incidence)

    @cached_property
    def _step2(self) -> float:
        """The product of the changes of two flipped variables, up to its sign."""
        return 4.0 if self.problem.is_spin else 1.0

    @cached_property
    def _exponent(self) -> int:
        """log2 of the scale. Raises InvalidValue if the costs are beyond float64."""
        p, total = self.problem, self._largest_cost
        values = [p.linear, p.pair_values, p.term_values, p.group_values, p.group_weights, p.group_offsets]
        for exponent in range(FINEST_EXPONENT):
            if all(np.array_equal(np.rint(v * 2.0**exponent), v * 2.0**exponent) for v in values):
                fits = total * 2.0 ** (3 * exponent) < 2.0**COST_BITS
                return 3 * exponent if fits and len(p.group_values) else exponent if fits else self._finest
        return self._finest

    @property
    def _finest(self) -> int:
        return min(1000, COST_BITS - math.frexp(self._largest_cost)[1])

    @cached_property
    def _largest_cost(self) -> float:
        return largest_cost(self.problem)

    @cached_property
    def dtype(self) -> type[Any]:
        """int32 where every delta fits exactly, else int64."""
        is_exact = self._exponent != self._finest
        bounds = pair_bounds(self.problem) if self.problem.is_quadratic else self._incidence.bounds
        scaled = math.ldexp(bounds.max(initial=0.0), self._exponent)
        return np.int32 if is_exact and 4.0 * scaled < DELTA_BOUND_32 else np.int64

    @property
    def kernel(self) -> str:
        """Name of the kernel and its arithmetic."""
        layout = "dense" if self._is_dense else "sparse"
        return f"tabu-{layout}-{np.dtype(self.dtype).name}"

    @cached_property
    def _is_dense(self) -> bool:
        n, pairs = self.problem.n, len(self.problem.pair_values)
        fits = self._padded**2 * np.dtype(self.dtype).itemsize <= MOST_MATRIX_BYTES
        return fits and n >= layout.BLOCK and pairs >= DENSE_SHARE * n * (n - 1) / 2

    @property
    def _padded(self) -> int:
        """Variables with padding, at least one of it."""
        return (self.problem.n // layout.BLOCK + 1) * layout.BLOCK

    def _scaled(self, values: F64) -> NDArray[Any]:
        scaled = values * math.ldexp(1.0, self._exponent)
        return np.rint(scaled, out=scaled).astype(self.dtype)

    @cached_property
    def _tables(self) -> tuple[Any, ...]:
        p, n, step2 = self.problem, self.problem.n, self._step2
        weights = self._scaled(step2 * p.pair_values)
        rows, cols = p.pair_rows, p.pair_cols
        dense = np.zeros((self._padded if self._is_dense else 0, self._padded), narrowest(weights))
        if self._is_dense:
            pair_matrix()(rows, cols, weights.astype(dense.dtype), dense)
            rows, cols, weights = rows[:0], cols[:0], weights[:0]
        pairs = symmetric_rows(rows, cols, weights, n)
        term_of = np.repeat(np.arange(len(p.term_values), dtype=np.int32), np.diff(p.term_indptr))
        term_indptr, term_order = index_by_variable(p.term_variables, n)
        terms = (
            p.term_indptr,
            p.term_variables,
            self._scaled(step2 * p.term_values),
            term_indptr,
            term_of[term_order],
        )
        member_indptr, members, member_weights = self._incidence.members
        values = np.ldexp(2.0 * step2 * p.group_values, self._exponent)
        groups = (
            p.group_indptr,
            p.group_variables,
            p.group_weights.astype(np.float64),
            values.astype(np.float64),
            member_indptr,
            members,
            member_weights,
        )
        blocks = self._padded // layout.BLOCK
        return (n, blocks, self._is_dense), pairs, dense.ravel(), terms, groups

    @property
    def _kind(self) -> tuple[bool, bool, bool, bool]:
        """Whether terms are of spins, pairs are dense, there are terms, there are groups: what kernels are made for."""
        p = self.problem
        has_terms, has_groups = len(p.term_values) > 0, len(p.group_values) > 0
        return p.is_spin and has_terms, self._is_dense, has_terms, has_groups

    @property
    def tenure(self) -> int:
        """Tenure [moves] that suits many problems."""
        return automatic_tenure(self.problem.n)

    @property
    def records_minima(self) -> bool:
        """Whether deltas are exact: then every record is a local minimum."""
        return self._exponent != self._finest

    def rules(self, tenure: int = 0, spread: int = 0) -> tuple[Rules, Rules]:
        """Rules for this many variables, with large and with small kicks; a tenure or a spread of 0 is chosen here."""
        n = self.problem.n
        tenure = min(tenure or self.tenure, n)
        spread = min(spread or tenure // 2 + 5, n)
        patience = max(SHORTEST_PATIENCE, PATIENCE_PER_VARIABLE * n)
        large = max(2, min(n // 2, int(KICK_STEPS / self._flip_steps)))
        return Rules(tenure, spread, patience, large), Rules(tenure, spread, patience, min(large, SMALL_KICK))

    @cached_property
    def _flip_steps(self) -> float:
        """Steps of the flip of a random variable: deltas that change with it."""
        p = self.problem
        terms, groups = (np.diff(indptr).astype(np.float64) for indptr in (p.term_indptr, p.group_indptr))
        pairs = float(p.n) ** 2 if self._is_dense else 2.0 * p.n_pairs
        return 1.0 + (pairs + float(terms @ terms) + float(groups @ groups)) / max(1, p.n)

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
        if context.start is not None or not self._is_quick:
            return self.start(local_minimum(context, seed), rules, seed)
        return self._settled(random_configuration(context, seed), rules, seed, descends=True)

    def start(self, configuration: I8, rules: Rules, seed: tuple[int, ...]) -> LaneGroup:
        """A walker at a configuration (n,), with nothing tabu."""
        if self._is_quick:
            return self._settled(configuration, rules, seed, descends=False)
        change = self._scaled(deltas(self.problem, configuration))
        return self._at(configuration > 0, change, self._cost_of(configuration), rules, seed)

    @property
    def _is_quick(self) -> bool:
        """Whether flips from another configuration are exact, and sooner done than sums over all pairs."""
        return self._is_dense and self.dtype is np.int32 and self.problem.is_quadratic

    @cached_property
    def _low(self) -> tuple[NDArray[Any], int]:
        """Deltas (n,) and cost where all variables are low."""
        low = np.full(self.problem.n, -1 if self.problem.is_spin else 0, np.int8)
        return self._scaled(deltas(self.problem, low)), self._cost_of(low)

    def _cost_of(self, configuration: I8) -> int:
        return round(math.ldexp(cost_of(self.problem, configuration) - self.problem.constant, self._exponent))

    def _settled(self, configuration: I8, rules: Rules, seed: tuple[int, ...], *, descends: bool) -> LaneGroup:
        """A walker that flips from all low to a configuration (n,), and may descend from there."""
        walker = self._at(np.zeros(self.problem.n, np.bool_), *self._low, rules, seed)
        with np.errstate(over="ignore"):  # random words wrap when this runs uncompiled
            high = (configuration > 0).astype(np.int8)
            kernels.settle(*self._kind)(self._tables, self._arrays(walker), high, descends)
        self._drop_records(walker)
        return walker

    def _at(
        self, is_high: NDArray[np.bool_], delta: NDArray[Any], cost: int, rules: Rules, seed: tuple[int, ...]
    ) -> LaneGroup:
        """A walker where variables are high (n,), with deltas (n,) and a cost as integers."""
        n, padded = self.problem.n, self._padded
        largest = np.iinfo(self.dtype).max // 2
        high = np.zeros(padded, np.int8)
        high[:n] = -is_high.astype(np.int8)
        change = np.full(padded, largest, self.dtype)
        change[:n] = delta
        penalties = np.full(padded, largest, self.dtype)
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
            "free_minima": np.empty(blocks, self.dtype),
            "minima": np.empty(blocks, self.dtype),
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
            kernels.tabu_moves(*self._kind)(self._tables, self._arrays(walker), rules.array, moves)

    def relink(self, walker: LaneGroup, ends: tuple[I8, I8], band: tuple[int, int], *, is_greedy: bool) -> None:
        """Put the walker on the best configuration of a path, and drop its records.

        ``ends`` are two configurations (n,); ``band``: the first and the last step of the path, counted from the first
        end, that are considered. Variables that were tabu stay so until their time is over.
        """
        arrays = self._arrays(walker)
        begin, target = ((end > 0).astype(np.int8) for end in ends)
        with np.errstate(over="ignore"):  # random words wrap when this runs uncompiled
            kernels.relink(*self._kind)(self._tables, arrays, begin, target, band[0], band[1], is_greedy)
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

    @staticmethod
    def _arrays(walker: LaneGroup) -> tuple[NDArray[Any], ...]:
        return tuple(walker.arrays[name] for name in ARRAYS)

    def best(self, walker: LaneGroup) -> tuple[float, Callable[[], I8]]:
        """Cost of the best configuration that the walker has recorded, and a function that returns it."""
        numbers = walker.arrays["numbers"]
        name = "trail" if numbers[layout.TRAIL] < numbers[layout.HOME] else "home"
        scaled = min(int(numbers[layout.TRAIL]), int(numbers[layout.HOME]))
        return self._cost(scaled), lambda: self._configuration(walker.arrays[name])

    def _cost(self, scaled: int) -> float:
        return self.problem.constant + math.ldexp(float(scaled), -self._exponent)

    def _configuration(self, is_high: NDArray[np.int8]) -> I8:
        return np.asarray(2 * is_high - 1 if self.problem.is_spin else is_high, np.int8)


def warm_walkers(context: SearchContext, *, with_paths: bool = False) -> TabuWalkers:
    """Walkers for a problem, with all kernels compiled or loaded; those of paths if they are wanted."""
    walkers = context.problem.derived(TabuWalkers)
    low = np.full(context.problem.n, -1 if context.problem.is_spin else 0, np.int8)
    rules = walkers.rules()[0]
    walker = walkers.start(low, rules, (0,))
    walkers.run(walker, rules, 1)
    if with_paths:
        walkers.relink(walker, (low, low), (1, 0), is_greedy=False)
    return walkers
