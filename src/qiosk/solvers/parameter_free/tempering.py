"""Parameter-free parallel tempering."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

from qiosk.model.cost_function import F64
from qiosk.solvers.algorithms.parallel_tempering import ParallelTempering, TemperingState, exchange_rates
from qiosk.solvers.parameter_free.rounds import Rounds, RoundsState
from qiosk.solvers.search.agreement import LADDERS_TO_AGREE, Agreement
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.solver import Budget
from qiosk.solvers.search.tuning import BetaRange, even_ladder, first_ladder

# Rungs of an adapted ladder, at least; at most so many that two ladders run.
FEWEST_RUNGS = 8


@final
@dataclass(frozen=True)
class ParameterFreeTempering(Rounds[TemperingState]):
    """Parallel tempering in rounds, the ladder adapted after each. The last round goes on until the time is over."""

    agreement: ClassVar[Agreement] = LADDERS_TO_AGREE
    context: SearchContext
    betas: BetaRange
    rungs: int

    def _first_setting(self) -> F64:
        return first_ladder(self.betas, self.rungs)

    def _round(self, setting: F64, round_: int, sweeps: int) -> ParallelTempering:
        return ParallelTempering(self.context, setting, sweeps, self._groups(sweeps), stream=round_)

    def _searches(self, state: RoundsState[TemperingState]) -> F64:
        return state.inner.ladder_best

    def _begin_next(self, state: RoundsState[TemperingState], budget: Budget) -> None:
        sweeps = 2 * state.sweeps
        if budget.left < self._updates(sweeps):
            state.sweeps = state.most_sweeps = sweeps  # no time for a fresh start of more effort: go on with this
            state.is_paced = True
        else:
            self._adapt(state, sweeps)
            self._restart(state, sweeps)

    def _adapt(self, state: RoundsState[TemperingState], sweeps: int) -> None:
        rates = exchange_rates(state.inner)
        lanes = self.context.sampler.lanes * self._groups(sweeps)
        state.setting = even_ladder(state.setting, 1.0 - rates, (FEWEST_RUNGS, lanes // 2))
