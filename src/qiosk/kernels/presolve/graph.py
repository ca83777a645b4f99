"""A graph of integer couplings that loses spins: edges in doubly linked lists, fields apart, and what was taken out.

The cost is ``constant + sum_i field_i s_i + sum_e weight_e s_u s_v``, all int64. Spin ``n`` is the ghost spin: it is
+1, and an edge to it is a field. So rules treat fields as couplings, and no list is as long as the ghost's would be.

The sum of all sizes of couplings and fields never grows but when all numbers are doubled. So int64 cannot overflow as
long as that sum, times two for every doubling that is allowed, is at most 2**61.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.compiler import UNCOUNTED, called, inlined

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

REMOVED, CONSTANT, DOUBLINGS, MOST_DOUBLINGS, FREE = range(5)
"""Places in ``Graph.counters``: spins taken out; the constant; how often all numbers were doubled, and may be; free
edges."""
RULES = ("degree 0", "degree 1", "degree 2", "degree 3", "dominated", "pair", "fixed")
DOMINATED, PAIR, FIXED = 4, 5, 6
FIRST, STARS, PAIRS = range(3)
"""The queues: spins to look at, those for the rule of degree 3, and those for the pair rule."""


class Graph(NamedTuple):
    """n spins and room for m edges; half-edge ``2 e`` is in the list of one end of edge e, ``2 e + 1`` in that
    of the other."""

    head: I32  # (n,) first half-edge of a spin; -1: none
    after: I32  # (2 m,) next half-edge in the same list; -1: none
    before: I32  # (2 m,) the previous one; -1: none
    ends: I32  # (2 m,) the spin at the other end
    weights: I64  # (m,) 0: a free edge
    free: I32  # (m,) free edges
    degree: I32  # (n,) edges of a spin, the field apart
    fields: I64  # (n,)
    totals: I64  # (n,) sum of the sizes of a spin's couplings and its field
    is_left: NDArray[np.bool_]  # (n,)
    removed: I32  # (n,) spins in the order in which they were taken out
    partners: I32  # (n, 3) what the value of a removed spin depends on; -1: none
    couplings: I64  # (n, 3) a removed spin is -sign(sum_k coupling_k s_k)
    counters: I64  # (5,)
    counts: I64  # (7,) spins that each rule took out
    queues: I32  # (3, n) spins that wait; the last is next
    lengths: I64  # (3,) of the queues
    is_queued: NDArray[np.bool_]  # (3, n)
    scanned: I64  # (n,) the total of a spin of many edges when these were last compared with it
    marks: I64  # (n,) zeros, for the time of one call


@inlined(**UNCOUNTED)
def link(g: Any, half: Any, spin: Any) -> None:
    """Put a half-edge at the front of a spin's list."""
    first = g.head[spin]
    g.after[half], g.before[half] = first, -1
    if first >= 0:
        g.before[first] = half
    g.head[spin] = half
    g.degree[spin] += 1


@inlined(**UNCOUNTED)
def unlink(g: Any, half: Any, spin: Any) -> None:
    """Take a half-edge out of a spin's list."""
    after, before = g.after[half], g.before[half]
    if before >= 0:
        g.after[before] = after
    else:
        g.head[spin] = after
    if after >= 0:
        g.before[after] = before
    g.degree[spin] -= 1


@inlined(**UNCOUNTED)
def remove_edge(g: Any, edge: Any) -> None:
    """Remove an edge from both lists; it is free then."""
    size = abs(g.weights[edge])
    for half in (2 * edge, 2 * edge + 1):
        spin = g.ends[half ^ 1]
        unlink(g, half, spin)
        g.totals[spin] -= size
    g.weights[edge] = 0
    g.free[g.counters[FREE]] = edge
    g.counters[FREE] += 1


@inlined(**UNCOUNTED)
def find_edge(g: Any, u: Any, v: Any) -> Any:
    """The edge between two spins, -1 if there is none; takes as long as the shorter of their lists."""
    if g.degree[u] > g.degree[v]:
        u, v = v, u
    half = g.head[u]
    while half >= 0:
        if g.ends[half] == v:
            return half >> 1
        half = g.after[half]
    return np.int32(-1)


