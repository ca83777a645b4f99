"""Solve a model in rounds: after each, the weights of violated constraints are raised.

Automatic weights are rules of thumb: too small ones make a solution that violates a constraint the best one, too large
ones make searches get stuck. So a round that violates constraints raises their weights, and one that the time limit
ended without any violation lowers those that no solution so far has violated. A search counts as converged only if its
best solution satisfies all constraints.

No cost is below the least value that the terms of the objective allow. A search ends when it reaches that, such as the
first solution that satisfies the constraints of a model without an objective.

A weight above the range of the objective needs no raising: then no violation pays, and if every configuration was
tried, the constraints cannot all hold.
"""

from __future__ import annotations

import math
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

from qiosk.contract.jobs import JobProgress
from qiosk.modeling.answer import Answer, Round, Status
from qiosk.modeling.expression import Expression
from qiosk.modeling.seeded import SeededRuns
from qiosk.modeling.solution import Solution
from qiosk.modeling.weights import round_up
from qiosk.problem import Problem
from qiosk.solvers.result import Result
from qiosk.solvers.search.solver import StopReason
from qiosk.solvers.solve import Setup, followed

FIRST_SHARE = 1 / 32
"""Share of the time limit that the first round may take; later ones take as long as all before them."""
MOST_ROUNDS = 16
"""Rounds of a search without a time limit, at most."""
LOWERED = 0.0625
"""Factor of weights that are lowered: those of inequalities with slack are mostly much too large at first."""
_EXHAUSTIVE = "exhaustive"
_DONE = (StopReason.FINISHED, StopReason.CONVERGED, StopReason.VIOLATED, StopReason.TARGET)
_CUT = (StopReason.TIMEOUT, StopReason.RUN_LIMIT)

Run = Callable[[Problem, float, int], Result]
"""Minimizes a problem in so many seconds [s] (infinite: no limit); the number of the round chooses the seed."""


class Weighted(Protocol):
    """What the rounds need of a model."""

    is_maximized: bool

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

    def penalized(self, weights: Mapping[str, float]) -> Problem:
        """The problem with these weights."""
        ...

    def decode(self, source: object) -> Solution:
        """A configuration in terms of the model."""
        ...


@dataclass(slots=True)
class _Weights:
    """The weights in effect, and what is known about them."""

    now: dict[str, float]
    fixed: Mapping[str, float]
    largest: float  # above the range of the objective
    lost: Counter[str] = field(default_factory=Counter)  # how often each constraint was violated

    def change(self, violated: Collection[str], *, is_exact: bool, is_cut: bool) -> None:
        """After a round: raise the weights of what it violated, or lower some if only the time ended it."""
        self.lost.update(violated)
        if violated and ((is_exact and max(self.lost.values()) > 2) or self._are_largest(violated)):
            changed = dict.fromkeys(self.now, self.largest)
        elif violated:
            changed = {name: min(self.largest, self.now[name] * 2.0 ** self.lost[name]) for name in violated}
            changed = {name: max(self.now[name], round_up(weight)) for name, weight in changed.items()}
        else:
            changed = {name: round_up(w * LOWERED) for name, w in self.now.items() if is_cut and name not in self.lost}
        self.now = self.now | changed | dict(self.fixed)

    def are_enough(self) -> bool:
        """Whether no violation of any constraint can pay."""
        return self._are_largest(self.now)

    def _are_largest(self, names: Collection[str]) -> bool:
        return all(self.now[name] >= self.largest for name in names)


