"""Penalties of conditions: costs that make solutions which violate a condition worse than those which do not.

They count in the units of :mod:`qiosk.modeling.rows`, so that the least violation costs 1, whatever the coefficients.

An equality becomes the square of its difference. An inequality gets slack bits that turn it into an equality. Three
kinds need no slack: if at most one of several bits may be 1, the products of all pairs; if the bound is the least or
the greatest value there is, the difference from it; for one or two bits the polynomial that has the squared violations.
The module ``assembly`` adds penalties up, and ``weights`` chooses their weights.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from qiosk.errors import InvalidValue
from qiosk.modeling.expression import Condition, Expression, Sense
from qiosk.modeling.penalties.reduction import reduced
from qiosk.modeling.rows import EXACT, Row, row_of
from qiosk.modeling.variables import bounded_weights


@dataclass(frozen=True, slots=True)
class Penalty:
    """A cost that is 0 if a condition holds (with the best slack) and at least 1 otherwise.

    It is the square of ``square``, or the polynomial ``products``; ``least`` is a polynomial with the same zeros and
    smaller coefficients, for which a violation costs at least 1 as well, but not more for larger violations. All
    coefficients are integers, of which sums are exact.
    """

    square: Expression | None = None
    products: Expression | None = None
    least: Expression | None = None


def penalty_for(name: str, row: Row, new_bit: Callable[[], int]) -> Penalty:
    """The penalty of a constraint; ``new_bit`` returns the id of a new slack bit.

    Raises InvalidValue if it can never hold, or if what its penalty adds up is not exact in float64.
    """
    (low, high), bound = row.bounds, int(row.bound)
    if row.sense is Sense.EQUAL and row.bound.denominator != 1:
        raise InvalidValue(f"constraint `{name}`: can never hold, its values are multiples of {row.unit}")
    expression = row.expression
    if row.sense is Sense.AT_LEAST:
        expression, bound, (low, high) = -expression, -bound, (-high, -low)
    is_equality = row.sense is Sense.EQUAL
    if low > bound or (is_equality and high < bound):
        shown = [float(value * row.unit) for value in row.bounds]
        raise InvalidValue(f"constraint `{name}`: can never hold, its values are from {shown[0]:g} to {shown[1]:g}")
    if not is_equality:
        if high <= bound:
            return Penalty()
        if _is_at_most_one(expression, bound):
            return Penalty(products=_pairs(expression))
    if (least := _interpolated(row, 0)) is not None:
        squares = _interpolated(row, 2)
        return Penalty(products=least if squares is None else squares, least=least)
    if low == bound:
        return Penalty(products=expression - bound, least=_apart(expression))
    if is_equality and high == bound:
        return Penalty(products=bound - expression, least=_apart(-expression))
    if not is_equality:
        if (smaller := reduced(row)) is not row:
            return penalty_for(name, smaller, new_bit)
        expression = expression + Expression({(new_bit(),): weight for weight in bounded_weights(bound - low)})
    difference = expression - bound
    if magnitude(difference) >= EXACT:
        raise _too_fine(name)
    return Penalty(square=difference)


def exact_row(name: str, condition: Condition) -> Row:
    """The condition in whole numbers. Raises InvalidValue if there are none that float64 resolves."""
    row = row_of(condition)
    if row is None:
        raise _too_fine(name)
    return row


def check_exact(objective: Expression) -> None:
    """Raise InvalidValue if the objective has integers alone, each of them exact in float64, but not their sums."""
    sizes = [abs(int(c)) for c in objective.terms.values() if c.is_integer()]
    if len(sizes) == len(objective.terms) and max(sizes, default=0) <= EXACT:
        units = sum(sizes) // (math.gcd(*sizes) or 1)
        if units >= EXACT:
            raise InvalidValue(
                f"objective: sums of its integers must be exact, and so below 2**53 times their common factor, "
                f"found up to {units} times"
            )


def _too_fine(name: str) -> InvalidValue:
    return InvalidValue(
        f"constraint `{name}`: coefficients must be multiples of one unit such as 0.01, and together less than 2**53 "
        "of it, so that sums of them are exact; round them first"
    )


def _is_at_most_one(expression: Expression, bound: float) -> bool:
    return bound == 1 and expression.degree == 1 and all(c == 1 for c in expression.terms.values())


def _interpolated(row: Row, power: int) -> Expression | None:
    """The violations of a row of one or two bits to a power, or 1 for 0, exactly, as a polynomial.

    None for more bits, or beyond 2**53.
    """
    bits = sorted({bit for some in row.terms for bit in some})
    if not 1 <= len(bits) <= 2:
        return None
    found = {some: row.violation(dict.fromkeys(bits, 0) | dict.fromkeys(some, 1)) for some in _subsets(bits)}
    costs = {some: violation**power if violation else 0 for some, violation in found.items()}
    if max(costs.values()) >= EXACT // 8:
        return None
    terms = {
        some: float(sum((-1) ** (len(some) - len(part)) * costs[part] for part in _subsets(some))) for some in costs
    }
    return Expression({some: c for some, c in terms.items() if c})


def _apart(expression: Expression) -> Expression:
    """How many terms of an expression differ from what they are where it has its least value."""
    signs = {some: math.copysign(1.0, c) for some, c in expression.terms.items()}
    return Expression(signs) + sum(sign < 0 for sign in signs.values())


def _subsets(bits: Sequence[int]) -> list[tuple[int, ...]]:
    return [some for size in range(len(bits) + 1) for some in combinations(bits, size)]


def _pairs(expression: Expression) -> Expression:
    bits = sorted(bit for (bit,) in expression.terms)
    return Expression(dict.fromkeys(combinations(bits, 2), 1.0))


def magnitude(expression: Expression) -> float:
    """The sum of the absolute values of all coefficients."""
    return sum(map(abs, expression.terms.values()))


def one_hot_groups(rows: Iterable[Row]) -> list[tuple[list[int], bool]]:
    """The bits of which constraints allow exactly one (True), or at most one (False), to be set.

    Of the latter only those that searches can use: not where a bit is in more than two groups, as in the many pairs
    that exclude each other in colourings and schedules.
    """
    one_of = [row for row in rows if row.is_one_of and row.sense is not Sense.AT_LEAST]
    groups = [([bits[0] for bits in row.terms], row.sense is Sense.EQUAL) for row in one_of]
    times = Counter(bit for bits, _ in groups for bit in bits)
    return [(bits, is_exact) for bits, is_exact in groups if is_exact or max(times[bit] for bit in bits) <= 2]


def are_kept_by_moves(rows: Iterable[Row]) -> bool:
    """Whether all constraints are groups that share no bit, or groups of exactly one that cross as rows and columns."""
    every = list(rows)
    groups = one_hot_groups(every)
    times = Counter(bit for bits, _ in groups for bit in bits)
    most = 2 if all(is_exact for _, is_exact in groups) else 1
    return len(groups) == len(every) and max(times.values(), default=0) <= most
