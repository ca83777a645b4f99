"""Substochastic Monte Carlo: a population that diffuses between configurations and is selected by cost.

Walkers hop to random neighbours with a probability alpha that falls during the run, whatever a hop costs, while walkers
of high cost are removed and those of low cost doubled, more strongly as beta rises. This is diffusion Monte Carlo of a
quantum anneal whose driver is the hop and whose potential is the cost; it has no temperature.

Reference: M. Jarret, S. P. Jordan, B. Lackey, Phys. Rev. A 94, 042318 (2016), doi:10.1103/PhysRevA.94.042318.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, final

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.dynamics.diffusion import diffuse
from qiosk.kernels.rng import combine_seed, random_words
from qiosk.model.cost_function import BLOCK, F64, I8
from qiosk.solvers.checkpoint import checkpointed
from qiosk.solvers.samplers.incidence import Incidence
from qiosk.solvers.samplers.parts import Parts
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.schedules import Schedule
from qiosk.solvers.search.solver import Budget, Solver
from qiosk.solvers.search.stopping import StopReason

# Readouts of the best walkers in the second half of the run; before that after every doubling.
READOUTS = 16
# Steps after which running costs are added up again, at least; on large problems as many as there are variables.
REFRESH_STEPS = 4096


@checkpointed
@dataclass(slots=True)
class WalkersState:
    """All that is needed to continue. Shapes: I islands of R walkers each, n variables, G groups of the problem."""

    values: I8  # (I, R, n)
    sums: F64  # (I, R, G)
    costs: F64  # (I, R)
    generators: NDArray[np.uint64]  # (I, R)
    best_values: I8  # (I, n)
    best_costs: F64  # (I,)
    incumbents: Incumbents
    sweeps_done: int = 0
    spin_updates: int = 0
    steps_done: int = 0


@final
@dataclass(frozen=True)
class SubstochasticMonteCarlo(Solver[WalkersState]):
    """Walkers that hop and are resampled after every ``steps_per_walker`` steps, for ``step_limit`` steps each.

    ``population`` walkers make up each of ``islands`` independent populations. The driver's sweeps are blocks of
    ``steps_per_sweep`` steps. ``stream`` distinguishes the random numbers of several runs with one seed.
    """

    context: SearchContext
    alpha: Schedule
    beta: Schedule
    step_limit: int
    population: int
    steps_per_walker: int = 1
    islands: int = 1
    steps_per_sweep: int = 1
    stream: int = 0

    @property
    def kernel(self) -> str:
        """Diffusion, and the walkers of a population."""
        return f"diffusion-float64x{self.population}"

    def warm_up(self) -> None:
        """Compile what the run needs, so that it takes no longer than its work."""
        tiny = replace(self, population=1, islands=1)
        tiny._diffuse(tiny.init(), 0, 0)

    def init(self) -> WalkersState:
        """Every walker at a random configuration, or at the given initial one."""
        problem, context = self.context.problem, self.context
        n, shape = problem.n, (self.islands, self.population)
        context.require_memory(self.islands * self.population, 2 * n + 8 * len(problem.group_values) + 64)
        seed = combine_seed((context.seed, self.stream))
        if context.start is None:
            values = self._random_values(seed).reshape(*shape, n)
        else:
            values = np.tile(context.start.astype(np.int8), (*shape, 1))
        return WalkersState(
            values=values,
            sums=np.zeros((*shape, len(problem.group_values))),
            costs=np.zeros(shape),
            generators=random_words(seed, self.islands * self.population, stream=1).reshape(shape),
            best_values=values[:, 0].copy(),
            best_costs=np.full(self.islands, np.inf),
            incumbents=context.incumbents(),
        )

    def _random_values(self, seed: int) -> I8:
        """Of all walkers, one after the other; made in blocks, between which the run may end."""
        values = np.empty(self.islands * self.population * self.context.problem.n, np.int8)
        for first in range(0, len(values), BLOCK):
            self.context.check()
            block = values[first : first + BLOCK]
            block[:] = random_words(seed, len(block), first=first) >> np.uint64(63)
            if self.context.problem.is_spin:
                block *= -2
                block += 1
        return values

    def step(self, state: WalkersState, n_sweeps: int, parallel: Parallel, budget: Budget) -> None:
        """Step on, by step index; readouts happen at fixed indices."""
        end = min((state.sweeps_done + n_sweeps) * self.steps_per_sweep, self.step_limit)
        while state.steps_done < end:
            readout = self._next_readout(state.steps_done)
            n = min(end, readout) - state.steps_done
            parallel.each(partial(self._diffuse, state, n), range(self.islands))
            state.steps_done += n
            state.spin_updates += n * self.islands * self.population
            state.sweeps_done = -(-state.steps_done // self.steps_per_sweep)
            if state.steps_done == readout:
                self._offer_best(state, is_last=readout == self.step_limit)

    def outcome(self, state: WalkersState) -> StopReason | None:
        """FINISHED after the last step."""
        return StopReason.FINISHED if state.steps_done >= self.step_limit else None

    def fraction(self, state: WalkersState) -> float:
        """Steps done of steps planned."""
        return state.steps_done / self.step_limit

    def offer_replicas(self, state: WalkersState) -> None:
        """Offer the best configurations so far, and the walkers as they are."""
        self._offer_best(state, is_last=True)

    def parameters(self, state: WalkersState) -> dict[str, Any]:
        """step_limit, target_population, steps_per_walker, alpha, beta."""
        return {
            "step_limit": self.step_limit,
            "target_population": self.population,
            "steps_per_walker": self.steps_per_walker,
            "alpha": self.alpha.to_parameter(),
            "beta": self.beta.to_parameter(),
        }

    @cached_property
    def _problem(self) -> tuple[Any, ...]:
        problem, index = self.context.problem, self.context.problem.derived(Incidence)
        return problem.constant, problem.linear, index.terms, index.groups, index.by_variable, problem.is_spin

    @property
    def _refresh(self) -> int:
        """Steps after which running costs are added up again."""
        return max(REFRESH_STEPS, self.context.problem.n)

    def _calls(self, first: int, n: int) -> Iterator[tuple[slice, tuple[int, int]]]:
        """Of each kernel call: which of ``n`` steps from number ``first`` on, and the walkers that hop."""
        adding_up, hopping = self._parts
        if not adding_up.is_long or n == 0:
            yield from hopping.calls(n)
            return
        done = 0
        while done < n:
            past = (first + done) % self._refresh
            end = min(n, done + self._refresh - past) if past else done + 1
            for some, part in (hopping if past else adding_up).calls(end - done):
                yield slice(done + some.start, done + some.stop), part
            done = end

    @cached_property
    def _parts(self) -> tuple[Parts, Parts]:
        """Of steps in which costs are added up, and of others. All walkers take as long."""
        _, _, terms, groups, by_variable, _ = self._problem
        n, sizes = self.context.problem.n, np.diff(terms[0]).astype(np.float64)
        walk = n + len(terms[1]) + len(groups[1])
        hop = 1.0 + ((sizes * sizes).sum() + len(by_variable[3])) / max(1, n)
        both = Parts(np.full(self.population, walk)), Parts(np.full(self.population, hop))
        for parts in both:
            parts.check = self.context.check
        return both

    def _next_readout(self, done: int) -> int:
        half = self.step_limit // 2
        if done < half:
            return min(half, 1 << done.bit_length())
        spacing = max(1, half // READOUTS)
        return min(self.step_limit, half + ((done - half) // spacing + 1) * spacing)

    def _diffuse(self, state: WalkersState, n: int, island: int) -> None:
        """The next n steps of one island."""
        i, first = island, state.steps_done
        alphas = self.alpha.values(first, n, self.step_limit)
        betas = self.beta.values(first, n, self.step_limit)
        scratch = np.empty(self.population), np.empty(self.population, np.int64)
        with np.errstate(over="ignore"):  # random words wrap when this runs uncompiled
            for some, part in self._calls(first, n):
                diffuse()(
                    self._problem,
                    (state.values[i], state.sums[i], state.costs[i], state.generators[i]),
                    (state.best_values[i], state.best_costs[i : i + 1]),
                    scratch,
                    first + some.start,
                    alphas[some],
                    betas[some],
                    self.steps_per_walker,
                    self._refresh,
                    part,
                )

    def _offer_best(self, state: WalkersState, *, is_last: bool) -> None:
        """Offer what was best on each island, at a local minimum; at the end also the cheapest walkers."""
        candidates = list(state.best_values)
        if is_last:
            order = np.argsort(state.costs.ravel(), kind="stable")[: 2 * state.incumbents.capacity]
            candidates += list(state.values.reshape(-1, self.context.problem.n)[order])
        for island, configuration in enumerate(candidates):
            minimum, cost = self.context.improve(configuration, state.incumbents, state.sweeps_done)
            if island < self.islands:
                state.best_values[island], state.best_costs[island] = minimum, min(cost, state.best_costs[island])
