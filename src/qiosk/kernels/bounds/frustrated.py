"""Short frustrated cycles: closed walks on which not all couplings of spins can be at their least.

The graph is doubled: node ``2 u + sign`` is vertex u with a sign, and an edge with ``flips`` 1, a positive coupling,
leads to the other sign. A frustrated cycle through u is a path from ``2 u`` to ``2 u + 1``. Mirrored, with all signs
changed, such a path is one again; so one ball around ``2 u`` of half its length finds it.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.compiler import UNCOUNTED, called, inlined, uncounted_kernel

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]

PLACE, COUNT, FULL = range(3)
"""Places in ``Cycles.counters``: of the root that is next; cycles; whether there is no room for more."""


class Cover(NamedTuple):
    """A graph of N vertices and E edges, and what a search in its double cover needs: 2 N nodes."""

    indptr: I64  # (N + 1,)
    others: I64  # (2 E,) the vertices at the other ends
    edges: I64  # (2 E,) their numbers
    flips: I64  # (E,) 1: a positive coupling
    distances: F64  # (2 N,) infinite
    parents: I64  # (2 N,)
    via: I64  # (2 N,) edge from the parent
    touched: I64  # (2 N,)
    keys: F64  # (2 E + 2 N,) heap
    nodes: I64  # (2 E + 2 N,) heap
    walk: I64  # (4 N + 2,) vertices of a closed walk
    steps: I64  # (4 N + 2,) edges of a closed walk
    places: I64  # (N,) -1
    stack: I64  # (N + 1,) vertices
    path: I64  # (N + 1,) edges


class Cycles(NamedTuple):
    """Cycles in a row: cycle c has the edges ``members[indptr[c]:indptr[c + 1]]``."""

    indptr: I64
    members: I64
    counters: I64  # (3,)


@inlined(**UNCOUNTED)
def _push(keys: Any, nodes: Any, size: Any, key: Any, node: Any) -> None:
    """Put a node in a binary heap of ``size``."""
    k = size
    while k > 0 and keys[(k - 1) >> 1] > key:
        keys[k], nodes[k] = keys[(k - 1) >> 1], nodes[(k - 1) >> 1]
        k = (k - 1) >> 1
    keys[k], nodes[k] = key, node


@inlined(**UNCOUNTED)
def _drop_first(keys: Any, nodes: Any, size: Any) -> None:
    """Take the least out of a binary heap of ``size``."""
    key, node = keys[size - 1], nodes[size - 1]
    k = 0
    while 2 * k + 1 < size - 1:
        child = 2 * k + 1
        if child + 1 < size - 1 and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= key:
            break
        keys[k], nodes[k] = keys[child], nodes[child]
        k = child
    keys[k], nodes[k] = key, node


@called(**UNCOUNTED)
def _walk_to(c: Any, node: Any, place: Any, step: Any) -> Any:
    """Write the vertices from a node to the root at ``place`` and on, or before it; returns the place of the root."""
    while c.parents[node] >= 0:
        c.walk[place] = node >> 1
        c.steps[place if step > 0 else place - 1] = c.via[node]
        node = c.parents[node]
        place += step
    c.walk[place] = node >> 1
    return place


@called(**UNCOUNTED)
def _simplified(c: Any, first: Any, last: Any) -> Any:
    """A simple frustrated cycle in the closed walk ``walk[first:last + 1]``: its edges are ``path[start:end]``.

    Loops on the way that are not frustrated are left out; the first one that is frustrated is it.
    """
    height = start = end = 0
    for k in range(first, last + 1):
        u = c.walk[k]
        at = c.places[u]
        if at >= 0:
            odd = 0
            for q in range(at, height):
                odd ^= c.flips[c.path[q]]
            if odd == 1:
                start, end = at, height
                break
            for q in range(at + 1, height):
                c.places[c.stack[q]] = -1
            height = at
        c.places[u], c.stack[height] = height, u
        c.path[height] = c.steps[k]
        height += 1
    for q in range(height):
        c.places[c.stack[q]] = -1
    return start, end


@called(**UNCOUNTED)
def _search(c: Any, lengths: Any, root: Any, limit: Any, most: Any) -> Any:
    """The shortest frustrated cycle through a vertex, if it is shorter than ``limit``: ``path[start:end]``.

    Edges of infinite length are left out. Beyond ``most`` nodes it gives up. Returns (start, end, nodes looked at).
    """
    source = np.int64(2 * root)
    c.distances[source], c.parents[source] = 0.0, -1
    c.touched[0], count = source, 1
    _push(c.keys, c.nodes, 0, 0.0, source)
    size, looked, best = 1, 0, limit
    meeting, edge, mirror = np.int64(-1), np.int64(-1), np.int64(-1)
    while size > 0:
        distance, node = c.keys[0], c.nodes[0]
        _drop_first(c.keys, c.nodes, size)
        size -= 1
        if distance > c.distances[node]:
            continue
        if 2.0 * distance >= best or count > most:
            break
        looked += 1
        u, sign = node >> 1, node & 1
        for p in range(c.indptr[u], c.indptr[u + 1]):
            e = c.edges[p]
            far = distance + lengths[e]
            if far >= best or (e == c.via[node] and node != source):
                continue
            other = 2 * c.others[p] + (sign ^ c.flips[e])
            if far + c.distances[other ^ 1] < best:
                best = far + c.distances[other ^ 1]
                meeting, edge, mirror = node, e, other ^ 1
            if 2.0 * far <= best and far < c.distances[other] and size < c.keys.size:
                if c.distances[other] == np.inf:
                    c.touched[count] = other
                    count += 1
                c.distances[other], c.parents[other], c.via[other] = far, node, e
                _push(c.keys, c.nodes, size, far, other)
                size += 1
    start = end = 0
    if meeting >= 0:
        middle = c.walk.size >> 1
        c.steps[middle] = edge
        first = _walk_to(c, meeting, middle, -1)
        last = _walk_to(c, mirror, middle + 1, 1)
        start, end = _simplified(c, first, last)
    for k in range(count):
        c.distances[c.touched[k]] = np.inf
    return start, end, looked


@inlined(**UNCOUNTED)
def _append(found: Any, path: Any, start: Any, end: Any) -> Any:
    """Store a cycle; False if there is no room."""
    n = found.counters[COUNT]
    first = found.indptr[n]
    if n + 2 > found.indptr.size or first + end - start > found.members.size:
        found.counters[FULL] = 1
        return False
    for k in range(start, end):
        found.members[first + k - start] = path[k]
    found.indptr[n + 1] = first + end - start
    found.counters[COUNT] += 1
    return True


@inlined(**UNCOUNTED)
def _least(values: Any, path: Any, start: Any, end: Any) -> Any:
    """The least of the values of a cycle's edges."""
    least = values[path[start]]
    for k in range(start + 1, end):
        least = min(least, values[path[k]])
    return least


