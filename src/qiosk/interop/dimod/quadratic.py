"""Polynomials over the bits of a model as quadratic polynomials over its variables.

An integer is a sum of weighted bits, so each of its products is a multiple of the product of such sums. The multiple is
read from one pair of bits, and checked at all others.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from qiosk.errors import InvalidValue
from qiosk.modeling import Condition, Expression
from qiosk.modeling.expression import Sense
from qiosk.modeling.variables import Variable

Quadratic = dict[tuple[Hashable, ...], float]
"""Coefficients by labels: none for the constant, one or two for a term."""

_TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True, eq=False)
class Digits:
    """A variable of the quadratic: ``offset`` plus the weighted sum of its bits, without those of weight 0."""

    label: Hashable
    offset: float
    weights: Mapping[int, float]

    @property
    def least(self) -> Sequence[int]:
        """The bits, those of the least weights first."""
        return sorted(self.weights, key=lambda bit: self.weights[bit])


def range_of(variable: Variable) -> tuple[float, float]:
    """The least and the largest value of an integer, or the numbers of the steps of a grid."""
    if variable.kind == "grid":
        return 0.0, sum(_steps(variable))
    span = max(variable.weights, default=0.0) if variable.is_one_hot else sum(variable.weights)
    return variable.offset, variable.offset + span


def is_implied(condition: Condition, integers: Mapping[int, Variable]) -> bool:
    """Whether a condition only says which bits encode an integer: one of them, or those that are 1 first.

    ``integers`` has the integer of each bit that encodes one.
    """
    terms = condition.expression.terms
    owner = integers.get(next((bit for some in terms for bit in some), -1))
    if owner is None:
        return False
    if owner.is_one_hot:
        every = {(bit,): 1.0 for bit in owner.bits}
        return condition.sense is Sense.EQUAL and condition.bound == 1 and terms == every
    steps = [{(bit,): -1.0, (bit + 1,): 1.0} for bit in owner.bits[:-1]]
    return condition.sense is Sense.AT_MOST and condition.bound == 0 and terms in steps


def owners_of(variables: Iterable[Variable]) -> dict[int, Digits]:
    """The variable of a quadratic to which each bit belongs, by the bit."""
    every: list[Digits] = []
    for v in variables:
        if v.kind == "choice":
            every += (Digits((v.name, option), 0.0, {bit: 1.0}) for bit, option in zip(v.bits, v.options, strict=True))
        elif v.kind == "grid":
            every.append(Digits(v.name, 0.0, dict(zip(v.bits, _steps(v), strict=True))))
        else:
            every.append(Digits(v.name, v.offset, {bit: w for bit, w in zip(v.bits, v.weights, strict=True) if w}))
    return {bit: digits for digits in every for bit in digits.weights}


def quadratic_of(what: str, expression: Expression, owner: Mapping[int, Digits]) -> Quadratic:
    """An expression as a quadratic over variables. Raises InvalidValue, which names ``what``, if it is none."""
    linear: dict[Digits, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    products: dict[tuple[Digits, Digits], dict[tuple[int, int], float]] = defaultdict(dict)
    found: Quadratic = defaultdict(float)
    for some, c in expression.terms.items():
        match some:
            case ():
                found[()] += c
            case (a,) if a in owner:
                linear[owner[a]][a] += c
            case (a, b) if a in owner and b in owner:
                products[owner[a], owner[b]][a, b] = c
            case _:
                raise _not_quadratic(what)
    for (one, other), coefficients in products.items():
        c = _factor(what, one, other, coefficients)
        found[one.label, other.label] += c
        found[(one.label,)] -= c * other.offset
        found[(other.label,)] -= c * one.offset
        found[()] += c * one.offset * other.offset
        if one is other:
            for bit, weight in one.weights.items():
                linear[one][bit] -= c * weight * weight
    for digits, some_linear in linear.items():
        first = digits.least[0]
        c = some_linear[first] / digits.weights[first]
        _check(what, [(some_linear[bit], c * weight) for bit, weight in digits.weights.items()])
        found[(digits.label,)] += c
        found[()] -= c * digits.offset
    return {labels: c for labels, c in found.items() if c}


def _steps(grid: Variable) -> list[float]:
    """The weights of the bits in steps, of which the first weight is one."""
    return [float(round(weight / grid.weights[0])) for weight in grid.weights]


def _factor(what: str, one: Digits, other: Digits, coefficients: Mapping[tuple[int, int], float]) -> float:
    """What the product of two variables is multiplied by."""
    if one is other:
        first, second = one.least[:2]
        pairs = [(a, b) for a in one.weights for b in one.weights if a < b]
        scale = {(a, b): 2 * one.weights[a] * one.weights[b] for a, b in pairs}
        chosen = (min(first, second), max(first, second))
    else:
        scale = {(a, b): u * v for a, u in one.weights.items() for b, v in other.weights.items()}
        chosen = (one.least[0], other.least[0])
    factor = coefficients.get(chosen, 0.0) / scale[chosen]
    _check(what, [(coefficients.get(pair, 0.0), factor * size) for pair, size in scale.items()])
    return factor


def _check(what: str, pairs: Sequence[tuple[float, float]]) -> None:
    largest = max(abs(value) for pair in pairs for value in pair)
    if any(abs(found - wanted) > _TOLERANCE * largest for found, wanted in pairs):
        raise _not_quadratic(what)


def _not_quadratic(what: str) -> InvalidValue:
    return InvalidValue(f"{what}: must have products of at most two variables, as models of dimod do")
