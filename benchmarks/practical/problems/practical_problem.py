"""What a practical problem offers: models for every kind of solver, and a check of answers that uses none of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from qiosk.modeling import Model, Solution

A = TypeVar("A")
UNBOUNDED = float("inf")


@dataclass(frozen=True, eq=False)
class PracticalProblem(ABC, Generic[A]):
    """A problem whose answers are plain Python, such as a tour as a list of cities.

    ``best_known`` is the lowest known cost; 0 where an answer only has to be feasible. Costs are minimized: where a
    profit is wanted, the cost is minus the profit.
    """

    name: str
    best_known: float
    source: str = field(default="", repr=False)

    @abstractmethod
    def cost(self, answer: A) -> float | None:
        """The cost of an answer, from the data alone; None if it is infeasible."""

    def stored(self, answer: Any) -> A:
        """An answer, from what the index of instances has of it."""
        found: A = answer
        return found

    @abstractmethod
    def model(self) -> Model:
        """The model that a user of Qiosk writes."""

    @abstractmethod
    def read(self, solution: Solution) -> A | None:
        """The answer in a solution of the model; None if it is none at all."""

    @abstractmethod
    def constraint_program(self) -> Program[A]:
        """The model that a user of CP-SAT writes."""

    @abstractmethod
    def linear_program(self) -> Program[A]:
        """The model that a user of a MILP solver writes."""


@dataclass(frozen=True)
class Program(Generic[A]):
    """A solver's model, and how to read an answer: from a function that returns the value of one of its variables."""

    model: Any
    read: Callable[[Callable[[Any], int]], A]


class Linear:
    """A mixed-integer linear program for HiGHS, by columns and rows."""

    def __init__(self) -> None:
        import highspy  # a peer, which may be missing

        self.highs = highspy.Highs()
        self.highs.silent()
        self._integer = highspy.HighsVarType.kInteger

    def column(self, cost: float = 0.0, low: float = 0.0, high: float = 1.0, *, is_integer: bool = True) -> int:
        """A new variable, by its index; a bit by default."""
        index: int = self.highs.getNumCol()
        self.highs.addCol(cost, low, high, 0, [], [])
        if is_integer:
            self.highs.changeColIntegrality(index, self._integer)
        return index

    def columns(self, count: int, costs: Sequence[float] | None = None) -> list[int]:
        """New bits."""
        return [self.column(costs[k] if costs else 0.0) for k in range(count)]

    def row(self, low: float, terms: dict[int, float], high: float) -> None:
        """Require low <= sum of coefficient times column <= high."""
        self.highs.addRow(low, high, len(terms), list(terms), list(terms.values()))

    def exactly_one(self, columns: Sequence[int]) -> None:
        """Require that the bits add up to 1."""
        self.row(1, dict.fromkeys(columns, 1.0), 1)


def chosen(value: Callable[[Any], int], options: Sequence[Any]) -> int:
    """The first position whose bit is 1; -1 if there is none."""
    return next((k for k, bit in enumerate(options) if value(bit) == 1), -1)
