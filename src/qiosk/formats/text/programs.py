"""Objectives with linear constraints, as mathematical programming formats have them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from qiosk.errors import UnreadableInput
from qiosk.model.cost_function import CostFunction

Sense = Literal["<=", ">=", "=="]


@dataclass(frozen=True, slots=True)
class LinearConstraint:
    """sum of coefficient * x <= or >= or == ``bound``, over bits by their ids."""

    name: str
    coefficients: Mapping[int, float]
    sense: Sense
    bound: float


@dataclass(frozen=True, slots=True)
class Program:
    """A cost to be minimized over bits 0..n-1, their names, and what shall hold besides."""

    cost_function: CostFunction
    names: Sequence[str]
    constraints: Sequence[LinearConstraint] = field(default_factory=tuple)

    def unconstrained(self, form: str) -> CostFunction:
        """The cost alone. Raises UnreadableInput, naming the first, if there are constraints."""
        if self.constraints:
            raise UnreadableInput(
                f"{form}: constraints must be made penalties (`--penalty auto`, `Model.from_file`), found "
                f"{len(self.constraints)}, the first is `{self.constraints[0].name}`"
            )
        return self.cost_function
