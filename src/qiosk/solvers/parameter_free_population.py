"""Parameter-free population methods: rounds of growing effort, each with a few independent populations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from qiosk.model.cost_function import F64
from qiosk.solvers.base import Allowance
from qiosk.solvers.ground import Ground
from qiosk.solvers.parameter_free import LANES, Agreement, Rounds, RoundsState, groups_in
from qiosk.solvers.population_annealing import PopulationAnnealing, PopulationState
from qiosk.solvers.schedules import Schedule
from qiosk.solvers.tuning import BetaRange

# Independent populations in a round; only so many in short rounds of large problems, where sweeps are dear.
ISLANDS = 4
FEW_ISLANDS = 2
LARGE = 2000
# A population, like a ladder, finds by itself what there is to find.
ISLANDS_TO_AGREE = Agreement(share=0.75, total=14)
# From so many sweeps on every second doubling of the effort goes into larger populations.
LONG_ROUND = 1024
# Resampling this early keeps the weights even; twice as uneven ones did no worse on max-cut and tori.
ALPHA = 1.3


@final
@dataclass(frozen=True)
class ParameterFreePopulationAnnealing(Rounds[PopulationState]):
    """Population annealing in rounds. The last round is made to end with the time."""

    agreement: ClassVar[Agreement] = ISLANDS_TO_AGREE
    ground: Ground
    betas: BetaRange

    def _first_betas(self) -> F64:
        return np.array([self.betas.hot, self.betas.cold])

    def _round(self, state_betas: F64, round_: int, sweeps: int) -> PopulationAnnealing:
        lanes, groups = self.ground.sampler.lanes, self._groups(sweeps)
        islands = FEW_ISLANDS if groups * lanes < ISLANDS * LANES else ISLANDS
        return PopulationAnnealing(
            self.ground,
            Schedule(float(state_betas[0]), float(state_betas[1])),
            sweeps,
            population=groups // islands * lanes,
            alpha=ALPHA,
            islands=islands,
            stream=round_,
        )

    def _groups(self, sweeps: int) -> int:
        first = FEW_ISLANDS if self.ground.problem.n > LARGE else ISLANDS
        return groups_in(sweeps, self.ground.sampler.lanes, first, LONG_ROUND)

    def _searches(self, state: RoundsState[PopulationState]) -> F64:
        best: F64 = state.inner.final_costs.min(axis=1)
        return best

    def _begin_next(self, state: RoundsState[PopulationState], allowance: Allowance) -> None:
        self._double(state, allowance)
