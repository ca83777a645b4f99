"""Passes over pairs: sums by variable, products, and both rows of each pair.

Sums begin at 0 and go by the order of the pairs, as ``numpy.bincount`` adds. Plain loops: each kernel is its own
reference.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import kernel


@cache
def pair_sums() -> Any:
    """``add(indptr, cols, values, x, share, is_absolute, rows, above, below)``: over the pairs of each variable.

    indptr, cols, values: rows of pairs, (n + 1,) int64, (P,) int32, (P,) numbers of any type. x: (n,) float64. rows:
    the first row and the one after the last. above: (n,) float64; that of each of these rows is set to the sum of
    share * value * x_j over its pairs. below: (n,) float64; share * value * x_i is added to each column's. With
    ``is_absolute`` the size of share * value counts.
    """

    @kernel
    def add(
        indptr: Any,
        cols: Any,
        values: Any,
        x: Any,
        share: Any,
        is_absolute: Any,
        rows: Any,
        above: Any,
        below: Any,
    ) -> None:
        for i in range(rows[0], rows[1]):
            total, mine = 0.0, x[i]
            for k in range(indptr[i], indptr[i + 1]):
                value = share * np.float64(values[k])
                if is_absolute:
                    value = abs(value)
                total += value * x[cols[k]]
                below[cols[k]] += value * mine
            above[i] = total

    return add


@cache
def row_slopes() -> Any:
    """``add(upper, lower, x, every, slopes)``: what the pairs of some variables add to the slope of the cost.

    upper: the pairs of each variable with larger ones, (n + 1,) int64, (P,) int32, and (P,) numbers of any type; lower:
    the same with smaller ones. x: (n,) int8. slopes: float64, entry k of variable k * every; the sums over both are
    added, one after the other.
    """

    @kernel
    def add(upper: Any, lower: Any, x: Any, every: Any, slopes: Any) -> None:
        indptr, cols, values = upper
        lower_indptr, rows, lower_values = lower
        for place in range(slopes.size):
            i = every * place
            above, below = 0.0, 0.0
            for k in range(indptr[i], indptr[i + 1]):
                above += np.float64(values[k]) * x[cols[k]]
            for k in range(lower_indptr[i], lower_indptr[i + 1]):
                below += np.float64(lower_values[k]) * x[rows[k]]
            slopes[place] = slopes[place] + above + below

    return add


@cache
def pair_products() -> Any:
    """``multiply(indptr, cols, values, x, rows, out)``: value * x_i * x_j of each pair, in their order.

    indptr, cols, values, rows: as in ``pair_sums``. x: (n,) numbers of any type. out: (pairs of these
    rows,) float64, written.
    """

    @kernel
    def multiply(indptr: Any, cols: Any, values: Any, x: Any, rows: Any, out: Any) -> None:
        begin = indptr[rows[0]]
        for i in range(rows[0], rows[1]):
            for k in range(indptr[i], indptr[i + 1]):
                out[k - begin] = np.float64(values[k]) * x[i] * x[cols[k]]

    return multiply


@cache
def both_ends() -> Any:
    """``lay_out(rows, cols, values, fill, there, out)``: each pair into the rows of both its variables.

    rows, cols, values: (P,) pairs, row < col, sorted by (row, col). fill: (n,) int64, where each row begins; updated to
    where it ends. there, out: (2P,) written; rows ascend.
    """

    @kernel
    def lay_out(rows: Any, cols: Any, values: Any, fill: Any, there: Any, out: Any) -> None:
        for p in range(values.size):
            i, j = rows[p], cols[p]
            k = fill[i]
            there[k] = j
            out[k] = values[p]
            fill[i] = k + 1
            k = fill[j]
            there[k] = i
            out[k] = values[p]
            fill[j] = k + 1

    return lay_out


@cache
def renumbered() -> Any:
    """``renumber(indptr, there, values, order, place, fill, rows, cols, out)``: pairs under new numbers, sorted.

    indptr, there, values: (n + 1,), (2P,), (2P,) as from ``both_ends``. order, place: (n,) int64: variable ``order[k]``
    becomes number k, ``place`` is the inverse. fill: (n,) int64, where the pairs of each new number with larger ones
    begin; updated to where they end. rows, cols, out: (P,) written, rows < cols, sorted by (row, col).
    """

    @kernel
    def renumber(
        indptr: Any,
        there: Any,
        values: Any,
        order: Any,
        place: Any,
        fill: Any,
        rows: Any,
        cols: Any,
        out: Any,
    ) -> None:
        for col in range(order.size):  # ascending, so each row comes out ascending
            i = order[col]
            for k in range(indptr[i], indptr[i + 1]):
                row = place[there[k]]
                if row < col:
                    rows[fill[row]] = row
                    cols[fill[row]] = col
                    out[fill[row]] = values[k]
                    fill[row] += 1

    return renumber


@cache
def by_variable() -> Any:
    """``order(variables, fill, places)``: where each variable occurs, in order.

    variables: (K,) of any integer type. fill: (n,) int64, where the places of each variable begin; updated to where
    they end. places: (K,) int64, written.
    """

    @kernel
    def order(variables: Any, fill: Any, places: Any) -> None:
        for k in range(variables.size):
            i = variables[k]
            places[fill[i]] = k
            fill[i] += 1

    return order


@cache
def pair_matrix() -> Any:
    """``fill(rows, cols, weights, matrix)``: weights (P,) of pairs into both places of a matrix (N, N)."""

    @kernel
    def fill(rows: Any, cols: Any, weights: Any, matrix: Any) -> None:
        for p in range(weights.size):
            matrix[rows[p], cols[p]] = weights[p]
            matrix[cols[p], rows[p]] = weights[p]

    return fill


@cache
def pair_tiles() -> Any:
    """``fill(rows, cols, couplings, factor, unit, tiles)``: a matrix in tiles, of factor * coupling / unit.

    rows, cols, couplings: (P,) pairs; couplings in float64. tiles: (N / A, N / B, A, B), written at both places of each
    pair: (i, j) is at [i // A, j // B, i % A, j % B].
    """

    @kernel
    def fill(rows: Any, cols: Any, couplings: Any, factor: Any, unit: Any, tiles: Any) -> None:
        height, width = tiles.shape[2], tiles.shape[3]
        for p in range(couplings.size):
            i, j = rows[p], cols[p]
            value = factor * couplings[p] / unit
            tiles[i // height, j // width, i % height, j % width] = value
            tiles[j // height, i // width, j % height, i % width] = value

    return fill
