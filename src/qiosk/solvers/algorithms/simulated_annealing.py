"""Simulated annealing: independent replicas, cooled along one schedule.

Reference: S. Kirkpatrick, C. D. Gelatt, M. P. Vecchi, Science 220, 671 (1983), doi:10.1126/science.220.4598.671.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, final

import numpy as np

from qiosk.model.cost_function import F64, I8
from qiosk.solvers.algorithms.waves import Waves, WaveSolver
from qiosk.solvers.checkpoint import checkpointed
from qiosk.solvers.samplers.sampler import LaneGroup
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.schedules import Schedule

# Replicas annealed at the same time, at most, and less where time is short; further restarts follow in further waves:
# memory does not grow with them.
WAVE_REPLICAS = 1024
# Sweeps at beta = infinity after the schedule: they carry nearly every replica into its local minimum.
QUENCH_SWEEPS = 4


@checkpointed
@dataclass(slots=True)
class AnnealingState:
    """All that is needed to continue an anneal."""

    groups: list[LaneGroup]
    incumbents: Incumbents
    sweeps_done: int = 0
    spin_updates: int = 0
    wave: int = 0  # the wave in progress
    final_costs: F64 = field(default_factory=lambda: np.empty(0))  # (replicas,) after the last sweep of a wave
    apart: list[Incumbents] = field(default_factory=list)  # of each group of the wave, if these are read out apart


@final
@dataclass(frozen=True)
class SimulatedAnnealing(WaveSolver[AnnealingState]):
    """Metropolis annealing of independent replicas, then a short quench.

    ``restarts`` replicas are asked for; whole lane groups are run, so there may be more. ``stream`` distinguishes
    the random numbers of several anneals with one seed. With ``is_apart`` what a lane group finds does not depend
    on the others: so several runs may divide them.
    """

    context: SearchContext
    schedule: Schedule  # of beta [1/cost]
    sweeps: int
    restarts: int
    stream: int = 0
    is_apart: bool = False

    def init(self) -> AnnealingState:
        """Every replica of the first wave at a random configuration, or at the given initial one."""
        return AnnealingState(self._groups(0), self.context.incumbents())

    def parameters(self, state: AnnealingState) -> dict[str, Any]:
        """beta_start, beta_stop, sweeps, restarts."""
        return {
            "beta_start": self.schedule.initial,
            "beta_stop": self.schedule.final,
            "sweeps": self.sweeps,
            "restarts": self.restarts,
        }

    def statistics(self, state: AnnealingState) -> dict[str, Any]:
        """replica_costs: of the replicas of the last wave, after their last sweep."""
        return {"replica_costs": state.final_costs.tolist()}

    def end_seconds(self, state: AnnealingState) -> float:
        """The costs of all replicas of the wave."""
        return self.context.costs_seconds(len(state.groups))

    @property
    def _waves(self) -> Waves:
        return Waves(-(-len(self._own_groups) // self._wave_groups), self.sweeps, QUENCH_SWEEPS)

    @property
    def _own_groups(self) -> range:
        """Numbers of the lane groups of this run."""
        return self.context.share.of(max(1, -(-self.restarts // self.context.sampler.lanes)))

    @property
    def _wave_groups(self) -> int:
        most = max(1, WAVE_REPLICAS // self.context.sampler.lanes)
        return self.context.at_once(most, self.context.group_seconds)

    def _groups(self, wave: int) -> list[LaneGroup]:
        begin = wave * self._wave_groups
        numbers = self._own_groups[begin : begin + self._wave_groups]
        return self.context.groups(self.stream, len(numbers), numbers.start)

    def _sweep(self, state: AnnealingState, n: int, done: int, parallel: Parallel) -> None:
        hot = min(n, max(0, self.sweeps - done))
        betas = np.concatenate([self.schedule.values(done, hot, self.sweeps), np.full(n - hot, np.inf)])
        parallel.each(lambda group: self.context.sampler.sweep(group, betas), state.groups)
        state.sweeps_done += n
        state.spin_updates += self.context.updates(len(state.groups), n)

    def _costs(self, state: AnnealingState, parallel: Parallel) -> F64:
        costs = self.context.costs(state.groups, parallel)
        if self._waves.is_at_end(state):
            state.final_costs = costs
        return costs.reshape(len(state.groups), -1)

    def _configuration(self, state: AnnealingState, group: int, replica: int) -> I8:
        return self.context.sampler.configuration(state.groups[group], replica)
