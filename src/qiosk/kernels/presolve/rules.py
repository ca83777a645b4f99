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

from qiosk.kernels.compiler import INTERNAL, called, inlined, uncounted_kernel
from qiosk.kernels.presolve.graph import (
    CONSTANT,
    DOMINATED,
    FIRST,
    FIXED,
    PAIR,
    PAIR_DEGREE,
    PAIRS,
    POOL,
    REMOVED,
    STARS,
    add_coupling,
    add_field,
    double,
    drop_edge,
    fill_lists,
    merge,
    other_end,
    pop,
    push,
    record,
    reserve,
)

LONG = 64
"""Entries of a neighbour's list up to which the pair rule reads it."""


@called(**INTERNAL)
def _eliminate(g: Any, spin: Any) -> Any:
    """Minimize out a spin of at most three neighbours; False, and nothing done, if int64 has no room."""
    ghost = g.start.size
    others, x, edges = g.partners[g.counters[REMOVED]], g.couplings[g.counters[REMOVED]], g.near
    pool, begin = g.counters[POOL], g.start[spin]
    k = 0
    for at in range(begin, begin + g.size[spin]):
        edge = g.pools[pool, at]
        if g.weights[edge] != 0:
            others[k], x[k], edges[k] = other_end(g, edge, spin), g.weights[edge], edge
            k += 1
    degree = k
    if g.fields[spin] != 0:
        others[k], x[k] = ghost, g.fields[spin]
        k += 1
    if k == 3 and (x[0] + x[1] + x[2]) % 2 != 0:
        if not double(g):
            for q in range(3):
                others[q], x[q] = -1, 0
            return False
        for q in range(3):
            x[q] *= 2
    for q in range(degree):
        reserve(g, others[q], 1)
    record(g, spin, k)
    for q in range(degree):
        drop_edge(g, edges[q], others[q])
    # values of |x0 s0 + x1 s1 + x2 s2| where all are +1, and where spin 2, 1 or 0 alone is -1
    f, f2 = abs(x[0] + x[1] + x[2]), abs(x[0] + x[1] - x[2])
    f1, f0 = abs(x[0] - x[1] + x[2]), abs(-x[0] + x[1] + x[2])
    g.counters[CONSTANT] -= (f + f2 + f1 + f0) // 4
    first, second, third = -((f + f2 - f1 - f0) // 4), -((f - f2 - f1 + f0) // 4), -((f - f2 + f1 - f0) // 4)
    # each edge of the spin may become one of the new edges, of the same neighbour
    if degree == 3:
        add_coupling(g, others[0], others[1], first, edges[0])
        add_coupling(g, others[1], others[2], second, edges[1])
        add_coupling(g, others[2], others[0], third, edges[2])
    elif degree == 2:
        add_coupling(g, others[0], others[1], first, edges[0])
        if k == 3:
            add_field(g, others[0], third)
            add_field(g, others[1], second)
    elif k == 2:
        add_field(g, others[0], first)
    for q in range(k):
        push(g, FIRST, others[q])
    return True


@inlined(**INTERNAL)
def _outweighs(size: Any, rest: Any, is_strict: Any) -> Any:
    """Whether a number is at least as large as the rest, or larger."""
    return size > rest or (size == rest and not is_strict)


@called(**INTERNAL)
def _merge_neighbours(g: Any, u: Any, v: Any, weight: Any, rule: Any) -> None:
    """Merge two spins of a coupling that decides; the one of fewer edges goes."""
    sign = -1 if weight > 0 else 1
    if g.degree[u] > g.degree[v]:
        merge(g, v, u, sign, rule)
    else:
        merge(g, u, v, sign, rule)


@called(**INTERNAL)
def _try_dominated(g: Any, spin: Any, is_strict: Any) -> Any:
    """Merge a spin by its field or one of its edges, if that dominates it.

    The neighbours are looked at themselves whenever their totals or couplings change.
    """
    total, field = g.totals[spin], g.fields[spin]
    if field != 0 and _outweighs(abs(field), total - abs(field), is_strict):
        merge(g, spin, g.start.size, -1 if field > 0 else 1, FIXED)
        return True
    if not _outweighs(g.largest[spin], total - g.largest[spin], is_strict):
        return False
    largest, found, degree = np.int64(0), np.int32(-1), 0
    pool, begin = g.counters[POOL], g.start[spin]
    for k in range(begin, begin + g.size[spin]):
        edge = g.pools[pool, k]
        size = abs(g.weights[edge])
        if size != 0:
            g.pools[pool, begin + degree] = edge
            degree += 1
            if size > largest:
                largest, found = size, edge
    g.size[spin] = degree
    g.largest[spin] = largest
    if found < 0 or not _outweighs(largest, total - largest, is_strict):
        return False
    _merge_neighbours(g, spin, other_end(g, found, spin), g.weights[found], DOMINATED)
    return True


@inlined(**INTERNAL)
def _outside(g: Any, spin: Any, other: Any, weight: Any, degree: Any, filter: Any) -> Any:
    """The most that all others gain if the product of two spins has the sign that their coupling is against.

    Needs the spin's neighbours and couplings in ``g.near`` and ``g.sizes``, and one bit in ``filter`` for each.
    """
    p = -1 if weight > 0 else 1
    most = g.totals[spin] + g.totals[other] - 2 * abs(weight)
    x, y = g.fields[spin], g.fields[other]
    most += abs(x - p * y) - abs(x) - abs(y)
    pool, begin = g.counters[POOL], g.start[other]
    for k in range(begin, begin + g.size[other]):
        edge = g.pools[pool, k]
        end = other_end(g, edge, other)
        if filter >> (end & 63) & 1:
            for q in range(degree):
                if g.near[q] == end:
                    x, y = g.sizes[q], g.weights[edge]
                    most += abs(x - p * y) - abs(x) - abs(y)
    return most


@called(**INTERNAL)
def _try_pair(g: Any, spin: Any, is_strict: Any) -> Any:
    """Merge a spin and a neighbour by what both together are to the others."""
    degree, filter = 0, np.int64(0)
    pool, begin = g.counters[POOL], g.start[spin]
    for k in range(begin, begin + g.size[spin]):
        edge = g.pools[pool, k]
        if g.weights[edge] != 0:
            end = other_end(g, edge, spin)
            g.near[degree], g.sizes[degree] = end, g.weights[edge]
            filter |= np.int64(1) << (end & 63)
            degree += 1
    for q in range(degree):
        other, weight = g.near[q], g.sizes[q]
        # what is outside is at least the difference of the totals
        if g.size[other] > LONG or abs(g.totals[spin] - g.totals[other]) > 2 * abs(weight):
            continue
        if _outweighs(2 * abs(weight), _outside(g, spin, other, weight, degree, filter), is_strict):
            _merge_neighbours(g, spin, other, weight, PAIR)
            return True
    return False


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
def make_lists() -> Any:
    """``make(graph)``: sets the lists of all spins, from edges and fields."""

    @uncounted_kernel
    def make(g: Any) -> None:
        fill_lists(g)

    return make
