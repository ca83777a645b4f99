"""Parameter-free search: independent restarts of growing effort, until they agree or the time is over.

A round is one run of an algorithm from fresh random configurations; every round has twice the sweeps of the one before,
and at large sizes also more lane groups. Restarts are independent, so that agreement between them means something: the
search has converged when several rounds in a row agree on the best cost (``search.agreement``). While the best cost
still improves rounds do not agree, and the search continues until the deadline; ``search.pacing`` then makes the last
round end with the time.

A best that violates a hard constraint of the problem does not count: the search goes on.
The search also ends when linear algebra finds a provably optimal configuration (``exact.lower_bounds``).
"""

from __future__ import annotations

from abc import abstractmethod
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, ClassVar, Generic, TypeVar, final

import numpy as np

from qiosk.model.cost_function import F64, I8
from qiosk.model.flips import cost_of
from qiosk.solvers.checkpoint import checkpointed
from qiosk.solvers.exact.challenge import challenge
from qiosk.solvers.exact.lower_bounds import EigenspaceState, LowestEigenspace, is_proven, unfrustrated
from qiosk.solvers.search.agreement import Agreement
from qiosk.solvers.search.incumbents import Improvement, Incumbents
from qiosk.solvers.search.pacing import next_length
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.solver import Budget, Solver, SolverState
from qiosk.solvers.search.stopping import StopReason
from qiosk.solvers.search.tuning import BetaRange

# Spin updates of one lane group in the first round, and the bounds of its sweeps.
FIRST_UPDATES = 20_000_000
FIRST_SWEEPS = (16, 256)
# Lane groups in the first rounds and at most. Beyond these sweeps every second doubling of the effort goes into more
# groups: diversity, and work for machines with many cores.
GROUP_LANES = 64  # of a group; there are more groups if they are narrower
FIRST_GROUPS = 2
MOST_GROUPS = 16
LONG_ROUND = 16_384
NEVER = 2**62

Inner = TypeVar("Inner", bound=SolverState)


@checkpointed
@dataclass(slots=True)
class RoundsState(Generic[Inner]):
    """State of the round in progress, and the results of those before."""

    incumbents: Incumbents
    inner: Inner
    sweeps: int  # planned in this round
    most_sweeps: int  # planned in any round
    setting: F64  # of this round: its ladder, a hot and a cold end, or a tenure
    round: int = 0
    rounds_agreed: int = 0  # in a row
    searches_agreed: int = 0  # in those rounds
    is_out_of_time: bool = False
    is_paced: bool = False  # the time limit has set the length of a round
    sweeps_before: int = 0
    updates_before: int = 0
    sweeps_done: int = 0
    spin_updates: int = 0
    eigenspace: EigenspaceState = field(default_factory=EigenspaceState)
    is_proven: bool = False  # the best is provably optimal
    is_led: bool = False  # a caller plans the rounds: after each the search waits
    is_waiting: bool = False
    is_seeded: bool = False  # replicas of this round began at given configurations: its agreement means nothing


