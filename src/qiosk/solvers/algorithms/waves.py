"""Anneals wave after wave, and when their replicas are looked at: not so often that it shows, yet from early on."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar, final

from qiosk.solvers.samplers.sampler import LaneGroup
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.solver import Allowance, Parallel, Solver, StopReason

# A look at the replicas costs about as much as a few sweeps; so many of them in the colder half do not show, if they
# are far enough apart.
LOOKS = 8
SWEEPS_BETWEEN_LOOKS = 32


def next_look(done: int, sweeps: int, end: int) -> int:
    """Index of the sweep after which to look next, in a schedule of ``sweeps`` and a quench that is over at ``end``.

    Every doubling in the hotter half; LOOKS times in the colder half; and at the end.
    """
    half = sweeps // 2
    if done < half:
        return min(max(half, 1), SWEEPS_BETWEEN_LOOKS << (done // SWEEPS_BETWEEN_LOOKS).bit_length())
    spacing = max(SWEEPS_BETWEEN_LOOKS, half // LOOKS)
    return min(end, half + ((done - half) // spacing + 1) * spacing)


class WaveState(Protocol):
    """State of anneals that are run wave after wave: the groups of the one in progress, and its number."""

    groups: list[LaneGroup]
    incumbents: Incumbents
    sweeps_done: int
    spin_updates: int
    wave: int


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

    def walk(
        self,
        state: WaveState,
        n_sweeps: int,
        *,
        groups: Callable[[int], list[LaneGroup]],
        sweep: Callable[[int, int], None],
        look: Callable[[], None],
    ) -> None:
        """At most ``n_sweeps`` more, through the end of a wave if need be, with looks at fixed indices.

        ``groups(wave)`` makes the groups of a wave; ``sweep(n, done)`` sweeps n more times after ``done`` of this wave
        and counts them; ``look()`` looks.
        """
        end = min(state.sweeps_done + n_sweeps, self.total)
        while state.sweeps_done < end:
            if self.is_at_end(state):
                state.wave += 1
                state.groups = groups(state.wave)
            begin = state.wave * self.length
            at = begin + next_look(state.sweeps_done - begin, self.sweeps, self.length)
            sweep(min(end, at) - state.sweeps_done, state.sweeps_done - begin)
            if state.sweeps_done == at:
                look()


class WaveSolver(Solver[W], Generic[W]):
    """Anneals wave after wave. What a wave is, how it is swept and looked at, subclasses say."""

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
    def _look(self, state: W, parallel: Parallel) -> None:
        """Offer what is best among the groups."""

    @final
    def step(self, state: W, n_sweeps: int, parallel: Parallel, allowance: Allowance) -> None:
        """Sweep on, by sweep index, and look at fixed indices."""
        self._waves.walk(
            state,
            n_sweeps,
            groups=self._groups,
            sweep=lambda n, done: self._sweep(state, n, done, parallel),
            look=lambda: self._look(state, parallel),
        )

    @final
    def outcome(self, state: W) -> StopReason | None:
        """FINISHED after the quench of the last wave."""
        return StopReason.FINISHED if state.sweeps_done >= self._waves.total else None

    @final
    def fraction(self, state: W) -> float:
        """Sweeps done of sweeps planned."""
        return state.sweeps_done / self._waves.total

    @final
    def look(self, state: W) -> None:
        """Offer what is there as it is."""
        self._look(state, Parallel(1))
