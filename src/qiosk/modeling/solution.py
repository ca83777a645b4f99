"""A configuration in the user's words: values by name, the objective, and which constraints hold."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from qiosk.errors import InvalidValue
from qiosk.modeling.expression import Condition, Expression

TOLERANCE = 1e-9
"""Violations up to this, relative to the bound, are rounding."""


@dataclass(frozen=True, slots=True)
class ConstraintReport:
    """A constraint, whether it holds, and how far it is from holding in the units of its expression."""

    name: str
    holds: bool
    violation: float


@dataclass(frozen=True, slots=True)
class Solution:
    """What a configuration means.

    ``values`` has every variable by name: 0 or 1, -1 or 1, an integer, or the option chosen; None for a choice
    that is not made. ``objective`` is that of the user, without penalties.
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
        """The value of a variable, or of a family of them, by key. Raises InvalidValue for an unknown name."""
        if name in self.families:
            return {key: self.values[member] for key, member in self.families[name].items()}
        if name in self.values:
            return self.values[name]
        raise InvalidValue(f"solution: no variable is called {name!r}")

    def value(self, expression: Expression) -> float:
        """The value of an expression over the model's variables."""
        return expression.value(self.bits)

    def __str__(self) -> str:
        lines = [f"objective {self.objective:g}, {'feasible' if self.is_feasible else 'NOT feasible'}"]
        lines += [f"  {report.name}: violated by {report.violation:g}" for report in self.violated]
        return "\n".join(lines)


def report(name: str, condition: Condition, bits: Mapping[int, int]) -> ConstraintReport:
    """Whether a condition holds for these bits, up to rounding."""
    violation = condition.violation(bits)
    holds = violation <= TOLERANCE * max(1.0, abs(condition.bound))
    return ConstraintReport(name, holds, 0.0 if holds else violation)
