"""A search that chooses among others: they race in rounds of growing work, and the best of them gets the rest.

In a *heat* every member runs one round, from fresh random configurations, of work that takes about as long for each;
every heat has twice the work of the one before. Work is spin updates times an estimate of what one takes, so that the
race is the same on every machine until the time limit decides. When the heats have used their share of the time, those
behind are dropped, half of them at a time; the last one gets nearly all that is left, as the last round of a
parameter-free search does (``search.pacing``). What one member finds, all know: the best configurations of all rounds
are a pool from which tabu search starts half of its walkers in the end, and which it refines in the last moments if
another member has won. A winner that gains throughout its rounds, but not in half of the last, yields to the runner-up.

The search has converged when the rounds of all members together agree on the best cost as those of one would have to.

Reference: K. Jamieson, A. Talwalkar, AISTATS 2016, 240, doi:10.48550/arXiv.1502.07943 (successive halving).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, final

from qiosk.solvers.exact.challenge import challenge
from qiosk.solvers.parameter_free.entries import RACING, Entry, PortfolioState
from qiosk.solvers.parameter_free.members import Member
from qiosk.solvers.parameter_free.race import Race
from qiosk.solvers.parameter_free.rounds import RoundsState
from qiosk.solvers.search.agreement import ROUNDS_TO_AGREE
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.incumbents import Improvement, Incumbents
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.solver import Budget, Solver
from qiosk.solvers.search.stopping import StopReason

POOL = 8
"""Configurations that tabu search may begin from in the end."""


@final
@dataclass(frozen=True)
class Portfolio(Solver[PortfolioState]):
    """Members in a race. A sweep is as much work as one of the member whose sweeps take longest, or the end of a turn.

    With ``is_short``, or where there is only one member, one searches alone: the one that is best alone, or the first.
    """

    context: SearchContext
    members: Sequence[Member]
    is_short: bool = False

    def init(self) -> PortfolioState:
        """The beginning of the first heat."""
        entries = [Entry() for _ in self.members]
        state = PortfolioState(self.context.incumbents(), entries, Incumbents(POOL))
        state.is_alone = self.is_short or len(self.members) == 1
        if state.is_alone:
            state.turn = next((m for m, member in enumerate(self.members) if member.is_best_alone), 0)
            entries[state.turn].search = self.members[state.turn].search.init()
            self._mirror(state)
            return state
        self._race.start(state)
        self._begin(state, state.queue.pop(0))
        self._adopt(state, state.incumbents.best)
        return state

    def step(self, state: PortfolioState, n_sweeps: int, parallel: Parallel, budget: Budget) -> None:
        """Some sweeps of the member whose turn it is; at most to the end of its round, so that its pace is known."""
        if state.is_alone:
            self.members[state.turn].search.step(self._running(state), n_sweeps, parallel, budget)
            self._mirror(state)
            return
        entry = state.entries[state.turn]
        entry.seconds += budget.spent - state.spent
        state.spent = budget.spent
        if self._running(state).is_waiting:
            entry.end(self.members[state.turn].parts(self._running(state).sweeps))
            self._next_turn(state, budget)
        if (outcome := self.outcome(state)) is not None:
            if outcome is StopReason.OPTIMAL:  # the member that has just begun found it
                self._adopt(state, state.incumbents.best)
            state.sweeps_done += 1
            return
        if self._race.yields(state, budget):
            self._begin(state, state.queue.pop(0))
        member, search, before = self.members[state.turn], self._running(state), state.incumbents.best
        sweeps = n_sweeps * self._tick * search.sweeps / member.work(search.sweeps)
        member.search.step(search, max(1, math.ceil(sweeps)), parallel, budget)
        self._adopt(state, before)
        if state.incumbents.best < before:
            state.gained = state.spent
        if search.is_waiting:
            self._end_round(state)

    def outcome(self, state: PortfolioState) -> StopReason | None:
        """OPTIMAL by proof, CONVERGED by agreement; TIMEOUT when no useful round fits the time."""
        if state.is_alone:
            return self.members[state.turn].search.outcome(self._running(state))
        if any(entry.search is not None and entry.search.is_proven for entry in state.entries):
            return StopReason.OPTIMAL
        if state.has_converged:
            return StopReason.CONVERGED
        return StopReason.TIMEOUT if state.is_out_of_time else None

    def fraction(self, state: PortfolioState) -> float:
        """0: the search is open-ended."""
        return 0.0

    def offer_replicas(self, state: PortfolioState) -> None:
        """Offer the replicas of the round in progress as they are."""
        before = state.incumbents.best
        self.members[state.turn].search.offer_replicas(self._running(state))
        if state.is_alone:
            self._mirror(state)
        else:
            self._adopt(state, before)

    def parameters(self, state: PortfolioState) -> dict[str, Any]:
        """None: those of the members are in the statistics."""
        return {}

    def statistics(self, state: PortfolioState) -> dict[str, Any]:
        """portfolio: of each member in order, its share of the work, its rounds, what it found and why it went; and
        is_paced.
        """
        those = [state.turn] if state.is_alone else range(len(self.members))
        return {"portfolio": [self._described(state, m) for m in those], "is_paced": state.is_paced}

    def _described(self, state: PortfolioState, m: int) -> dict[str, Any]:
        member, entry = self.members[m], state.entries[m]
        total = sum(some.work for some in state.entries)
        stays = "alone" if state.is_alone else "still racing" if state.stage == RACING else "won"
        search = entry.search
        return {
            "member": member.name,
            "kernel": member.search.kernel,
            "share": entry.work / total if total else 0.0,
            "rounds": 0 if search is None else search.round + 1,
            "best": entry.best if math.isfinite(entry.best) else None,
            "found_at": entry.found_at / entry.work if entry.work else 0.0,
            "fate": entry.fate or stays,
            "parameters": {} if search is None else member.search.parameters(search),
        }

    def _mirror(self, state: PortfolioState) -> None:
        """All is as the only member has it."""
        search, entry = self._running(state), state.entries[state.turn]
        state.incumbents, state.sweeps_done, state.spin_updates = (
            search.incumbents,
            search.sweeps_done,
            search.spin_updates,
        )
        state.is_paced = search.is_paced
        entry.best, entry.work = search.incumbents.best, float(search.spin_updates)
        found = search.incumbents.improvements
        entry.found_at = entry.work * found[-1].sweep / max(1, search.sweeps_done) if found else 0.0

    @cached_property
    def _race(self) -> Race:
        return Race(self.members, self.context.resolution)

    @cached_property
    def _tick(self) -> float:
        """Work of a sweep [ns]."""
        return max(member.work(member.least_sweeps) / member.least_sweeps for member in self.members)

    def _running(self, state: PortfolioState) -> RoundsState[Any]:
        search = state.entries[state.turn].search
        assert search is not None  # its round has begun
        return search

    def _begin(self, state: PortfolioState, m: int) -> None:
        """A member's next round."""
        member, entry = self.members[m], state.entries[m]
        state.turn = m
        entry.begin(state.rounds[m])
        if entry.search is None:
            entry.search = member.search.init_led(state.rounds[m], is_prover=m == 0)
            member.search.learn(entry.search, state.incumbents)
        else:
            member.search.learn(entry.search, state.incumbents)
            starts = () if state.stage == RACING else tuple(state.pool.configurations)
            member.search.go_on(entry.search, state.rounds[m], starts)
        for other in state.entries:
            if other.search is not None and other is not entry and not other.search.eigenspace.is_over:
                entry.search.eigenspace, other.search.eigenspace = other.search.eigenspace, entry.search.eigenspace

    def _adopt(self, state: PortfolioState, before: float) -> None:
        """Take over what the running member has found; ``before``: the best cost when its step began."""
        member, entry, search = self.members[state.turn], state.entries[state.turn], self._running(state)
        others = sum(some.work for some in state.entries if some is not entry)
        inner, length = search.inner, search.sweeps
        each: float = inner.spin_updates / max(1, inner.sweeps_done) / member.search.updates(length)  # of the round

        def work_at(sweep: int) -> float:
            return float(entry.work_before + member.work(length) * min(1.0, sweep * each))

        entry.work = work_at(inner.sweeps_done)
        state.sweeps_done = state.turns + math.ceil((others + entry.work) / self._tick)
        state.spin_updates = sum(some.search.spin_updates for some in state.entries if some.search is not None)
        found = inner.incumbents
        steps = [
            Improvement(state.turns + math.ceil((others + work_at(s.sweep)) / self._tick), s.cost)
            for s in found.improvements
        ]
        for configuration, cost in zip(search.incumbents.configurations, search.incumbents.costs, strict=True):
            state.incumbents.offer(configuration, cost, state.sweeps_done)
        state.incumbents.retrace(before, steps)
        if found.best < entry.best:
            entry.improve(found.best, work_at(found.improvements[-1].sweep))

    def _end_round(self, state: PortfolioState) -> None:
        """Keep the best of the round in the pool, and see whether enough rounds agree."""
        state.turns += 1
        state.sweeps_done += 1
        found = self._running(state).inner.incumbents
        if found.costs:
            state.pool.offer(found.configurations[0], found.costs[0], state.sweeps_done)
        if not self._agrees(state) or challenge(self.context, state.incumbents, state.sweeps_done):
            return
        state.has_converged = self.context.may_converge(state.incumbents)

    def _agrees(self, state: PortfolioState) -> bool:
        """Whether the rounds of all members that came to the best cost are as many as those of one would have to be."""
        best = state.incumbents.best
        limit = best + self.context.resolution.of_kernel(best)
        rounds, searches = 0, 0.0
        for member, entry in zip(self.members, state.entries, strict=True):
            if entry.search is not None and entry.search.incumbents.best <= limit:
                rounds += entry.search.rounds_agreed
                searches += entry.search.searches_agreed / member.search.agreement.total
        return rounds >= ROUNDS_TO_AGREE and searches >= 1.0

    def _next_turn(self, state: PortfolioState, budget: Budget) -> None:
        if not state.queue:
            self._race.plan(state, budget)
        if state.queue:
            self._begin(state, state.queue.pop(0))
