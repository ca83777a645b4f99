"""Which searches a portfolio chooses from, and how long their spin updates take.

Simulated annealing, population annealing in its place once rounds are long enough, and tabu search: one of them is
best, or next to it, on nearly every problem. On large problems only annealing.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from qiosk.model.compiled import CompiledProblem
from qiosk.solvers.algorithms.tabu.one_hot_walkers import warm_one_hot_walkers
from qiosk.solvers.algorithms.tabu.search import WAVE_WALKERS, Walkers
from qiosk.solvers.algorithms.tabu.tables import DENSE_SHARE
from qiosk.solvers.algorithms.tabu.walkers import TabuWalkers, warm_walkers
from qiosk.solvers.parameter_free.annealing import ParameterFreeAnnealing
from qiosk.solvers.parameter_free.populations import ParameterFreePopulationAnnealing
from qiosk.solvers.parameter_free.rounds import LONG_ROUND, Rounds
from qiosk.solvers.parameter_free.tabu import SHORTEST_ROUND, ParameterFreeTabu
from qiosk.solvers.search.context import SearchContext

TABU, ANNEALING, POPULATIONS = "tabu", "simulatedannealing", "populationannealing"
ANNEALING_TRUST = 2.0
"""What longer anneals bring, in units of the gain of the latest doubling of their length."""
LARGE_VARIABLES = 50_000
"""Variables from which annealing is the only member: to set up another one, and to compare them, takes too long."""

# Nanoseconds of a spin update of a sampler, by its arithmetic or its kernel: without neighbours, and for each. On one
# core of an AMD EPYC with AVX-512. Only their ratios matter, and those within a factor of two: they make rounds of
# different searches take equal time.
KERNEL_NANOSECONDS = {
    "one-hot": (3.0, 0.1),
    "bit-sliced": (0.02, 0.002),
    "int8": (0.06, 0.006),
    "int16": (0.17, 0.015),
    "float32": (0.25, 0.02),
    "float64": (0.5, 0.04),
}
SLOW_KERNEL = (1.2, 0.1)
"""The same of kernels that sweep replicas one by one."""
MOVE_NANOSECONDS = (200.0, 4.5)
"""Nanoseconds of a tabu move, and those for each change of cost that a flip changes, read at random."""
ROW_NANOSECONDS = {"dense-int32": 0.15, "dense-int64": 0.35}
"""Those for each variable where pairs are a matrix, of which a move reads a row, by the kernel."""
ONE_HOT_MOVE_NANOSECONDS = (300.0, 3.0)
"""Nanoseconds of a tabu move that keeps one-hot groups, and those for each variable."""
START_NANOSECONDS = 1e6
"""Of the beginning of a round."""
POPULATION_VARIABLES = 1000
"""Variables from which population annealing is a member: on fewer, weighing many small populations takes long."""
SHORTEST_POPULATION = 64
"""Sweeps of a round of population annealing from which on resampling is worth its time."""
RESAMPLING_NANOSECONDS = (2e5, 0.4)
"""Of resampling: for each population, and for each variable of a replica."""
MOST_RESAMPLINGS = 100.0
"""Of a long round, about; with fewer temperatures a population is resampled at each."""
WEIGHING_SWEEPS, QUENCH_SWEEPS = 0.5, 4
"""Sweeps that weighing the replicas takes at each temperature, and of the quench."""
DESCENT_NANOSECONDS = 50.0
"""Of the descents that a round of tabu search begins with, for each variable of a larger term."""
PREPARATION_S, MOST_PREPARATION = 1e-7, 0.25
"""Seconds for each pair of a second member and its first rounds, and their largest share of the time limit."""

Pace = tuple[float, float]
"""Seconds for a nanosecond of estimated work: of the beginning of a round, and of updates."""


@dataclass(frozen=True, eq=False)
class Member:
    """A search of the portfolio; ``name`` is that of its target.

    ``update`` and ``start`` are what a spin update, and the beginning of a round, take [ns], about; ``more`` is what a
    round of so many sweeps takes besides.
    ``is_steady``: it gains throughout a round, and not only at its end; it also looks for a provable optimum.
    ``least_sweeps``: of a round worth its time.
    ``succeeds``: the member whose place it takes when rounds are long enough for it; empty if it races from the start.
    ``is_best_alone``: where there is no time for another, it is better than the first.
    ``trust``: what longer rounds are expected to bring, in units of the gain of the latest doubling of their length.
    """

    name: str
    search: Rounds[Any]
    update: float
    start: float
    is_steady: bool = False
    least_sweeps: int = 16
    succeeds: str = ""
    trust: float = 1.0
    is_best_alone: bool = False
    more: Callable[[int], float] = lambda sweeps: 0.0

    def parts(self, sweeps: int) -> tuple[float, float]:
        """Estimated work of a round of so many sweeps [ns]: its updates, after all else."""
        return self.start + self.more(sweeps), self.update * self.search.updates(sweeps)

    def work(self, sweeps: int) -> float:
        """Both together [ns]."""
        return sum(self.parts(sweeps))

    def is_able(self, work: float) -> bool:
        """Whether a round of so much work [ns] is worth its time."""
        return self.work(self.least_sweeps) <= work

    def sweeps(self, most: float, pace: Pace = (1.0, 1.0)) -> int:
        """Of the longest round of so much work [ns], or of so many seconds at a pace; 1 at least."""

        def takes(sweeps: int) -> float:
            start, updates = self.parts(sweeps)
            return pace[0] * start + pace[1] * updates

        longest = max(1, int(most / max(1e-300, pace[1] * self.update * self.search.updates(1))))
        return max(1, bisect_right(range(1, longest + 1), most, key=takes))


def is_short(problem: CompiledProblem, time_limit: float) -> bool:
    """Whether a time [s] is too short for a second search, because the problem has so many pairs."""
    return problem.one_hot is None and problem.n_pairs * PREPARATION_S > MOST_PREPARATION * time_limit


def members(context: SearchContext, *, is_short: bool = False) -> Sequence[Member]:
    """The searches that may be best on a problem, in order; the first has its kernels compiled, and all unless
    ``is_short``; then tabu search has if pairs are a matrix, where it is best.
    """
    search = ParameterFreeAnnealing(context, context.beta_range)
    annealing = Member(ANNEALING, search, _sweep_nanoseconds(context), START_NANOSECONDS, trust=ANNEALING_TRUST)
    if context.problem.one_hot is None and context.problem.n >= LARGE_VARIABLES:
        return [annealing]
    is_dense = has_matrix(context.problem)
    walkers = _walkers(context) if is_dense or not is_short else context.problem.derived(TabuWalkers)
    tabu = Member(
        TABU,
        ParameterFreeTabu(context, walkers),
        _move_nanoseconds(context, walkers.kernel if is_dense or not is_short else "sparse"),
        START_NANOSECONDS + DESCENT_NANOSECONDS * _descended(context),
        is_steady=True,
        least_sweeps=SHORTEST_ROUND,
        is_best_alone=is_dense,
    )
    return [annealing, tabu, _populations(context)] if _resamples_well(context) and not is_short else [annealing, tabu]


def has_matrix(problem: CompiledProblem) -> bool:
    """Whether tabu search may keep the pairs of a quadratic problem without one-hot groups as a matrix."""
    n = problem.n
    return problem.one_hot is None and problem.is_quadratic and problem.n_pairs >= DENSE_SHARE * n * (n - 1) / 2


def _resamples_well(context: SearchContext) -> bool:
    """Whether weighing and copying replicas takes less than to sweep them some times."""
    sampler, problem = context.sampler, context.problem
    is_cheap = sampler.lanes > 1 and "bit-sliced" not in sampler.kernel and problem.one_hot is None
    return is_cheap and problem.n >= POPULATION_VARIABLES


def _populations(context: SearchContext) -> Member:
    search = ParameterFreePopulationAnnealing(context, context.beta_range, long_round=LONG_ROUND)
    search.warm_up()
    update = _sweep_nanoseconds(context)
    each, of_update = RESAMPLING_NANOSECONDS

    def more(sweeps: int) -> float:
        temperatures, updates = search.temperatures(sweeps), search.updates(sweeps) / sweeps
        resamplings = temperatures / (1.0 + temperatures / MOST_RESAMPLINGS)
        weighing = update * (WEIGHING_SWEEPS * temperatures + QUENCH_SWEEPS) * updates
        return weighing + resamplings * (each * search.islands + of_update * updates)

    return Member(
        POPULATIONS,
        search,
        update,
        START_NANOSECONDS,
        least_sweeps=SHORTEST_POPULATION,
        succeeds=ANNEALING,
        trust=ANNEALING_TRUST,
        more=more,
    )


def _descended(context: SearchContext) -> int:
    """Variables of larger terms that the descents of a round look at."""
    return WAVE_WALKERS * (len(context.problem.term_variables) + len(context.problem.group_variables))


def _walkers(context: SearchContext) -> Walkers:
    return warm_walkers(context) if context.problem.one_hot is None else warm_one_hot_walkers(context)


def _sweep_nanoseconds(context: SearchContext) -> float:
    kernel = context.sampler.kernel
    base, each = next((cost for name, cost in KERNEL_NANOSECONDS.items() if name in kernel), SLOW_KERNEL)
    return base + each * neighbours(context.problem)


def _move_nanoseconds(context: SearchContext, kernel: str) -> float:
    n = max(1, context.problem.n)
    if context.problem.one_hot is not None:
        base, each = ONE_HOT_MOVE_NANOSECONDS
        return base / n + each
    base, each = MOVE_NANOSECONDS
    at_random = each * 2.0 * context.problem.n_pairs / n
    pairs = next((of_row * n for name, of_row in ROW_NANOSECONDS.items() if name in kernel), at_random)
    return (base + pairs + each * larger_changes(context.problem)) / n


def neighbours(problem: CompiledProblem) -> float:
    """Mean number of terms, pairs and squared combinations that a variable is in."""
    found = 2 * problem.n_pairs + len(problem.term_variables) + len(problem.group_variables)
    return found / max(1, problem.n)


def larger_changes(problem: CompiledProblem) -> float:
    """Mean number of changes of cost that change with a flip through larger terms, each counted as often."""
    sizes = [np.diff(indptr).astype(np.float64) for indptr in (problem.term_indptr, problem.group_indptr)]
    return sum(float(size @ size) for size in sizes) / max(1, problem.n)
