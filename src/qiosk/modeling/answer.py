"""What ``Model.solve`` returns: a solution, whether it can be trusted, and how it was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from enum import StrEnum
from typing import Any

from msgspec import Struct, ValidationError, convert

from qiosk.errors import InvalidValue
from qiosk.modeling.propagation.turns import Propagated
from qiosk.modeling.solution import Solution
from qiosk.solvers.result import Result


class Status(StrEnum):
    """What is known about a solution.

    >>> from qiosk.modeling import Model
    >>> model = Model()
    >>> model.add(2 * model.bit("x") + 4 * model.bit("y") == 2)
    >>> model.add(model.bit("z") == 1 - model.bit("w"))
    >>> model.solve(seed=1).status.value
    'optimal'
    """

    OPTIMAL = "optimal"
    """All constraints hold, and no solution is better: all were tried, propagation of the constraints excludes all that
    were not, or the terms of the objective allow none."""
    FEASIBLE = "feasible"
    """All constraints hold."""
    INFEASIBLE = "infeasible"
    """No solution satisfies all constraints: every configuration was tried, or is excluded by propagation."""
    NOT_FOUND = "not found"
    """No solution was found that satisfies all constraints; there may be one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One search with fixed weights.

    ``weights`` are those of the constraints by name, in the unit of the objective; ``raised`` and ``lowered`` name the
    constraints whose weights were changed before this round. ``violated`` names those that its best solution violates,
    whose objective is ``objective``. It took ``seconds`` and ended for ``stop_reason``, as results have it.

    >>> from qiosk.modeling import Model
    >>> model = Model()
    >>> model.minimize(model.bit("x") + model.bit("y"))
    >>> model.add(model.bit("z") == 1, "set")
    >>> [round.violated for round in model.solve(seed=1).rounds]
    [()]
    """

    weights: Mapping[str, float]
    raised: tuple[str, ...]
    lowered: tuple[str, ...]
    violated: tuple[str, ...]
    objective: float
    stop_reason: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class JobAnswer(Solution):
    """The best solution that a job of a model found, with its ``status`` and the ``rounds``: what ``job.decode()``
    returns. ``propagated`` is what the search by propagation did before the rounds; None where there was none.

    >>> from qiosk import Workspace
    >>> from qiosk.modeling import Model
    >>> from qiosk.optimization import ParallelTempering
    >>> model = Model()
    >>> model.maximize(model.integer("n", 0, 5))
    >>> model.add(2 * model.bit("x") == 2)
    >>> with Workspace() as workspace:
    ...     answer = ParallelTempering(workspace, timeout=5, seed=1).submit(model.problem()).decode()
    >>> answer.values, answer.status.value, len(answer.rounds)
    ({'n': 5, 'x': 1}, 'optimal', 1)
    """

    status: Status
    rounds: tuple[Round, ...]
    propagated: Propagated | None = None

    def to_json(self) -> dict[str, Any]:
        """Values by name, the objective, feasibility, violated constraints, status and rounds, as JSON values.

        The first round has all weights, later ones those that were changed.
        """
        rounds = [
            {
                "raised": list(r.raised),
                "lowered": list(r.lowered),
                "violated": list(r.violated),
                "objective": r.objective,
                "stop_reason": r.stop_reason,
                "seconds": r.seconds,
                "weights": dict(r.weights) if k == 0 else {name: r.weights[name] for name in (*r.raised, *r.lowered)},
            }
            for k, r in enumerate(self.rounds)
        ]
        found = {"status": str(self.status), **Solution.to_json(self), "rounds": rounds}
        return found if self.propagated is None else found | {"propagated": self.propagated.to_json()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer(JobAnswer):
    """The best solution that ``Model.solve`` found: a :class:`Solution` with its ``status`` and the ``rounds``.

    ``result`` is the solver's, of the round that found it.

    >>> from qiosk.modeling import Model
    >>> model = Model()
    >>> x, n = model.bit("x"), model.integer("n", 0, 5)
    >>> model.maximize(3 * x + n)
    >>> model.add(4 * x + n <= 6, "room")
    >>> answer = model.solve(seed=1)
    >>> answer.values, answer.objective, answer.status.value, len(answer.rounds)
    ({'x': 1, 'n': 2}, 5.0, 'optimal', 1)
    """

    result: Result


def read_answer(solution: Solution, document: Any) -> JobAnswer:
    """The answer of a job: its best solution, and what :meth:`JobAnswer.to_json` wrote about it.

    Raises InvalidValue for anything else.
    """
    rounds: list[Round] = []
    try:
        found = convert(document, _Written)
    except ValidationError as error:
        raise InvalidValue(f"results: `model` is not the answer of a model: {error}") from error
    for entry in found.rounds:
        before = rounds[-1].weights if rounds else {}
        rounds.append(replace(entry, weights={**before, **entry.weights}))
    return JobAnswer(**members(solution), status=found.status, rounds=tuple(rounds), propagated=found.propagated)


def members(solution: Solution) -> dict[str, Any]:
    """The members of a solution by name, to make an answer of it."""
    return {member.name: getattr(solution, member.name) for member in fields(Solution)}


class _Written(Struct):
    status: Status
    rounds: list[Round]
    propagated: Propagated | None = None
