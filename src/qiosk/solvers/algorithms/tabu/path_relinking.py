"""Path relinking: a reference set of good solutions, paths between them, and tabu search from the best of each path.

A path leads from one solution of the set to another by flips of variables in which they differ; its best
configuration at some distance from both ends is improved by tabu search, and takes the place of the worst solution of
the set if it is better and new. When no pair is left, all but the best are replaced by fresh ones; the search ends when
that has not helped ``FRUITLESS_REBUILDS`` times in a row.

Reference: Y. Wang, Z. Lü, F. Glover, J.-K. Hao, Eur. J. Oper. Res. 223, 595 (2012), doi:10.1016/j.ejor.2012.07.012.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, final

import numpy as np

from qiosk.model.cost_function import I8, I64
from qiosk.solvers.algorithms.tabu.rules import Rules
from qiosk.solvers.algorithms.tabu.walkers import TabuWalkers
from qiosk.solvers.checkpoint import checkpointed
from qiosk.solvers.samplers.sampler import LaneGroup
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.solver import Budget, Solver
from qiosk.solvers.search.stopping import StopReason

# Walkers that improve at the same time, at most, and less where time is short.
BATCH_WALKERS = 8
# Fresh sets in a row that found nothing better, before the search ends.
FRUITLESS_REBUILDS = 2
# Fresh walkers, for each place of the set, that may end in a solution which is in it already.
TRIES_PER_PLACE = 3


@checkpointed
@dataclass(slots=True)
class RelinkingState:
    """All that is needed to continue. Pairs are of places in the set."""

    walkers: list[LaneGroup]
    incumbents: Incumbents
    configurations: list[I8]  # the reference set
    costs: list[float]  # of these
    pairs: I64  # (P, 2) that have not been relinked
    active: int  # walkers in this batch
    begun: int = 0  # walkers begun from random configurations so far
    tries_left: int = 0  # fresh walkers that may still be begun to fill the set
    batch_sweeps: int = 0  # done in this batch
    best_before: float = np.inf  # of the set, when it was last rebuilt
    failures: int = 0  # rebuilds in a row that found nothing better
    is_finished: bool = False
    sweeps_done: int = 0
    spin_updates: int = 0


@final
@dataclass(frozen=True)
class PathRelinking(Solver[RelinkingState]):
    """Path relinking with tabu search.

    ``ref_set_count`` solutions in the set, at least 2; ``distance_scale`` 0..0.5, the share of a path that is left out
    at both ends; ``is_greedy``: paths take the flip of least delta next, not a random one; ``sweeps``: moves of every
    tabu search.
    """

    context: SearchContext
    walkers: TabuWalkers
    rules: Rules
    sweeps: int
    ref_set_count: int
    distance_scale: float
    is_greedy: bool

    @property
    def kernel(self) -> str:
        """The walkers'."""
        return self.walkers.kernel

    def init(self) -> RelinkingState:
        """An empty set, and walkers from random configurations to fill it."""
        state = RelinkingState([], self.context.incumbents(), [], [], np.empty((0, 2), np.int64), 0)
        state.tries_left = TRIES_PER_PLACE * self.ref_set_count
        self._begin_fresh(state)
        return state

    def step(self, state: RelinkingState, n_sweeps: int, parallel: Parallel, budget: Budget) -> None:
        """Move on, through the end of a batch if need be."""
        end = state.sweeps_done + n_sweeps
        while state.sweeps_done < end and not state.is_finished:
            n = min(end - state.sweeps_done, self.sweeps - state.batch_sweeps)
            self._move(state, n, parallel)
            if state.batch_sweeps == self.sweeps:
                self._end_batch(state, parallel)

    def outcome(self, state: RelinkingState) -> StopReason | None:
        """FINISHED when fresh sets find nothing better any more."""
        return StopReason.FINISHED if state.is_finished else None

    def fraction(self, state: RelinkingState) -> float:
        """Open-ended."""
        return 0.0

    def offer_replicas(self, state: RelinkingState) -> None:
        """Offer what the walkers of the batch have found."""
        for walker in state.walkers[: state.active]:
            self._improved(state, walker)

    def parameters(self, state: RelinkingState) -> dict[str, Any]:
        """ref_set_count, distance_scale, greedy_path_relinking."""
        return {
            "ref_set_count": self.ref_set_count,
            "distance_scale": self.distance_scale,
            "greedy_path_relinking": self.is_greedy,
        }

    def _move(self, state: RelinkingState, n: int, parallel: Parallel) -> None:
        parallel.each(lambda walker: self.walkers.run(walker, self.rules, n), state.walkers[: state.active])
        state.sweeps_done += n
        state.batch_sweeps += n
        state.spin_updates += state.active * self.context.problem.n * n

    def _improved(self, state: RelinkingState, walker: LaneGroup) -> tuple[I8, float]:
        """A walker's best configuration as a local minimum, and its cost; it is offered to the incumbents, too."""
        _, configuration = self.walkers.best(walker)
        return self.context.improve(configuration(), state.incumbents, state.sweeps_done)

    def _end_batch(self, state: RelinkingState, parallel: Parallel) -> None:
        for walker in state.walkers[: state.active]:
            self._admit(state, *self._improved(state, walker))
        state.batch_sweeps = 0
        if len(state.costs) < self.ref_set_count and state.tries_left > 0:
            self._begin_fresh(state)
        elif len(state.pairs):
            self._begin_paths(state, parallel)
        else:
            self._rebuild(state)

    def _admit(self, state: RelinkingState, x: I8, cost: float) -> None:
        """Take a new solution into the set if there is room, or in place of the worst if it is better."""
        if any(np.array_equal(x, known) for known in state.configurations):
            return
        if len(state.costs) < self.ref_set_count:
            place = len(state.costs)
            state.configurations.append(x)
            state.costs.append(cost)
        else:
            place = int(np.argmax(state.costs))
            if not cost < state.costs[place]:
                return
            state.configurations[place], state.costs[place] = x, cost
            state.pairs = state.pairs[~(state.pairs == place).any(axis=1)]
        others = np.array([k for k in range(len(state.costs)) if k != place], np.int64)
        there = np.stack([np.full_like(others, place), others], axis=1)
        state.pairs = np.concatenate([state.pairs, there, there[:, ::-1]])

    def _begin_fresh(self, state: RelinkingState) -> None:
        """Walkers from local minima near random configurations."""
        wanted = self.ref_set_count - len(state.costs)
        at_once = self.context.at_once(BATCH_WALKERS, self.context.walker_seconds)
        state.active = min(at_once, wanted, state.tries_left)
        state.tries_left -= state.active
        for k in range(state.active):
            seed = (self.context.seed, state.begun)
            walker = self.walkers.begin(self.context, self.rules, seed)
            state.walkers[k : k + 1] = [walker]
            state.begun += 1

    def _begin_paths(self, state: RelinkingState, parallel: Parallel) -> None:
        """Walkers from the best configurations of the next paths."""
        state.active = min(len(state.pairs), len(state.walkers))
        pairs = state.pairs[: state.active]
        state.pairs = state.pairs[state.active :]

        def relink(k: int) -> None:
            ends = state.configurations[pairs[k, 0]], state.configurations[pairs[k, 1]]
            distance = int(np.count_nonzero(ends[0] != ends[1]))
            first = max(1, int(self.distance_scale * distance))
            band = (first, max(first, distance - first) if distance > 0 else 0)
            self.walkers.relink(state.walkers[k], ends, band, is_greedy=self.is_greedy)

        parallel.each(relink, range(state.active))

    def _rebuild(self, state: RelinkingState) -> None:
        """Keep the best and fill the set afresh; or end, if that has not helped lately."""
        best = int(np.argmin(state.costs))
        cost = state.costs[best]
        is_better = cost < state.best_before - self.context.resolution.of_sum(cost)
        state.failures = 0 if is_better else state.failures + 1
        state.best_before = cost
        if state.failures >= FRUITLESS_REBUILDS or self.context.problem.n == 0:
            state.is_finished = True
            return
        state.configurations, state.costs = [state.configurations[best]], [cost]
        state.pairs = np.empty((0, 2), np.int64)
        state.tries_left = TRIES_PER_PLACE * self.ref_set_count
        self._begin_fresh(state)
