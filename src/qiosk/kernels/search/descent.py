"""Greedy descent of quadratic problems with stored slopes: a variable that stays costs one comparison."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import kernel


@cache
def pair_descent() -> Any:
    """``descend(indptr, cols, values_above, lower_indptr, rows, values_below, slopes, is_spin, values, tolerances,
    passes, part) -> flips``.

    Passes over the variables in order, flipping each whose flip lowers the cost by more than its tolerance, until a
    pass flips nothing. Shapes: n variables, P pairs.

    indptr, cols, values_above: CSR of the pairs of each variable with larger ones, (n + 1,) int64, (P,) int32, (P,)
    numbers of any type [cost]. lower_indptr, rows, values_below: the same with smaller ones.
    slopes: (n,) float64 [cost], linear_i + sum_j J_ij x_j; updated by what each flip changes.
    values: (n,) int8, -1/+1 or 0/1; updated. tolerances: (n,) float64 [cost]; passes: at most so many.
    part: the first variable and the one after the last that are visited.
    Plain loops: it is its own reference kernel.
    """

    @kernel
    def descend(
        indptr: Any,
        cols: Any,
        values_above: Any,
        lower_indptr: Any,
        rows: Any,
        values_below: Any,
        slopes: Any,
        is_spin: Any,
        values: Any,
        tolerances: Any,
        passes: Any,
        part: Any,
    ) -> int:
        flips = 0
        for _ in range(passes):
            before = flips
            for i in range(part[0], part[1]):
                step = -2 * values[i] if is_spin else 1 - 2 * values[i]
                if step * slopes[i] < -tolerances[i]:
                    values[i] += step
                    flips += 1
                    for k in range(lower_indptr[i], lower_indptr[i + 1]):
                        slopes[rows[k]] += np.float64(values_below[k]) * step
                    for k in range(indptr[i], indptr[i + 1]):
                        slopes[cols[k]] += np.float64(values_above[k]) * step
            if flips == before:
                break
        return flips

    return descend


@cache
def first_pass() -> Any:
    """``descend(indptr, cols, values_above, lower_indptr, rows, values_below, slopes, is_spin, values, tolerances,
    part) -> flips``.

    One pass as in ``pair_descent``, which also computes the slopes: before, ``slopes`` are linear_i. A flip updates
    those of smaller variables only, because those of larger ones are added up later in the pass. Its reference are
    slopes that are computed before, and a pass of ``pair_descent``.
    """

    @kernel
    def descend(
        indptr: Any,
        cols: Any,
        values_above: Any,
        lower_indptr: Any,
        rows: Any,
        values_below: Any,
        slopes: Any,
        is_spin: Any,
        values: Any,
        tolerances: Any,
        part: Any,
    ) -> int:
        flips = 0
        for i in range(part[0], part[1]):
            above, below = 0.0, 0.0
            for k in range(indptr[i], indptr[i + 1]):
                above += np.float64(values_above[k]) * values[cols[k]]
            for k in range(lower_indptr[i], lower_indptr[i + 1]):
                below += np.float64(values_below[k]) * values[rows[k]]
            slope = slopes[i] + above + below
            slopes[i] = slope
            step = -2 * values[i] if is_spin else 1 - 2 * values[i]
            if step * slope < -tolerances[i]:
                values[i] += step
                flips += 1
                for k in range(lower_indptr[i], lower_indptr[i + 1]):
                    slopes[rows[k]] += np.float64(values_below[k]) * step
        return flips

    return descend
