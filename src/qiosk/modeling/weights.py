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
from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence

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
    off, on = _gains(objective, home, 1.0), _gains(-objective, home, 1.0)
    extra = _gains(-objective, home, _PAIRS_OF_EXTRAS)
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


def _gains(objective: Expression, home: Mapping[int, int], factor: float) -> dict[int, float]:
    """Each bit's positive terms, added up: only the largest per group, times ``factor``; at most their full sum."""
    plain: dict[int, float] = defaultdict(float)
    reached: dict[int, dict[tuple[int, int], float]] = defaultdict(lambda: defaultdict(float))
    for bits, c in objective.terms.items():
        if c <= 0:
            continue
        for bit in bits:
            plain[bit] += c
            other = next((k for k in bits if k != bit), -1)
            reached[bit][home.get(other, -1 - other), other] += c
    gains: dict[int, float] = {}
    for bit, some in reached.items():
        greatest: dict[int, float] = defaultdict(float)
        for (group, _), c in some.items():
            greatest[group] = max(greatest[group], c)
        gains[bit] = min(plain[bit], factor * sum(greatest.values()))
    return gains


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
