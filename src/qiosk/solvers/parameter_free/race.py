"""Who of a portfolio runs next, and for how long: heats, the last round of the winner, and what follows it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from qiosk.solvers.parameter_free.entries import (
    LAST,
    POLISHING,
    RACING,
    PortfolioState,
    hopeless,
    why_dropped,
    worse_half,
)
from qiosk.solvers.parameter_free.members import TABU, Member
from qiosk.solvers.search.resolution import Resolution
from qiosk.solvers.search.solver import Budget

WAITING = "there was no time for it"
"""Fate of a member whose turn has not come."""
FIRST_WORK = 2_000_000.0
"""Work of a round in the first heat, at least [ns]."""
RACE_SHARE = 0.25
"""Share of the time after which the race ends."""
SHORTEST_HEAT = 0.5
"""Share of the heat before that a heat must have, to be run at all."""
LAST_MARGIN = 0.97
"""Share of the time left that the last round is planned for, so that it ends before the deadline."""
POLISH_SHARE = 0.06
"""Share of the time that tabu search gets in the end, from the best of another winner."""
LEAST_LEFT = 0.02
"""Share of the time below which no further round begins."""
AGAIN = 1.0
"""Times that the last round took, of which so much time must be left that another one follows."""
LEAST_AGAIN = 0.1
"""The same where there is nothing to refine, and a round begins at random."""
MOST_REST = 0.5
"""Work besides updates, in units of theirs, of a last round in which a member takes the place of another, at most."""
YIELD_SHARE = 0.5
"""Share of its last round in which a steady winner must gain."""


@dataclass(frozen=True)
class Race:
    """The plan of a race among members, whose costs differ by no less than a resolution."""

    members: Sequence[Member]
    resolution: Resolution

    @property
    def first_work(self) -> float:
        """Work of a round in the first heat: of a useful one of the first member [ns]."""
        return max(FIRST_WORK, self.members[0].work(self.members[0].least_sweeps))

    def start(self, state: PortfolioState) -> None:
        """The first heat."""
        for member, entry in zip(self.members, state.entries, strict=True):
            entry.fate = WAITING if member.succeeds else ""
        self._call_all(state, self.first_work)

    def plan(self, state: PortfolioState, budget: Budget) -> None:
        """The next heat, or the last round, or the end."""
        while state.stage == RACING:
            self._drop_hopeless(state)
            if self._calls_heat(state, budget):
                return
            alive = self._alive(state)
            if len(alive) > 1:
                self._drop_worse(state, alive)
            else:
                self._begin_last(state, alive[0], budget)
                return
        left, total = budget.seconds, budget.seconds + state.spent
        if state.stage == LAST and left > AGAIN * state.entries[state.turn].past[-1][2]:
            self._begin_last(state, state.turn, budget)  # it was faster than expected
            return
        chosen = self._polisher
        if left <= (LEAST_LEFT if chosen is not None else LEAST_AGAIN) * total:
            state.is_out_of_time = True
        else:
            state.stage = POLISHING
            self._alone(state, state.turn if chosen is None else chosen, LAST_MARGIN * left)

    def yields(self, state: PortfolioState, budget: Budget) -> bool:
        """Whether the winner gives up its last round for the runner-up, which then begins."""
        if state.stage != LAST or not self.members[state.turn].is_steady:
            return False
        planned = state.spent - state.began + budget.seconds
        if state.spent - state.gained < YIELD_SHARE * planned:
            return False
        state.entries[state.turn].fate = "won, but yielded without a gain in half of its time"
        others = [m for m in range(len(self.members)) if m != state.turn]
        seconds = LAST_MARGIN * budget.seconds
        second = self._successor(state, min(others, key=lambda m: state.entries[m].best), seconds)
        state.entries[second].fate = ""
        state.stage = POLISHING
        self._alone(state, second, seconds)
        return True

    def _call_all(self, state: PortfolioState, work: float) -> None:
        """A heat of so much work for each [ns]. Members for whom it is too short do not take part yet."""
        self._let_succeed(state, work)
        state.heat, state.heats = work, state.heats + 1
        state.queue, state.rounds = self._able(state, work), [member.sweeps(work) for member in self.members]

    def _able(self, state: PortfolioState, work: float) -> list[int]:
        """Members that race and for whom a round of so much work [ns] is not too short; one at least."""
        alive = self._alive(state)
        return [m for m in alive if self.members[m].is_able(work)] or alive[:1]

    def _let_succeed(self, state: PortfolioState, work: float) -> None:
        """Members for whom rounds of so much work [ns] are long enough take the places of others."""
        for k, member in enumerate(self.members):
            for m in self._alive(state):
                if member.is_able(work) and self._may_succeed(state, k, m):
                    self._succeed(state, k, m, member.sweeps(work))

    def _may_succeed(self, state: PortfolioState, k: int, m: int) -> bool:
        """Whether member ``k`` waits for the place of ``m``, which has run."""
        is_waiting = state.entries[k].fate == WAITING and self.members[k].succeeds == self.members[m].name
        return is_waiting and bool(state.entries[m].past)

    def _succeed(self, state: PortfolioState, k: int, m: int, sweeps: int, pace: float | None = None) -> None:
        state.entries[k].succeed(state.entries[m], sweeps, pace)
        state.entries[m].fate = f"{self.members[k].name} took its place after {state.heats} heats"

    def _calls_heat(self, state: PortfolioState, budget: Budget) -> bool:
        """Begin the next heat, if there is time for it."""
        growth, room = 2.0, math.inf
        if math.isfinite(budget.seconds):
            room = RACE_SHARE * (state.spent + budget.seconds) - state.spent
            able = self._able(state, 2.0 * state.heat)
            lengths = {m: self.members[m].sweeps(2.0 * state.heat) for m in able}
            takes = sum(state.entries[m].seconds_of(self.members[m], sweeps) for m, sweeps in lengths.items())
            growth = min(2.0, 2.0 * room / max(takes, 1e-9))
            state.is_paced |= growth < 2.0
            if growth < SHORTEST_HEAT:
                return False
        self._call_all(state, growth * state.heat)
        if growth < 2.0:  # the time decides: then rounds of equal seconds
            state.rounds = [self._length(state, m, room / len(state.queue)) for m in range(len(self.members))]
        return True

    def _length(self, state: PortfolioState, m: int, seconds: float) -> int:
        """Sweeps of a member's round that takes so long."""
        return self.members[m].sweeps(seconds, state.entries[m].pace)

    def _alive(self, state: PortfolioState) -> list[int]:
        return [m for m, entry in enumerate(state.entries) if not entry.fate]

    def _drop_hopeless(self, state: PortfolioState) -> None:
        alive, tolerance = self._alive(state), self.resolution.of_kernel(state.incumbents.best)
        self._drop(state, hopeless(self.members, state.entries, alive, tolerance))

    def _drop_worse(self, state: PortfolioState, alive: Sequence[int]) -> None:
        tolerance = self.resolution.of_kernel(state.incumbents.best)
        self._drop(state, worse_half(self.members, state.entries, alive, tolerance))

    def _drop(self, state: PortfolioState, dropped: Sequence[int]) -> None:
        alive, tolerance = self._alive(state), self.resolution.of_kernel(state.incumbents.best)
        for m in dropped:
            why = why_dropped(state.entries, alive, m, tolerance)
            state.entries[m].fate = f"{why} after {state.heats} heats"

    def _begin_last(self, state: PortfolioState, m: int, budget: Budget) -> None:
        state.stage = LAST
        polish = 0.0 if self._polisher in (None, m) else POLISH_SHARE * (state.spent + budget.seconds)
        seconds = LAST_MARGIN * budget.seconds - polish
        self._alone(state, self._successor(state, m, seconds), seconds)

    def _successor(self, state: PortfolioState, m: int, seconds: float) -> int:
        """The member that takes the place of ``m`` where heats were too short for it, and so many seconds are not."""
        for k, member in enumerate(self.members):
            if not self._may_succeed(state, k, m):
                continue
            each = state.entries[m].pace[1]  # of updates: the beginning of its rounds is something else
            sweeps = member.sweeps(seconds, (each, each))
            rest, updates = member.parts(sweeps)
            if sweeps >= member.least_sweeps and rest <= MOST_REST * updates:
                self._succeed(state, k, m, sweeps, each)
                return k
        return m

    @property
    def _polisher(self) -> int | None:
        """The member that starts from the pool."""
        return next((m for m, member in enumerate(self.members) if member.name == TABU), None)

    def _alone(self, state: PortfolioState, m: int, seconds: float) -> None:
        """A round of one member that takes so long."""
        state.began = state.gained = state.spent
        state.queue = [m]
        state.rounds = [self._length(state, k, seconds) for k in range(len(self.members))]