@cache
def pack_cycles() -> Any:
    """``pack(cover, lengths, capacities, loads, found, values, roots, limit, growth, most, work) -> is_done``.

    One phase of Garg and Könemann's: for every root in turn, from ``found.counters[PLACE]`` on, cycles shorter than
    ``limit`` are loaded with the least capacity of their edges, and each edge becomes longer by
    1 + growth * load / capacity. Returns False when ``work`` nodes were looked at before all roots were done.

    lengths, capacities, loads: (E,) float64, > 0; lengths and loads are updated. values: float64, the load of each
    cycle. roots: int64. most: nodes of a search. Plain loops: it is its own reference kernel.
    """

    @uncounted_kernel
    def pack(
        cover: Any,
        lengths: Any,
        capacities: Any,
        loads: Any,
        found: Any,
        values: Any,
        roots: Any,
        limit: Any,
        growth: Any,
        most: Any,
        work: Any,
    ) -> Any:
        looked = 0
        while found.counters[PLACE] < roots.size:
            start, end, more = _search(cover, lengths, roots[found.counters[PLACE]], limit, most)
            looked += more + 1
            if end == start:
                found.counters[PLACE] += 1
            elif not _append(found, cover.path, start, end):
                return True
            else:
                least = _least(capacities, cover.path, start, end)
                for k in range(start, end):
                    e = cover.path[k]
                    loads[e] += least
                    lengths[e] *= 1.0 + growth * least / capacities[e]
                values[found.counters[COUNT] - 1] = least
            if looked > work:
                return False
        return True

    return pack


@cache
def fill_cycles() -> Any:
    """``fill(cover, lengths, left, found, values, roots, limit, most, work) -> is_done``.

    Greedy: for every root in turn the cycle of fewest edges that have something left takes all that it can.

    lengths: (E,) float64, 1, or infinite where nothing is left; updated. left: (E,) int64, >= 0; updated. values:
    int64, what each cycle took. The others as in ``pack_cycles``. Plain loops: it is its own reference kernel.
    """

    @uncounted_kernel
    def fill(
        cover: Any,
        lengths: Any,
        left: Any,
        found: Any,
        values: Any,
        roots: Any,
        limit: Any,
        most: Any,
        work: Any,
    ) -> Any:
        looked = 0
        while found.counters[PLACE] < roots.size:
            start, end, more = _search(cover, lengths, roots[found.counters[PLACE]], limit, most)
            looked += more + 1
            if end == start:
                found.counters[PLACE] += 1
            elif not _append(found, cover.path, start, end):
                return True
            else:
                least = _least(left, cover.path, start, end)
                for k in range(start, end):
                    e = cover.path[k]
                    left[e] -= least
                    if left[e] == 0:
                        lengths[e] = np.inf
                values[found.counters[COUNT] - 1] = least
            if looked > work:
                return False
        return True

    return fill