@inlined(**UNCOUNTED)
def add_coupling(g: Any, u: Any, v: Any, weight: Any) -> None:
    """Add to the coupling of two different spins, one of which may be the ghost."""
    n = g.head.size
    if weight == 0:
        return
    if u == n or v == n:
        spin = v if u == n else u
        old = g.fields[spin]
        g.fields[spin] = old + weight
        g.totals[spin] += abs(old + weight) - abs(old)
        return
    edge = find_edge(g, u, v)
    if edge < 0:
        g.counters[FREE] -= 1
        edge = g.free[g.counters[FREE]]
        g.ends[2 * edge], g.ends[2 * edge + 1] = v, u
        g.weights[edge] = weight
        link(g, 2 * edge, u)
        link(g, 2 * edge + 1, v)
        g.totals[u] += abs(weight)
        g.totals[v] += abs(weight)
        return
    old = g.weights[edge]
    if old + weight == 0:
        remove_edge(g, edge)
        return
    g.weights[edge] = old + weight
    g.totals[u] += abs(old + weight) - abs(old)
    g.totals[v] += abs(old + weight) - abs(old)


@inlined(**UNCOUNTED)
def push(g: Any, queue: Any, spin: Any) -> None:
    """Put a spin that is left at the end of a queue, unless it is in it."""
    if spin == g.head.size or not g.is_left[spin] or g.is_queued[queue, spin]:
        return
    g.is_queued[queue, spin] = True
    g.queues[queue, g.lengths[queue]] = spin
    g.lengths[queue] += 1


@inlined(**UNCOUNTED)
def pop(g: Any, queue: Any) -> Any:
    """Take the spin that came last into a queue that is not empty: its neighbours are in the cache."""
    g.lengths[queue] -= 1
    spin = g.queues[queue, g.lengths[queue]]
    g.is_queued[queue, spin] = False
    return spin


@called(**UNCOUNTED)
def double(g: Any) -> Any:
    """Double all numbers, so that halves are whole; False, and nothing done, if int64 has no room."""
    if g.counters[DOUBLINGS] == g.counters[MOST_DOUBLINGS]:
        return False
    g.counters[DOUBLINGS] += 1
    g.counters[CONSTANT] *= 2
    for edge in range(g.weights.size):
        g.weights[edge] *= 2
    for spin in range(g.head.size):
        g.fields[spin] *= 2
        g.totals[spin] *= 2
        g.scanned[spin] = min(g.scanned[spin], np.int64(1) << 61) * 2
    return True


@inlined(**UNCOUNTED)
def record(g: Any, spin: Any, rule: Any) -> Any:
    """Note that a spin is taken out; returns its place in the records."""
    place = g.counters[REMOVED]
    g.removed[place] = spin
    g.counters[REMOVED] += 1
    g.counts[rule] += 1
    g.is_left[spin] = False
    return place


@called(**UNCOUNTED)
def merge(g: Any, spin: Any, other: Any, sign: Any, rule: Any) -> None:
    """Put ``sign`` times the value of another spin, or of the ghost, for a spin."""
    n = g.head.size
    place = record(g, spin, rule)
    g.partners[place, 0], g.couplings[place, 0] = other, -sign
    half = g.head[spin]
    while half >= 0:
        after, neighbour, weight = g.after[half], g.ends[half], g.weights[half >> 1]
        remove_edge(g, half >> 1)
        if neighbour == other:
            g.counters[CONSTANT] += sign * weight
        else:
            add_coupling(g, other, neighbour, sign * weight)
            push(g, FIRST, neighbour)
        half = after
    if other == n:
        g.counters[CONSTANT] += sign * g.fields[spin]
    else:
        add_coupling(g, other, n, sign * g.fields[spin])
    g.fields[spin] = 0
    push(g, FIRST, other)
