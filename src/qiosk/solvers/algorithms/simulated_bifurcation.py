"""Simulated bifurcation: spins as oscillators that are pumped until each settles on one of two sides.

A *loop* is one lane group of trajectories from random positions near 0, all pumped from 0 to full strength over the
same number of steps. Loops are independent; some run side by side, as a *wave*. An endless search makes every wave
twice as long as the one before; the last one ends with the time limit.

References: H. Goto, K. Tatsumura, A. R. Dixon, Sci. Adv. 5, eaav2372 (2019), doi:10.1126/sciadv.aav2372; H. Goto et
al., Sci. Adv. 7, eabe7953 (2021), doi:10.1126/sciadv.abe7953 (ballistic and discrete, with walls).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.aligned import aligned_empty
from qiosk.kernels.dynamics.bifurcation import bifurcation_steps, sign_costs
from qiosk.kernels.rng import combine_seed, draw_floats
from qiosk.model.cost_function import F64, I8
from qiosk.solvers.algorithms.network import Network
from qiosk.solvers.checkpoint import checkpointed
from qiosk.solvers.samplers.parts import Parts
from qiosk.solvers.samplers.sampler import LaneGroup
from qiosk.solvers.search.agreement import ANNEALS_TO_AGREE
from qiosk.solvers.search.apart import offer_apart
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.pacing import next_length
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.solver import Budget, Solver
from qiosk.solvers.search.stopping import StopReason

LOOP_LANES = 32
"""Trajectories in a loop: four AVX2 registers of positions."""
VECTOR = 8
"""Trajectories whose forces are added up at once: a step."""

# Multiplications in one loop whose steps were not given, some seconds' work; and the bounds of its steps.
AUTO_PRODUCTS = 2e10
AUTO_STEPS = (500, 10_000)
# Factor by which an endless search begins with fewer steps.
FIRST_SHARE = 8
# Multiplications of one step of a wave, at most, and the bounds of its loops.
WAVE_PRODUCTS = 4e6
WAVE_LOOPS = (2, 8)
# Positions and momenta are drawn from -SPREAD..SPREAD: far from the walls at 1.
SPREAD = 0.1
# Seconds for each product of a step, that the costs of trajectories take.
COST_S_PER_PRODUCT = 3e-10
# Numbers drawn at once: what they take on the way stays in the cache.
DRAWN_AT_ONCE = 1 << 20
# A readout costs as much as some fifty steps of a large sparse network, and trajectories are not useful long before
# their end.
FIRST_READOUT = 256
# Candidates are compared by the cost that this share of their trajectories reached.
GOOD_SHARE = 0.1


@dataclass(frozen=True, slots=True)
class Dynamics:
    """One way to integrate: discrete forces (algorithm 2.0) or ballistic ones (1.5), and the time of a step."""

    is_discrete: bool
    dt: float

    @property
    def algorithm(self) -> str:
        """As the parameter ``algo`` has it."""
        return "2.0" if self.is_discrete else "1.5"


CANDIDATES = (Dynamics(True, 0.8), Dynamics(True, 1.0), Dynamics(True, 0.5), Dynamics(False, 0.8))
"""What an automatic search tries out first: one wave each, then a longer one of the two that did best."""
FINALISTS = 2
# How much longer the waves of the finalists are: ballistic trajectories settle sooner, discrete ones get further.
FINAL_SHARE = 4


@checkpointed
@dataclass(slots=True)
class BifurcationState:
    """All that is needed to continue. ``groups`` hold positions and momenta, both (n * LOOP_LANES,) float32."""

    groups: list[LaneGroup]
    incumbents: Incumbents
    steps: int  # planned in this wave
    most_steps: int  # planned in any wave
    scores: F64  # (waves tried out,) what a good trajectory of each reached
    chosen: int = 0  # candidate in use
    wave_done: int = 0  # steps of this wave
    loops_before: int = 0  # this wave
    waves_agreed: int = 0  # in a row
    lanes_agreed: int = 0  # in those waves
    is_out_of_time: bool = False
    is_paced: bool = False  # the time limit has set the steps of a wave
    sweeps_done: int = 0
    spin_updates: int = 0
    apart: list[Incumbents] = field(default_factory=list)  # of each loop of the wave, where their number is given


@final
@dataclass(frozen=True)
class SimulatedBifurcation(Solver[BifurcationState]):
    """Loops of pumped oscillator networks.

    ``loops`` of LOOP_LANES trajectories each, or None: as many as the time allows. ``steps`` of each loop, or None:
    from the size of the problem. ``strength`` of the couplings [1/cost], or None: from their norm. With several
    ``candidates`` one wave of each is run, and the one that did best goes on until the waves agree.
    """

    context: SearchContext
    candidates: tuple[Dynamics, ...] = (CANDIDATES[0],)
    loops: int | None = 1
    steps: int | None = None
    strength: float | None = None

    @property
    def kernel(self) -> str:
        """``bifurcation-float32x32``."""
        return f"bifurcation-float32x{LOOP_LANES}"

    @cached_property
    def network(self) -> Network:
        """The problem as a network; its kernels are compiled when it is first asked for."""
        network = self.context.problem.derived(Network.of)
        self.context.check()
        nothing, spins = np.zeros(0, np.float32), np.zeros(LOOP_LANES, np.float32)
        no_pairs = np.zeros(2, np.int64), np.zeros(0, np.int32)
        for dynamics in self.candidates:
            run = bifurcation_steps(dynamics.is_discrete, LOOP_LANES)
            run(*no_pairs, nothing, spins, spins.copy(), nothing, np.float32(dynamics.dt), (0, 1))
        sign_costs(LOOP_LANES)(*no_pairs, np.zeros(0), spins, np.zeros(LOOP_LANES))
        return network

    def init(self) -> BifurcationState:
        """The first wave, at random positions. Raises NotEnoughMemory if this machine has no memory for it."""
        self.context.require_memory(LOOP_LANES * self._wave_loops, 8 * self.network.n)
        steps = self.steps
        if steps is None:
            steps = self._auto_steps if self.loops is not None else max(1, self._auto_steps // FIRST_SHARE)
        return BifurcationState(self._groups(0), self.context.incumbents(), steps, steps, np.zeros(0))

    def step(self, state: BifurcationState, n_sweeps: int, parallel: Parallel, budget: Budget) -> None:
        """Integrate on, through the end of a wave if need be; readouts happen at fixed steps of a wave."""
        end = state.sweeps_done + n_sweeps
        while state.sweeps_done < end and self.outcome(state) is None:
            readout = _next_readout(state.wave_done, state.steps)
            self._integrate(state, min(end - state.sweeps_done, readout - state.wave_done), parallel)
            if state.wave_done == readout:
                costs = self._costs(state, parallel)
                self._read_out(state, costs, parallel)
                if readout == state.steps:
                    self._end_wave(state, costs, budget)

    def outcome(self, state: BifurcationState) -> StopReason | None:
        """FINISHED after the last loop; CONVERGED or TIMEOUT where there is no last one."""
        if self.loops is not None:
            return StopReason.FINISHED if self.loops_done(state) >= len(self._own_loops) else None
        if len(self.candidates) > 1 and ANNEALS_TO_AGREE.is_enough(state.waves_agreed, state.lanes_agreed):
            return StopReason.CONVERGED
        return StopReason.TIMEOUT if state.is_out_of_time else None

    def fraction(self, state: BifurcationState) -> float:
        """Steps done of steps planned; 0 for an endless search."""
        if self.loops is None:
            return 0.0
        waves = -(-len(self._own_loops) // max(1, self._wave_loops))
        return min(1.0, state.sweeps_done / (waves * state.steps)) if waves else 1.0

    def offer_replicas(self, state: BifurcationState) -> None:
        """Offer the trajectories as they are."""
        if state.groups:
            self._offer(state, self._costs(state, Parallel(1)))

    def end_seconds(self, state: BifurcationState) -> float:
        """The costs of all trajectories."""
        return COST_S_PER_PRODUCT * self._products * len(state.groups)

    def parameters(self, state: BifurcationState) -> dict[str, Any]:
        """loops (begun, in an endless search), steps of the longest, C, and dt and algo of the latest."""
        dynamics = self.candidates[state.chosen]
        return {
            "loops": self.loops if self.loops is not None else state.loops_before + len(state.groups),
            "steps": state.most_steps,
            "dt": dynamics.dt,
            "C": self._strength,
            "algo": dynamics.algorithm,
        }

    def statistics(self, state: BifurcationState) -> dict[str, Any]:
        """is_paced of an endless search."""
        return {"is_paced": state.is_paced} if self.loops is None else {}

    def loops_done(self, state: BifurcationState) -> int:
        """Loops that have come to their end."""
        return state.loops_before + (len(state.groups) if state.wave_done == state.steps else 0)

    @cached_property
    def _strength(self) -> float:
        return self.network.natural_strength if self.strength is None else self.strength

    @cached_property
    def _forces(self) -> NDArray[np.float32]:
        self.context.check()
        return self.network.forces(self._strength)

    @property
    def _products(self) -> int:
        """Multiplications in a step of one loop."""
        return LOOP_LANES * (len(self.network.neighbors[1]) + 4 * self.network.n)

    @property
    def _auto_steps(self) -> int:
        return int(np.clip(AUTO_PRODUCTS // self._products, *AUTO_STEPS))

    @property
    def _wave_loops(self) -> int:
        fitting = int(np.clip(WAVE_PRODUCTS // self._products, *WAVE_LOOPS))
        fitting = self.context.at_once(fitting, 2.0 * COST_S_PER_PRODUCT * self._products)  # set up, and read out
        return fitting if self.loops is None else min(len(self._own_loops), fitting)

    @property
    def _own_loops(self) -> range:
        """Numbers of the loops of this run, where there is a last one."""
        return self.context.share.of(self.loops or 0)

    def _groups(self, first: int) -> list[LaneGroup]:
        """The loops of a wave, before which so many of this run were begun."""
        loops = range(first, first + self._wave_loops)
        numbers = loops if self.loops is None else self._own_loops[loops.start : loops.stop]
        return [self._start(loop) for loop in numbers]

    def _start(self, loop: int) -> LaneGroup:
        """Random positions and momenta; with an initial configuration, positions on its sides."""
        size, seed = self.network.n * LOOP_LANES, combine_seed((self.context.seed, loop))
        positions, momenta = aligned_empty(size, np.float32), aligned_empty(size, np.float32)
        self._draw(positions, seed, 0)
        self._draw(momenta, seed, size)
        if self.context.initial is not None:
            spins = np.repeat(self.network.spins(self.context.initial), LOOP_LANES)
            np.copysign(positions, spins.astype(np.float32), out=positions)
        return LaneGroup({"positions": positions, "momenta": momenta})

    def _draw(self, values: NDArray[np.float32], seed: int, first: int) -> None:
        """Draw values from -SPREAD..SPREAD, number ``first`` and on; in blocks, between which the run may end."""
        for begin in range(0, len(values), DRAWN_AT_ONCE):
            self.context.check()
            block = values[begin : begin + DRAWN_AT_ONCE]
            draw_floats(block, seed, np.float32(SPREAD), first=first + begin)

    def _integrate(self, state: BifurcationState, n: int, parallel: Parallel) -> None:
        dynamics = self.candidates[state.chosen]
        indptr, neighbors, _ = self.network.neighbors
        forces, run = self._forces, bifurcation_steps(dynamics.is_discrete, LOOP_LANES)
        done = np.arange(state.wave_done, state.wave_done + n, dtype=np.float64)
        detunings = (done / state.steps - 1.0).astype(np.float32)
        parts = self._parts

        def work(group: LaneGroup) -> None:
            x, y = group.arrays["positions"], group.arrays["momenta"]
            for some, part in parts.calls(n):
                run(indptr, neighbors, forces, x, y, detunings[some], np.float32(dynamics.dt), part)

        parallel.each(work, state.groups)
        state.wave_done += n
        state.sweeps_done += n
        state.spin_updates += n * len(state.groups) * LOOP_LANES * self.network.n

    @cached_property
    def _parts(self) -> Parts:
        parts = Parts(np.diff(self.network.neighbors[0]) + 1, LOOP_LANES / VECTOR)
        parts.check = self.context.check
        return parts

    def _costs(self, state: BifurcationState, parallel: Parallel) -> F64:
        """(groups, LOOP_LANES) cost of the signs of every trajectory."""
        indptr, neighbors, couplings = self.network.neighbors

        def measure(group: LaneGroup) -> F64:
            costs = np.empty(LOOP_LANES)
            sign_costs(LOOP_LANES)(indptr, neighbors, couplings, group.arrays["positions"], costs)
            return costs

        return np.array(parallel.map(measure, state.groups)) + self.network.form.constant

    def _read_out(self, state: BifurcationState, costs: F64, parallel: Parallel) -> None:
        """Offer what is best; loops of which the number is given find the same whichever others there are."""
        if self.loops is None:
            self._offer(state, costs)
            return
        if len(state.apart) != len(state.groups):
            state.apart = [self.context.incumbents() for _ in state.groups]

        def offer(loop: int, found: Incumbents) -> None:
            configuration = partial(self._configuration, state, loop)
            self.context.improve(configuration(int(costs[loop].argmin())), found, state.sweeps_done)
            self.context.offer_lowest(costs[loop], configuration, found, state.sweeps_done)

        offer_apart(state.apart, offer, state.incumbents, state.sweeps_done, parallel)

    def _offer(self, state: BifurcationState, costs: F64) -> None:
        """Offer the best trajectory of every loop and others below the threshold, each led to its local minimum."""

        def configuration(place: int) -> I8:
            return self._configuration(state, *divmod(place, LOOP_LANES))

        for loop, lane in enumerate(costs.argmin(axis=1)):
            configuration_of_best = self._configuration(state, loop, int(lane))
            self.context.improve(configuration_of_best, state.incumbents, state.sweeps_done)
        self.context.offer_lowest(costs, configuration, state.incumbents, state.sweeps_done)

    def _configuration(self, state: BifurcationState, loop: int, lane: int) -> I8:
        return self.network.configuration(state.groups[loop].arrays["positions"][lane::LOOP_LANES])

    def _end_wave(self, state: BifurcationState, costs: F64, budget: Budget) -> None:
        """Judge the wave, and begin the next one if there is one."""
        if self.loops is None:
            self._judge(state, costs)
            steps = self._next_steps(state, budget)
            state.is_out_of_time = steps is None
        else:
            steps = state.steps
        if steps is None or self.outcome(state) is not None:
            return
        state.chosen = self._choice(state.scores)
        state.loops_before += len(state.groups)
        state.groups, state.apart = self._groups(state.loops_before), []
        state.steps, state.wave_done = steps, 0
        state.most_steps = max(state.most_steps, steps)

    def _judge(self, state: BifurcationState, costs: F64) -> None:
        reached = self.context.count_agreeing(costs.ravel(), state.incumbents.best)
        state.waves_agreed, state.lanes_agreed = ANNEALS_TO_AGREE.after_round(
            state.waves_agreed, state.lanes_agreed, reached, costs.size
        )
        is_enough = ANNEALS_TO_AGREE.is_enough(state.waves_agreed, state.lanes_agreed)
        if is_enough and not self.context.may_converge(state.incumbents):
            state.waves_agreed = state.lanes_agreed = 0
        if len(state.scores) < self._trials:
            state.scores = np.append(state.scores, np.quantile(costs, GOOD_SHARE))

    @property
    def _trials(self) -> int:
        """Waves that try candidates out; 0 if there is no choice."""
        return len(self.candidates) + FINALISTS if len(self.candidates) > 1 else 0

    def _choice(self, scores: F64) -> int:
        """The candidate of the next wave."""
        n, tried = len(self.candidates), len(scores)
        if self._trials == 0 or tried < n:
            return min(tried, n - 1)
        finalists = np.argsort(scores[:n], kind="stable")[:FINALISTS]
        return int(finalists[np.argmin(scores[n:]) if tried == self._trials else tried - n])

    def _next_steps(self, state: BifurcationState, budget: Budget) -> int | None:
        """Steps of the next wave; None if there is no time for one."""
        if self.steps is not None:
            return self.steps
        tried = len(state.scores)
        growth = FINAL_SHARE if tried == len(self.candidates) else 2 if tried == self._trials else 1
        planned, step = growth * state.steps, self._wave_loops * LOOP_LANES * self.network.n
        steps = next_length(planned, state.steps, state.spin_updates, budget, lambda updates: int(updates // step))
        state.is_paced |= steps != planned
        return steps


def _next_readout(done: int, steps: int) -> int:
    """The step of a wave after which the next readout comes: every doubling from FIRST_READOUT on, and the last one."""
    return min(steps, FIRST_READOUT << (done // FIRST_READOUT).bit_length())
