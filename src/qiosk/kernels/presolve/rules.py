"""The rules, and the loop that applies them until none does.

- A spin of at most three neighbours, the ghost among them, is minimized out: the least of ``s (x a + y b + z c)`` is an
  even function of three spins, which is a constant and three couplings (the star-triangle rule).
- Where one coupling of a spin is at least the sum of the sizes of its others, the two spins are equal or opposite in an
  optimum: they are merged. A field as large fixes the spin.
- Two neighbours are merged where twice their coupling is at least the most that all others can gain if the product of
  the two has the other sign.

Strict rules drop no optimum: they merge only where the coupling is larger, not as large.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import UNCOUNTED, called, inlined, uncounted_kernel
from qiosk.kernels.presolve.graph import (
    CONSTANT,
    DOMINATED,
    FIRST,
    FIXED,
    PAIR,
    PAIRS,
    REMOVED,
    STARS,
    add_coupling,
    double,
    link,
    merge,
    pop,
    push,
    record,
    remove_edge,
)

HUB_DEGREE = 64
"""Edges from which a spin's own are compared with its total only once that has halved; its neighbours compare theirs
with it whenever they are looked at."""
PAIR_DEGREE = 16
"""Edges of a spin up to which the pair rule is tried."""


@called(**UNCOUNTED)
def _eliminate(g: Any, spin: Any) -> Any:
    """Minimize out a spin of at most three neighbours; False, and nothing done, if int64 has no room."""
    n = g.head.size
    others, x = g.partners[g.counters[REMOVED]], g.couplings[g.counters[REMOVED]]
    k, half = 0, g.head[spin]
    while half >= 0:
        others[k], x[k] = g.ends[half], g.weights[half >> 1]
        k, half = k + 1, g.after[half]
    if g.fields[spin] != 0:
        others[k], x[k] = n, g.fields[spin]
        k += 1
    if k == 3 and (x[0] + x[1] + x[2]) % 2 != 0:
        if not double(g):
            for q in range(3):
                others[q], x[q] = -1, 0
            return False
        for q in range(3):
            x[q] *= 2
    record(g, spin, k)
    while g.head[spin] >= 0:
        remove_edge(g, g.head[spin] >> 1)
    g.fields[spin] = 0
    # values of |x0 s0 + x1 s1 + x2 s2| where all are +1, and where spin 2, 1 or 0 alone is -1
    f, f2 = abs(x[0] + x[1] + x[2]), abs(x[0] + x[1] - x[2])
    f1, f0 = abs(x[0] - x[1] + x[2]), abs(-x[0] + x[1] + x[2])
    g.counters[CONSTANT] -= (f + f2 + f1 + f0) // 4
    if k >= 2:
        add_coupling(g, others[0], others[1], -((f + f2 - f1 - f0) // 4))
    if k == 3:
        add_coupling(g, others[0], others[2], -((f - f2 + f1 - f0) // 4))
        add_coupling(g, others[1], others[2], -((f - f2 - f1 + f0) // 4))
    for q in range(k):
        push(g, FIRST, others[q])
    return True


@inlined(**UNCOUNTED)
def _dominates(size: Any, total: Any, is_strict: Any) -> Any:
    """Whether one of the numbers that add up to ``total`` is at least as large as the others, or larger."""
    return 2 * size > total or (2 * size == total and not is_strict)


@called(**UNCOUNTED)
def _merge_neighbours(g: Any, u: Any, v: Any, weight: Any, rule: Any) -> None:
    """Merge two spins of a coupling that decides; the one of fewer edges goes."""
    sign = -1 if weight > 0 else 1
    if g.degree[u] > g.degree[v]:
        merge(g, v, u, sign, rule)
    else:
        merge(g, u, v, sign, rule)


@called(**UNCOUNTED)
def _try_dominated(g: Any, spin: Any, is_strict: Any) -> Any:
    """Merge a spin by its field or one of its edges, if one dominates it or the spin at the other end."""
    total, field = g.totals[spin], g.fields[spin]
    if field != 0 and _dominates(abs(field), total, is_strict):
        merge(g, spin, g.head.size, -1 if field > 0 else 1, FIXED)
        return True
    if g.degree[spin] > HUB_DEGREE:
        if 2 * total > g.scanned[spin]:
            return False
        g.scanned[spin] = total
    half = g.head[spin]
    while half >= 0:
        other, weight = g.ends[half], g.weights[half >> 1]
        if _dominates(abs(weight), min(total, g.totals[other]), is_strict):
            _merge_neighbours(g, spin, other, weight, DOMINATED)
            return True
        half = g.after[half]
    return False


@inlined(**UNCOUNTED)
def _outside(g: Any, spin: Any, other: Any, weight: Any) -> Any:
    """The most that all others gain if the product of two spins has the sign that their coupling is against.

    Needs the spin's couplings in ``g.marks``.
    """
    p = -1 if weight > 0 else 1
    most = g.totals[spin] + g.totals[other] - 2 * abs(weight)
    x, y = g.fields[spin], g.fields[other]
    most += abs(x - p * y) - abs(x) - abs(y)
    half = g.head[other]
    while half >= 0:
        x, y = g.marks[g.ends[half]], g.weights[half >> 1]
        most += abs(x - p * y) - abs(x) - abs(y)
        half = g.after[half]
    return most


@called(**UNCOUNTED)
def _try_pair(g: Any, spin: Any, is_strict: Any) -> Any:
    """Merge a spin and a neighbour by what both together are to the others."""
    half = g.head[spin]
    while half >= 0:
        g.marks[g.ends[half]] = g.weights[half >> 1]
        half = g.after[half]
    found, half = np.int64(-1), g.head[spin]
    while half >= 0 and found < 0:
        other, weight = g.ends[half], g.weights[half >> 1]
        if g.degree[other] <= HUB_DEGREE:
            most = _outside(g, spin, other, weight)
            if 2 * abs(weight) > most or (2 * abs(weight) == most and not is_strict):
                found = half
        half = g.after[half]
    half = g.head[spin]
    while half >= 0:
        g.marks[g.ends[half]] = 0
        half = g.after[half]
    if found >= 0:
        _merge_neighbours(g, spin, g.ends[found], g.weights[found >> 1], PAIR)
    return found >= 0


@cache
def rules() -> Any:
    """``apply(graph, is_strict, steps) -> is_done``: looks at ``steps`` spins, or until no rule applies.

    graph: a ``Graph``, updated. is_strict: drop no optimum.
    """

    @uncounted_kernel
    def apply(g: Any, is_strict: Any, steps: Any) -> Any:
        for _ in range(steps):
            if g.lengths[FIRST] > 0:
                spin = pop(g, FIRST)
                if not g.is_left[spin]:
                    continue
                neighbours = g.degree[spin] + (1 if g.fields[spin] != 0 else 0)
                if neighbours <= 2:
                    _eliminate(g, spin)
                elif not _try_dominated(g, spin, is_strict):
                    push(g, STARS if neighbours == 3 else PAIRS, spin)
            elif g.lengths[STARS] > 0:
                spin = pop(g, STARS)
                neighbours = g.degree[spin] + (1 if g.fields[spin] != 0 else 0)
                if g.is_left[spin] and neighbours == 3 and not _eliminate(g, spin):
                    push(g, PAIRS, spin)
            elif g.lengths[PAIRS] > 0:
                spin = pop(g, PAIRS)
                if g.is_left[spin] and g.degree[spin] <= PAIR_DEGREE:
                    _try_pair(g, spin, is_strict)
            else:
                return True
        return False

    return apply


@cache
def link_all() -> Any:
    """``link_all(graph)``: puts all edges, whose ends and weights are set, into the lists of their spins."""

    @uncounted_kernel
    def link_edges(g: Any) -> None:
        for spin in range(g.head.size):
            g.totals[spin] += abs(g.fields[spin])
        for edge in range(g.weights.size - 1, -1, -1):
            for half in (2 * edge, 2 * edge + 1):
                spin = g.ends[half ^ 1]
                link(g, half, spin)
                g.totals[spin] += abs(g.weights[edge])

    return link_edges
