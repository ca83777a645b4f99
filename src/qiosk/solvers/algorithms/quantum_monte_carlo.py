"""Path-integral Monte Carlo: the problem in a transverse field that decreases slowly.

A system is ``trotter_number`` slices, each a configuration. The values of one variable in all slices are its world
line; neighbouring slices are tied along it, more strongly in weaker fields, and at zero field all slices agree. In a
strong field slices differ, and some neighbouring slices at a time can cross a barrier that is high but narrow.

References: R. Martonak, G. E. Santoro, E. Tosatti, Phys. Rev. B 66, 094203 (2002), doi:10.1103/PhysRevB.66.094203;
B. Heim, T. F. Ronnow, S. V. Isakov, M. Troyer, Science 348, 215 (2015), doi:10.1126/science.aaa4170.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import numpy as np

from qiosk.model.cost_function import F64, I8
from qiosk.solvers.algorithms.waves import Waves, WaveSolver
from qiosk.solvers.algorithms.world_lines import WorldLines
from qiosk.solvers.checkpoint import checkpointed
from qiosk.solvers.samplers.parts import long_term_steps
from qiosk.solvers.samplers.sampler import LaneGroup
from qiosk.solvers.search.context import SearchContext, check_sweep
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.schedules import Schedule
from qiosk.solvers.search.tuning import BetaRange

# Systems swept at the same time, at most, and fewer where time is short; further restarts follow in further waves:
# memory does not grow with them.
WAVE_SYSTEMS = 32
# Sweeps at beta = infinity after the schedule, every slice by itself: they carry it into its local minimum.
QUENCH_SWEEPS = 4
# Where the default beta of a slice lies between the hot (0) and the cold end (1) of the annealer's range, on a scale of
# ratios; on max-cut and dense QUBO 0.4 to 0.75 did best, on tori and random PUBO 0.75 to 0.9.
COLDNESS = 0.7
# beta * field at the start: equal neighbours are then tied with probability 1 - tanh(3) = 0.005.
STRONG_FIELD = 3.0
# Seconds for each pair and slice that costs take.
COST_S_PER_PRODUCT = 1.5e-9


@checkpointed
@dataclass(slots=True)
class PathState:
    """All that is needed to continue."""

    groups: list[LaneGroup]
    incumbents: Incumbents
    sweeps_done: int = 0
    spin_updates: int = 0
    wave: int = 0  # the wave in progress
    apart: list[Incumbents] = field(default_factory=list)  # of each system of the wave


@final
@dataclass(frozen=True)
class QuantumMonteCarlo(WaveSolver[PathState]):
    """Independent systems of ``slices`` slices, each slice at ``beta`` [1/cost], in a field that follows ``field``.

    The system as a whole is at the inverse temperature slices * beta. ``field`` is a schedule of transverse fields
    [cost]: the weight of two neighbouring slices of a variable is tanh(beta * field) where they differ, 1 where they
    agree.
    """

    context: SearchContext
    beta: float
    field: Schedule
    sweeps: int
    slices: int
    restarts: int
    is_apart: bool = True

    @cached_property
    def lines(self) -> WorldLines:
        """The dynamics.

        Raises NotEnoughMemory if this machine has no memory for a wave of systems, InsufficientResources if a sweep of
        one takes too long.
        """
        lines = WorldLines(self.context.problem, self.slices, self.context.check)
        self.context.require_memory(min(self._wave_systems, self.restarts) * self.slices, lines.slice_bytes)
        p = self.context.problem
        steps = p.n + 2 * p.n_pairs + len(p.group_variables) + int(long_term_steps(p).sum())
        check_sweep(f"{self.slices} slices", self.slices * steps)
        return lines

    def warm_up(self) -> None:
        """Compile, or load, all kernels that a run needs."""
        self.lines.warm_up()
        if self.context.minimum is None:
            self.context.descent(self.context.moves.random(np.random.default_rng(0)))

    @property
    def kernel(self) -> str:
        """The world lines'."""
        return self.lines.kernel

    def init(self) -> PathState:
        """Every slice of the first wave at a random configuration, or at the given initial one."""
        return PathState(self._groups(0), self.context.incumbents())

    def parameters(self, state: PathState) -> dict[str, Any]:
        """sweeps, trotter_number, restarts, beta_start, transverse_field_start and transverse_field_stop."""
        return {
            "sweeps": self.sweeps,
            "trotter_number": self.slices,
            "restarts": self.restarts,
            "beta_start": self.beta,
            "transverse_field_start": self.field.initial,
            "transverse_field_stop": self.field.final,
        }

    def end_seconds(self, state: PathState) -> float:
        """The costs of all slices."""
        return self._system_seconds * len(state.groups)

    @property
    def _system_seconds(self) -> float:
        return COST_S_PER_PRODUCT * self.context.problem.n_pairs * self.slices

    @property
    def _wave_systems(self) -> int:
        return self.context.at_once(WAVE_SYSTEMS, 2.0 * self._system_seconds)  # set up, and read out

    @property
    def _waves(self) -> Waves:
        return Waves(-(-len(self._own_systems) // self._wave_systems), self.sweeps, QUENCH_SWEEPS)

    @property
    def _own_systems(self) -> range:
        """Numbers of the systems of this run."""
        return self.context.share.of(self.restarts)

    def _groups(self, wave: int) -> list[LaneGroup]:
        begin = wave * self._wave_systems
        return [self._system(number) for number in self._own_systems[begin : begin + self._wave_systems]]

    def _system(self, number: int) -> LaneGroup:
        self.context.check()
        return self.lines.start((self.context.seed, 0, number), self.context.start)

    def _sweep(self, state: PathState, n: int, done: int, parallel: Parallel) -> None:
        annealed = min(n, max(0, self.sweeps - done))
        quench = n - annealed
        betas = np.concatenate([np.full(annealed, self.beta), np.full(quench, np.inf)])
        cuts = np.concatenate([np.tanh(self.beta * self.field.values(done, annealed, self.sweeps)), np.ones(quench)])
        parallel.each(lambda group: self.lines.sweep(group, betas, cuts), state.groups)
        state.sweeps_done += n
        state.spin_updates += len(state.groups) * self.slices * self.context.problem.n * n

    def _costs(self, state: PathState, parallel: Parallel) -> F64:
        return np.array(parallel.map(self.lines.costs, state.groups))

    def _configuration(self, state: PathState, group: int, replica: int) -> I8:
        return self.lines.configuration(state.groups[group], replica)


def slice_beta(betas: BetaRange) -> float:
    """The default inverse temperature of a slice [1/cost]: between the ends of the annealer's range."""
    return float(betas.hot ** (1.0 - COLDNESS) * betas.cold**COLDNESS)


def strong_field(beta: float) -> float:
    """A transverse field [cost] in which neighbouring slices are almost independent."""
    return STRONG_FIELD / beta
