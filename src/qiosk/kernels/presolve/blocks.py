"""Biconnected components of a graph of couplings with its ghost spin, and spins that follow from one of such a block.

Plain loops: the kernels are their own reference.

Reference: J. Hopcroft, R. Tarjan, Commun. ACM 16, 372 (1973), doi:10.1145/362248.362272.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.compiler import INTERNAL, called, inlined, uncounted_kernel
from qiosk.kernels.presolve.graph import ELIMINATED, FIRST, POOL, add_field, merge, other_end, push, remove_edge

I32 = NDArray[np.int32]


class Search(NamedTuple):
    """A depth-first search of n spins and the ghost, which is number n. All but ``labels`` begins as zeros.

    Edge e < m is a coupling, and edge m + u the field of spin u.
    """

    labels: I32  # (m + n,) the block of each edge, -1: no edge; a block comes after those that hang on it
    tops: I32  # (m + n,) the spin of each block that the search came to first
    numbers: I32  # (n + 1,) when the search came to a spin, from 1
    lows: I32  # (n + 1,) the least number that is reached from a spin and what was found from it
    came_by: I32  # (n + 1,) the edge to a spin, -1: none
    at: I32  # (n + 1,) edges of a spin that were followed
    spins: I32  # (n + 1,) the way to where the search is
    edges: I32  # (m + n,) edges whose block is not complete


@inlined(**INTERNAL)
def _next_edge(g: Any, s: Any, spin: Any) -> Any:
    """The next edge of a spin, or of the ghost; -1: there is none any more."""
    ghost, m = g.start.size, g.weights.size
    if spin == ghost:
        while s.at[ghost] < ghost:
            s.at[ghost] += 1
            other = s.at[ghost] - 1
            if g.is_left[other] and g.fields[other] != 0:
                return np.int64(m + other)
        return np.int64(-1)
    while s.at[spin] <= g.size[spin]:
        s.at[spin] += 1
        k = s.at[spin] - 1
        if k == g.size[spin]:
            return np.int64(m + spin) if g.fields[spin] != 0 else np.int64(-1)
        edge = g.pools[g.counters[POOL], g.start[spin] + k]
        if g.weights[edge] != 0:
            return np.int64(edge)
    return np.int64(-1)


@inlined(**INTERNAL)
def _end(g: Any, edge: Any, spin: Any) -> Any:
    """The other end of a coupling, or of a field."""
    ghost, m = g.start.size, g.weights.size
    if edge < m:
        return other_end(g, edge, spin)
    return edge - m if spin == ghost else ghost


@called(**INTERNAL)
def _search_from(g: Any, s: Any, root: Any, number: Any, count: Any) -> Any:
    """Label the blocks of what hangs together with a spin; returns the last number and how many blocks there are."""
    depth, waiting = 1, 0
    number += 1
    s.spins[0], s.numbers[root], s.lows[root], s.came_by[root] = root, number, number, -1
    while depth > 0:
        spin = s.spins[depth - 1]
        edge = _next_edge(g, s, spin)
        if edge >= 0:
            if edge == s.came_by[spin]:
                continue
            other = np.int64(_end(g, edge, spin))
            if s.numbers[other] == 0:
                number += 1
                s.numbers[other], s.lows[other], s.came_by[other] = number, number, edge
                s.spins[depth] = other
                s.edges[waiting] = edge
                depth, waiting = depth + 1, waiting + 1
            elif s.numbers[other] < s.numbers[spin]:
                s.lows[spin] = min(s.lows[spin], s.numbers[other])
                s.edges[waiting] = edge
                waiting += 1
            continue
        depth -= 1
        if depth == 0:
            break
        above = s.spins[depth - 1]
        s.lows[above] = min(s.lows[above], s.lows[spin])
        if s.lows[spin] >= s.numbers[above]:
            s.tops[count] = above
            while True:
                waiting -= 1
                s.labels[s.edges[waiting]] = count
                if s.edges[waiting] == s.came_by[spin]:
                    break
            count += 1
    return number, count


@cache
def label_blocks() -> Any:
    """``label(graph, search) -> count``: labels the edges by blocks; the ghost is the top of those that contain it."""

    @uncounted_kernel
    def label(g: Any, s: Any) -> Any:
        number, count = 0, 0
        for k in range(g.start.size + 1):
            root = g.start.size - k
            if s.numbers[root] == 0 and (k == 0 or g.is_left[root]):
                number, count = _search_from(g, s, root, number, count)
        return count

    return label


@cache
def contract_block() -> Any:
    """``contract(graph, edges, spins, signs, top)``: removes the edges of a block, and merges its spins into its top.

    edges: (E,) int32, as in ``Search``; spins: (k,) int64, without the top; signs: (k,) int8, their values where the
    top is +1.
    """

    @uncounted_kernel
    def contract(g: Any, edges: Any, spins: Any, signs: Any, top: Any) -> None:
        m = g.weights.size
        for k in range(edges.size):
            edge = edges[k]
            if edge >= m:
                add_field(g, edge - m, -g.fields[edge - m])
            else:
                remove_edge(g, edge)
        for k in range(spins.size):
            merge(g, spins[k], top, np.int64(signs[k]), ELIMINATED)

    return contract


@cache
def add_to_field() -> Any:
    """``add(graph, spin, field)``: adds to the field of a spin, which the rules look at again."""

    @uncounted_kernel
    def add(g: Any, spin: Any, field: Any) -> None:
        add_field(g, spin, np.int64(field))
        push(g, FIRST, spin)

    return add
