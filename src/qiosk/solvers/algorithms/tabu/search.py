"""Tabu search: independent walkers that always make the best move that is allowed.

A move flips the variable of least delta, even if that is uphill, and may not be undone for some moves (its
tenure). After a stretch without improvement a walker returns to its best configuration and random flips move it away,
of a cluster of neighbours or of variables anywhere: an iterated tabu search.

A *sweep* here is one move: it considers the flip of every variable once, and so counts as n attempted spin updates.

References: F. Glover, ORSA J. Comput. 1, 190 (1989), doi:10.1287/ijoc.1.3.190; G. Palubeckis, Informatica 17, 279
(2006), doi:10.15388/Informatica.2006.138 (iterated).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, final

import numpy as np

from qiosk.model.cost_function import F64, I8
from qiosk.solvers.algorithms.tabu.rules import Rules
from qiosk.solvers.checkpoint import checkpointed
from qiosk.solvers.samplers.sampler import LaneGroup
from qiosk.solvers.search.apart import offer_apart
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.solver import Budget, Solver
from qiosk.solvers.search.stopping import StopReason

# Walkers that search at the same time, fewer where time is short; further restarts follow in further waves.
WAVE_WALKERS = 16
# Sweeps between readouts of the walkers, at least; more where a readout takes longer.
SWEEPS_BETWEEN_READOUTS = 1024
FIRST_READOUT = 32
# The cost of a configuration takes as long as so many moves, for each pair that a variable is in.
READOUT_MOVES = 4
# Sweeps without an end, for searches that a cutoff ends.
ENDLESS = 2**62


class Walkers(Protocol):
    """Starts and moves walkers on one problem; a walker is a lane group of one lane."""

    @property
    def kernel(self) -> str:
        """Name of the kernel and its arithmetic."""
        ...

    @property
    def tenure(self) -> int:
        """Tenure [moves] that suits many problems."""
        ...

    @property
    def cutoff(self) -> int:
        """Moves without improvement after which a search has little left to find."""
        ...

    @property
    def records_minima(self) -> bool:
        """Whether the best configuration of a walker that began at a local minimum is one, too, by exact costs."""
        ...

    def rules(self, tenure: int = 0, spread: int = 0) -> tuple[Rules, Rules]:
        """Rules with large and with small kicks; a tenure or a spread of 0 is chosen here."""
        ...

    def begin(self, context: SearchContext, rules: Rules, seed: tuple[int, ...]) -> LaneGroup:
        """A walker at the given initial configuration, or at the local minimum that a random one leads to."""
        ...

    def start(self, configuration: I8, rules: Rules, seed: tuple[int, ...]) -> LaneGroup:
        """A walker at a configuration (n,), with nothing tabu."""
        ...

    def run(self, walker: LaneGroup, rules: Rules, moves: int) -> None:
        """So many moves, in place. Releases the GIL."""
        ...

    def best(self, walker: LaneGroup) -> tuple[float, Callable[[], I8]]:
        """Cost of the best configuration that the walker has recorded, and a function that returns it."""
        ...


@checkpointed
@dataclass(slots=True)
class TabuState:
    """All that is needed to continue a tabu search."""

    walkers: list[LaneGroup]
    incumbents: Incumbents
    offered: F64  # (walkers,) best cost of each that was offered to the incumbents
    sweeps_done: int = 0
    spin_updates: int = 0
    wave: int = 0  # the wave in progress
    improved_at: int = 0  # sweep of the last improvement that counts against the cutoff
    improved_to: float = np.inf  # the best cost then
    is_cut_off: bool = False
    search_costs: F64 = field(default_factory=lambda: np.empty(0))  # (walkers,) of the last finished wave
    apart: list[Incumbents] = field(default_factory=list)  # of each walker of the wave, if these are read out apart


@final
@dataclass(frozen=True)
class TabuSearch(Solver[TabuState]):
    """Walkers from local minima near random configurations, or from the given initial one.

    Walker k moves by ``rules[k % len(rules)]``. With ``cutoff`` the search ends after so many sweeps in a row in which
    no walker improved the best cost by more than ``tolerance`` [cost]. ``stream`` distinguishes the random numbers of
    several searches with one seed. With ``is_apart`` what a walker finds does not depend on the others: so several runs
    may divide them.
    """

    context: SearchContext
    walkers: Walkers
    rules: tuple[Rules, ...]
    sweeps: int
    restarts: int
    stream: int = 0
    cutoff: int | None = None
    tolerance: float = 0.0
    is_apart: bool = False

    @property
    def kernel(self) -> str:
        """The walkers'."""
        return self.walkers.kernel

    def init(self) -> TabuState:
        """The walkers of the first wave."""
        walkers = self._wave(0)
        return TabuState(walkers, self.context.incumbents(), np.full(len(walkers), np.inf))

    def step(self, state: TabuState, n_sweeps: int, parallel: Parallel, budget: Budget) -> None:
        """Move on; readouts happen at fixed sweep indices."""
        end = min(state.sweeps_done + n_sweeps, self._total)
        while state.sweeps_done < end and self.outcome(state) is None:
            if state.sweeps_done == (state.wave + 1) * self.sweeps:
                state.wave += 1
                state.walkers = self._wave(state.wave)
                state.offered = np.full(len(state.walkers), np.inf)
                state.apart = []
            readout = self._next_readout(state)
            self._move(state, min(end, readout) - state.sweeps_done, parallel)
            if state.sweeps_done == readout:
                if self.is_apart:
                    self._offer_apart(state, parallel)
                else:
                    self.offer_replicas(state)
                self._note(state)

    def outcome(self, state: TabuState) -> StopReason | None:
        """FINISHED after the last wave, or at the cutoff."""
        return StopReason.FINISHED if state.is_cut_off or state.sweeps_done >= self._total else None

    def fraction(self, state: TabuState) -> float:
        """Sweeps done of sweeps planned; 0 if a cutoff ends the search."""
        return state.sweeps_done / self._total if self._total else 1.0

    @property
    def _are_minima(self) -> bool:
        """Whether what walkers record are local minima."""
        return self.walkers.records_minima and self.context.start is None

    def _offer_apart(self, state: TabuState, parallel: Parallel) -> None:
        """Let every walker offer what it has found: minima that others do not surpass, else where each leads to."""
        if self._are_minima:
            self._offer_minima(state)
            return
        if len(state.apart) != len(state.walkers):
            state.apart = [self.context.incumbents() for _ in state.walkers]

        def offer(k: int, found: Incumbents) -> None:
            cost, configuration = self.walkers.best(state.walkers[k])
            if cost < state.offered[k]:
                state.offered[k] = cost
                self.context.improve(configuration(), found, state.sweeps_done)

        offer_apart(state.apart, offer, state.incumbents, state.sweeps_done, parallel)

    def _offer_minima(self, state: TabuState) -> None:
        """Those that cost more than all that is kept would not be kept after other walkers either."""
        found, sweep = state.incumbents, state.sweeps_done
        for cost, configuration, k in self._found(state):
            if cost < state.offered[k]:
                state.offered[k] = cost
                if cost <= found.threshold + self.context.resolution.of_kernel(cost):
                    own = Incumbents(1)
                    self.context.offer(configuration(), own, sweep)
                    found.merge([own], sweep)

    def _found(self, state: TabuState) -> list[tuple[float, Callable[[], I8], int]]:
        """The best cost of each walker, a function that returns its configuration, and the walker; the best first."""
        found = ((*self.walkers.best(walker), k) for k, walker in enumerate(state.walkers))
        return sorted(found, key=lambda item: item[0])

    def offer_replicas(self, state: TabuState) -> None:
        """Offer what the walkers have found, the best first."""
        for cost, configuration, k in self._found(state):
            if cost < state.offered[k]:
                state.offered[k] = cost
                if cost < state.incumbents.threshold:
                    offer = self.context.offer if self._are_minima else self.context.improve
                    offer(configuration(), state.incumbents, state.sweeps_done)

    def parameters(self, state: TabuState) -> dict[str, Any]:
        """sweeps, tabu_tenure, restarts; or the tenure and the parameters of the cutoff."""
        middle = self.rules[len(self.rules) // 2]  # they differ in kicks, or around this tenure
        if self.cutoff is not None:
            found = {"tabu_tenure": middle.tenure, "tabu_tenure_rand_max": middle.spread}
            return found | {"improvement_cutoff": self.cutoff, "improvement_tolerance": self.tolerance}
        return {"sweeps": self.sweeps, "tabu_tenure": middle.tenure, "restarts": self.restarts}

    @property
    def _total(self) -> int:
        return -(-len(self._own_walkers) // self._wave_walkers) * self.sweeps

    @property
    def _own_walkers(self) -> range:
        """Numbers of the walkers of this run."""
        return self.context.share.of(self.restarts)

    @property
    def _wave_walkers(self) -> int:
        return self.context.at_once(WAVE_WALKERS, self.context.walker_seconds)

    def _wave(self, wave: int) -> list[LaneGroup]:
        return [self.walker(k) for k in self._numbers(wave)]

    def _numbers(self, wave: int) -> range:
        """Numbers of the walkers of a wave."""
        begin = wave * self._wave_walkers
        return self._own_walkers[begin : begin + self._wave_walkers]

    def walker(self, k: int, start: I8 | None = None) -> LaneGroup:
        """Walker number k at ``start`` (n,), by default near a random configuration."""
        seed = (self.context.seed, self.stream, k)
        if start is None:
            return self.walkers.begin(self.context, self._rules(k), seed)
        return self.walkers.start(start, self._rules(k), seed)

    def _rules(self, k: int) -> Rules:
        return self.rules[k % len(self.rules)]

    def _next_readout(self, state: TabuState) -> int:
        """Index of the sweep after which the walkers are read out next."""
        begin = state.wave * self.sweeps
        problem = self.context.problem
        changes = READOUT_MOVES * problem.n_pairs // max(1, problem.n)
        spacing = max(SWEEPS_BETWEEN_READOUTS, problem.n // 8, changes)
        if self.cutoff is not None:
            spacing = min(spacing, self.cutoff)
        return begin + min(next_readout(state.sweeps_done - begin, spacing), self.sweeps)

    def _move(self, state: TabuState, n: int, parallel: Parallel) -> None:
        numbers = self._numbers(state.wave)

        def work(k: int) -> None:
            self.walkers.run(state.walkers[k], self._rules(numbers[k]), n)

        parallel.each(work, range(len(state.walkers)))
        state.sweeps_done += n
        state.spin_updates += len(state.walkers) * self.context.problem.n * n

    def _note(self, state: TabuState) -> None:
        """Note improvements for the cutoff, and the costs at the end of a wave."""
        best = float(state.offered.min())
        if best < state.improved_to - self.tolerance:
            state.improved_to, state.improved_at = best, state.sweeps_done
        state.is_cut_off = self.cutoff is not None and state.sweeps_done - state.improved_at >= self.cutoff
        if state.sweeps_done == (state.wave + 1) * self.sweeps:
            state.search_costs = state.offered.copy()


def next_readout(done: int, spacing: int) -> int:
    """Sweeps done at the next readout, the same from any in between: every doubling, later ``spacing`` apart."""
    if done < spacing:
        return min(spacing, max(FIRST_READOUT, 1 << done.bit_length()))
    return (done // spacing + 1) * spacing
