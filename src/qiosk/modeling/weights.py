"""Weights of penalties that are chosen automatically: heavy enough that breaking a constraint does not pay.

Without constraints of the kind "exactly one of these bits" the weight is a little greater than the most that one flip
of a bit can change the objective (after A. Verma and M. Lewis, Discrete Optim. 44, 100594 (2022),
doi:10.1016/j.disopt.2020.100594). That is much too heavy for tours, assignments and schedules, where a bit has terms
with all bits of a group of which only one is 1; and where weights are too heavy, searches get stuck. So

- of the terms that lead to one group, only the greatest counts;
- a bit that is switched off breaks all of its "exactly one" at once, and its gain is shared among them;
- a bit that is switched on beside others may gain from pairs of such bits, too: its gain counts 1.5 times, but never
  more than all of its terms.

None of this holds for bits that are in other constraints, too: many groups together may gain what breaks one of those
by a single unit. Last, one bit of a group may be switched off and another one on, which breaks other constraints alone;
the weight is at least what that can gain.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Container, Iterable, Mapping, Sequence

from qiosk.modeling.expression import Condition, Expression, Sense, bits_of

_PAIRS_OF_EXTRAS = 1.5
"""With r bits of each group 1, pairs gain up to (r² - 1) / 2 where penalties cost (r - 1)²: most at r = 2."""


def automatic_weight(objective: Expression, conditions: Iterable[Condition] = ()) -> float:
    """A little more than breaking a condition by one unit can save; 1 if the objective is constant."""
    wanted = list(conditions)
    exact = [_bits(c) for c in wanted if _is_one_of(c) and c.sense is Sense.EQUAL]
    at_most = [_bits(c) for c in wanted if _is_one_of(c) and c.sense is Sense.AT_MOST]
    others = [c.expression for c in wanted if not _is_one_of(c) and len(c.expression.terms) > 1]
    shared = set(bits_of(others))
    home = _disjoint([*exact, *at_most], shared)
    off, on = _gains(objective, home, 1.0), _gains(-objective, home, 1.0)
    extra = _gains(-objective, home, _PAIRS_OF_EXTRAS)
    times = Counter(bit for group in exact for bit in group if bit not in shared)
    gains = [gain / max(1, times[bit]) for some in (off, extra) for bit, gain in some.items()]
    gains += _moves(exact, off, on, times, wanted)
    largest = max(gains, default=0.0)
    if largest == 0:
        return 1.0
    return largest + 1.0 if objective.is_integral else 1.1 * largest


def _is_one_of(condition: Condition) -> bool:
    """Whether exactly, or at most, one of some bits shall be 1."""
    terms = condition.expression.terms
    return condition.bound == 1 and len(terms) > 1 and all(len(bits) == 1 and c == 1 for bits, c in terms.items())


def _bits(condition: Condition) -> Sequence[int]:
    return [bits[0] for bits in condition.expression.terms]


def _disjoint(groups: Sequence[Sequence[int]], shared: Container[int]) -> Mapping[int, int]:
    """For each bit the longest group that it is in; none for those that are ``shared`` with other constraints."""
    home: dict[int, int] = {}
    for number in sorted(range(len(groups)), key=lambda k: -len(groups[k])):
        for bit in groups[number]:
            if bit not in shared:
                home.setdefault(bit, number)
    return home


def _gains(objective: Expression, home: Mapping[int, int], factor: float) -> dict[int, float]:
    """The most that each bit's positive terms can sum to, ``factor`` times where groups make it less."""
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
    conditions: Sequence[Condition],
) -> list[float]:
    """What switching to another bit of a group can gain, for each condition that it breaks."""
    uses = Counter(bit for c in conditions for bit in {bit for bits in c.expression.terms for bit in bits})
    moves = []
    for group in exact:
        gain = max(off.get(bit, 0.0) for bit in group) + max(on.get(bit, 0.0) for bit in group)
        if all(times[bit] > 1 for bit in group):
            moves.append(gain / 2)
        elif any(uses[bit] > 1 for bit in group):
            moves.append(gain)
    return moves
