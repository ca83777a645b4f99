"""Automatic weights of penalties, large enough that violating a constraint costs more than it can gain.

Without constraints "exactly one of these bits", the weight is slightly greater than the largest change of the objective
by one flip (after A. Verma and M. Lewis, Discrete Optim. 44, 100594 (2022), doi:10.1016/j.disopt.2020.100594). For
tours, assignments and schedules this is much too large: there, a bit has terms with all bits of a group, of which only
one is 1. And with weights that are too large, searches get stuck. Therefore

- of all terms between a bit and one group, only the largest counts;
- a bit that is set to 0 violates all of its "exactly one" constraints at once, so its gain is divided by their number;
- a bit that is set to 1 in addition to others may also gain from pairs of such bits, so its gain counts 1.5 times, but
  never more than all of its terms.

These reductions do not apply to bits that occur in other constraints as well, because many groups together may gain
from violating one of those by a single unit. Finally, setting one bit of a group to 0 and another one to 1 violates
other constraints only; the weight is at least the gain of such a move.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from qiosk.model.cost_function import F64, I64
from qiosk.modeling.expression import Expression, Sense
from qiosk.modeling.rows import Row

_PAIRS_OF_EXTRAS = 1.5
"""With r bits of each group set to 1, pairs gain up to (r² - 1) / 2 and penalties cost (r - 1)²: worst at r = 2."""
_DIGITS = 10


def automatic_weight(objective: Expression, rows: Iterable[Row] = ()) -> float:
    """Slightly more than violating a constraint by one unit can gain; 1 if the objective is constant.

    It has few digits, so that its products with integers are exact.
    """
    wanted = list(rows)
    one_of = [row for row in wanted if row.is_one_of and len(row.terms) > 1]
    exact = [_bits(row) for row in one_of if row.sense is Sense.EQUAL]
    at_most = [_bits(row) for row in one_of if row.sense is Sense.AT_MOST]
    shared = {bit for r in wanted if not r.is_one_of and len(r.terms) > 1 for bits in r.terms for bit in bits}
    home = _disjoint([*exact, *at_most], shared)
    terms = _Terms.of(objective, home)
    off, on = terms.gains(1.0, 1.0), terms.gains(-1.0, 1.0)
    extra = terms.gains(-1.0, _PAIRS_OF_EXTRAS)
    times = Counter(bit for group in exact for bit in group if bit not in shared)
    gains = [gain / max(1, times[bit]) for some in (off, extra) for bit, gain in some.items()]
    gains += _moves(exact, off, on, times, wanted)
    largest = max(gains, default=0.0)
    if largest == 0:
        return 1.0
    return round_up(largest + 1.0 if objective.is_integral else 1.1 * largest)


def round_up(weight: float) -> float:
    """The least number of 10 binary digits that is not below a weight, so that multiples of it are exact."""
    mantissa, exponent = math.frexp(weight)
    return math.ldexp(math.ceil(math.ldexp(mantissa, _DIGITS)), exponent - _DIGITS)


def _bits(row: Row) -> Sequence[int]:
    return [bits[0] for bits in row.terms]


def _disjoint(groups: Sequence[Sequence[int]], shared: Container[int]) -> Mapping[int, int]:
    """For each bit the longest group that contains it; bits that are ``shared`` with other constraints have none."""
    home: dict[int, int] = {}
    for number in sorted(range(len(groups)), key=lambda k: -len(groups[k])):
        for bit in groups[number]:
            if bit not in shared:
                home.setdefault(bit, number)
    return home


@dataclass(frozen=True, slots=True)
class _Terms:
    """The terms of an objective at each of their bits: ``bits`` (E,), another bit of the term or -1, coefficients.

    ``groups`` (E,) are those of the other bit: its number from 0 on; below 0 where it is in none, one for each bit.
    """

    bits: I64
    others: I64
    groups: I64
    coefficients: F64

    @classmethod
    def of(cls, objective: Expression, home: Mapping[int, int]) -> _Terms:
        """Those of an objective whose bits have these groups."""
        given = {some: c for some, c in objective.terms.items() if some}
        sizes = np.fromiter(map(len, given), np.int64, len(given))
        bits = np.fromiter(chain.from_iterable(given), np.int64, int(sizes.sum()))
        begins = np.repeat(np.cumsum(sizes) - sizes, sizes)
        is_first = begins == np.arange(len(bits))
        others = bits[np.where(is_first, np.minimum(begins + 1, len(bits) - 1), begins)]
        others[np.repeat(sizes, sizes) == 1] = -1
        group_of = -2 - np.arange(int(bits.max(initial=-1)) + 2)
        group_of[-1] = -1  # of no other bit
        for bit, group in home.items():
            if bit < len(group_of) - 1:
                group_of[bit] = group
        coefficients = np.fromiter(given.values(), np.float64, len(given))
        return cls(bits, others, group_of[others], np.repeat(coefficients, sizes))

    def gains(self, sign: float, factor: float) -> dict[int, float]:
        """Each bit's terms of a sign, added up: the largest per group, times ``factor``; at most their full sum."""
        is_counted = sign * self.coefficients > 0
        bits, others, groups = self.bits[is_counted], self.others[is_counted], self.groups[is_counted]
        sizes = np.abs(self.coefficients[is_counted])
        if len(bits) == 0:
            return {}
        plain = np.bincount(bits, sizes)
        order = np.lexsort((others, groups, bits))
        bits, others, groups, sizes = bits[order], others[order], groups[order], sizes[order]
        is_new = _changes(bits) | _changes(groups)
        of_pairs = np.flatnonzero(is_new | _changes(others))
        of_groups = np.flatnonzero(is_new[of_pairs])
        largest = np.maximum.reduceat(np.add.reduceat(sizes, of_pairs), of_groups)
        gains = np.minimum(plain, factor * np.bincount(bits[of_pairs][of_groups], largest, minlength=len(plain)))
        return {bit: float(gains[bit]) for bit in np.flatnonzero(plain).tolist()}


def _changes(values: I64) -> NDArray[np.bool_]:
    """Whether each value differs from the one before it."""
    return np.concatenate([[True], values[1:] != values[:-1]])


def _moves(
    exact: Sequence[Sequence[int]],
    off: Mapping[int, float],
    on: Mapping[int, float],
    times: Mapping[int, int],
    rows: Sequence[Row],
) -> list[float]:
    """The gain of setting one bit of a group to 0 and another to 1, per condition that this violates."""
    uses = Counter(bit for row in rows if not row.is_one_of for bit in {bit for bits in row.terms for bit in bits})
    uses.update(bits[0] for row in rows if row.is_one_of for bits in row.terms)
    moves = []
    for group in exact:
        gain = max(off.get(bit, 0.0) for bit in group) + max(on.get(bit, 0.0) for bit in group)
        if all(times[bit] > 1 for bit in group):
            moves.append(gain / 2)
        elif any(uses[bit] > 1 for bit in group):
            moves.append(gain)
    return moves
