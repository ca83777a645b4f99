"""By how much a condition may be violated, as variables that an objective can price."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

from qiosk.errors import InvalidValue
from qiosk.modeling.expression import Condition, Expression, Sense
from qiosk.modeling.penalties.conditions import exact_row
from qiosk.modeling.rows import rational


def soften(
    condition: Condition, name: str, integer: Callable[[str, float, float], Expression]
) -> tuple[Expression, Condition]:
    """How much a condition is violated, at least, and the condition that makes it so; ``integer`` adds a variable.

    Raises InvalidValue if the coefficients and the bound are multiples of no unit that float64 resolves.
    """
    unit = _unit(name, condition)
    low, high = condition.expression.bounds
    over, under = (max(0, math.ceil(Fraction(gap) / unit)) for gap in (high - condition.bound, condition.bound - low))
    step = float(unit)
    match condition.sense:
        case Sense.AT_MOST:
            excess = step * integer(name, 0, over)
            return excess, condition.expression - excess <= condition.bound
        case Sense.AT_LEAST:
            excess = step * integer(name, 0, under)
            return excess, condition.expression + excess >= condition.bound
        case Sense.EQUAL:
            above, below = step * integer(f"{name}: over", 0, over), step * integer(f"{name}: under", 0, under)
            return above + below, condition.expression - above + below == condition.bound


def _unit(name: str, condition: Condition) -> Fraction:
    """The largest number of which the coefficients and the bound are multiples."""
    unit, bound = exact_row(name, condition).unit, rational(condition.bound)
    if bound is None:
        raise InvalidValue(f"constraint `{name}`: its bound must be a multiple of a unit such as 0.01; round it first")
    scale = unit.denominator * bound.denominator
    return Fraction(math.gcd(unit.numerator * bound.denominator, bound.numerator * unit.denominator), scale)
