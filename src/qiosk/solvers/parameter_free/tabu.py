"""Tabu search without parameters: rounds of twice the moves, in which several tenures compete."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np

from qiosk.model.cost_function import F64, I8
from qiosk.solvers.algorithms.tabu.rules import Rules
from qiosk.solvers.algorithms.tabu.search import WAVE_WALKERS, TabuSearch, TabuState, Walkers
from qiosk.solvers.parameter_free.rounds import Rounds, RoundsState
from qiosk.solvers.search.agreement import Agreement
from qiosk.solvers.search.context import SearchContext

# Tenures that compete in a round, in units of the present one; the best of them is the next round's.
CONTENDERS = (0.5, 1.0, 2.0)
# Moves a variable in the first round, and its least moves.
FIRST_MOVES = 8
SHORTEST_ROUND = 256
# From this many variables on a move takes long and there are many to make: fewer walkers, and a shorter first round.
LARGE_VARIABLES = 1500
WALKERS_IF_LARGE = 6


@final
@dataclass(frozen=True)
class ParameterFreeTabu(Rounds[TabuState]):
    """Tabu search in rounds. The last round is made to end with the time."""

    agreement: ClassVar[Agreement] = Agreement(share=0.25, total=12)
    context: SearchContext
    walkers: Walkers

    @property
    def kernel(self) -> str:
        """The walkers'."""
        return self.walkers.kernel

    def _first_setting(self) -> F64:
        return np.array([self.walkers.tenure], np.float64)

    @property
    def _is_large(self) -> bool:
        return self.context.problem.n > LARGE_VARIABLES

    @property
    def _restarts(self) -> int:
        """Walkers of a round: all contenders at least once, unless time is too short for so many."""
        most = WALKERS_IF_LARGE if self._is_large else WAVE_WALKERS
        return self.context.at_once(most, self.context.walker_seconds)

    def _first_sweeps(self) -> int:
        return max(SHORTEST_ROUND, (1 if self._is_large else FIRST_MOVES) * self.context.problem.n)

    def _round(self, setting: F64, round_: int, sweeps: int) -> TabuSearch:
        contenders = self._contenders(setting[0])
        return TabuSearch(self.context, self.walkers, contenders, sweeps, self._restarts, stream=round_)

    def _contenders(self, tenure: float) -> tuple[Rules, ...]:
        return tuple(rules for share in CONTENDERS for rules in self.walkers.rules(tenure=max(1, int(tenure * share))))

    def _searches(self, state: RoundsState[TabuState]) -> F64:
        return state.inner.search_costs

    def _updates(self, sweeps: int) -> int:
        return self._restarts * max(1, self.context.problem.n) * sweeps

    def _seed(self, state: RoundsState[TabuState], starts: Sequence[I8]) -> bool:
        """The walkers with small kicks, which are half of them."""
        search = self._round(state.setting, state.round, state.sweeps)
        for place, k in enumerate(range(1, len(state.inner.walkers), len(self.walkers.rules()))):
            state.inner.walkers[k] = search.walker(k, starts[place % len(starts)])
        return True

    def _adapt(self, state: RoundsState[TabuState], sweeps: int) -> None:
        costs, kicks = state.inner.search_costs, len(self.walkers.rules())
        contender = np.arange(len(costs)) // kicks % len(CONTENDERS)
        if len(costs) < kicks * len(CONTENDERS):
            return
        means = [float(costs[contender == k].mean()) for k in range(len(CONTENDERS))]
        best = min(range(len(CONTENDERS)), key=lambda k: (means[k], abs(CONTENDERS[k] - 1.0)))
        tenure = state.setting[0] * CONTENDERS[best]
        state.setting = np.array([np.clip(tenure, 1.0, max(1.0, self.context.problem.n / 4.0))])
