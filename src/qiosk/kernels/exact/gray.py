"""The best configurations of problems with terms of up to four variables, by the costs of all configurations.

The first ``LOW`` variables have a column for each of their ``WIDTH`` configurations. The others change one at a time,
in the order of a Gray code. A change of variable a adds the derivative for a to the costs. Between two changes of a one
other variable has changed, b, so the derivative for a has changed by that for a and b; and so on, up to the
derivatives for four variables, which are coefficients. So a step adds four rows, whatever the number of terms.

All is in int32, modulo 2^32: the sizes of all coefficients together have to be less than 2^31. The loops are plain, so
they run uncompiled as well: tests compare them with a slow sum.

Reference: C. Bouillaguet et al., *Fast exhaustive search for polynomial systems in F2*, CHES 2010,
doi:10.1007/978-3-642-15031-9_14.
"""

from __future__ import annotations

from functools import cache
from math import comb
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.compiler import called, kernel

LOW = 8
WIDTH = 1 << LOW
MOST_MEMBERS = 4
"""Variables of a term."""


def tables_for(n: int) -> NDArray[np.int32]:
    """Room for the costs of n variables, LOW < n, and for derivatives for one to three of them, all 0."""
    high = n - LOW
    return np.zeros((1 + high + comb(high, 2) + comb(high, 3), WIDTH), np.int32)


@cache
def _fill() -> Any:
    @called
    def fill(indptr: Any, variables: Any, values: Any, high: Any, is_spin: Any, tables: Any, last: Any) -> None:
        """The costs where all high variables are 0 (or +1), and each derivative as it is when it is used first.

        Variables from LOW + ``high`` on count as +1.
        """
        second = 1 + high
        third = second + high * (high - 1) // 2
        members = np.zeros(4, np.int64)
        for t in range(values.size):
            low, count = 0, 0
            for i in range(indptr[t], indptr[t + 1]):
                if variables[i] < LOW:
                    low |= 1 << variables[i]
                elif variables[i] < LOW + high:
                    members[count] = variables[i] - LOW
                    count += 1
            for chosen in range(1 << count):
                step, size, value = 0, 0, values[t]
                row = 0
                for m in range(count):
                    if chosen >> m & 1:
                        k = members[m]
                        step |= 1 << k
                        size += 1
                        if size == 1:
                            row = k
                        elif size == 2:
                            row += k * (k - 1) // 2
                        elif size == 3:
                            row += k * (k - 1) * (k - 2) // 6
                        else:
                            row += k * (k - 1) * (k - 2) * (k - 3) // 24
                state = (step - 1) ^ ((step - 1) >> 1) if step else 0
                for m in range(count):
                    if not chosen >> m & 1:
                        is_set = state >> members[m] & 1
                        if is_spin:
                            value = -value if is_set else value
                        elif not is_set:
                            value = 0
                if size == 4:
                    last[row] += value
                    continue
                if size:
                    row += 1 if size == 1 else second if size == 2 else third
                for x in range(WIDTH):
                    if not is_spin:
                        tables[row, x] += value if x & low == low else 0
                    else:
                        rest = x & low
                        rest ^= rest >> 4
                        rest ^= rest >> 2
                        rest ^= rest >> 1
                        tables[row, x] += value * (1 - 2 * (rest & 1))

    return fill


@cache
def _keep() -> Any:
    @called
    def keep(row: Any, high: Any, costs: Any, found: Any) -> None:
        """Put the columns of a row of costs among the best."""
        k = costs.size
        for x in range(WIDTH):
            cost = np.int64(row[x])
            if cost < costs[k - 1]:
                place = k - 1
                while place > 0 and costs[place - 1] > cost:
                    costs[place], found[place] = costs[place - 1], found[place - 1]
                    place -= 1
                costs[place], found[place] = cost, high << LOW | x

    return keep


@cache
def search_in_gray_order() -> Any:
    """``search(indptr, variables, values, n, is_spin, is_symmetric, tables, costs, found)``: the best configurations.

    indptr: (T + 1,) int64, variables: (K,) int64, ascending in a term, and values: (T,) int64 are terms of at most four
    of the variables 0 .. n - 1, LOW < n - 1. is_symmetric: of a configuration and its opposite one is enough. tables:
    those of ``tables_for(n)``. costs: (k,) int64, ascending, larger than all costs; written with those of the k best
    configurations. found: (k,) int64, written; bit i is set where bit i is 1, or spin i -1.
    """
    fill, keep = _fill(), _keep()

    @kernel
    def search(
        indptr: Any,
        variables: Any,
        values: Any,
        n: Any,
        is_spin: Any,
        is_symmetric: Any,
        tables: Any,
        costs: Any,
        found: Any,
    ) -> None:
        high = n - LOW - 1 if is_symmetric else n - LOW
        last = np.zeros(high * (high - 1) * (high - 2) * (high - 3) // 24 + 1, np.int64)
        fill(indptr, variables, values, high, is_spin, tables, last)
        second = 1 + high
        third = second + high * (high - 1) // 2
        up, k = -2 if is_spin else 1, costs.size
        keep(tables[0], 0, costs, found)
        level = tables[0]
        for step in range(1, 1 << high):
            state = step ^ (step >> 1)
            a, rest = 0, step
            while not rest & 1:
                a, rest = a + 1, rest >> 1
            by_a, by_b, by_c, by_d = up if state >> a & 1 else -up, 0, 0, 0
            row_b, row_c, place = second, third, a
            rest >>= 1
            if rest:
                b = a + 1
                while not rest & 1:
                    b, rest = b + 1, rest >> 1
                by_b = up if state >> b & 1 else -up
                place += b * (b - 1) // 2
                row_b += place
                rest >>= 1
                if rest:
                    c = b + 1
                    while not rest & 1:
                        c, rest = c + 1, rest >> 1
                    by_c = up if state >> c & 1 else -up
                    place += c * (c - 1) * (c - 2) // 6
                    row_c += place
                    rest >>= 1
                    if rest:
                        d = c + 1
                        while not rest & 1:
                            d, rest = d + 1, rest >> 1
                        place += d * (d - 1) * (d - 2) * (d - 3) // 24
                        by_d = last[place] * (up if state >> d & 1 else -up)
            of_a, of_b, of_c = tables[1 + a], tables[row_b], tables[row_c]
            if by_c:
                for x in range(WIDTH):
                    of_c[x] += by_d
                    of_b[x] += by_c * of_c[x]
                    of_a[x] += by_b * of_b[x]
                    level[x] += by_a * of_a[x]
            else:
                for x in range(WIDTH):
                    of_a[x] += by_b * of_b[x]
                    level[x] += by_a * of_a[x]
            least = level[0]
            for x in range(WIDTH):
                least = min(least, level[x])
            if least < costs[k - 1]:
                keep(level, state, costs, found)

    return search
