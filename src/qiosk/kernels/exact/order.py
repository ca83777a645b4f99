"""In which order to eliminate variables: those first whose neighbours are connected already, or nearly so.

The graph is a matrix of bits, so it is for some thousand variables. The loops are plain; ``bounds/order.py`` is the
same without compiling.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import called, kernel

MOST_VARIABLES = 16384
"""The matrix takes 32 MB then."""
BLOCK = 64
"""Variables of which the next one is known."""


@cache
def _look() -> Any:
    @called
    def look(u: Any, rows: Any, width: Any, degrees: Any, lists: Any, fills: Any) -> int:
        """List the neighbours of u and count their pairs that are not connected; returns the pairs looked at."""
        degree = 0
        for w in range(rows.shape[1]):
            word = rows[u, w]
            while word:
                low = word & (~word + np.uint64(1))
                place, above = 0, low
                for step in (32, 16, 8, 4, 2, 1):
                    if above >> np.uint64(step):
                        above >>= np.uint64(step)
                        place += step
                if degree < width:
                    lists[u, degree] = 64 * w + place
                degree += 1
                word ^= low
        degrees[u] = degree
        if degree > width:
            fills[u] = degree * degree
            return degree
        missing: Any = 0
        for a in range(degree):
            v = lists[u, a]
            for b in range(a):
                other = lists[u, b]
                missing += 1 - np.int64((rows[v, other >> 6] >> np.uint64(other & 63)) & np.uint64(1))
        fills[u] = missing
        return degree * degree // 2 + 1

    return look


@cache
def _least() -> Any:
    @called
    def least(block: Any, is_left: Any, fills: Any, degrees: Any) -> int:
        """The variable of a block that is left and has the least to connect, then the fewest neighbours; -1 if none."""
        best = -1
        for v in range(block * BLOCK, min((block + 1) * BLOCK, fills.size)):
            if is_left[v] and (
                best < 0 or fills[v] < fills[best] or (fills[v] == fills[best] and degrees[v] < degrees[best])
            ):
                best = v
        return best

    return least


@cache
def fill_order() -> Any:
    """``order(n, indptr, variables, width, most, order, scope_indptr, scopes) -> width``: an order of elimination.

    indptr: (T + 1,) int64, variables: (K,) int64: terms. width: variables that one may depend on when its turn comes,
    at most. most: pairs of neighbours that are looked at. order: (n,) int64, written. scope_indptr: (n + 1,) int64 and
    scopes: (n * width,) int64, written with those that each depends on, by the place of their own turn. Returns the
    width, or -1 where that or the work would be too much.
    """
    look, least = _look(), _least()

    @kernel
    def find(
        n: Any, indptr: Any, variables: Any, width: Any, most: Any, order: Any, scope_indptr: Any, scopes: Any
    ) -> int:
        words = (n + 63) >> 6
        rows = np.zeros((n, words), np.uint64)
        for t in range(indptr.size - 1):
            if indptr[t + 1] - indptr[t] > width + 1:
                return -1
            for i in range(indptr[t], indptr[t + 1]):
                for j in range(indptr[t], indptr[t + 1]):
                    if i != j:
                        rows[variables[i], variables[j] >> 6] |= np.uint64(1) << np.uint64(variables[j] & 63)
        degrees, fills = np.zeros(n, np.int64), np.zeros(n, np.int64)
        lists, is_left, rank = np.zeros((n, width), np.int64), np.ones(n, np.bool_), np.zeros(n, np.int64)
        marked, touched = np.full(n, -1, np.int64), np.zeros(n, np.int64)
        firsts = np.zeros((n + BLOCK - 1) // BLOCK, np.int64)  # of each block the next variable
        looked, widest = 0, 0
        for u in range(n):
            looked += look(u, rows, width, degrees, lists, fills)
        for block in range(firsts.size):
            firsts[block] = least(block, is_left, fills, degrees)
        scope_indptr[0] = 0
        for place in range(n):
            u = -1
            for v in firsts:
                if v >= 0 and (u < 0 or fills[v] < fills[u] or (fills[v] == fills[u] and degrees[v] < degrees[u])):
                    u = v
            degree = degrees[u]
            if degree > width or looked > most:
                return -1
            widest = max(widest, degree)
            is_left[u], order[place], rank[u] = False, u, place
            begin = scope_indptr[place]
            scope_indptr[place + 1] = begin + degree
            for a in range(degree):
                v = lists[u, a]
                scopes[begin + a] = v
                for w in range(words):
                    rows[v, w] |= rows[u, w]
                rows[v, v >> 6] &= ~(np.uint64(1) << np.uint64(v & 63))
                rows[v, u >> 6] &= ~(np.uint64(1) << np.uint64(u & 63))
            count = 0
            for a in range(degree):
                v = scopes[begin + a]
                marked[v], touched[count] = place, v
                count += 1
                looked += look(v, rows, width, degrees, lists, fills)
            for a in range(degree):
                v = scopes[begin + a]
                if degrees[v] <= width:
                    for b in range(degrees[v]):
                        other = lists[v, b]
                        if marked[other] != place:
                            marked[other], touched[count] = place, other
                            count += 1
                            looked += look(other, rows, width, degrees, lists, fills)
            firsts[u // BLOCK] = least(u // BLOCK, is_left, fills, degrees)
            for a in range(count):
                block = touched[a] // BLOCK
                firsts[block] = least(block, is_left, fills, degrees)
        for place in range(n):  # by their turns: few, so by insertion
            for a in range(scope_indptr[place] + 1, scope_indptr[place + 1]):
                v, b = scopes[a], a
                while b > scope_indptr[place] and rank[scopes[b - 1]] > rank[v]:
                    scopes[b] = scopes[b - 1]
                    b -= 1
                scopes[b] = v
        return widest

    return find
