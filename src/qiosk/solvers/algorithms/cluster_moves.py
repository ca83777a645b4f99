"""Isoenergetic cluster moves between replicas of one problem."""

from __future__ import annotations

import numpy as np

from qiosk.kernels.search.isoenergetic import exchange_cluster
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import I8, I64
from qiosk.solvers.samplers.incidence import index_by_variable, symmetric_rows
from qiosk.solvers.samplers.sampler import LaneGroup, Sampler
from qiosk.solvers.search.counter import uniforms


class Clusters:
    """Which variables of a problem of pairs and groups are connected; exchanges clusters of them."""

    def __init__(self, problem: CompiledProblem) -> None:
        n = problem.n
        self._pairs = symmetric_rows(problem.pair_rows, problem.pair_cols, problem.pair_values, n)[:2]
        member_indptr, members = index_by_variable(problem.group_variables, n)
        sizes = np.diff(problem.group_indptr)
        self._by_variable = member_indptr, np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)[members]
        self._groups = problem.group_indptr, problem.group_variables
        self._n = n
        self._is_symmetric = is_symmetric(problem)

    def warm_up(self) -> None:
        """Compile, or load, what the moves need."""
        self.exchange(np.zeros(self._n, np.int8), np.zeros(self._n, np.int8), 0.0)

    def exchange(self, first: I8, second: I8, share: float) -> int:
        """Exchange one cluster between two configurations (n,), in place; returns its size.

        ``share`` in 0..1 chooses the differing variable from which it grows. 0 if nothing, or all, would be exchanged.
        Where flipping all spins changes no cost, ``second`` is flipped first if that makes it more like ``first``,
        because small clusters are the useful ones.
        """
        if self._is_symmetric and 2 * np.count_nonzero(first != second) > self._n:
            np.negative(second, out=second)
        return int(exchange_cluster()(self._pairs, self._by_variable, self._groups, first, second, share))

    def move(self, sampler: Sampler, groups: list[LaneGroup], lane_at: I64, stream: tuple[int, ...]) -> int:
        """Pair up the replicas on every rung at random and exchange a cluster in every pair.

        ``lane_at`` is (W, K): the lane, over all groups, of ladder w on rung k. All groups change in the calling
        thread: lanes of one group may share words. Returns how many clusters were exchanged.
        """
        ladders, rungs = lane_at.shape
        draws = uniforms(stream, (2, rungs, ladders))
        exchanged = 0
        for k in range(rungs):
            order = lane_at[np.argsort(draws[0, k]), k]
            for pair in range(ladders // 2):
                exchanged += self._exchange_pair(
                    sampler, groups, order[2 * pair : 2 * pair + 2], float(draws[1, k, pair])
                )
        return exchanged

    def _exchange_pair(self, sampler: Sampler, groups: list[LaneGroup], lanes: I64, share: float) -> bool:
        places = [divmod(int(lane), sampler.lanes) for lane in lanes]
        first, second = (sampler.configuration(groups[g], r) for g, r in places)
        if self.exchange(first, second, share) == 0:
            return False
        for (g, r), configuration in zip(places, (first, second), strict=True):
            sampler.replace(groups[g], r, configuration)
        return True


def is_symmetric(problem: CompiledProblem) -> bool:
    """Whether flipping all spins leaves the cost of every configuration of pairs and groups unchanged."""
    return problem.is_spin and not np.any(problem.linear) and not np.any(problem.group_offsets)
