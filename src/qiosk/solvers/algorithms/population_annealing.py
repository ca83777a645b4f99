"""Population annealing: replicas cooled together, weighted by how likely they are at the next temperature.

At every temperature step each replica's weight is multiplied by exp(-(beta' - beta) cost). As soon as the weights
are too uneven, the population is resampled: unlikely replicas give their places to copies of likely ones. With small
steps the weighted population follows the Boltzmann distribution as it cools, and the weights add up to a ratio of
partition functions.

References: K. Hukushima, Y. Iba, AIP Conf. Proc. 690, 200 (2003), doi:10.1063/1.1632130; J. Machta, Phys. Rev. E 82,
026704 (2010), doi:10.1103/PhysRevE.82.026704; W. Wang, J. Machta, H. G. Katzgraber, Phys. Rev. E 92, 063307 (2015),
doi:10.1103/PhysRevE.92.063307.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, final

import numpy as np

from qiosk.model.cost_function import F64, I64
from qiosk.solvers.algorithms.resampling import flattened, normalized, replacements, spread, systematic_counts
from qiosk.solvers.checkpoint import checkpointed
from qiosk.solvers.samplers.sampler import LaneGroup
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.counter import uniforms
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.schedules import Schedule
from qiosk.solvers.search.solver import Budget, Solver
from qiosk.solvers.search.stopping import StopReason

# Weighing a lane group costs as much as this many spin updates of a lane, besides half a sweep.
UPDATES_PER_TEMPERATURE = 6000
# Sweeps at a temperature, at least; but a short schedule has at least so many temperatures.
SWEEPS_PER_TEMPERATURE = 8
FEWEST_TEMPERATURES = 16
# Below any weight that matters, and far within the range of a float.
LEAST_LOG_WEIGHT = -1e9
LARGEST_FACTORS = (-1e300, 1e300)
# Readouts in the colder half of the temperatures, and the sweeps between two, at least: a readout costs a few sweeps.
READOUTS = 8
SWEEPS_BETWEEN_READOUTS = 32
# Sweeps at beta = infinity after the schedule: they carry nearly every replica into its local minimum.
QUENCH_SWEEPS = 4


@checkpointed
@dataclass(slots=True)
class PopulationState:
    """All that is needed to continue. Shapes: I islands of R replicas each, in G lane groups."""

    groups: list[LaneGroup]
    incumbents: Incumbents
    log_weights: F64  # (I, R), they add up to 1 as weights in every island
    log_partition: F64  # (I,) estimated ln of sum over x of exp(-beta cost(x)) at the present beta
    sweeps_done: int = 0
    spin_updates: int = 0
    stairs: int = 0  # temperature steps that were begun
    final_costs: F64 = field(default_factory=lambda: np.empty((0, 0)))  # (I, R) after the last sweep


@final
@dataclass(frozen=True)
class PopulationAnnealing(Solver[PopulationState]):
    """Annealing of a population that is resampled when its weights spread by more than ``alpha``, then a short quench.

    ``population`` replicas are asked for in each of ``islands`` independent populations; whole lane groups are run, so
    there may be more. ``alpha`` > 1 is the largest ratio of the population to its effective size, (sum w)^2 / sum w^2.
    Where a single step spreads the weights further, its logarithms are scaled down to that: the population then lags
    behind the schedule, as in plain annealing, and does not collapse to a few replicas.
    """

    context: SearchContext
    schedule: Schedule
    sweeps: int
    population: int
    alpha: float
    islands: int = 1
    stream: int = 0

    def warm_up(self) -> None:
        """Compile what resampling needs, so that it takes no longer than its work."""
        group, none = self.context.sampler.start((0,)), np.empty(0, np.int64)
        self.context.sampler.copy(group, none, group, none)

    def init(self) -> PopulationState:
        """Every replica at a random configuration, or at the given initial one; equal weights."""
        groups = self.context.groups(self.stream, self.islands * self._groups_each)
        size = self._groups_each * self.context.sampler.lanes
        return PopulationState(
            groups=groups,
            incumbents=self.context.incumbents(),
            log_weights=np.full((self.islands, size), -np.log(size)),
            log_partition=np.full(self.islands, self.context.log_configurations),
        )

    def step(self, state: PopulationState, n_sweeps: int, parallel: Parallel, budget: Budget) -> None:
        """Sweep on; weighing, resampling and readouts happen at fixed sweep indices."""
        end = min(state.sweeps_done + n_sweeps, self._total)
        while state.sweeps_done < end:
            if state.sweeps_done == state.stairs * self._interval < self.sweeps:
                self._next_temperature(state, parallel)
            self._sweep(state, min(end, self._next_event(state)) - state.sweeps_done, parallel)
            if state.sweeps_done == self._total:
                self._finish(state, parallel)

    def outcome(self, state: PopulationState) -> StopReason | None:
        """FINISHED after the quench."""
        return StopReason.FINISHED if state.sweeps_done >= self._total else None

    def fraction(self, state: PopulationState) -> float:
        """Sweeps done of sweeps planned."""
        return state.sweeps_done / self._total

    def offer_replicas(self, state: PopulationState) -> None:
        """Offer the replicas as they are."""
        self._gather(state, self.context.costs(state.groups, Parallel(1)))

    def parameters(self, state: PopulationState) -> dict[str, Any]:
        """sweeps, population, alpha, beta."""
        return {
            "sweeps": self.sweeps,
            "population": self.population * self.islands,
            "alpha": self.alpha,
            "beta": self.schedule.to_parameter(),
        }

    @cached_property
    def _groups_each(self) -> int:
        return -(-self.population // self.context.sampler.lanes)

    @cached_property
    def _interval(self) -> int:
        """Sweeps at one temperature: so many that weighing the replicas takes little of the time."""
        cheap = max(SWEEPS_PER_TEMPERATURE, UPDATES_PER_TEMPERATURE // max(1, self.context.problem.n))
        return max(1, min(cheap, self.sweeps // FEWEST_TEMPERATURES))

    @property
    def temperatures(self) -> int:
        """How many there are."""
        return -(-self.sweeps // self._interval)

    @property
    def _total(self) -> int:
        return self.sweeps + QUENCH_SWEEPS

    def _next_event(self, state: PopulationState) -> int:
        if state.sweeps_done >= self.sweeps:
            return self._total
        return min(self.sweeps, state.stairs * self._interval)

    def _sweep(self, state: PopulationState, n: int, parallel: Parallel) -> None:
        beta = np.inf if state.sweeps_done >= self.sweeps else self._beta(state.stairs - 1)
        betas = np.full(n, beta)
        parallel.each(lambda group: self.context.sampler.sweep(group, betas), state.groups)
        state.sweeps_done += n
        state.spin_updates += self.context.updates(len(state.groups), n)

    def _beta(self, index: int) -> float:
        """beta of a temperature step; before the first one all configurations are equally likely."""
        return float(self.schedule.values(index, 1, self.temperatures)[0]) if index >= 0 else 0.0

    def _next_temperature(self, state: PopulationState, parallel: Parallel) -> None:
        """Weigh the replicas for the next temperature, and resample the islands that need it."""
        costs = self.context.costs(state.groups, parallel)
        if self._is_readout(state.stairs):
            self._gather(state, costs)
        step = self._beta(state.stairs) - self._beta(state.stairs - 1)
        by_island = costs.reshape(self.islands, -1)
        parallel.each(lambda i: self._advance(state, i, by_island[i], step), range(self.islands))
        state.stairs += 1

    def _is_readout(self, index: int) -> bool:
        """Every doubling, so that there is an early best, and READOUTS times in the colder half."""
        spacing = max(1, SWEEPS_BETWEEN_READOUTS // self._interval, self.temperatures // (2 * READOUTS))
        return index.bit_count() == 1 or (2 * index > self.temperatures and index % spacing == 0)

    def _advance(self, state: PopulationState, island: int, costs: F64, step: float) -> None:
        """Multiply an island's weights by exp(-step * cost), keeping their spread within alpha."""
        lowest = costs.min()
        with np.errstate(over="ignore"):  # beyond the range of a float a weight is 0 anyway
            weights, factors = state.log_weights[island], np.maximum(-step * (costs - lowest), LEAST_LOG_WEIGHT)
            common = float(np.clip(-step * lowest, *LARGEST_FACTORS))
        if spread(weights + factors) > self.alpha:
            factors = factors[self._resample(state, island)]
            weights = np.full_like(weights, -np.log(len(weights)))
            factors = flattened(factors, self.alpha)
        state.log_weights[island], gained = normalized(weights + factors)
        state.log_partition[island] += gained + common

    def _resample(self, state: PopulationState, island: int) -> I64:
        """Copies of likely replicas take the places of unlikely ones; returns (R,) the replica that each place holds a
        copy of."""
        lanes = self.context.sampler.lanes
        draw = uniforms((self.context.seed, self.stream, state.stairs, island), (1,))[0]
        counts = systematic_counts(state.log_weights[island], draw)
        to, source = replacements(counts, lanes)
        groups = state.groups[island * self._groups_each : (island + 1) * self._groups_each]
        pairs = (to // lanes) * len(groups) + source // lanes
        order = np.argsort(pairs, kind="stable")
        kinds, begin = np.unique(pairs[order], return_index=True)
        for pair, chosen in zip(kinds.tolist(), np.split(order, begin)[1:], strict=True):
            here, there = divmod(pair, len(groups))
            self.context.sampler.copy(groups[here], to[chosen] % lanes, groups[there], source[chosen] % lanes)
        places = np.arange(len(counts))
        places[to] = source
        return places

    def _gather(self, state: PopulationState, costs: F64) -> None:
        self.context.gather(state.groups, costs, state.incumbents, state.sweeps_done)

    def _finish(self, state: PopulationState, parallel: Parallel) -> None:
        costs = self.context.costs(state.groups, parallel)
        self._gather(state, costs)
        state.final_costs = costs.reshape(self.islands, -1)
