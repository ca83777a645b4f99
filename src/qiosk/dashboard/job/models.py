"""What the results of a model contain: its solution in its own terms, and the rounds that found it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import Struct, field


class Round(Struct, frozen=True, kw_only=True):
    """A round: one search with fixed weights of the constraints."""

    stop_reason: str = ""
    seconds: float = 0.0
    objective: float | None = None
    violated: list[str] = field(default_factory=list)
    raised: list[str] = field(default_factory=list)
    lowered: list[str] = field(default_factory=list)
    weights: dict[str, float] = field(default_factory=dict)


class Violation(Struct, frozen=True):
    """A constraint that the best solution violates, and by how much."""

    name: str
    violation: float


class ModelResult(Struct, frozen=True, kw_only=True):
    """The member ``model`` of results; ``values`` are those of the best solution by name."""

    status: str | None = None
    is_feasible: bool = False
    objective: float | None = None
    values: dict[str, Any] = field(default_factory=dict)
    violated: list[Violation] = field(default_factory=list)
    rounds: list[Round] = field(default_factory=list)

    @property
    def constraints(self) -> Sequence[tuple[str, float | None, float | None]]:
        """Name of each constraint, its weight in the last round, and by how much it is violated, violated ones first.

        None for a weight that is not known, and for a constraint that holds.
        """
        weights = self.rounds[-1].weights if self.rounds else {}
        amounts = {each.name: each.violation for each in self.violated}
        names = dict.fromkeys((*amounts, *weights))
        return [(name, weights.get(name), amounts.get(name)) for name in names]


def model_of(extra: Mapping[str, Any]) -> ModelResult | None:
    """What results tell of a model; None if no model made the problem, or it cannot be read."""
    try:
        return msgspec.convert(extra["model"], ModelResult)
    except (KeyError, msgspec.ValidationError):
        return None


def violations_of(extra: Mapping[str, Any]) -> Sequence[Violation]:
    """The constraints that the best solution violates, of a model or of a problem with constraints."""
    try:
        return msgspec.convert(extra.get("violated", []), list[Violation])
    except msgspec.ValidationError:
        return []
