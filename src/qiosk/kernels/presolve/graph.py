"""A graph of integer couplings that loses spins: edges in records, lists of edges for the spins, fields apart.

The cost is ``constant + sum_i field_i s_i + sum_e weight_e s_u s_v``, all int64. Spin ``n`` is the ghost spin: it is
+1, and an edge to it is a field. So rules treat fields as couplings, and no list is as long as the ghost's would be.

The list of a spin is a part of ``pools[counters[POOL]]``, with room for some more. It may contain edges that were
removed: their weight is 0. An edge that a rule makes is always one that it has just removed, whose entry in the list of
one end is used again. So an entry in the list of a spin that is left is an edge of that spin, or has weight 0.

The sum of all sizes of couplings and fields never grows but when all numbers are doubled. So int64 cannot overflow as
long as that sum, times two for every doubling that is allowed, is at most 2**61.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.compiler import INTERNAL, called, inlined

I32 = NDArray[np.int32]
I64 = NDArray[np.int64]

REMOVED, CONSTANT, DOUBLINGS, MOST_DOUBLINGS, POOL, END = range(6)
"""Places in ``Graph.counters``: spins taken out; the constant; how often all numbers were doubled, and may be; the pool
that is used, and where its free part begins."""
RULES = (
    "degree 0",
    "degree 1",
    "degree 2",
    "degree 3",
    "dominated",
    "pair",
    "fixed",
    "roof duality",
    "twins",
    "eliminated",
)
DOMINATED, PAIR, FIXED, ROOF, TWINS, ELIMINATED = range(4, 10)
FIRST, STARS, PAIRS = range(3)
"""The queues: spins to look at, those for the rule of degree 3, and those for the pair rule."""
SLACK = 2
"""Room for more edges that each list has at first."""
PAIR_DEGREE = 16
"""Edges of a spin up to which the pair rule is tried."""


class Graph(NamedTuple):
    """n spins and m edges. What a rule reads of a spin, or of an edge, is in one line of the cache."""

    rows: I32  # (m,) one end of an edge
    cols: I32  # (m,) the other
    weights: I64  # (m,) 0: removed
    fields: I64  # (n,)
    totals: I64  # (n,) sum of the sizes of a spin's couplings and its field
    largest: I64  # (n,) at least the size of each coupling of a spin
    start: I64  # (n,) where the list of a spin begins
    size: I32  # (n,) entries of the list
    room: I32  # (n,) entries that it has room for
    degree: I32  # (n,) edges of a spin, the field apart
    is_left: NDArray[np.bool_]  # (n,)
    is_queued: NDArray[np.bool_]  # (3, n)
    pools: I32  # (2, p) lists of edges; p >= pool_size(n, m)
    removed: I32  # (n,) spins in the order in which they were taken out
    partners: I32  # (n, 3) what the value of a removed spin depends on; -1: none
    couplings: I64  # (n, 3) a removed spin is -sign(sum_k coupling_k s_k)
    counters: I64  # (6,)
    counts: I64  # (10,) spins that each rule took out
    queues: I32  # (3, n) spins that wait; the last is next
    lengths: I64  # (3,) of the queues
    near: I32  # (16,) neighbours of the spin that the pair rule looks at
    sizes: I64  # (16,) its couplings to them


def pool_size(n: int, m: int) -> int:
    """Room for all lists with some slack, for the longest list twice, and for lists that grow until all are moved."""
    return (2 * m + SLACK * n) + (2 * min(n, m) + 2 * SLACK) + max(n, m)


@inlined(**INTERNAL)
def _compact(g: Any, spin: Any, pool: Any, place: Any) -> None:
    """Move the list of a spin to a place in a pool, without edges that were removed."""
    old, begin = g.counters[POOL], g.start[spin]
    size = 0
    for k in range(begin, begin + g.size[spin]):
        edge = g.pools[old, k]
        if g.weights[edge] != 0:
            g.pools[pool, place + size] = edge
            size += 1
    g.start[spin], g.size[spin] = place, size


@called(**INTERNAL)
def _collect(g: Any) -> None:
    """Move all lists to the other pool, one after the other."""
    pool, end = 1 - g.counters[POOL], np.int64(0)
    for spin in range(g.start.size):
        if g.is_left[spin]:
            _compact(g, spin, pool, end)
            g.room[spin] = g.size[spin] + SLACK
            end += g.room[spin]
    g.counters[POOL], g.counters[END] = pool, end


@called(**INTERNAL)
def reserve(g: Any, spin: Any, more: Any) -> None:
    """Make room for ``more`` entries in the list of a spin. No other function drops entries or moves lists."""
    if g.size[spin] + more <= g.room[spin] and g.size[spin] <= 2 * g.degree[spin] + 8:
        return
    pool = g.counters[POOL]
    _compact(g, spin, pool, g.start[spin])
    if g.size[spin] + more <= g.room[spin]:
        return
    needed = g.size[spin] + more
    wanted = needed + (needed >> 1) + SLACK
    if g.counters[END] + wanted > g.pools.shape[1]:
        _collect(g)
        pool = g.counters[POOL]
        if more <= SLACK:
            return
        wanted = min(wanted, g.pools.shape[1] - g.counters[END])
    _compact(g, spin, pool, g.counters[END])
    g.room[spin] = wanted
    g.counters[END] += wanted


@inlined(**INTERNAL)
def _append(g: Any, spin: Any, edge: Any) -> None:
    """Put an edge into the list of a spin, which has room."""
    g.pools[g.counters[POOL], g.start[spin] + g.size[spin]] = edge
    g.size[spin] += 1


@inlined(**INTERNAL)
def other_end(g: Any, edge: Any, spin: Any) -> Any:
    """The end of an edge that is not the spin."""
    return g.rows[edge] ^ g.cols[edge] ^ spin


@inlined(**INTERNAL)
def find_edge(g: Any, u: Any, v: Any) -> Any:
    """The edge between two spins, -1 if there is none; takes as long as the shorter of their lists."""
    if g.size[u] > g.size[v]:
        u, v = v, u
    pool, begin = g.counters[POOL], g.start[u]
    for k in range(begin, begin + g.size[u]):
        edge = g.pools[pool, k]
        if g.rows[edge] ^ g.cols[edge] ^ u == v and g.weights[edge] != 0:
            return edge
    return np.int32(-1)


@inlined(**INTERNAL)
def add_field(g: Any, spin: Any, field: Any) -> None:
    """Add to the field of a spin."""
    old = g.fields[spin]
    g.fields[spin] = old + field
    g.totals[spin] += abs(old + field) - abs(old)


@inlined(**INTERNAL)
def _resize(g: Any, spin: Any, old: Any, new: Any) -> None:
    """Note at one of its ends that the size of an edge changes; 0: there is, or will be, none."""
    g.totals[spin] += new - old
    g.largest[spin] = max(g.largest[spin], new)
    g.degree[spin] += (1 if new > 0 else 0) - (1 if old > 0 else 0)


@inlined(**INTERNAL)
def drop_edge(g: Any, edge: Any, spin: Any) -> None:
    """Remove an edge of a spin that is taken out; ``spin`` is its other end. Its entries stay in the lists."""
    _resize(g, spin, abs(g.weights[edge]), 0)
    g.weights[edge] = 0


@inlined(**INTERNAL)
def remove_edge(g: Any, edge: Any) -> None:
    """Remove an edge of two spins that may stay. Its entries stay in the lists."""
    _resize(g, g.rows[edge], abs(g.weights[edge]), 0)
    drop_edge(g, edge, g.cols[edge])


@called(**INTERNAL)
def add_coupling(g: Any, u: Any, v: Any, weight: Any, spare: Any) -> None:
    """Add to the coupling of two different spins; if there was none, ``spare`` becomes their edge.

    ``spare`` is a removed edge with an entry in the list of ``u`` and none in that of ``v``, which has room.
    """
    if weight == 0:
        return
    edge = find_edge(g, u, v)
    if edge >= 0:
        old = g.weights[edge]
        g.weights[edge] = old + weight
        _resize(g, u, abs(old), abs(old + weight))
        _resize(g, v, abs(old), abs(old + weight))
        return
    g.rows[spare], g.cols[spare], g.weights[spare] = u, v, weight
    _append(g, v, spare)
    _resize(g, u, 0, abs(weight))
    _resize(g, v, 0, abs(weight))


@inlined(**INTERNAL)
def push(g: Any, queue: Any, spin: Any) -> None:
    """Put a spin that is left at the end of a queue, unless it is in it."""
    if spin == g.start.size or not g.is_left[spin] or g.is_queued[queue, spin]:
        return
    g.is_queued[queue, spin] = True
    g.queues[queue, g.lengths[queue]] = spin
    g.lengths[queue] += 1


@inlined(**INTERNAL)
def pop(g: Any, queue: Any) -> Any:
    """Take the spin that came last into a queue that is not empty: its neighbours are in the cache."""
    g.lengths[queue] -= 1
    spin = g.queues[queue, g.lengths[queue]]
    g.is_queued[queue, spin] = False
    return spin


@called(**INTERNAL)
def double(g: Any) -> Any:
    """Double all numbers, so that halves are whole; False, and nothing done, if int64 has no room."""
    if g.counters[DOUBLINGS] == g.counters[MOST_DOUBLINGS]:
        return False
    g.counters[DOUBLINGS] += 1
    g.counters[CONSTANT] *= 2
    for edge in range(g.weights.size):
        g.weights[edge] *= 2
    for spin in range(g.fields.size):
        g.fields[spin] *= 2
        g.totals[spin] *= 2
        g.largest[spin] *= 2
    return True


@inlined(**INTERNAL)
def record(g: Any, spin: Any, rule: Any) -> Any:
    """Note that a spin is taken out; returns its place in the records."""
    place = g.counters[REMOVED]
    g.removed[place] = spin
    g.counters[REMOVED] += 1
    g.counts[rule] += 1
    g.is_left[spin] = False
    return place


@called(**INTERNAL)
def merge(g: Any, spin: Any, other: Any, sign: Any, rule: Any) -> None:
    """Put ``sign`` times the value of another spin, or of the ghost, for a spin."""
    ghost = g.start.size
    if other != ghost:
        reserve(g, other, g.degree[spin])
    place = record(g, spin, rule)
    g.partners[place, 0], g.couplings[place, 0] = other, -sign
    pool, begin = g.counters[POOL], g.start[spin]
    for k in range(begin, begin + g.size[spin]):
        edge = g.pools[pool, k]
        weight = g.weights[edge]
        if weight == 0:
            continue
        neighbour = other_end(g, edge, spin)
        drop_edge(g, edge, neighbour)
        if neighbour == other:
            g.counters[CONSTANT] += sign * weight
            continue
        if other == ghost:
            add_field(g, neighbour, sign * weight)
        else:
            add_coupling(g, neighbour, other, sign * weight, edge)
        push(g, FIRST, neighbour)
    if other == ghost:
        g.counters[CONSTANT] += sign * g.fields[spin]
        return
    add_field(g, other, sign * g.fields[spin])
    push(g, FIRST, other)


@called(**INTERNAL)
def fill_lists(g: Any) -> None:
    """Set the lists of all spins, and what follows from edges and fields."""
    for edge in range(g.weights.size):
        _resize(g, g.rows[edge], 0, abs(g.weights[edge]))
        _resize(g, g.cols[edge], 0, abs(g.weights[edge]))
    end = np.int64(0)
    for spin in range(g.start.size):
        g.totals[spin] += abs(g.fields[spin])
        g.start[spin], g.room[spin] = end, g.degree[spin] + SLACK
        end += g.room[spin]
    g.counters[END] = end
    for edge in range(g.weights.size):
        _append(g, g.rows[edge], edge)
        _append(g, g.cols[edge], edge)
