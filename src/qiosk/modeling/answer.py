"""What ``Model.solve`` returns: a solution, whether it can be trusted, and how it was found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

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
    """All constraints hold, and no solution is better: all were tried, or the terms of the objective allow none."""
    FEASIBLE = "feasible"
    """All constraints hold."""
    INFEASIBLE = "infeasible"
    """No solution satisfies all constraints: every configuration was tried."""
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
class Answer(Solution):
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

    status: Status
    rounds: tuple[Round, ...]
    result: Result

    def to_json(self) -> dict[str, Any]:
        """Values by name, the objective, feasibility, violated constraints, status and rounds, as JSON values."""
        rounds = [
            {
                "raised": list(r.raised),
                "lowered": list(r.lowered),
                "violated": list(r.violated),
                "objective": r.objective,
                "stop_reason": r.stop_reason,
                "seconds": r.seconds,
            }
            for r in self.rounds
        ]
        return {"status": str(self.status), **Solution.to_json(self), "rounds": rounds}
