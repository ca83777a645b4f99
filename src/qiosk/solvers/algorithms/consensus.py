"""Which variables cold replicas agree on, so that they may be fixed.

Reference: H. Karimi, G. Rosenberg, Quantum Inf. Process. 16, 166 (2017), doi:10.1007/s11128-017-1615-x.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from qiosk.model.cost_function import I8
from qiosk.solvers.algorithms.cluster_moves import is_symmetric
from qiosk.solvers.algorithms.parallel_tempering import TemperingState
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.parallel import Parallel


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleConsensus:
    """Variables that have the same value in a whole sample are assumed to have it in the optimum.

    The sample is that of the ``temperatures`` coldest rungs, at most ``per_layer`` replicas of each, and of these the
    share ``elite`` (0..1) of lowest cost, at least two.
    """

    after: float  # share of a run's sweeps after which to fix
    temperatures: int
    per_layer: int
    elite: float = 1.0

    def consensus(self, context: SearchContext, state: TemperingState) -> tuple[NDArray[np.bool_], I8]:
        """Which variables to fix, (n,), and the values of all of them in the best configuration of the sample."""
        n = context.problem.n
        lanes = state.lane_at[: self.per_layer, -self.temperatures :].ravel()
        costs = context.costs(state.groups, Parallel(1))[lanes]
        best_first = lanes[np.argsort(costs, kind="stable")]
        elite = best_first[: max(2, int(np.ceil(self.elite * len(lanes))))]
        if len(elite) < 2:
            return np.zeros(n, np.bool_), np.zeros(n, np.int8)
        places = (divmod(int(lane), context.sampler.lanes) for lane in elite)
        sample = np.array([context.sampler.configuration(state.groups[g], r) for g, r in places])
        if is_symmetric(context.problem):  # a configuration and its negative are equivalent: flip all towards the best
            sample *= np.where(sample @ sample[0].astype(np.int64) < 0, -1, 1).astype(np.int8)[:, None]
        return np.all(sample == sample[0], axis=0), sample[0]
