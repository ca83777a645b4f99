"""Solve a model in rounds: after each, the weights of violated constraints are raised.

Automatic weights are rules of thumb: too small ones make a solution that violates a constraint the best one, too large
ones make searches get stuck. So a round that violates constraints raises their weights, and one that the time limit
ended without any violation lowers those that no solution so far has violated. A search counts as converged only if its
best solution satisfies all constraints.

No cost is below the least value that the terms of the objective allow. A search ends when it reaches that, such as the
first solution that satisfies the constraints of a model without an objective.

Before the first round, and between rounds while these have found no feasible solution, or none as good, the constraints
are propagated: a search that learns from conflicts finds feasible solutions, or proves that there is none, or none
better. The rounds start from what it found. There is none where moves of searches keep all constraints, or all
configurations can be tried. Moves that keep all constraints need no rounds either: the first one takes all the time.

A weight above the range of the objective needs no raising: then no violation pays, and if every configuration was
tried, the constraints cannot all hold.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Protocol

from qiosk.contract.jobs import JobProgress
from qiosk.errors import InvalidValue
from qiosk.kernels.announcements import compiling_seconds
from qiosk.model.constraints.hard_constraints import Violation
from qiosk.modeling.answer import Answer, Round, Status, members
from qiosk.modeling.expression import Expression
from qiosk.modeling.penalties.weights import round_up
from qiosk.modeling.propagation.turns import KERNEL, Propagation, Turns
from qiosk.modeling.rounds.seeded import SeededRuns
from qiosk.modeling.rounds.standing import FIRST_SHARE, Standing, Weights
from qiosk.modeling.solution import Solution
from qiosk.problem import Problem
from qiosk.solvers.exact.minimum import EXACT_KERNELS
from qiosk.solvers.result import Result
from qiosk.solvers.search.stopping import StopReason
from qiosk.solvers.setup import Setup
from qiosk.solvers.solve import followed

MOST_ROUNDS = 16
"""Rounds of a search without a time limit, at most."""
_DONE = (
    StopReason.FINISHED,
    StopReason.CONVERGED,
    StopReason.OPTIMAL,
    StopReason.GAP,
    StopReason.VIOLATED,
    StopReason.TARGET,
)
_CUT = (StopReason.TIMEOUT, StopReason.RUN_LIMIT)

FIRST_TURN = 1 / 8
"""Share of the time limit that propagation may take before the first round; later turns take as long as a round."""

Run = Callable[[Problem, float, int], Result]
"""Minimizes a problem in so many seconds [s] (infinite: no limit); the number of the round chooses the seed."""


class Weighted(Protocol):
    """What the rounds need of a model."""

    is_maximized: bool

    @property
    def is_kept_by_moves(self) -> bool:
        """Whether searches that keep one-hot groups violate none of the constraints."""
        ...

    @property
    def cost(self) -> Expression:
        """The objective as it is minimized."""
        ...

    def fixed_weights(self) -> Mapping[str, float]:
        """Weights that must stay as they are, by the name of the constraint."""
        ...

    def weights(self) -> dict[str, float]:
        """Weights to begin with, of all constraints."""
        ...

    def penalized(self, weights: Mapping[str, float], initial: Mapping[int, int] | None = None) -> Problem:
        """The problem with these weights, and perhaps with bits from which to begin."""
        ...

    def decode(self, source: object) -> Solution:
        """A configuration in terms of the model."""
        ...

    def propagation(self) -> Propagation | None:
        """The search by propagation; None where it would be of no use."""
        ...


def solve_in_rounds(
    model: Weighted,
    run: Run,
    time_limit: float,
    *,
    is_kept: bool = False,
    standing: Standing | None = None,
    turns: Turns | None = None,
    on_round: Callable[[Round], None] = lambda round_: None,
    clock: Callable[[], float] = time.monotonic,
    compiling: Callable[[], float] = compiling_seconds,
) -> Answer:
    """The best solution of a model that rounds of ``run`` find within a time limit [s]; infinite: no limit.

    With ``is_kept`` moves of the searches keep all constraints, and so the first round has all the time. ``standing``
    is where to go on, and is changed; by default the search begins with automatic weights. ``on_round`` is called after
    each round. ``turns`` are those of propagation, which has the first; there are none by default.
    Compiling kernels does not count, nor does loading those of the first round.
    """
    began = clock()
    found = begin(model) if standing is None else standing
    low, spent = model.cost.bounds[0], found.elapsed
    is_whole = found.weights.fixed.keys() == found.weights.now.keys()  # there is nothing to change
    turns = turns or Turns()
    began += turns.load()
    turns.take(FIRST_TURN * (time_limit - spent))
    found.elapsed = spent + clock() - began
    while True:
        start, compiled = clock(), compiling()
        problem = model.penalized(found.weights.now, turns.solution)
        if turns.has_news:
            _take_solution(model, found, turns, problem)
            if turns.is_proof and turns.is_one_enough:
                return _answer(found, Status.OPTIMAL, turns)
        built = clock() - start
        seconds = found.share(time_limit, built, is_kept=is_kept)
        if turns.is_infeasible:
            seconds = min(seconds, FIRST_SHARE * time_limit)
        result = run(problem, max(0.0, seconds - built), len(found.rounds))
        is_exact = result.statistics["kernel"] in EXACT_KERNELS and result.gap == 0.0
        judged, reason = _take(model, found, result, is_exact=is_exact)
        violated = tuple(report.name for report in judged.violated)
        loading = 0.0 if found.rounds else result.statistics["compile_seconds"]
        uncounted = max(compiling() - compiled, loading)
        weights, before, seconds = found.weights.now, found.before, clock() - start
        found.setup = max(found.setup, seconds - uncounted - result.statistics["seconds"])
        began += uncounted
        found.elapsed = spent + clock() - began
        found.rounds.append(
            Round(
                weights=weights,
                raised=tuple(name for name, weight in weights.items() if weight > before[name]),
                lowered=tuple(name for name, weight in weights.items() if weight < before[name]),
                violated=violated,
                objective=judged.objective,
                stop_reason=str(reason),
                seconds=seconds,
            )
        )
        on_round(found.rounds[-1])
        assert found.best is not None
        best = found.best[0]
        if best.is_feasible and (turns.is_proof or _rank(model, best)[1] <= low):
            return _answer(found, Status.OPTIMAL, turns)
        if reason in _DONE and not violated:
            return _answer(found, Status.OPTIMAL if is_exact else Status.FEASIBLE, turns)
        if turns.is_infeasible or (is_exact and found.weights.are_enough()):
            return _answer(found, Status.INFEASIBLE, turns)
        is_over = not found.has_time(time_limit) or (math.isinf(time_limit) and len(found.rounds) == MOST_ROUNDS)
        is_settled = is_whole or (reason in _DONE and set(violated) <= found.weights.fixed.keys())
        if is_over or is_settled or reason is StopReason.CANCELLED:
            return _answer(found, Status.FEASIBLE if best.is_feasible else Status.NOT_FOUND, turns)
        if not best.is_feasible or (reason in _CUT and found.best[1].statistics["kernel"] == KERNEL):
            turns.take(math.inf if math.isinf(time_limit) else min(seconds, (time_limit - found.elapsed) / 2))
            found.elapsed = spent + clock() - began
        found.before = weights
        found.weights.change(violated, is_exact=is_exact, is_cut=reason in _CUT)


def begin(model: Weighted, first: Mapping[str, float] | None = None) -> Standing:
    """The beginning of a search; ``first`` are weights to begin with, instead of automatic ones."""
    low, high = model.cost.bounds
    largest = round_up(max(1.0, 1.1 * (high - low)))
    weights = Weights(model.weights() | dict(first or {}), model.fixed_weights(), largest)
    return Standing(weights, weights.now)


def _take_solution(model: Weighted, found: Standing, turns: Turns, problem: Problem) -> None:
    """Keep the solution of propagation, from which the problem begins, if it is better than what was found before."""
    solution = model.decode(problem.init_config)
    result = turns.found(problem, solution.objective)
    if found.best is None or _rank(model, solution) < _rank(model, found.best[0]):
        found.best = solution, replace(result, violated=[])


def _take(model: Weighted, found: Standing, result: Result, *, is_exact: bool) -> tuple[Solution, StopReason]:
    """Keep the best solution of a round; returns the one that it is judged by, and why the round ended.

    The solutions of the result that is kept are sorted by what they are worth.
    """
    decoded = [(model.decode(solution), solution) for solution in result.solutions]
    ranked = sorted(decoded, key=lambda pair: _rank(model, pair[0]))
    best, reason = ranked[0][0], StopReason(result.stop_reason)
    # of all configurations in the order of their costs, the first feasible one is the best there is
    judged = best if is_exact else decoded[0][0]
    if judged.violated and reason in (StopReason.CONVERGED, StopReason.OPTIMAL):
        reason = StopReason.VIOLATED
    if found.best is None or _rank(model, best) < _rank(model, found.best[0]):
        violated = [Violation(report.name, report.violation) for report in best.violated]
        statistics = {**result.statistics, "stop_reason": str(reason)}
        solutions = [solution for _, solution in ranked]
        found.best = best, replace(result, solutions=solutions, statistics=statistics, violated=violated)
    return judged, reason


def solve_here(model: Weighted, setup: Setup, progress: bool | Callable[[JobProgress], bool | None] | None) -> Answer:
    """The best solution of a model that a target finds in this process; ``progress`` as :func:`qiosk.solve` has it."""
    began = time.monotonic()
    if setup.nodes > 1:
        raise InvalidValue(f"parameter `nodes`: must be 1 where a model is solved here, found {setup.nodes}; submit it")
    setup = setup.until(model.cost.bounds[0])
    runs = SeededRuns(setup)
    with followed(progress) as hooks:

        def run(problem: Problem, seconds: float, number: int) -> Result:
            limited = replace(hooks, max_seconds=None if math.isinf(seconds) else seconds)
            return runs.run(problem.cost_function(), limited, number)

        def known(problem: Problem, reason: StopReason, seconds: float) -> Result:
            return runs.known(problem, None, hooks, reason, seconds)

        def should_stop() -> bool:
            hooks.on_progress(JobProgress(seconds=time.monotonic() - began))
            return hooks.is_cancelled()

        turns = Turns(model.propagation(), known, setup.solutions == 1, should_stop)
        is_kept, standing = setup.keeps_one_hot and model.is_kept_by_moves, begin(model)
        standing.elapsed = time.monotonic() - began
        answer = solve_in_rounds(model, run, setup.time_limit, is_kept=is_kept, standing=standing, turns=turns)
        return runs.described(answer)


def _rank(model: Weighted, solution: Solution) -> tuple[int, float]:
    """What makes a solution better than another: fewer violated constraints, then the objective."""
    return len(solution.violated), -solution.objective if model.is_maximized else solution.objective


def _answer(found: Standing, status: Status, turns: Turns) -> Answer:
    assert found.best is not None
    solution, result = found.best
    return Answer(
        **members(solution), status=status, rounds=tuple(found.rounds), propagated=turns.report(), result=result
    )
