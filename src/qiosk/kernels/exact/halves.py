"""The best configurations of small problems with terms of any size, by the costs of all configurations.

The coefficients of a problem are a table over sets of variables. Deciding the last variable makes two tables of half
the size, a sum and a difference of its halves; depth first, so that most of them stay in the cache. The first ``LOW``
variables are decided from the beginning: the table has a column for each of their ``WIDTH`` configurations. Of more
than ``INNER`` variables the last ones are decided from the beginning, too, each way in turn. These are some n 2^n
additions.

All is in integers. The loops are plain, so they run uncompiled as well: tests compare them with a slow sum.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import called, kernel

LOW = 5
WIDTH = 1 << LOW
INNER = 14
"""Variables of the largest table: 128 KB, and as much for its halves."""
LEAF = 32
"""Rows of a table of which all costs are made at once: 8 KB."""


@cache
def _fill() -> Any:
    @called
    def fill(indptr: Any, variables: Any, values: Any, last: Any, inner: Any, is_spin: Any, table: Any) -> None:
        """The table of the first ``inner`` variables where the bits of ``last`` are the others."""
        table[:] = 0
        for t in range(values.size):
            row, low, high = 0, 0, 0
            for i in range(indptr[t], indptr[t + 1]):
                if variables[i] < LOW:
                    low |= 1 << variables[i]
                elif variables[i] < inner:
                    row |= 1 << (variables[i] - LOW)
                else:
                    high |= 1 << (variables[i] - inner)
            value, rest = values[t], high & last
            if not is_spin and rest != high:
                continue
            while is_spin and rest:
                value, rest = -value, rest & (rest - 1)
            for x in range(WIDTH):
                if not is_spin:
                    table[row, x] += value if x & low == low else 0
                else:
                    rest = x & low
                    rest ^= rest >> 4
                    rest ^= rest >> 2
                    rest ^= rest >> 1
                    table[row, x] += value * (1 - 2 * (rest & 1))

    return fill


@cache
def _finish() -> Any:
    @called
    def finish(table: Any, is_spin: Any) -> Any:
        """Turn a table of coefficients into costs; returns the least."""
        stride, least = 1, table[0, 0]
        while stride < len(table):
            for first in range(0, len(table), 2 * stride):
                for r in range(first, first + stride):
                    for x in range(WIDTH):
                        one, other = table[r, x], table[r + stride, x]
                        table[r, x] = one + other if is_spin else one
                        table[r + stride, x] = one - other if is_spin else one + other
            stride *= 2
        least = table[0, 0]
        for r in range(len(table)):
            for x in range(WIDTH):
                least = min(least, table[r, x])
        return least

    return finish


@cache
def search_all() -> Any:
    """``search(indptr, variables, values, n, is_spin, is_symmetric, costs, found)``: the best configurations.

    indptr: (T + 1,) int64, variables: (K,) int64 and values: (T,) int64 are terms of different variables 0 .. n - 1,
    5 <= n <= 40. is_symmetric: of a configuration and its opposite one is enough. costs: (k,) int64, ascending, larger
    than all costs; written with those of the k best configurations. found: (k,) int64, written; bit i is set where bit
    i is 1, or spin i -1.
    """
    fill, finish = _fill(), _finish()

    @kernel
    def search(
        indptr: Any, variables: Any, values: Any, n: Any, is_spin: Any, is_symmetric: Any, costs: Any, found: Any
    ) -> None:
        inner, k = min(n, INNER), costs.size
        rows = 1 << (inner - LOW)
        leaf = min(rows, LEAF)
        stack = np.zeros((2 * rows, WIDTH), np.int64)  # behind each table there is room for one of half its size
        tried = np.zeros(inner + 1, np.int64)
        outer = 1 << (n - inner)
        for last in range(outer // 2 if is_symmetric and outer > 1 else outer):
            fill(indptr, variables, values, last, inner, is_spin, stack[:rows])
            level, high, begin, size = 0, 0, 0, rows
            tried[0] = 0
            while level >= 0:
                if size > leaf and tried[level] < 2:
                    half, to = size >> 1, begin + size
                    other = begin + half
                    if tried[level] == 0:
                        high &= ~half
                        for r in range(half):
                            for x in range(WIDTH):
                                stack[to + r, x] = stack[begin + r, x] + (stack[other + r, x] if is_spin else 0)
                    else:
                        high |= half
                        for r in range(half):
                            for x in range(WIDTH):
                                change = stack[other + r, x]
                                stack[to + r, x] = stack[begin + r, x] + (-change if is_spin else change)
                    tried[level] += 1
                    level, begin, size = level + 1, to, half
                    tried[level] = 0
                    continue
                if size == leaf and finish(stack[begin : begin + leaf], is_spin) < costs[k - 1]:
                    for r in range(leaf):
                        for x in range(WIDTH):
                            cost = stack[begin + r, x]
                            if cost < costs[k - 1]:
                                place = k - 1
                                while place > 0 and costs[place - 1] > cost:
                                    costs[place], found[place] = costs[place - 1], found[place - 1]
                                    place -= 1
                                row = (high & ~(leaf - 1)) | r
                                costs[place], found[place] = cost, last << inner | row << LOW | x
                level -= 1
                size *= 2
                begin -= size

    return search
