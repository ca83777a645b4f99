"""A configuration in terms of a model: values by name, the objective, and which constraints hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qiosk.errors import InvalidValue
from qiosk.modeling.document import plain
from qiosk.modeling.expression import Condition, Expression
from qiosk.modeling.rows import Row

TOLERANCE = 1e-9
"""Largest violation that counts as none, in the unit of the constraint's expression, where its coefficients are no
whole multiples of one unit. Where they are, feasibility is exact."""


@dataclass(frozen=True, slots=True)
class ConstraintReport:
    """Whether a constraint holds, and by how much it is violated, in the unit of its expression.

    >>> from qiosk.modeling import Model
    >>> model = Model()
    >>> model.add(2 * model.bit("x") <= 1, "limit")
    >>> model.decode({0: 1}).constraints[0]
    ConstraintReport(name='limit', holds=False, violation=1.0)
    """

    name: str
    holds: bool
    violation: float


@dataclass(frozen=True, slots=True)
class Solution:
    """A configuration as values of a model's variables.

    ``values`` contains every variable by name: 0 or 1, -1 or 1, an integer, or the chosen option; None if no option or
    several are chosen. ``objective`` is that of the model, without penalties.

    >>> from qiosk.modeling import Model
    >>> model = Model()
    >>> model.maximize(model.bit("x") + model.integer("n", 2, 4))
    >>> solution = model.decode({0: 1, 1: 1, 2: 0})
    >>> solution.values, solution["n"], solution.objective, solution.is_feasible
    ({'x': 1, 'n': 3}, 3, 4.0, True)
    """

    values: Mapping[str, Any]
    objective: float
    constraints: tuple[ConstraintReport, ...]
    families: Mapping[str, Mapping[Any, str]] = field(default_factory=dict, repr=False)
    bits: Mapping[int, int] = field(default_factory=dict, repr=False)

    @property
    def is_feasible(self) -> bool:
        """Whether all constraints hold."""
        return all(report.holds for report in self.constraints)

    @property
    def violated(self) -> list[ConstraintReport]:
        """The constraints that do not hold."""
        return [report for report in self.constraints if not report.holds]

    def __getitem__(self, name: str) -> Any:
        """The value of a variable, or the values of a family by key. Raises InvalidValue for an unknown name."""
        if name in self.families:
            return {key: self.values[member] for key, member in self.families[name].items()}
        if name in self.values:
            return self.values[name]
        raise InvalidValue(f"solution: no variable is called {name!r}")

    def value(self, expression: Expression) -> float:
        """The value of an expression over the model's variables."""
        return expression.value(self.bits)

    def to_json(self) -> dict[str, Any]:
        """Values by name, the objective, feasibility and violated constraints, as JSON values."""
        return {
            "is_feasible": self.is_feasible,
            "objective": self.objective,
            "values": {name: plain(value) for name, value in self.values.items()},
            "violated": [{"name": report.name, "violation": report.violation} for report in self.violated],
        }

    def __str__(self) -> str:
        lines = [f"objective {self.objective:g}, {'feasible' if self.is_feasible else 'NOT feasible'}"]
        lines += [f"  {report.name}: violated by {report.violation:g}" for report in self.violated]
        return "\n".join(lines)


def report(name: str, condition: Condition, row: Row | None, bits: Mapping[int, int]) -> ConstraintReport:
    """Whether a condition holds for these bits: exactly for its ``row`` in whole numbers, else up to ``TOLERANCE``."""
    if row is not None and row.violation(bits) == 0:
        return ConstraintReport(name, True, 0.0)
    violation = condition.violation(bits)
    holds = row is None and violation <= TOLERANCE
    return ConstraintReport(name, holds, 0.0 if holds else violation)
