"""Exchanges: two choices of equally many places take each other's, as two free bits of which one is set.

Squares of many bits leave little room for changes of a single choice: where a row is filled, something must go out for
another to come in. Choices of one size that are in squares are a *class*; any two of a class may be exchanged. Besides
the arguments of ``places``: exchanges, the last of ``more``: bounds (K + 1,) int64 of K classes, members (M,) int64
choices.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from qiosk.kernels.compiler import called, inlined
from qiosk.kernels.one_hot.places import beyond, coupling, more_of_swap, partner, swap

NONE = 2**62
"""More than the number of any square."""
LONGEST_CLASS = 256
"""Members up to which a descent tries all pairs of a class; larger classes are left to sweeps and walks."""


@inlined()
def _next(numbers: Any, at: Any, end: Any, least: Any) -> Any:
    """The smaller one of ``least`` and the number that comes next."""
    return min(least, np.int64(numbers[at])) if at < end else least


@called()
def _squares_of_exchange(squares: Any, a: Any, b: Any, c: Any, d: Any, sums: Any) -> Any:
    """What squares gain if places ``c`` and ``d`` are taken instead of ``a`` and ``b``."""
    values, _, by_place, numbers, weights, widths = squares
    at_a, at_b, at_c, at_d = by_place[a], by_place[b], by_place[c], by_place[d]
    end_a, end_b, end_c, end_d = by_place[a + 1], by_place[b + 1], by_place[c + 1], by_place[d + 1]
    gain = 0.0
    while True:  # the squares of a place are in ascending order
        g = _next(numbers, at_a, end_a, NONE)
        g = _next(numbers, at_c, end_c, _next(numbers, at_b, end_b, g))
        g = _next(numbers, at_d, end_d, g)
        if g == NONE:
            return gain
        step = 0.0
        if at_a < end_a and numbers[at_a] == g:
            step -= weights[at_a]
            at_a += 1
        if at_b < end_b and numbers[at_b] == g:
            step -= weights[at_b]
            at_b += 1
        if at_c < end_c and numbers[at_c] == g:
            step += weights[at_c]
            at_c += 1
        if at_d < end_d and numbers[at_d] == g:
            step += weights[at_d]
            at_d += 1
        here, there = beyond(sums[g], widths[g]), beyond(sums[g] + step, widths[g])
        gain += values[g] * (there - here) * (there + here)


@called()
def exchange_gain(tables: Any, i: Any, j: Any, c: Any, d: Any, replica: Any) -> Any:
    """Change of cost if choices ``i`` and ``j`` take places ``c`` and ``d``, of any two choices."""
    taken, fields = replica[0], replica[1]
    a, b = taken[i] + 0, taken[j] + 0
    gain = float(fields[c] - fields[a]) + float(fields[d] - fields[b])
    gain += coupling(tables, a, b) + coupling(tables, c, d) - coupling(tables, c, b) - coupling(tables, a, d)
    if tables[0][1] > 0:
        gain += more_of_swap(tables, a, b, c, d, replica[2], replica[3])
    elif tables[0][2] > 0:
        gain += _squares_of_exchange(tables[4], a, b, c, d, replica[3])
    return gain


@called()
def exchange_downhill(tables: Any, members: Any, size: Any, replica: Any, tolerance: Any) -> Any:
    """Make every exchange of a class that gains more than ``tolerance``, in one pass; returns how many."""
    starts, made = tables[2][0], 0
    for m in range(size):
        for k in range(m + 1, size):
            i, j = members[m], members[k]
            if replica[0][i] - starts[i] != replica[0][j] - starts[j]:
                c, d = partner(starts, i, j, replica[0])
                if exchange_gain(tables, i, j, c, d, replica) < -tolerance:
                    swap(tables, i, j, c, d, replica)
                    made += 1
    return made
