"""Anneals wave after wave, and their readouts.

A readout offers the best replicas to the incumbents. Readouts are rare enough not to cost noticeable time, and begin
early, so that a run that is cut off has something to return. Groups that are read out apart find the same whichever
others there are, in this wave or before.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass
from functools import partial
from typing import Generic, Protocol, TypeVar, final

from qiosk.model.cost_function import F64, I8
from qiosk.solvers.samplers.sampler import LaneGroup
from qiosk.solvers.search.apart import offer_apart
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.solver import Budget, Solver
from qiosk.solvers.search.stopping import StopReason

# A readout costs about as much as a few sweeps. So many of them in the colder half cost little if they are far enough
# apart.
READOUTS = 8
SWEEPS_BETWEEN_READOUTS = 32


def next_readout(done: int, sweeps: int, end: int) -> int:
    """Index of the sweep after the next readout: in a schedule of ``sweeps``, and a quench that is over at ``end``.

    Every doubling in the hotter half; READOUTS times in the colder half; and at the end.
    """
    half = sweeps // 2
    if done < half:
        return min(max(half, 1), SWEEPS_BETWEEN_READOUTS << (done // SWEEPS_BETWEEN_READOUTS).bit_length())
    spacing = max(SWEEPS_BETWEEN_READOUTS, half // READOUTS)
    return min(end, half + ((done - half) // spacing + 1) * spacing)


class WaveState(Protocol):
    """State of anneals that are run wave after wave: the groups of the one in progress, and its number.

    ``apart`` holds what each group of the wave has found; empty before the first readout of a wave, or where groups are
    read out together.
    """

    groups: list[LaneGroup]
    incumbents: Incumbents
    sweeps_done: int
    spin_updates: int
    wave: int
    apart: list[Incumbents]


W = TypeVar("W", bound=WaveState)


@dataclass(frozen=True, slots=True)
class Waves:
    """``count`` waves of lane groups one after the other, each ``sweeps`` by schedule and then ``quench`` more."""

    count: int
    sweeps: int
    quench: int

    @property
    def length(self) -> int:
        """Sweeps of one wave."""
        return self.sweeps + self.quench

    @property
    def total(self) -> int:
        """Sweeps of all waves."""
        return self.count * self.length

    def is_at_end(self, state: WaveState) -> bool:
        """Whether the wave in progress has had all its sweeps."""
        return state.sweeps_done == (state.wave + 1) * self.length


class WaveSolver(Solver[W], Generic[W]):
    """Anneals wave after wave. Subclasses define the groups of a wave, their sweeps and their costs, and whether groups
    are read out apart.
    """

    is_apart: bool

    @property
    @abstractmethod
    def _waves(self) -> Waves:
        """The plan."""

    @abstractmethod
    def _groups(self, wave: int) -> list[LaneGroup]:
        """The groups of a wave before its first sweep."""

    @abstractmethod
    def _sweep(self, state: W, n: int, done: int, parallel: Parallel) -> None:
        """Sweep all groups ``n`` more times after ``done`` of this wave, and count that."""

    @abstractmethod
    def _costs(self, state: W, parallel: Parallel) -> F64:
        """(groups, replicas) costs of all replicas."""

    @abstractmethod
    def _configuration(self, state: W, group: int, replica: int) -> I8:
        """(n,) configuration of one replica, as a new array."""

    @final
    def step(self, state: W, n_sweeps: int, parallel: Parallel, budget: Budget) -> None:
        """Sweep on, by sweep index, through the end of a wave if need be; readouts happen at fixed indices."""
        waves = self._waves
        end = min(state.sweeps_done + n_sweeps, waves.total)
        while state.sweeps_done < end:
            if waves.is_at_end(state):
                state.wave += 1
                state.groups = self._groups(state.wave)
                state.apart = []
            begin = state.wave * waves.length
            readout = begin + next_readout(state.sweeps_done - begin, waves.sweeps, waves.length)
            self._sweep(state, min(end, readout) - state.sweeps_done, state.sweeps_done - begin, parallel)
            if state.sweeps_done == readout:
                self._read_out(state, parallel)

    @final
    def outcome(self, state: W) -> StopReason | None:
        """FINISHED after the quench of the last wave."""
        return StopReason.FINISHED if state.sweeps_done >= self._waves.total else None

    @final
    def fraction(self, state: W) -> float:
        """Sweeps done of sweeps planned."""
        return state.sweeps_done / self._waves.total if self._waves.total else 1.0

    @final
    def offer_replicas(self, state: W) -> None:
        """Offer the best replicas as they are, whichever group they are in."""
        if state.groups:
            self._offer_lowest(state, self._costs(state, Parallel(1)))

    def _read_out(self, state: W, parallel: Parallel) -> None:
        costs = self._costs(state, parallel)
        if not self.is_apart:
            self._offer_lowest(state, costs)
            return
        if len(state.apart) != len(state.groups):
            state.apart = [self.context.incumbents() for _ in state.groups]

        def offer(group: int, found: Incumbents) -> None:
            configuration = partial(self._configuration, state, group)
            self.context.offer_lowest(costs[group], configuration, found, state.sweeps_done)

        offer_apart(state.apart, offer, state.incumbents, state.sweeps_done, parallel)

    def _offer_lowest(self, state: W, costs: F64) -> None:
        def configuration(place: int) -> I8:
            return self._configuration(state, *divmod(place, costs.shape[1]))

        self.context.offer_lowest(costs, configuration, state.incumbents, state.sweeps_done)
