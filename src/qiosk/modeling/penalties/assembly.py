"""From the objective and the constraints of a model to the terms of a problem."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np

from qiosk.model.constraints.slack import SLACK, SlackRow
from qiosk.modeling.expression import Expression, Monomial, Sense, total
from qiosk.modeling.penalties.conditions import magnitude, penalty_for
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
    rows: list[SlackRow] = field(default_factory=list)  # the squares that have slack
    products: dict[Monomial, int] = field(default_factory=dict)  # bits that are products of others
    slacks: list[tuple[Expression, range]] = field(default_factory=list)  # differences, and the slack bits in them
    sum: float = field(init=False)  # of the absolute values of all coefficients
    _is_integral: bool = field(init=False)  # whether the objective is
    _finest: float | None = field(init=False)  # coefficient of the objective; None if it is constant

    def __post_init__(self) -> None:
        self.sum = magnitude(self.cost)
        self._is_integral = self.cost.is_integral
        sizes = [abs(c) for bits, c in self.cost.terms.items() if bits]
        least = _NOISE * max(sizes, default=0.0)
        self._finest = min((size for size in sizes if size > least), default=None)

    def add(self, name: str, row: Row, weight: float) -> None:
        """Add the penalty of a constraint, and its slack bits. Raises InvalidValue as ``penalty_for``."""
        if self._is_plain(row, weight):
            pairs = combinations(sorted([bit for (bit,) in row.terms]), 2)
            self.parts.append(Expression(dict.fromkeys(pairs, weight)))
            self.sum += weight * len(self.parts[-1].terms)
            return
        before = self.n_bits
        penalty = penalty_for(name, row, self._new_bit)
        if (square := penalty.square) is not None:
            slack = range(before, self.n_bits)
            if len(slack):
                self.slacks.append((square, slack))
            expanded = self._expanded(square, weight)
            if expanded is None:
                square = self._linear(square, weight)
                self.squares.append((weight, square))
            if len(slack) and square.degree <= 1:
                self.rows.append(_slack_row(weight, square, slack))
            if expanded is not None:
                self._add(weight, expanded)
        if (products := penalty.products) is not None:
            least = products if penalty.least is None else penalty.least
            self._add(weight, products if self._is_exact(weight, _greatest(products), magnitude(products)) else least)

    def completed(self, bits: Mapping[int, int]) -> dict[int, int]:
        """A configuration of the model's bits with slack that fits them best, and with products."""
        found = dict(bits)
        for difference, slack in self.slacks:
            found |= dict.fromkeys(slack, 0)
            left = -difference.value(found)
            for bit in sorted(slack, key=lambda bit: -difference.terms[bit,]):
                weight = difference.terms[bit,]
                found[bit] = int(left >= weight)
                left -= weight * found[bit]
        return found | {bit: int(all(found[i] for i in some)) for some, bit in self.products.items()}

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
        problem.metadata |= {SLACK: [row.to_metadata() for row in self.rows]}
        return problem

    def _is_plain(self, row: Row, weight: float) -> bool:
        """Whether the penalty of a row is the sum of all pairs of bits: this is what most rows of large models are."""
        n = len(row.terms)
        return row.is_one_of and row.sense is Sense.AT_MOST and self._is_exact(weight, 1.0, n * (n - 1) / 2)

    def _new_bit(self) -> int:
        self.n_bits += 1
        return self.n_bits - 1

    def _add(self, weight: float, penalty: Expression) -> None:
        self.parts.append(weight * penalty)
        self.sum += weight * magnitude(penalty)

    def _linear(self, square: Expression, weight: float) -> Expression:
        """The expression, products of bits in it replaced by bits that cost ``weight`` where they are something else.

        So the square costs at least ``weight`` where it is not 0 with the right products.
        """
        terms = {bits: c for bits, c in square.terms.items() if len(bits) <= 1}
        for bits, c in square.terms.items():
            if len(bits) > 1:
                if bits not in self.products:
                    self.products[bits] = self._new_bit()
                product = self.products[bits]
                terms[(product,)] = c
                self._add(weight, _differs(product, bits))
        return Expression(terms)

    def _expanded(self, square: Expression, weight: float) -> Expression | None:
        """The square of an expression, multiplied out; None if that is long or not exact."""
        if len(square.terms) > MAX_EXPANDED_TERMS:
            return None
        sizes = 2 * _greatest(square) ** 2, magnitude(square) ** 2
        if square.degree <= 1:
            return square * square if self._is_exact(weight, *sizes) else None
        products = square * square
        return products if self._is_exact(weight, max(sizes[0], _greatest(products)), sizes[1]) else None

    def _is_exact(self, weight: float, greatest: float, whole: float) -> bool:
        """Whether a penalty can be added whose coefficients are up to ``greatest``, and ``whole`` together."""
        if self._is_integral and weight.is_integer():
            return self.sum + weight * whole < EXACT
        finest = weight if self._finest is None else self._finest
        return weight * greatest <= MAX_COEFFICIENT * finest


def assemble(
    name: str,
    cost: Expression,
    rows: Iterable[tuple[str, Row]],
    weights: Mapping[str, float],
    n_bits: int,
    initial: Mapping[int, int] | None = None,
) -> Problem:
    """The problem of a cost to minimize and of constraints by name, each with its weight. Raises InvalidValue.

    ``initial`` are bits of the model from which searches begin, with the slack that fits them.
    """
    assembly = Assembly(cost, n_bits)
    for constraint, row in rows:
        assembly.add(constraint, row, weights[constraint])
    problem = assembly.problem(name)
    if initial is not None:
        problem.init_config = assembly.completed({bit: initial[bit] for bit in range(n_bits)})
    return problem


def _greatest(expression: Expression) -> float:
    return max(map(abs, expression.terms.values()), default=0.0)


def _differs(product: int, bits: Monomial) -> Expression:
    """At least 1 where a bit is not the product of others, else 0.

    That of two bits is quadratic (I. G. Rosenberg, Cahiers du Centre d'Etudes de Recherche Operationnelle 17, 71
    (1975)).
    """
    if len(bits) == 2:
        one, other = bits
        return Expression({(product,): 3.0, bits: 1.0, (one, product): -2.0, (other, product): -2.0})
    return Expression({(product,): 1.0, bits: 1.0, (*bits, product): -2.0})


def _slack_row(weight: float, square: Expression, slack: range) -> SlackRow:
    """The row of a linear square with these slack bits."""
    weights = {bits[0]: c for bits, c in square.terms.items() if bits}
    members = [*(bit for bit in weights if bit not in slack), *(bit for bit in weights if bit in slack)]
    offset = square.terms.get((), 0.0)
    found = np.array([weights[bit] for bit in members])
    return SlackRow(weight, np.array(members, np.int64), found, offset, sum(bit in slack for bit in members))
