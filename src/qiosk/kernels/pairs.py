"""Pair terms from a list into rows, by counting: no sorting of the whole, no index of it in memory.

Rows of pairs are CSR arrays whose row i holds the pairs of i with larger variables. Plain loops: each kernel is its own
reference.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import kernel


@cache
def count_terms() -> Any:
    """``count(indptr, ids, coefficients, counts, linear, constant) -> square``: terms of two ids by their smaller one.

    indptr: (T + 1,) int64, from 0; ids: (nnz,) int64; coefficients: (T,) float64. counts: (n,) int64; terms of two
    different ids are added to the smaller one's. linear: (n,) and constant: (1,) float64; the terms of one id and of
    none are added in their order. Terms of more ids are passed over. Returns the first term that has one id twice, or
    -1.
    """

    @kernel
    def count(indptr: Any, ids: Any, coefficients: Any, counts: Any, linear: Any, constant: Any) -> int:
        square = -1
        for t in range(coefficients.size):
            k = indptr[t]
            size = indptr[t + 1] - k
            if size == 2:
                a, b = ids[k], ids[k + 1]
                if a != b:
                    counts[min(a, b)] += 1
                elif square < 0:
                    square = t
            elif size == 1:
                linear[ids[k]] += coefficients[t]
            elif size == 0:
                constant[0] += coefficients[t]
        return square

    return count


@cache
def place_terms() -> Any:
    """``place(indptr, ids, coefficients, fill, cols, values, linear)``: terms of two ids into rows, in their order.

    indptr, ids, coefficients: as in ``count_terms``. fill: (n,) int64, the next free place of each row; updated.
    cols, values: (P,) int32 and float64, written. linear: (n,) float64; terms that have one id twice are added.
    """

    @kernel
    def place(indptr: Any, ids: Any, coefficients: Any, fill: Any, cols: Any, values: Any, linear: Any) -> None:
        for t in range(coefficients.size):
            k = indptr[t]
            if indptr[t + 1] - k == 2:
                a, b = ids[k], ids[k + 1]
                if a == b:
                    linear[a] += coefficients[t]
                else:
                    low = min(a, b)
                    free = fill[low]
                    cols[free] = max(a, b)
                    values[free] = coefficients[t]
                    fill[low] = free + 1

    return place


@cache
def merge_rows() -> Any:
    """``merge(indptr, cols, values, keys, scratch)``: sort rows, add up equal pairs in their order, leave out zeros.

    indptr: (n + 1,) int64; cols, values: (P,) int32 and float64. All are overwritten by what is left, ``indptr[n]``
    pairs. keys, scratch: as long as the longest row, int64 and float64.
    """

    @kernel
    def merge(indptr: Any, cols: Any, values: Any, keys: Any, scratch: Any) -> None:
        out, begin = 0, 0
        for i in range(indptr.size - 1):
            end = indptr[i + 1]
            is_ascending = True
            for k in range(begin + 1, end):
                if cols[k] <= cols[k - 1]:
                    is_ascending = False
                    break
            if is_ascending:
                for k in range(begin, end):
                    if values[k] != 0.0:
                        cols[out] = cols[k]
                        values[out] = values[k]
                        out += 1
            else:
                m = end - begin
                for k in range(m):
                    keys[k] = (np.int64(cols[begin + k]) << 32) | k  # the place in the row keeps the sort stable
                    scratch[k] = values[begin + k]
                keys[:m].sort()
                k = 0
                while k < m:
                    col, total = keys[k] >> 32, 0.0
                    while k < m and keys[k] >> 32 == col:
                        total += scratch[keys[k] & 0xFFFFFFFF]
                        k += 1
                    if total != 0.0:
                        cols[out] = col
                        values[out] = total
                        out += 1
            begin = end
            indptr[i + 1] = out

    return merge


@cache
def lower_rows() -> Any:
    """``transpose(indptr, cols, values, fill, lower, lower_values)``: the pairs of each variable with smaller ones.

    indptr, cols, values: rows of pairs. fill: (n,) int64, where the row of each variable begins; updated to where it
    ends. lower, lower_values: (P,) written; rows ascend.
    """

    @kernel
    def transpose(indptr: Any, cols: Any, values: Any, fill: Any, lower: Any, lower_values: Any) -> None:
        for i in range(indptr.size - 1):
            for k in range(indptr[i], indptr[i + 1]):
                place = fill[cols[k]]
                lower[place] = i
                lower_values[place] = values[k]
                fill[cols[k]] = place + 1

    return transpose


@cache
def both_rows() -> Any:
    """``lay_out(indptr, cols, values, order, place, share, factor, unit, is_whole, fill, there, out, keys, scratch)``.

    Each pair into the rows of both its variables, which are renumbered; rows ascend.

    indptr, cols, values: rows of pairs, of any type. order, place: (n,) int64: variable ``order[k]`` becomes number k,
    ``place`` is the inverse. fill: (n,) int64, where each new row begins; updated to where it ends. there: (2P,) int32
    written with the new neighbours; out: (2P,) written with factor * (share * value) / unit, rounded if ``is_whole``.
    keys, scratch: as long as the longest new row, int64 and of the type of ``out``.
    """

    @kernel
    def lay_out(
        indptr: Any,
        cols: Any,
        values: Any,
        order: Any,
        place: Any,
        share: Any,
        factor: Any,
        unit: Any,
        is_whole: Any,
        fill: Any,
        there: Any,
        out: Any,
        keys: Any,
        scratch: Any,
    ) -> None:
        for i in range(order.size):
            here = place[i]
            for k in range(indptr[i], indptr[i + 1]):
                value = factor * (share * np.float64(values[k])) / unit
                if is_whole:
                    value = np.rint(value)
                other = place[cols[k]]
                there[fill[here]] = other
                out[fill[here]] = value
                fill[here] += 1
                there[fill[other]] = here
                out[fill[other]] = value
                fill[other] += 1
        begin = 0
        for row in range(order.size):
            end = fill[row]
            m = end - begin
            is_ascending = True
            for k in range(begin + 1, end):
                if there[k] < there[k - 1]:
                    is_ascending = False
                    break
            if not is_ascending:
                for k in range(m):
                    keys[k] = (np.int64(there[begin + k]) << 32) | k
                    scratch[k] = out[begin + k]
                keys[:m].sort()
                for k in range(m):
                    there[begin + k] = keys[k] >> 32
                    out[begin + k] = scratch[keys[k] & 0xFFFFFFFF]
            begin = end

    return lay_out