class Rounds(Solver[RoundsState[Inner]], Generic[Inner]):
    """Rounds of growing effort. Subclasses define a round."""

    betas: BetaRange
    agreement: ClassVar[Agreement]

    @abstractmethod
    def _round(self, setting: F64, round_: int, sweeps: int) -> Solver[Inner]:
        """The search that round number ``round_`` runs."""

    def _first_setting(self) -> F64:
        """That of round 0: the range of beta, unless a subclass has another."""
        return np.array([self.betas.hot, self.betas.cold])

    @abstractmethod
    def _searches(self, state: RoundsState[Inner]) -> F64:
        """Best cost of every independent search of the round."""

    def __post_init__(self) -> None:
        """Compile, or load, what a proof takes."""
        if self._eigenspace.is_eligible:
            self._eigenspace.warm_up()

    @final
    def init(self) -> RoundsState[Inner]:
        """The beginning of round 0."""
        return self._started(self._first_sweeps())

    @final
    def init_led(self, sweeps: int, *, is_prover: bool) -> RoundsState[Inner]:
        """As ``init``, but of so many sweeps, and after every round the search waits for ``go_on``.

        Of several searches on a problem one is enough as the prover, which looks for a provable optimum.
        """
        state = self._started(sweeps, is_prover=is_prover)
        state.is_led = True
        return state

    @final
    def go_on(self, state: RoundsState[Inner], sweeps: int, starts: Sequence[I8] = ()) -> None:
        """Begin the next round, of so many sweeps; some replicas begin at ``starts`` if the search can do so."""
        if state.is_waiting:  # otherwise the round was given up, and there is nothing to learn from it
            self._adapt(state, sweeps)
        self._restart(state, sweeps)
        state.is_waiting, state.is_seeded = False, bool(starts) and self._seed(state, starts)

    @final
    def learn(self, state: RoundsState[Inner], found: Incumbents) -> None:
        """Take over what other searches have found. A better best undoes the agreement on the one before."""
        before = state.incumbents.best
        for configuration, cost in zip(found.configurations, found.costs, strict=True):
            state.incumbents.offer(configuration, cost, state.sweeps_done)
        if state.incumbents.best < before - self.context.resolution.of_kernel(before):
            state.rounds_agreed = state.searches_agreed = 0

    @final
    def updates(self, sweeps: int) -> int:
        """Spin updates of a round of so many sweeps."""
        return self._updates(sweeps)

    def _started(self, sweeps: int, *, is_prover: bool = True) -> RoundsState[Inner]:
        setting = self._first_setting()
        inner = self._round(setting, 0, sweeps).init()
        state = RoundsState(self.context.incumbents(), inner, sweeps, sweeps, setting)
        state.eigenspace.is_over = not is_prover or not self._eigenspace.is_eligible
        if is_prover:
            self._take_best(state, self.context.problem.derived(unfrustrated))
        return state

    @final
    def step(self, state: RoundsState[Inner], n_sweeps: int, parallel: Parallel, budget: Budget) -> None:
        """Sweep on, through the end of a round if need be."""
        end = state.sweeps_done + n_sweeps
        while state.sweeps_done < end and self.outcome(state) is None and not state.is_waiting:
            search, proof = self._search(state), self._next_proof(state)
            search.step(state.inner, min(end, proof) - state.sweeps_done, parallel, budget)
            self._adopt(state)
            if state.sweeps_done == proof:
                self._take_best(state, self._eigenspace.advance(state.eigenspace))
            if search.outcome(state.inner) is not None:
                self._end_round(state, budget)

    @final
    def outcome(self, state: RoundsState[Inner]) -> StopReason | None:
        """OPTIMAL by proof; CONVERGED when enough rounds and searches agreed; TIMEOUT when no useful round fits."""
        if state.is_proven:
            return StopReason.OPTIMAL
        if self.agreement.is_enough(state.rounds_agreed, state.searches_agreed):
            return StopReason.CONVERGED
        return StopReason.TIMEOUT if state.is_out_of_time else None

    @final
    def fraction(self, state: RoundsState[Inner]) -> float:
        """0: the search is open-ended."""
        return 0.0

    @final
    def offer_replicas(self, state: RoundsState[Inner]) -> None:
        """Offer the replicas of the round in progress as they are."""
        self._search(state).offer_replicas(state.inner)
        self._adopt(state)

    @final
    def end_seconds(self, state: RoundsState[Inner]) -> float:
        """Those of the round in progress."""
        return self._search(state).end_seconds(state.inner)

    @final
    def parameters(self, state: RoundsState[Inner]) -> dict[str, Any]:
        """Those of the longest round, in the names of the parameterized target."""
        return self._round(state.setting, state.round, state.most_sweeps).parameters(state.inner)

    @final
    def statistics(self, state: RoundsState[Inner]) -> dict[str, Any]:
        """Those of the round in progress, and is_paced."""
        return {**self._search(state).statistics(state.inner), "is_paced": state.is_paced}

    def _first_sweeps(self) -> int:
        updates = max(1, self.context.updates(1, 1) * self.context.weight_of_update)
        return int(np.clip(FIRST_UPDATES // updates, *FIRST_SWEEPS))

    def _search(self, state: RoundsState[Inner]) -> Solver[Inner]:
        return self._round(state.setting, state.round, state.sweeps)

    def _adopt(self, state: RoundsState[Inner]) -> None:
        """Take over what the round in progress found."""
        state.sweeps_done = state.sweeps_before + state.inner.sweeps_done
        state.spin_updates = state.updates_before + state.inner.spin_updates
        found = state.inner.incumbents
        before = state.incumbents.best
        for configuration, cost in zip(found.configurations, found.costs, strict=True):
            state.incumbents.offer(configuration, cost, state.sweeps_done)
        offset = state.sweeps_before
        steps = [Improvement(offset + step.sweep, step.cost) for step in found.improvements]
        state.incumbents.retrace(before, steps)

    def _end_round(self, state: RoundsState[Inner], budget: Budget) -> None:
        costs = self._searches(state)
        if not state.is_seeded:
            reached = self.context.count_agreeing(costs, state.incumbents.best)
            state.rounds_agreed, state.searches_agreed = self.agreement.after_round(
                state.rounds_agreed, state.searches_agreed, reached, len(costs)
            )
        if self.outcome(state) is StopReason.CONVERGED and challenge(self.context, state.incumbents, state.sweeps_done):
            state.rounds_agreed = state.searches_agreed = 0
        if self.outcome(state) is StopReason.CONVERGED and not self.context.may_converge(state.incumbents):
            state.rounds_agreed = state.searches_agreed = 0
        if self.outcome(state) is None and not state.is_led:
            self._begin_next(state, budget)
        state.is_waiting = state.is_led

    def _next_proof(self, state: RoundsState[Inner]) -> int:
        """Sweeps done at the next step of the eigenspace search: one step for every length of the first round."""
        if state.eigenspace.is_over:
            return NEVER
        interval = self._first_sweeps()
        return (state.sweeps_done // interval + 1) * interval

    @cached_property
    def _eigenspace(self) -> LowestEigenspace:
        return LowestEigenspace(self.context.problem)

    def _take_best(self, state: RoundsState[Inner], configuration: I8 | None) -> None:
        """Offer a configuration of least cost, if there is one; a proof of that ends a search for one solution."""
        if configuration is not None:
            problem = self.context.problem
            state.incumbents.offer(configuration, cost_of(problem, configuration), state.sweeps_done)
            state.is_proven = state.incumbents.capacity == 1 and is_proven(problem, configuration)

    def _restart(self, state: RoundsState[Inner], sweeps: int) -> None:
        state.sweeps_before, state.updates_before = state.sweeps_done, state.spin_updates
        state.round += 1
        state.sweeps = sweeps
        state.most_sweeps = max(state.most_sweeps, sweeps)
        state.inner = self._search(state).init()

    def _updates(self, sweeps: int) -> int:
        """Spin updates of a round of so many sweeps."""
        return max(1, self.context.updates(self._groups(sweeps), sweeps))

    def _groups(self, sweeps: int) -> int:
        """Lane groups in a round of so many sweeps; never fewer in a longer one."""
        return groups_in(sweeps, self._full_lanes)

    @property
    def _full_lanes(self) -> int:
        """Lanes of the sampler, as far as a round has more groups if they are few: not if each takes long."""
        return self.context.sampler.lanes if self.context.weight_of_update == 1 else GROUP_LANES

    def _planned(self, state: RoundsState[Inner], budget: Budget) -> int:
        """Sweeps of the next round, whatever the time."""
        return 2 * state.sweeps

    @final
    def _longest(self, updates: float) -> int:
        """Sweeps of the longest round that so many spin updates suffice for."""
        most = max(0, int(updates // self._updates(1)))
        return bisect_right(range(1, most + 1), updates, key=self._updates)

    def _begin_next(self, state: RoundsState[Inner], budget: Budget) -> None:
        """Begin a round of twice the sweeps, or of what the time permits."""
        planned = self._planned(state, budget)
        sweeps = next_length(planned, state.sweeps, state.spin_updates, budget, self._longest)
        state.is_paced |= sweeps != 2 * state.sweeps
        if sweeps is None:
            state.is_out_of_time = True
        else:
            self._adapt(state, sweeps)
            self._restart(state, sweeps)

    def _adapt(self, state: RoundsState[Inner], sweeps: int) -> None:
        """Choose the setting of the next round, of so many sweeps, from what the one before has found."""

    def _seed(self, state: RoundsState[Inner], starts: Sequence[I8]) -> bool:
        """Let some replicas of a round that begins start at these configurations; returns whether any do."""
        return False


def groups_in(sweeps: int, lanes: int, first: int = FIRST_GROUPS, long_round: int = LONG_ROUND) -> int:
    """Lane groups in a round of so many sweeps, ``first`` up to ``long_round``; more of them if they are narrow."""
    doublings = max(0, (sweeps // long_round).bit_length() - 1)
    full = min(MOST_GROUPS, first << ((doublings + 1) // 2))
    return int(full * max(1, GROUP_LANES // lanes))
