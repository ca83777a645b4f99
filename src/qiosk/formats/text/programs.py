"""Mathematical programs: an objective over bits, and linear constraints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from qiosk.errors import UnreadableInput
from qiosk.model.cost_function import CostFunction

Sense = Literal["<=", ">=", "=="]


@dataclass(frozen=True, slots=True)
class LinearConstraint:
    """sum of coefficient * x, compared to ``bound`` by ``sense``; ``coefficients`` by the id of the bit x."""

    name: str
    coefficients: Mapping[int, float]
    sense: Sense
    bound: float


@dataclass(frozen=True, slots=True)
class Program:
    """A cost to minimize over bits 0..n-1, the names of the bits, and the constraints on them."""

    cost_function: CostFunction
    names: Sequence[str]
    constraints: Sequence[LinearConstraint] = field(default_factory=tuple)

    def unconstrained(self, form: str) -> CostFunction:
        """The cost alone. Raises UnreadableInput if there are constraints, naming the first."""
        if self.constraints:
            raise UnreadableInput(
                f"{form}: constraints must be turned into penalties (`--penalty auto`, `Model.from_file`), found "
                f"{len(self.constraints)}, the first is `{self.constraints[0].name}`"
            )
        return self.cost_function
