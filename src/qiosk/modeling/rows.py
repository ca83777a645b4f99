"""Conditions in whole numbers, in which they are judged and penalized exactly.

A coefficient counts as the number that was written: 0.1 is 1/10, and so is what arithmetic makes of it, up to a few
units in the last place. The coefficients of a condition are then whole multiples of one unit; so are all violations.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import lru_cache
from typing import Any

from qiosk.model.constraints.hard_constraints import HardConstraint, to_metadata
from qiosk.modeling.expression import Condition, Expression, Monomial, Sense

EXACT = 2**53
"""Integers below this, and sums of them below it, are exact in float64."""
_FEW_DIGITS, _MANY_DIGITS = 12, 15
_ULPS, _BOUND_ULPS = 4, 1024
_LARGEST_DENOMINATOR = 10**6
_CHANCE = 1e-3
_LARGEST_POWER = 2**40
_ZERO, _ONE = Fraction(0), Fraction(1)


@dataclass(frozen=True, slots=True)
class Row:
    """A condition in units: ``terms`` compared to ``bound``, in integers without a common factor.

    ``unit`` is how much of the condition's expression 1 stands for. The bound of an inequality is the last integer
    that satisfies it; that of an equality is no integer if the condition can never hold.
    """

    terms: Mapping[Monomial, int]
    sense: Sense
    bound: Fraction
    unit: Fraction
    stated: float | None = None  # the bound as it was stated, in the condition's own unit, where it was rounded
    is_one_of: bool = field(init=False, compare=False)  # a sum of distinct bits, compared to 1

    def __post_init__(self) -> None:
        bound, terms = self.bound, self.terms
        is_one = bound.numerator == 1 == bound.denominator and bool(terms)
        is_sum = is_one and {*terms.values()} == {1} == {*map(len, terms)}
        object.__setattr__(self, "is_one_of", is_sum)

    @property
    def magnitude(self) -> int:
        """Largest absolute value of anything that is added up to find the violation."""
        return sum(map(abs, self.terms.values())) + abs(math.ceil(self.bound))

    @property
    def bounds(self) -> tuple[int, int]:
        """A lower and an upper bound of the terms; exact if no variable occurs in two of them."""
        values = self.terms.values()
        return sum(c for c in values if c < 0), sum(c for c in values if c > 0)

    @property
    def expression(self) -> Expression:
        """The terms, in units; exact if their magnitude is below ``EXACT``."""
        return Expression({bits: float(c) for bits, c in self.terms.items()})

    def violation(self, bits: Mapping[int, int]) -> int:
        """By how many units the condition is violated, exactly, and rounded up; 0 if it holds."""
        value = sum(c for some, c in self.terms.items() if all(bits[i] for i in some))
        over, under = value - math.floor(self.bound), math.ceil(self.bound) - value
        match self.sense:
            case Sense.EQUAL:
                return max(over, under)
            case Sense.AT_MOST:
                return max(0, over)
            case Sense.AT_LEAST:
                return max(0, under)


def hard_constraints(rows: Mapping[str, Row]) -> dict[str, Any]:
    """What the metadata of a problem says of conditions by name, whose bounds are integers."""
    return to_metadata(
        HardConstraint(
            name,
            [(c, bits) for bits, c in row.terms.items()],
            str(row.sense),
            int(row.bound),
            float(row.unit),
            row.stated,
        )
        for name, row in rows.items()
        if row.terms
    )


def row_of(condition: Condition) -> Row | None:
    """The condition in whole numbers; None if its coefficients are multiples of no unit that float64 resolves."""
    given, bound = condition.expression.terms, condition.bound
    if bound in (0.0, 1.0) and {*given.values()} <= {1.0}:  # as most rows of models with very many
        return Row(dict.fromkeys(given, 1), condition.sense, _ONE if bound else _ZERO, _ONE)
    fractions = _fractions(given)
    if fractions is None:
        return None
    scale = math.lcm(*(c.denominator for c in fractions.values()))
    whole = {bits: c.numerator * (scale // c.denominator) for bits, c in fractions.items()}
    divisor = math.gcd(*whole.values()) or 1
    unit = Fraction(divisor, scale)
    exact = _in_units(condition, unit)
    stated = None if float(exact * unit) == bound else float(bound)
    row = Row({bits: c // divisor for bits, c in whole.items()}, condition.sense, exact, unit, stated)
    return row if row.magnitude < EXACT else None


def _in_units(condition: Condition, unit: Fraction) -> Fraction:
    """The bound in units: of an inequality the last integer that satisfies it.

    A bound of many digits was computed in float64, and counts as the multiple of the unit that is next to it, up to
    rounding errors.
    """
    given = float(condition.bound)
    found = rational(given)
    bound = (Fraction(given) if found is None else found) / unit
    if _digits(given) > _FEW_DIGITS:
        largest = max(map(abs, [given, *condition.expression.terms.values()]))
        if abs(bound - round(bound)) * unit <= _BOUND_ULPS * Fraction(math.ulp(largest)):
            bound = Fraction(round(bound))
    match condition.sense:
        case Sense.EQUAL:
            return bound
        case Sense.AT_MOST:
            return Fraction(math.floor(bound))
        case Sense.AT_LEAST:
            return Fraction(math.ceil(bound))


def _fractions(terms: Mapping[Monomial, float]) -> dict[Monomial, Fraction] | None:
    found: dict[Monomial, Fraction] = {}
    for bits, c in terms.items():
        fraction = rational(c)
        if fraction is None:
            return None
        found[bits] = fraction
    return found


@lru_cache(maxsize=1 << 16)
def rational(value: float) -> Fraction | None:
    """The number that was written, or computed from such numbers; None for one like pi, which has no short form.

    Tried are, in this order, decimals of up to 12 digits, fractions so simple that they are a few units in the last
    place off by chance in one case of 1000, decimals of 15 digits, decimals of 14 digits that are a few units in the
    last place off, and multiples of 2**-40.
    """
    if value.is_integer():
        return Fraction(int(value))
    digits = _digits(value)
    if digits <= _FEW_DIGITS:
        return Fraction(repr(value))
    exact, error = Fraction(value), _ULPS * math.ulp(value)
    simple = exact.limit_denominator(min(_LARGEST_DENOMINATOR, max(1, math.isqrt(int(_CHANCE / (2 * error))))))
    if abs(simple - exact) <= error:
        return simple
    if digits <= _MANY_DIGITS:
        return Fraction(repr(value))
    near = Fraction(f"{value:.{_MANY_DIGITS - 1}g}")
    if abs(near - exact) <= error:
        return near
    return exact if exact.denominator <= _LARGEST_POWER else None


def _digits(value: float) -> int:
    """Decimal digits that identify a float."""
    return len(repr(value).partition("e")[0].replace(".", "").strip("-0"))
