"""What every search works on: a compiled problem, the sampler for it, and what they share."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from qiosk.errors import InsufficientResources, NotEnoughMemory
from qiosk.kernels.announcements import Start
from qiosk.machine import physical_memory
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8
from qiosk.model.flips import cost_of
from qiosk.solvers.samplers.one_hot.layout import Layout
from qiosk.solvers.samplers.one_hot.sampler import OneHotSampler
from qiosk.solvers.samplers.parts import long_term_steps
from qiosk.solvers.samplers.planner import warm_up
from qiosk.solvers.samplers.sampler import LaneGroup, Sampler
from qiosk.solvers.samplers.shuffled import ShuffledSampler
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.moves.moves import Flips, Moves
from qiosk.solvers.search.moves.one_hot import OneHotMoves
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.resolution import Resolution
from qiosk.solvers.search.share import WHOLE, Share
from qiosk.solvers.search.stopping import Interrupted
from qiosk.solvers.search.tuning import BetaRange, beta_range

MOST_SWEEP_STEPS = 20_000_000_000
"""Steps of a sweep of one lane group, at most: these take some ten seconds, and a search needs many."""
ONE_HOT_WEIGHT = 64
"""Updates of bit-packed spins that take about as long as one of a bit in one-hot groups."""
ARRAY_BYTES = 200
"""What an array takes besides its content."""
END_S_PER_VARIABLE, DESCENT_S_PER_VARIABLE = 2e-8, 3e-8
"""Seconds for each variable that the end of a run takes, and a descent, before one was made."""
PAIR_S_PER_ID, TERM_S_PER_ID = 3e-9, 1e-8
"""Seconds for each id that either takes besides: of quadratic problems, and of others."""
SET_UP_SHARE = 0.1
"""Share of a time limit in which the walkers or lane groups that search at the same time are set up and read out."""
COSTS_S_PER_ID = 3e-11
"""The same for the costs of each replica of a lane group, before some were computed."""
REPLICA_BYTES = 64
"""What costs, weights, places and orders of a replica take besides its lane group, at most at the same time."""


@dataclass(frozen=True, eq=False)
class SearchContext:
    """What a solver needs besides its parameters.

    ``initial`` is a configuration to begin from, or None. With ``starts_at_random`` it only counts as a first solution,
    and replicas begin at random: as independent restarts must. ``violates`` tells whether a configuration (n,) violates
    a hard constraint of the problem; None: there are none. A search whose best one does so goes on where it would
    converge. ``share`` tells which of its independent restarts a search makes.
    """

    problem: CompiledProblem
    plan: Callable[[CompiledProblem], Sampler]
    seed: int
    solutions: int = 1
    initial: I8 | None = None
    starts_at_random: bool = False
    violates: Callable[[I8], bool] | None = None
    seconds: float = math.inf  # the time limit of the run, as it began
    share: Share = WHOLE
    checks: list[Callable[[], None]] = field(default_factory=list)  # see ``check``
    _costs: list[float] = field(default_factory=list)  # seconds of those of a lane group, when last computed
    _descents: list[tuple[float, I8]] = field(default_factory=list)  # the last: seconds, and where it led to
    _reached: list[I8] = field(default_factory=list)  # where the last came to that was given up

    @property
    def start(self) -> I8 | None:
        """The configuration that replicas begin from; None: random ones."""
        return None if self.starts_at_random else self.initial

    @property
    def sampler(self) -> Sampler:
        """Metropolis dynamics of the problem; planned and compiled when it is first asked for."""
        return self._warm[0]

    @cached_property
    def _warm(self) -> tuple[Sampler, int]:
        """The sampler, and what a replica of it takes [bytes]."""
        if not self.problem.is_spin:  # the spins of a term are kept as one product, its bits are not
            check_sweep("64 replicas", int(long_term_steps(self.problem).sum()))
        sampler, sizes = self._sampler(), self.problem.derived(_replica_sizes)
        if self.plan not in sizes:
            arrays = sum(array.nbytes + ARRAY_BYTES for array in warm_up(sampler).arrays.values())
            sizes[self.plan] = -(-arrays // sampler.lanes) + REPLICA_BYTES
        return sampler, sizes[self.plan]

    def _sampler(self) -> Sampler:
        if self.problem.one_hot is None:
            return ShuffledSampler(self.problem, self.plan, self.check)
        planned = self.plan(self.problem)  # its moves have an order of their own
        return replace(planned, layout=self.layout) if isinstance(planned, OneHotSampler) else planned

    @cached_property
    def moves(self) -> Moves:
        """The moves of searches for this problem; compiled when they are first asked for."""
        moves: Moves = Flips(self.problem, self.check) if self.problem.one_hot is None else OneHotMoves(self.layout)
        return moves

    @cached_property
    def layout(self) -> Layout:
        """The problem by the places of its one-hot groups, if it has any."""
        return Layout(self.problem)

    @property
    def log_configurations(self) -> float:
        """ln of the number of configurations that a search may visit."""
        if self.problem.one_hot is None:
            return self.problem.n * math.log(2.0)
        return self.layout.structure.log_configurations

    def descent(self, configuration: I8) -> I8:
        """The local minimum that a configuration leads to."""
        start = Start()
        try:
            minimum = self.moves.descend(configuration)
        except Interrupted as interrupted:
            self._reached[:] = [configuration if interrupted.reached is None else interrupted.reached]
            raise
        self._descents[:] = [(start.working_seconds, minimum)]
        return minimum

    @property
    def minimum(self) -> I8 | None:
        """The local minimum that was found last, None before the first."""
        return self._descents[0][1] if self._descents else None

    @property
    def reached(self) -> I8 | None:
        """How far the last descent came that was given up; None if none was."""
        return self._reached[0] if self._reached else None

    @property
    def end_seconds(self) -> float:
        """About how long it takes to read out a search, and to compute the costs of what it has found [s]."""
        return self.result_seconds + (self._descents[0][0] if self._descents else self.walker_seconds)

    @property
    def result_seconds(self) -> float:
        """About how long the result takes once its configurations are known [s]."""
        return END_S_PER_VARIABLE * self.problem.n + self._reading_seconds

    @property
    def _reading_seconds(self) -> float:
        """About how long a pass over all coefficients takes [s]."""
        return (PAIR_S_PER_ID if self.problem.is_quadratic else TERM_S_PER_ID) * self._ids

    @cached_property
    def _ids(self) -> int:
        """Variables, and ids in all terms of more than one."""
        p = self.problem
        return p.n + 2 * p.n_pairs + len(p.term_variables) + len(p.group_variables)

    @cached_property
    def beta_range(self) -> BetaRange:
        """Betas between which the problem freezes."""
        return beta_range(self.problem, self.seed, self.moves, self.descent)

    @cached_property
    def resolution(self) -> Resolution:
        """The differences between costs that are not rounding."""
        return Resolution.of(self.problem)

    def count_agreeing(self, costs: F64, best: float) -> int:
        """How many of the costs that a kernel added up reach ``best``."""
        return int(np.count_nonzero(costs <= best + self.resolution.of_kernel(best)))

    def incumbents(self) -> Incumbents:
        """An empty collection; a given initial configuration is the first entry, so no result is worse than it."""
        found = Incumbents(self.solutions)
        if self.initial is not None:
            initial = self.moves.nearest(self.initial)
            found.offer(initial, cost_of(self.problem, initial), 0)
        return found

    def may_converge(self, found: Incumbents) -> bool:
        """Whether the best configuration satisfies all hard constraints. To be asked where a search would end because
        it finds nothing better: it takes a while.
        """
        return self.violates is None or not found.configurations or not self.violates(found.configurations[0])

    def groups(self, stream: int, n_groups: int, first: int = 0) -> list[LaneGroup]:
        """Lane groups number ``first`` and on of a stream; equal streams and numbers give equal groups.

        Raises NotEnoughMemory if this machine has no memory for so many.
        """
        self.require_memory(n_groups * self.sampler.lanes)
        return [self._group(stream, g) for g in range(first, first + n_groups)]

    def check(self) -> None:
        """Called before each lane group is made, and between the parts of long sweeps: may raise Interrupted."""
        for check in self.checks:
            check()

    def _group(self, stream: int, number: int) -> LaneGroup:
        self.check()
        return self.sampler.start((self.seed, stream, number), self.start)

    def at_once(self, most: int, seconds_each: float) -> int:
        """How many of ``most`` walkers or lane groups to search with at the same time; the others follow later.

        It is those whose set-ups and readouts take a tenth of the time limit, if each takes ``seconds_each``; at least
        one.
        """
        if math.isinf(self.seconds):
            return most
        return max(1, min(most, int(SET_UP_SHARE * self.seconds / max(seconds_each, 1e-300))))

    @property
    def walker_seconds(self) -> float:
        """About how long it takes to begin a walker in a local minimum [s]."""
        return DESCENT_S_PER_VARIABLE * self.problem.n + self._reading_seconds

    @property
    def group_seconds(self) -> float:
        """About how long it takes to begin a lane group, and to compute its costs [s]."""
        return COSTS_S_PER_ID * self.sampler.lanes * self._ids

    def require_memory(self, replicas: int, bytes_each: int | None = None) -> None:
        """Raises NotEnoughMemory if this machine has no memory for so many replicas at once.

        They are the sampler's unless their size is given.
        """
        needed = replicas * (bytes_each or self._warm[1])
        check_memory(f"{replicas} replicas of {self.problem.n} variables", needed)

    def costs(self, groups: list[LaneGroup], parallel: Parallel) -> F64:
        """(n_groups * lanes,) costs of all replicas."""
        start = Start()
        found = np.concatenate(parallel.map(self.sampler.costs, groups))
        self._costs[:] = [start.working_seconds * parallel.threads / max(1, len(groups))]
        return found

    def costs_seconds(self, n_groups: int) -> float:
        """About how long one thread takes to compute the costs of so many lane groups [s]."""
        return n_groups * (self._costs[0] if self._costs else self.group_seconds)

    def gather(self, groups: list[LaneGroup], costs: F64, found: Incumbents, sweep: int) -> None:
        """Offer the best replicas, each after a float64 descent to its local minimum."""
        self.offer_lowest(costs, lambda lane: self._configuration(groups, lane), found, sweep)

    def offer_lowest(self, costs: F64, configuration: Callable[[int], I8], found: Incumbents, sweep: int) -> None:
        """Offer the configurations of lowest cost, each after a float64 descent to its local minimum.

        At most twice as many as there are places, and only those below the threshold: where one solution is asked for,
        mostly a single one.
        """
        for place in np.argsort(costs, axis=None, kind="stable")[: 2 * found.capacity]:
            if not costs.flat[place] < found.threshold:
                break
            self.improve(configuration(int(place)), found, sweep)

    def polish(self, groups: list[LaneGroup], lane: int, found: Incumbents, sweep: int) -> float:
        """Lead a copy of one replica into its local minimum and offer that; returns its cost."""
        return self.improve(self._configuration(groups, lane), found, sweep)[1]

    def improve(self, configuration: I8, found: Incumbents, sweep: int) -> tuple[I8, float]:
        """The local minimum that a configuration leads to, and its cost; it is offered to the incumbents.

        If the descent is interrupted, the configuration that it has reached is offered.
        """
        try:
            minimum = self.descent(configuration)
        except Interrupted as interrupted:
            configuration = configuration if interrupted.reached is None else interrupted.reached
            found.offer(configuration, cost_of(self.problem, configuration), sweep)
            raise
        return self.offer(minimum, found, sweep)

    def offer(self, minimum: I8, found: Incumbents, sweep: int) -> tuple[I8, float]:
        """A local minimum as it is, and its cost; it is offered to the incumbents."""
        cost = self.moves.cost(minimum)
        found.offer(minimum, cost, sweep)
        return minimum, cost

    def _configuration(self, groups: list[LaneGroup], lane: int) -> I8:
        g, r = divmod(lane, self.sampler.lanes)
        return self.sampler.configuration(groups[g], r)

    @property
    def weight_of_update(self) -> int:
        """How many updates of bit-packed spins take about as long as one of the sampler's."""
        return 1 if self.problem.one_hot is None else ONE_HOT_WEIGHT

    def updates(self, n_groups: int, sweeps: int) -> int:
        """Attempted spin updates of that many sweeps, over all replicas."""
        return n_groups * self.sampler.lanes * self.problem.n * sweeps


def _replica_sizes(problem: CompiledProblem) -> dict[Callable[[CompiledProblem], Sampler], int]:
    """What a replica takes [bytes], by the plan of its sampler; filled as samplers are warmed up."""
    return {}


def check_sweep(what: str, steps: int) -> None:
    """Raise InsufficientResources if one sweep of a lane group takes so many steps that no search is possible."""
    if steps > MOST_SWEEP_STEPS:
        raise InsufficientResources(
            f"one sweep of {what} takes {steps:.1e} steps, at most {MOST_SWEEP_STEPS:.1e} are allowed; "
            "use shorter terms or fewer slices, or tabu search"
        )


def check_memory(what: str, needed: int) -> None:
    """Raise NotEnoughMemory if they need more memory [bytes] than this machine, or container, has."""
    there = physical_memory()
    if 0 < there < needed:
        raise NotEnoughMemory(f"{what} need {needed} bytes, this machine has {there}")