def solve_in_rounds(
    model: Weighted,
    run: Run,
    time_limit: float,
    *,
    first: Mapping[str, float] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Answer:
    """The best solution of a model that rounds of ``run`` find within a time limit [s]; infinite: no limit.

    Compiling kernels does not count. ``first`` are weights to begin with, instead of automatic ones.
    """
    began = clock()
    low, high = model.cost.bounds
    weights = _Weights(
        model.weights() | dict(first or {}), model.fixed_weights(), round_up(max(1.0, 1.1 * (high - low)))
    )
    is_whole = weights.fixed.keys() == weights.now.keys()  # there is nothing to change
    rounds: list[Round] = []
    before: Mapping[str, float] = weights.now
    best: tuple[Solution, Result] | None = None
    while True:
        start = clock()
        seconds = time_limit if is_whole else _share(start - began, time_limit)
        result = run(model.penalized(weights.now), seconds, len(rounds))
        is_exact = result.statistics["kernel"] == _EXHAUSTIVE
        reason = StopReason(result.stop_reason)
        solutions = [model.decode(solution) for solution in result.solutions]
        found = min(solutions, key=lambda s: _rank(model, s))
        if best is None or _rank(model, found) < _rank(model, best[0]):
            best = found, result
        # of all configurations in the order of their costs, the first feasible one is the best there is
        judged = found if is_exact else solutions[0]
        violated = tuple(report.name for report in judged.violated)
        began += result.statistics["compile_seconds"]
        rounds.append(
            Round(
                weights=weights.now,
                raised=tuple(name for name, weight in weights.now.items() if weight > before[name]),
                lowered=tuple(name for name, weight in weights.now.items() if weight < before[name]),
                violated=violated,
                objective=judged.objective,
                stop_reason=str(reason),
                seconds=clock() - start,
            )
        )
        if best[0].is_feasible and _rank(model, best[0])[1] <= low:
            return _answer(best, rounds, Status.OPTIMAL)
        if reason in _DONE and not violated:
            return _answer(best, rounds, Status.OPTIMAL if is_exact else Status.FEASIBLE)
        if is_exact and weights.are_enough():
            return _answer(best, rounds, Status.INFEASIBLE)
        is_over = clock() - began >= time_limit or (math.isinf(time_limit) and len(rounds) == MOST_ROUNDS)
        is_settled = is_whole or (reason in _DONE and set(violated) <= weights.fixed.keys())
        if is_over or is_settled or reason is StopReason.CANCELLED:
            return _answer(best, rounds, Status.FEASIBLE if best[0].is_feasible else Status.NOT_FOUND)
        before = weights.now
        weights.change(violated, is_exact=is_exact, is_cut=reason in _CUT)


def solve_here(model: Weighted, setup: Setup, progress: bool | Callable[[JobProgress], bool | None] | None) -> Answer:
    """The best solution of a model that a target finds in this process; ``progress`` as :func:`qiosk.solve` has it."""
    setup = setup.until(model.cost.bounds[0])
    runs = SeededRuns(setup)
    with followed(progress) as hooks:

        def run(problem: Problem, seconds: float, number: int) -> Result:
            limited = replace(hooks, max_seconds=None if math.isinf(seconds) else seconds)
            return runs.run(problem.cost_function(), limited, number)

        return runs.described(solve_in_rounds(model, run, setup.time_limit))


def _share(elapsed: float, time_limit: float) -> float:
    """Seconds for the next round: as many as all rounds before took, and all that are left if these would be few."""
    if math.isinf(time_limit):
        return math.inf
    left, least = time_limit - elapsed, FIRST_SHARE * time_limit
    wanted = max(elapsed, least)
    return left if left - wanted < least else wanted


def _rank(model: Weighted, solution: Solution) -> tuple[int, float]:
    """What makes a solution better than another: fewer violated constraints, then the objective."""
    return len(solution.violated), -solution.objective if model.is_maximized else solution.objective


def _answer(best: tuple[Solution, Result], rounds: list[Round], status: Status) -> Answer:
    solution, result = best
    return Answer(
        values=solution.values,
        objective=solution.objective,
        constraints=solution.constraints,
        families=solution.families,
        bits=solution.bits,
        status=status,
        rounds=tuple(rounds),
        result=result,
    )
