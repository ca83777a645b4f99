"""The search over an encoding: feasible solutions, each better than the one before, or the proof that there is none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.propagation import search, state
from qiosk.kernels.rng import random_words
from qiosk.model.cost_function import I8, I64
from qiosk.modeling.expression import Condition, Expression, Sense
from qiosk.modeling.propagation.encoding import Encoding
from qiosk.modeling.rows import Row, row_of

PART_STEPS = 3_000_000
"""Steps of a kernel call: some hundredths of a second."""
MAX_CLAUSES = 1 << 16
MAX_POOL = 1 << 22
"""Literals of learned clauses, unless there are so many variables that a few clauses need more."""
FIRST_LIMIT = 4000
"""Learned clauses at which the worse half is dropped for the first time."""
MAX_PRODUCTS = 10_000
"""Products of an objective up to which its bound is propagated: bounds on sums of very many products cut nothing."""
_NOISE = 1e-4


class Outcome(StrEnum):
    """What a call of the search ends with."""

    PAUSED = "paused"
    SOLVED = "solved"
    EXHAUSTED = "exhausted"


class Tree:
    """A depth-first search with learned clauses, which can be continued in calls of any length.

    ``objective`` is the number of a row whose bound is lowered after each solution; without it the first solution
    ends the search, and is the best one only if ``is_bounded``: there is no objective either. ``costs`` of bits are
    their linear coefficients in what is minimized: they only decide which value is tried first. A seed repeats.
    """

    def __init__(
        self,
        encoding: Encoding,
        n_bits: int,
        *,
        seed: int,
        objective: int | None,
        costs: Mapping[int, float],
        is_bounded: bool = True,
    ) -> None:
        self.n_bits = n_bits
        self.objective = objective
        self.is_bounded = is_bounded
        self._is_over = encoding.is_contradictory
        self._is_solved = False
        self.state = _state(encoding, seed, costs)

    @property
    def steps(self) -> int:
        """Steps made so far."""
        return int(self.state.counters[state.STEPS])

    @property
    def conflicts(self) -> int:
        """Conflicts so far, from each of which a clause was learned."""
        return int(self.state.counters[state.CONFLICTS])

    def fixed(self) -> dict[int, int]:
        """Bits that have one value in all solutions that are left, as far as propagation tells."""
        level = self.state.counters[state.LEVEL]
        end = self.state.marks[1] if level else self.state.counters[state.TRAIL]
        return {int(a) >> 1: 1 - (int(a) & 1) for a in self.state.trail[:end] if a >> 1 < self.n_bits}

    def bits(self) -> I8:
        """(n_bits,) the solution, after ``SOLVED``."""
        values: I8 = self.state.is_true[0 : 2 * self.n_bits : 2].astype(np.int8)
        return values

    def search(self, steps: int, should_stop: Callable[[], bool] = lambda: False) -> Outcome:
        """Go on for about so many steps, in parts, between which ``should_stop`` may end the call."""
        if self._is_solved and not self._is_over:
            self._is_over = self.objective is None
            if self.objective is not None:
                search.tighten(self.state, self.objective, self.state.row_sums[self.objective] - 1)
            self._is_solved = False
        end = self.steps + steps
        while not self._is_over:
            found = search.advance(self.state, min(PART_STEPS, end - self.steps))
            if found == state.SOLVED:
                self._is_solved = True
                return Outcome.SOLVED
            self._is_over = found == state.EXHAUSTED
            if not self._is_over and (self.steps >= end or should_stop()):
                return Outcome.PAUSED
        return Outcome.EXHAUSTED


def warm_up() -> None:
    """Load the kernels, or compile them."""
    tiny = Tree(Encoding(1), 1, seed=0, objective=None, costs={})
    search.tighten(tiny.state, 0, 0)
    search.advance(tiny.state, 0)


def tree_of(rows: Iterable[Row], cost: Expression, n_bits: int, seed: int) -> Tree:
    """The search for bits that satisfy rows, and make a cost small if it can be bounded."""
    wanted = list(rows)
    encoding = Encoding(n_bits)
    encoding.find_groups(wanted)
    for row in wanted:
        encoding.add(row)
    objective, is_bounded = None, True
    if any(cost.terms):  # any but the constant
        whole = row_of(Condition(cost - cost.constant, Sense.AT_MOST, 0.0))
        is_bounded = whole is not None and sum(len(bits) > 1 for bits in whole.terms) <= MAX_PRODUCTS
        if whole is not None and is_bounded:
            objective = encoding.add_objective(whole.terms)
    costs = {bits[0]: c for bits, c in cost.terms.items() if len(bits) == 1}
    return Tree(encoding, n_bits, seed=seed, objective=objective, costs=costs, is_bounded=is_bounded)


def _state(encoding: Encoding, seed: int, costs: Mapping[int, float]) -> state.Search:
    n, rows = encoding.n_variables, encoding.rows
    row_start = np.cumsum([0, *(len(row.literals) for row in rows)], dtype=np.int64)
    literals = np.array([a for row in rows for a in row.literals], np.int32)
    weights = np.array([w for row in rows for w in row.weights], np.int64)
    opens = np.array([is_open for row in rows for is_open in row.opens], np.uint8)
    of_rows = np.repeat(np.arange(len(rows), dtype=np.int32), np.diff(row_start))
    use_start, order = _by_literal(literals, 2 * n)
    pairs = np.array(encoding.pairs, np.int32).reshape(-1, 2)
    sources = np.concatenate([pairs[:, 0], pairs[:, 1]])
    implied_start, implied_order = _by_literal(sources, 2 * n)
    pool = max(MAX_POOL, 8 * (n + 1))
    noise = random_words(seed, n).astype(np.float64) / 2.0**64
    activities = _NOISE * noise
    phases = np.ones(n, np.uint8)
    for group in encoding.groups:
        activities[group] += _NOISE / len(group)
        phases[group] = 0
    for bit, cost in costs.items():
        if cost < 0:
            phases[bit] = 0
    by_activity = np.argsort(-activities, kind="stable").astype(np.int32)
    places = np.empty(n, np.int32)
    places[by_activity] = np.arange(n, dtype=np.int32)
    counters = np.zeros(16, np.int64)
    counters[state.HEAPED] = n
    counters[state.QUEUED] = len(rows)
    counters[state.UNTIL_RESTART] = search.RESTART_UNIT
    counters[state.CLAUSE_LIMIT] = FIRST_LIMIT
    return state.Search(
        implied_start=implied_start,
        implied=np.concatenate([pairs[:, 1], pairs[:, 0]])[implied_order] ^ 1,
        row_start=row_start,
        row_literals=literals,
        row_weights=weights,
        row_opens=opens,
        row_bounds=np.array([row.bound for row in rows] or [0], np.int64),
        row_spreads=_spreads(weights, opens, row_start),
        use_start=use_start,
        use_rows=of_rows[order],
        use_weights=weights[order],
        is_true=np.zeros(2 * n, np.uint8),
        levels=np.zeros(n, np.int32),
        reasons=np.full(n, state.NO_REASON, np.int64),
        places=np.zeros(n, np.int32),
        trail=np.zeros(n, np.int32),
        marks=np.zeros(n + 2, np.int32),
        row_sums=np.zeros(max(1, len(rows)), np.int64),
        row_queue=np.arange(max(1, len(rows)), dtype=np.int32),
        is_queued=np.ones(max(1, len(rows)), np.uint8),
        activities=activities,
        heap=by_activity,
        heap_places=places,
        phases=phases,
        clause_start=np.zeros(MAX_CLAUSES + 1, np.int64),
        clause_ranks=np.zeros(MAX_CLAUSES, np.int32),
        pool=np.empty(pool, np.int32),
        watch_heads=np.full(2 * n, -1, np.int32),
        watch_after=np.full(2 * MAX_CLAUSES, -1, np.int32),
        seen=np.zeros(n, np.uint8),
        premises=np.zeros(2 * n + 2, np.int32),
        gains=np.zeros(2 * n + 2, np.int64),
        learned=np.zeros(n + 1, np.int32),
        dropped=np.zeros(max(64, n + 1), np.int32),
        stamps=np.full(n + 2, -1, np.int64),
        counters=counters,
        step=np.array([1.0]),
    )


def _by_literal(literals: NDArray[np.int32], size: int) -> tuple[I64, I64]:
    """Where the uses of each literal begin, and the places at which they are, in this order."""
    start = np.concatenate([[0], np.cumsum(np.bincount(literals, minlength=size))]).astype(np.int64)
    return start, np.argsort(literals, kind="stable").astype(np.int64)


def _spreads(weights: I64, opens: NDArray[np.uint8], row_start: I64) -> I64:
    """(R,) largest total weight of a block of each row."""
    if len(weights) == 0:
        return np.zeros(max(1, len(row_start) - 1), np.int64)
    begins = np.flatnonzero(opens)
    totals = np.add.reduceat(weights, begins)
    spreads = np.zeros(len(row_start) - 1, np.int64)
    np.maximum.at(spreads, np.searchsorted(row_start, begins, side="right") - 1, totals)
    return spreads
