"""From the objective and the constraints of a model to the terms of a problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import numpy as np

from qiosk.modeling.expression import Expression, total
from qiosk.modeling.penalties import penalty_for
from qiosk.modeling.rows import EXACT, Row
from qiosk.problem import Problem, ProblemType

MAX_EXPANDED_TERMS = 64
"""Squares of up to this many terms are multiplied out, because kernels for pairs are faster than those for squares."""
MAX_COEFFICIENT = 2.0**23
"""Largest coefficient that a square multiplied out may have, in units of the smallest of an objective with fractions:
what is added to it is rounded by a billionth of that."""
_NOISE = 2.0**-40


@dataclass(slots=True)
class Assembly:
    """The terms of a problem, to which penalties are added one by one.

    ``cost`` is the objective to minimize. Squares are multiplied out only where no precision is lost: where all that is
    added up stays exact or, with fractions in the objective, next to exact.
    """

    cost: Expression
    n_bits: int
    parts: list[Expression] = field(default_factory=list)
    squares: list[tuple[float, Expression]] = field(default_factory=list)
    sum: float = 0.0  # of the absolute values of all coefficients

    def __post_init__(self) -> None:
        self.sum = _magnitude(self.cost)

    def add(self, name: str, row: Row, weight: float) -> None:
        """Add the penalty of a constraint, and its slack bits. Raises InvalidValue as ``penalty_for``."""
        penalty = penalty_for(name, row, self._new_bit)
        for square in penalty.squares:
            if len(square.terms) <= MAX_EXPANDED_TERMS and self._is_exact(weight, square):
                self.parts.append(weight * (square * square))
                self.sum += weight * _magnitude(square) ** 2
            else:
                self.squares.append((weight, square))
        if penalty.products is not None:
            self.parts.append(weight * penalty.products)
            self.sum += weight * _magnitude(penalty.products)

    def problem(self, name: str) -> Problem:
        """The problem; every bit gets a term."""
        terms = total([self.cost, *self.parts]).terms
        problem = Problem(name, problem_type=ProblemType.pubo)
        members = [*terms, *((bit,) for bit in range(self.n_bits) if (bit,) not in terms)]
        coefficients = np.zeros(len(members))
        coefficients[: len(terms)] = list(terms.values())
        problem.add_terms(
            coefficients=coefficients,
            ids=np.array([bit for some in members for bit in some], np.int64),
            indptr=np.cumsum([0, *map(len, members)], dtype=np.int64),
        )
        for weight, square in self.squares:
            problem.add_slc_term([(c, bits[0] if bits else None) for bits, c in square.terms.items()], c=weight)
        return problem

    def _new_bit(self) -> int:
        self.n_bits += 1
        return self.n_bits - 1

    def _is_exact(self, weight: float, square: Expression) -> bool:
        if self.cost.is_integral and weight.is_integer():
            return self.sum + weight * _magnitude(square) ** 2 < EXACT
        sizes = [abs(c) for bits, c in self.cost.terms.items() if bits] or [weight]
        finest = min(size for size in sizes if size > _NOISE * max(sizes))
        return 2 * weight * max(map(abs, square.terms.values())) ** 2 <= MAX_COEFFICIENT * finest


def assemble(
    name: str, cost: Expression, rows: Iterable[tuple[str, Row]], weights: Mapping[str, float], n_bits: int
) -> Problem:
    """The problem of a cost to minimize and of constraints by name, each with its weight. Raises InvalidValue."""
    assembly = Assembly(cost, n_bits)
    for constraint, row in rows:
        assembly.add(constraint, row, weights[constraint])
    return assembly.problem(name)


def _magnitude(expression: Expression) -> float:
    return sum(map(abs, expression.terms.values()))
