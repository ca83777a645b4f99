"""Parameter-free search: independent restarts of growing effort, until they agree or the time is over.

A round is one run of an algorithm from fresh random configurations; every round has twice the sweeps of the one before.
When several rounds in a row found nothing better, and in each of them a good share of the independent searches reached
the best cost by themselves, more effort is not expected to change the answer, and the search has converged. On
problems that still improve no such agreement comes about, and the search goes on for as long as it may.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from typing import Any, Generic, TypeVar, final

import numpy as np

from qiosk.model.cost_function import F64
from qiosk.solvers.base import Allowance, Parallel, Solver, StopReason
from qiosk.solvers.checkpoint import checkpointed
from qiosk.solvers.ground import Ground
from qiosk.solvers.incumbents import Improvement, Incumbents
from qiosk.solvers.parallel_tempering import ParallelTempering, TemperingState
from qiosk.solvers.schedules import LinearSchedule
from qiosk.solvers.simulated_annealing import AnnealingState, SimulatedAnnealing
from qiosk.solvers.tuning import BetaRange, even_ladder, first_ladder

# Spin updates of one lane group in the first round, and the bounds of its sweeps.
FIRST_UPDATES = 20_000_000
FIRST_SWEEPS = (16, 256)
# Rounds in a row that must agree, and the share of independent searches that must agree in each.
ROUNDS_TO_AGREE = 3
ANNEALS_TO_AGREE = 0.05
LADDERS_TO_AGREE = 0.5
# Lane groups in the first rounds, and at most; they double every third round, for machines with many cores.
FIRST_GROUPS = 2
MOST_GROUPS = 16

Inner = TypeVar("Inner", AnnealingState, TemperingState)


@checkpointed
@dataclass(slots=True)
class RoundsState(Generic[Inner]):
    """State of the round in progress, and what the rounds before left."""

    incumbents: Incumbents
    inner: Inner
    sweeps: int  # planned in this round
    betas: F64  # this round's ladder, or hot and cold end
    round: int = 0
    agreed: int = 0  # rounds in a row
    sweeps_before: int = 0
    updates_before: int = 0
    sweeps_done: int = 0
    spin_updates: int = 0


class Rounds(Solver[RoundsState[Inner]], Generic[Inner]):
    """Rounds of growing effort; what a round is, subclasses say."""

    ground: Ground
    betas: BetaRange

    @abstractmethod
    def _round(self, state_betas: F64, round_: int, sweeps: int) -> Solver[Inner]:
        """The search that round number ``round_`` runs."""

    @abstractmethod
    def _first_betas(self) -> F64:
        """Betas of round 0."""

    @abstractmethod
    def _agree(self, state: RoundsState[Inner]) -> bool:
        """Whether enough independent searches of the round that just ended reached the best cost."""

    @abstractmethod
    def _begin_next(self, state: RoundsState[Inner], allowance: Allowance) -> None:
        """Plan the next round: set its betas and sweeps."""

    @final
    def init(self) -> RoundsState[Inner]:
        """The beginning of round 0."""
        updates = max(1, self.ground.updates(1, 1))
        sweeps = int(np.clip(FIRST_UPDATES // updates, *FIRST_SWEEPS))
        betas = self._first_betas()
        inner = self._round(betas, 0, sweeps).init()
        return RoundsState(self.ground.incumbents(), inner, sweeps, betas)

    @final
    def step(self, state: RoundsState[Inner], n_sweeps: int, parallel: Parallel, allowance: Allowance) -> None:
        """Sweep on, through the end of a round if need be."""
        end = state.sweeps_done + n_sweeps
        while state.sweeps_done < end and self.outcome(state) is None:
            search = self._search(state)
            search.step(state.inner, end - state.sweeps_done, parallel, allowance)
            self._adopt(state)
            if search.outcome(state.inner) is not None:
                self._end_round(state, allowance)

    @final
    def outcome(self, state: RoundsState[Inner]) -> StopReason | None:
        """CONVERGED when enough rounds agreed."""
        return StopReason.CONVERGED if state.agreed >= ROUNDS_TO_AGREE else None

    @final
    def fraction(self, state: RoundsState[Inner]) -> float:
        """Open-ended: only the time-out says how far it is."""
        return 0.0

    @final
    def look(self, state: RoundsState[Inner]) -> None:
        """Offer the replicas of the round in progress as they are."""
        self._search(state).look(state.inner)
        self._adopt(state)

    @final
    def parameters(self, state: RoundsState[Inner]) -> dict[str, Any]:
        """Those of the round in progress, in the names of the parameterized target."""
        return self._search(state).parameters(state.inner)

    def _search(self, state: RoundsState[Inner]) -> Solver[Inner]:
        return self._round(state.betas, state.round, state.sweeps)

    def _adopt(self, state: RoundsState[Inner]) -> None:
        """Take over what the round in progress found."""
        state.sweeps_done = state.sweeps_before + state.inner.sweeps_done
        state.spin_updates = state.updates_before + state.inner.spin_updates
        found = state.inner.incumbents
        before = state.incumbents.best
        for configuration, cost in zip(found.configurations, found.costs, strict=True):
            state.incumbents.offer(configuration, cost, state.sweeps_done)
        _refine(state.incumbents, found.improvements, before, state.sweeps_before)

    def _end_round(self, state: RoundsState[Inner], allowance: Allowance) -> None:
        state.agreed = state.agreed + 1 if self._agree(state) else 0
        if self.outcome(state) is None:
            self._begin_next(state, allowance)

    def _restart(self, state: RoundsState[Inner], sweeps: int) -> None:
        state.sweeps_before, state.updates_before = state.sweeps_done, state.spin_updates
        state.round += 1
        state.sweeps = sweeps
        state.inner = self._search(state).init()

    def _affordable(self, round_: int, allowance: Allowance) -> float:
        """Sweeps of a round that the clock still permits."""
        if allowance.updates is None:
            return np.inf
        return allowance.updates / max(1, self.ground.updates(groups_in(round_), 1))


def groups_in(round_: int) -> int:
    """Lane groups in a round."""
    return int(min(MOST_GROUPS, FIRST_GROUPS * 2 ** (round_ // 3)))


def _refine(outer: Incumbents, inner: list[Improvement], before: float, offset: int) -> None:
    """Replace the improvements just adopted by the finer steps in which the round made them."""
    while outer.improvements and outer.improvements[-1].cost < before:
        outer.improvements.pop()
    outer.improvements.extend(Improvement(offset + step.sweep, step.cost) for step in inner if step.cost < before)


@final
@dataclass(frozen=True)
class ParameterFreeAnnealing(Rounds[AnnealingState]):
    """Simulated annealing in rounds. The last round is made to end with the time."""

    ground: Ground
    betas: BetaRange

    def _first_betas(self) -> F64:
        return np.array([self.betas.hot, self.betas.cold])

    def _round(self, state_betas: F64, round_: int, sweeps: int) -> SimulatedAnnealing:
        schedule = LinearSchedule(float(state_betas[0]), float(state_betas[1]), sweeps)
        restarts = groups_in(round_) * self.ground.sampler.lanes
        return SimulatedAnnealing(self.ground, schedule, restarts, stream=round_)

    def _agree(self, state: RoundsState[AnnealingState]) -> bool:
        costs = state.inner.final_costs
        return state.incumbents.agrees(costs) >= ANNEALS_TO_AGREE * len(costs)

    def _begin_next(self, state: RoundsState[AnnealingState], allowance: Allowance) -> None:
        sweeps = 2 * state.sweeps
        affordable = self._affordable(state.round + 1, allowance)
        if affordable < 3 * sweeps:  # after this round there would be no time for the one that follows it
            sweeps = max(FIRST_SWEEPS[0], int(0.97 * affordable))
        self._restart(state, sweeps)


@final
@dataclass(frozen=True)
class ParameterFreeTempering(Rounds[TemperingState]):
    """Parallel tempering in rounds, the ladder adapted after each. The last round goes on until the time is over."""

    ground: Ground
    betas: BetaRange
    rungs: int

    def _first_betas(self) -> F64:
        return first_ladder(self.betas, self.rungs)

    def _round(self, state_betas: F64, round_: int, sweeps: int) -> ParallelTempering:
        return ParallelTempering(self.ground, state_betas, sweeps, groups_in(round_), stream=round_)

    def _agree(self, state: RoundsState[TemperingState]) -> bool:
        best = state.inner.ladder_best
        return state.incumbents.agrees(best) >= LADDERS_TO_AGREE * len(best)

    def _begin_next(self, state: RoundsState[TemperingState], allowance: Allowance) -> None:
        if self._affordable(state.round + 1, allowance) < 2 * state.sweeps:
            state.sweeps *= 2  # no time for a fresh start of greater effort: go on with this one
            return
        state.betas = even_ladder(state.betas, _deviations(state.inner), self.rungs)
        self._restart(state, 2 * state.sweeps)


def _deviations(state: TemperingState) -> F64:
    """(K,) standard deviation of the cost on every rung."""
    n, total, squares = state.cost_sums
    mean = total / np.maximum(n, 1.0)
    variances: F64 = np.maximum(squares / np.maximum(n, 1.0) - mean**2, 0.0)
    return np.sqrt(variances)
