"""Parameter-free simulated annealing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from qiosk.model.cost_function import F64
from qiosk.solvers.algorithms.simulated_annealing import AnnealingState, SimulatedAnnealing
from qiosk.solvers.parameter_free.rounds import GROUP_LANES, LONG_ROUND, Rounds, RoundsState, groups_in
from qiosk.solvers.search.agreement import ANNEALS_TO_AGREE, Agreement
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.schedules import Schedule
from qiosk.solvers.search.solver import Budget
from qiosk.solvers.search.tuning import BetaRange


@final
@dataclass(frozen=True)
class ParameterFreeAnnealing(Rounds[AnnealingState]):
    """Simulated annealing in rounds. The last round is made to end with the time."""

    agreement: ClassVar[Agreement] = ANNEALS_TO_AGREE
    context: SearchContext
    betas: BetaRange

    def _round(self, setting: F64, round_: int, sweeps: int) -> SimulatedAnnealing:
        schedule = Schedule(float(setting[0]), float(setting[1]))
        restarts = self._groups(sweeps) * self.context.sampler.lanes
        return SimulatedAnnealing(self.context, schedule, sweeps, restarts, stream=round_)

    def _groups(self, sweeps: int) -> int:
        """One at first where a replica has a group of its own, because one long anneal is better than many short."""
        return groups_in(sweeps, GROUP_LANES, 1) if self.context.sampler.lanes == 1 else super()._groups(sweeps)

    def _planned(self, state: RoundsState[AnnealingState], budget: Budget) -> int:
        """All that comes before the last round at once if time is short and a replica has a group of its own: many
        short anneals are much slower than a long one, because every replica is read out by itself.
        """
        is_short = self.context.sampler.lanes == 1 and budget.left < self._updates(LONG_ROUND)
        return LONG_ROUND if is_short else super()._planned(state, budget)

    def _searches(self, state: RoundsState[AnnealingState]) -> F64:
        return state.inner.final_costs
