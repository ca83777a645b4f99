"""Parameter-free population methods: rounds of growing effort, each with a few independent populations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from qiosk.model.cost_function import F64
from qiosk.solvers.algorithms.population_annealing import PopulationAnnealing, PopulationState
from qiosk.solvers.algorithms.substochastic import SubstochasticMonteCarlo, WalkersState
from qiosk.solvers.parameter_free.rounds import Rounds, RoundsState, groups_in
from qiosk.solvers.search.agreement import Agreement
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.schedules import Schedule
from qiosk.solvers.search.tuning import BetaRange

# Independent populations in a round: many where sweeps are cheap, few where the time is better spent on one of them.
ISLAND_BOUNDS = (2, 8)
VARIABLES_OF_ISLANDS = 4000
# Most populations, like ladders, should find the best cost independently.
ISLANDS_TO_AGREE = Agreement(share=0.75, total=24)
# A few walkers often do not: with the rule of populations they ran a hundred times as long.
WALKERS_TO_AGREE = Agreement(share=0.25, total=12)
# Sweeps from which on a round has more replicas, unless a caller has other ones.
LONG_ROUND = 1024
# Replicas of a population; beyond, there are more populations.
MOST_ISLAND_REPLICAS = 256
# Resampling this early keeps the weights even; twice as uneven ones did no worse on max-cut and tori.
ALPHA = 1.3
# Few walkers in each of some populations: a step hardly gains more if there are more walkers to choose from, and on
# max-cut and binary quadratic problems 16 walkers with four times the steps of 64 end lower.
ISLAND_WALKERS = 16
WALKER_ISLAND_BOUNDS = (1, 8)
VARIABLES_OF_WALKERS = 1000
# Variable updates of all walkers in the first round, and the bounds of its steps in units of n.
FIRST_UPDATES = 2_000_000
FIRST_SWEEPS = (4, 64)
# Steps that the driver counts as one, about: dispatching fewer takes longer than doing them. Whole sweeps.
BLOCK_STEPS = 1024


def islands_for(n: int, variables: int, bounds: tuple[int, int]) -> int:
    """Islands of n variables each that have so many ``variables`` together: a power of two within ``bounds``."""
    return int(np.clip(1 << (variables // max(1, n)).bit_length() >> 1, *bounds))


@final
@dataclass(frozen=True)
class ParameterFreePopulationAnnealing(Rounds[PopulationState]):
    """Population annealing in rounds. The last round is made to end with the time.

    From ``long_round`` sweeps on every second doubling of the effort goes into larger populations.
    """

    agreement: ClassVar[Agreement] = ISLANDS_TO_AGREE
    context: SearchContext
    betas: BetaRange
    long_round: int = LONG_ROUND

    def warm_up(self) -> None:
        """Compile what the rounds need."""
        self._round(self._first_setting(), 0, 1).warm_up()

    def temperatures(self, sweeps: int) -> int:
        """Those of a round of so many sweeps."""
        return self._round(self._first_setting(), 0, sweeps).temperatures

    def _round(self, setting: F64, round_: int, sweeps: int) -> PopulationAnnealing:
        replicas = self._groups(sweeps) * self.context.sampler.lanes
        islands = max(self.islands, replicas // MOST_ISLAND_REPLICAS)
        return PopulationAnnealing(
            self.context,
            Schedule(float(setting[0]), float(setting[1])),
            sweeps,
            population=replicas // islands,
            alpha=ALPHA,
            islands=islands,
            stream=round_,
        )

    def _groups(self, sweeps: int) -> int:
        return groups_in(sweeps, self.context.sampler.lanes, self.islands, self.long_round)

    @property
    def islands(self) -> int:
        """Populations of a round, at least."""
        return islands_for(self.context.problem.n, VARIABLES_OF_ISLANDS, ISLAND_BOUNDS)

    def _searches(self, state: RoundsState[PopulationState]) -> F64:
        best: F64 = state.inner.final_costs.min(axis=1)
        return best


@final
@dataclass(frozen=True)
class ParameterFreeSubstochastic(Rounds[WalkersState]):
    """Substochastic Monte Carlo in rounds, beta rising to ``last_beta``. The last round ends with the time."""

    agreement: ClassVar[Agreement] = WALKERS_TO_AGREE
    context: SearchContext
    betas: BetaRange
    last_beta: float

    @property
    def kernel(self) -> str:
        """That of a round."""
        return self._round(self._first_setting(), 0, 1).kernel

    def warm_up(self) -> None:
        """Compile what the rounds need."""
        self._round(self._first_setting(), 0, 1).warm_up()

    def _first_setting(self) -> F64:
        return np.array([0.0, self.last_beta])

    def _round(self, setting: F64, round_: int, sweeps: int) -> SubstochasticMonteCarlo:
        return SubstochasticMonteCarlo(
            self.context,
            alpha=Schedule(1.0, 0.0),
            beta=Schedule(float(setting[0]), float(setting[1])),
            step_limit=sweeps * self._block,
            population=ISLAND_WALKERS,
            islands=self._islands,
            steps_per_sweep=self._block,
            stream=round_,
        )

    def _first_sweeps(self) -> int:
        n = max(1, self.context.problem.n)
        sweeps = int(np.clip(FIRST_UPDATES // (self._islands * ISLAND_WALKERS * n), *FIRST_SWEEPS))
        return -(-sweeps * n // self._block)

    @property
    def _block(self) -> int:
        n = max(1, self.context.problem.n)
        return n * max(1, BLOCK_STEPS // n)

    @property
    def _islands(self) -> int:
        return islands_for(self.context.problem.n, VARIABLES_OF_WALKERS, WALKER_ISLAND_BOUNDS)

    def _updates(self, sweeps: int) -> int:
        return self._islands * ISLAND_WALKERS * self._block * sweeps

    def _searches(self, state: RoundsState[WalkersState]) -> F64:
        return state.inner.best_costs
