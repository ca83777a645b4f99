"""Penalties of conditions: costs that make solutions which violate a condition worse than those which do not.

A linear equality becomes the square of its difference, kept as one squared linear combination. An inequality gets
slack bits that turn it into an equality. If it allows at most one of several bits to be 1, the products of all pairs
are used instead, without slack. The module ``weights`` chooses the weights of penalties.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

from qiosk.errors import InvalidValue
from qiosk.modeling.expression import Condition, Expression, Sense, total
from qiosk.modeling.variables import bounded_weights

MAX_DENOMINATOR = 10**6
"""Largest common denominator of the coefficients of an inequality."""
MAX_SLACK_UNITS = 2**40
"""Largest difference between the bound of an inequality and the least value of its expression."""


@dataclass(frozen=True, slots=True)
class Penalty:
    """A cost that is 0 if a condition holds (with the best slack) and at least 1 otherwise.

    ``squares`` are linear expressions to be squared and added up, ``products`` is a polynomial to be added.
    """

    squares: tuple[Expression, ...] = ()
    products: Expression | None = None


def penalty_for(name: str, condition: Condition, new_bit: Callable[[], int]) -> Penalty:
    """The penalty of a condition; ``new_bit`` returns the id of a new slack bit.

    Raises InvalidValue if the condition can never hold, or if the coefficients of an inequality have no common
    denominator up to ``MAX_DENOMINATOR``.
    """
    expression, bound = _integral(name, condition)
    low, high = expression.bounds
    if condition.sense is Sense.AT_LEAST:
        expression, bound, (low, high) = -expression, -bound, (-high, -low)
    is_equality = condition.sense is Sense.EQUAL
    if low > bound or (is_equality and high < bound):
        raise InvalidValue(f"constraint `{name}`: can never hold, its values are from {low:g} to {high:g}")
    if not is_equality:
        if high <= bound:
            return Penalty()
        if _is_at_most_one(expression, bound):
            return Penalty(products=_pairs(expression))
        expression = expression + _slack(name, int(bound - low), new_bit)
    difference = expression - bound
    if difference.degree > 1:
        return Penalty(products=difference * difference)
    return Penalty(squares=(difference,))


def _integral(name: str, condition: Condition) -> tuple[Expression, float]:
    """The condition with integer coefficients, so that a violation is at least 1.

    An equality whose coefficients have no common denominator is returned unchanged, because it needs no slack.
    """
    scale = _common_denominator(condition.expression)
    if scale is None:
        if condition.sense is Sense.EQUAL:
            return condition.expression, condition.bound
        raise InvalidValue(
            f"constraint `{name}`: coefficients must be multiples of one fraction such as 0.01, because slack"
            " bits count in that unit; round them first"
        )
    whole = {bits: round(c * scale) for bits, c in condition.expression.terms.items()}
    divisor = math.gcd(*whole.values()) or 1
    terms = {bits: float(c // divisor) for bits, c in whole.items()}
    bound = round(condition.bound * scale / divisor, 9)
    if condition.sense is Sense.EQUAL and not float(bound).is_integer():
        unit = Fraction(divisor, scale)
        raise InvalidValue(f"constraint `{name}`: can never hold, its values are multiples of {unit}")
    rounded = math.ceil(bound) if condition.sense is Sense.AT_LEAST else math.floor(bound)
    return Expression(terms), float(rounded)


def _common_denominator(expression: Expression) -> int | None:
    """The smallest factor that makes all coefficients integers; None if it is above ``MAX_DENOMINATOR``."""
    scale = 1
    for c in expression.terms.values():
        fraction = Fraction(c).limit_denominator(MAX_DENOMINATOR)
        scale = math.lcm(scale, fraction.denominator)
        if scale > MAX_DENOMINATOR or abs(float(fraction) - c) > 1e-14 * max(1.0, abs(c)):
            return None
    return scale


def _is_at_most_one(expression: Expression, bound: float) -> bool:
    return bound == 1 and expression.degree == 1 and all(c == 1 for c in expression.terms.values())


def _pairs(expression: Expression) -> Expression:
    bits = sorted(bit for (bit,) in expression.terms)
    return Expression(dict.fromkeys(combinations(bits, 2), 1.0))


def _slack(name: str, span: int, new_bit: Callable[[], int]) -> Expression:
    if span > MAX_SLACK_UNITS:
        raise InvalidValue(
            f"constraint `{name}`: its slack would be up to {span}, at most {MAX_SLACK_UNITS} is allowed"
        )
    return Expression({(new_bit(),): weight for weight in bounded_weights(span)})


def squared(penalty: Penalty) -> Expression:
    """The penalty as one polynomial."""
    parts = [square * square for square in penalty.squares]
    return total(parts if penalty.products is None else [*parts, penalty.products])
