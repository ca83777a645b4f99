"""Polynomials over bits, written with ``+``, ``-``, ``*``, ``**`` and compared with ``==``, ``<=``, ``>=``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from numbers import Integral, Real
from typing import Any

from qiosk.errors import InvalidValue, WrongType

Monomial = tuple[int, ...]
"""The bits of a product, ascending and distinct; the empty tuple is the constant."""

MAX_TERMS = 10_000_000
"""Largest number of terms in a product of two expressions, before like terms are merged."""


class Expression:
    """A polynomial over the bits of one model. Immutable; ``x * x`` is ``x``, because bits are 0 or 1.

    ``==``, ``<=`` and ``>=`` return a :class:`Condition` for ``Model.add``, not a truth value. Raises InvalidValue for
    coefficients that are not finite and WrongType for operands other than numbers and expressions.

    >>> from qiosk.modeling import Model
    >>> model = Model()
    >>> x, y = model.bit("x"), model.bit("y")
    >>> 3 * x - 2 * x * y + 1
    +3 b0 -2 b0 b1 +1
    >>> (x + y) ** 2
    +1 b0 +2 b0 b1 +1 b1
    """

    __slots__ = ("_added", "_terms")

    def __init__(self, terms: Mapping[Monomial, float] | None = None) -> None:
        self._terms: Mapping[Monomial, float] | None = {} if terms is None else terms
        self._added: tuple[Expression, Expression] | None = None  # a sum of two, until its terms are needed

    def __reduce__(self) -> tuple[type[Expression], tuple[Mapping[Monomial, float]]]:
        return Expression, (self.terms,)

    @property
    def terms(self) -> Mapping[Monomial, float]:
        """The coefficients by monomial, none of them 0. Raises InvalidValue if one is not finite.

        Like terms of a sum are merged when they are first asked for, so Python's ``sum`` of many expressions takes
        linear time.
        """
        if self._terms is None:
            self._terms = _merged(_summands(self))
            self._added = None
        return self._terms

    @property
    def constant(self) -> float:
        """The constant term."""
        return self.terms.get((), 0.0)

    @property
    def degree(self) -> int:
        """Largest number of variables in a term; 0 for a constant."""
        return max(map(len, self.terms), default=0)

    @property
    def bounds(self) -> tuple[float, float]:
        """A lower and an upper bound of the value; exact if no variable occurs in two terms."""
        low = high = self.constant
        for bits, c in self.terms.items():
            if bits:
                low, high = low + min(c, 0.0), high + max(c, 0.0)
        return low, high

    @property
    def is_integral(self) -> bool:
        """Whether all coefficients, and therefore all values, are integers."""
        return all(c.is_integer() for c in self.terms.values())

    def value(self, bits: Mapping[int, int]) -> float:
        """The value for given values of the bits."""
        return math.fsum(c * math.prod(bits[i] for i in some) for some, c in self.terms.items())

    def __add__(self, other: Any) -> Expression:
        right = as_expression(other)
        if right is None:
            return NotImplemented
        both = Expression()
        both._terms, both._added = None, (self, right)
        return both

    __radd__ = __add__

    def __neg__(self) -> Expression:
        return Expression({bits: -c for bits, c in self.terms.items()})

    def __pos__(self) -> Expression:
        return self

    def __sub__(self, other: Any) -> Expression:
        right = as_expression(other)
        return NotImplemented if right is None else self + (-right)

    def __rsub__(self, other: Any) -> Expression:
        left = as_expression(other)
        return NotImplemented if left is None else left + (-self)

    def __mul__(self, other: Any) -> Expression:
        right = as_expression(other)
        if right is None:
            return NotImplemented
        size = len(self.terms) * len(right.terms)
        if size > MAX_TERMS:
            raise InvalidValue(f"a product has {size} terms, at most {MAX_TERMS} are allowed")
        terms: dict[Monomial, float] = {}
        for mine, c in self.terms.items():
            for theirs, d in right.terms.items():
                bits = tuple(sorted({*mine, *theirs})) if mine and theirs else mine or theirs
                terms[bits] = terms.get(bits, 0.0) + c * d
        return Expression(_without_zeros(terms))

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Expression:
        if not isinstance(other, Real):
            return NotImplemented
        return self * (1.0 / float(other))

    def __pow__(self, exponent: Any) -> Expression:
        if not isinstance(exponent, Integral) or int(exponent) < 0:
            raise InvalidValue(f"exponent: must be an integer of at least 0, found {exponent!r}")
        power = Expression({(): 1.0})
        for _ in range(int(exponent)):
            power = power * self
        return power

    def __eq__(self, other: Any) -> Condition:  # type: ignore[override]
        return self._compared(other, Sense.EQUAL)

    def __le__(self, other: Any) -> Condition:
        return self._compared(other, Sense.AT_MOST)

    def __ge__(self, other: Any) -> Condition:
        return self._compared(other, Sense.AT_LEAST)

    __hash__ = None  # type: ignore[assignment]

    def _compared(self, other: Any, sense: Sense) -> Condition:
        right = as_expression(other)
        if right is None:
            raise WrongType(f"an expression can be compared to expressions and numbers, found {other!r}")
        difference = self - right
        return Condition(difference - difference.constant, sense, 0.0 - difference.constant)

    def __bool__(self) -> bool:
        raise WrongType("an expression has no truth value: give comparisons to Model.add, one at a time")

    def __repr__(self) -> str:
        shown = [f"{c:+g}" + "".join(f" b{i}" for i in bits) for bits, c in list(self.terms.items())[:8]]
        return " ".join(shown or ["0"]) + (" …" if len(self.terms) > 8 else "")


class Sense(StrEnum):
    """How an expression is compared to a bound."""

    EQUAL = "=="
    AT_MOST = "<="
    AT_LEAST = ">="


@dataclass(frozen=True, slots=True, eq=False)
class Condition:
    """``expression`` (without a constant) compared to ``bound``.

    >>> from qiosk.modeling import Model
    >>> model = Model()
    >>> condition = model.bit("x") + model.bit("y") + 1 <= 2
    >>> condition.expression, condition.sense.value, condition.bound
    (+1 b0 +1 b1, '<=', 1.0)
    >>> condition.violation({0: 1, 1: 1})
    1.0
    """

    expression: Expression
    sense: Sense
    bound: float

    def violation(self, bits: Mapping[int, int]) -> float:
        """By how much the condition is violated; 0 if it holds."""
        products = (c for some, c in self.expression.terms.items() if all(bits[i] for i in some))
        excess = math.fsum([*products, -self.bound])
        match self.sense:
            case Sense.EQUAL:
                return abs(excess)
            case Sense.AT_MOST:
                return max(0.0, excess)
            case Sense.AT_LEAST:
                return max(0.0, -excess)

    def __bool__(self) -> bool:
        raise WrongType("a condition has no truth value: give it to Model.add; a <= x <= b are two conditions")


@dataclass(frozen=True, slots=True)
class Constraint:
    """A named condition. Its penalty is ``weight`` times its squared violation; None: an automatic weight.

    >>> from qiosk.modeling import Model
    >>> model = Model()
    >>> model.add(model.bit("x") + model.bit("y") == 1, "exactly one", weight=5)
    >>> model.constraints[0].name, model.constraints[0].weight
    ('exactly one', 5)
    """

    name: str
    condition: Condition
    weight: float | None = None


def as_expression(value: Any) -> Expression | None:
    """A number or an expression as an expression; None for other values. Raises InvalidValue if not finite."""
    if isinstance(value, Expression):
        return value
    if isinstance(value, Real):
        try:
            number = float(value)
        except OverflowError:
            raise InvalidValue(f"coefficient: must be in the range of float64, found {value}") from None
        if not math.isfinite(number):
            raise InvalidValue(f"coefficient: must be finite, found {number}")
        if isinstance(value, Integral) and int(number) != int(value):
            raise InvalidValue(f"coefficient: integers beyond 2**53 must be exact in float64, found {value}")
        return Expression({(): number} if number else {})
    return None


def total(expressions: Iterable[Expression | float]) -> Expression:
    """The sum of many expressions, merged at once; Python's ``sum`` merges when terms are first needed.

    Raises WrongType for other items than expressions and numbers.

    >>> from qiosk.modeling import Model, total
    >>> take = Model().bits("take", ["lamp", "rope"])
    >>> total(3 * bit for bit in take.values())
    +3 b0 +3 b1
    """
    return Expression(_merged(map(_summand, expressions)))


def _summand(item: Any) -> Expression:
    expression = as_expression(item)
    if expression is None:
        raise WrongType(f"a sum must be over expressions and numbers, found {item!r}")
    return expression


def _summands(expression: Expression) -> list[Expression]:
    """What a sum adds up, first to last: expressions whose terms are known."""
    found, left = [], [expression]
    while left:
        some = left.pop()
        parts = some._added  # read once: another thread may be merging the same sum
        if parts is None:
            found.append(some)
        else:
            left.extend(parts)
    return found[::-1]


def _merged(expressions: Iterable[Expression]) -> dict[Monomial, float]:
    terms: dict[Monomial, float] = {}
    for expression in expressions:
        for bits, c in expression.terms.items():
            terms[bits] = terms.get(bits, 0.0) + c
    return _without_zeros(terms)


def _without_zeros(terms: Mapping[Monomial, float]) -> dict[Monomial, float]:
    for c in terms.values():
        if not math.isfinite(c):
            raise InvalidValue(f"coefficient: must be finite, found {c}")
    return {bits: c for bits, c in terms.items() if c}


def bits_of(expressions: Iterable[Expression]) -> Iterator[int]:
    """Every bit that occurs; a bit may be repeated."""
    for expression in expressions:
        for bits in expression.terms:
            yield from bits
