"""Bounds of the integers of a constrained quadratic model, as tight as its linear constraints make them.

Integers of dimod have an upper bound of 2**53 - 1 unless one was given, and every doubling of a range takes a bit.
"""

from __future__ import annotations

import math
from collections.abc import Hashable
from typing import Any

PASSES = 8
_LARGEST = 2.0**40
"""Beside products beyond this nothing is tightened, because sums with them are rounded."""
_SLACK = 1e-9

_Bounds = dict[Hashable, tuple[float, float]]


def integer_bounds(cqm: Any) -> _Bounds:
    """The bounds of all variables; those of integers are tightened, unless no values are left."""
    given = {label: (float(cqm.lower_bound(label)), float(cqm.upper_bound(label))) for label in cqm.variables}
    integers = {label for label in cqm.variables if cqm.vartype(label).name == "INTEGER"}
    rows: list[tuple[dict[Hashable, float], float]] = []  # sums of products, each at most a bound
    for comparison in cqm.constraints.values():
        left = comparison.lhs
        terms = {label: float(c) for label, c in left.linear.items() if c}
        if left.is_soft() or len(left.quadratic) or not integers & terms.keys():
            continue
        bound = float(comparison.rhs) - float(left.offset)
        if comparison.sense.name in ("Le", "Eq"):
            rows.append((terms, bound))
        if comparison.sense.name in ("Ge", "Eq"):
            rows.append(({label: -c for label, c in terms.items()}, -bound))
    bounds = dict(given)
    for _ in range(PASSES):
        before = dict(bounds)
        for terms, bound in rows:
            _tighten(bounds, integers, terms, bound)
        if bounds == before:
            break
    return {label: bounds[label] if bounds[label][0] <= bounds[label][1] else given[label] for label in given}


def _tighten(bounds: _Bounds, integers: set[Hashable], terms: dict[Hashable, float], bound: float) -> None:
    """Tighten the bounds of each integer by what the least values of the others leave of the bound."""
    least = {label: min(c * bounds[label][0], c * bounds[label][1]) for label, c in terms.items()}
    is_small = {label: abs(value) <= _LARGEST for label, value in least.items()}
    large = [label for label in least if not is_small[label]]
    sum_of_small = math.fsum(value for label, value in least.items() if is_small[label])
    for label, c in terms.items():
        if label not in integers or large not in ([], [label]):
            continue
        rest = sum_of_small - (least[label] if is_small[label] else 0.0)
        low, high = bounds[label]
        end = (bound - rest) / c
        tolerance = _SLACK * max(1.0, abs(end))
        if c > 0:
            bounds[label] = low, min(high, math.floor(end + tolerance))
        else:
            bounds[label] = max(low, math.ceil(end - tolerance)), high
