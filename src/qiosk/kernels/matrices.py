"""The terms of a dense matrix, whose entries (i, j) and (j, i) count together.

A matrix is read in square tiles, because the entries of a column are far apart in memory. Plain loops: each kernel is
its own reference.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import kernel

_TILE = 64


@cache
def count_entries() -> Any:
    """``count(matrix, counts, is_used)``: what is above the diagonal.

    matrix: (n, n) numbers of any type. counts: (n,) int64; the entries j > i that are not 0 are added to that of i.
    is_used: (n,) bool, set where a variable has one.
    """
    tile = _TILE

    @kernel
    def count(matrix: Any, counts: Any, is_used: Any) -> None:
        n = counts.size
        for top in range(0, n, tile):
            for left in range(top, n, tile):
                for i in range(top, min(n, top + tile)):
                    for j in range(max(left, i + 1), min(n, left + tile)):
                        if np.float64(matrix[i, j]) + np.float64(matrix[j, i]) != 0.0:
                            counts[i] += 1
                            is_used[i] = True
                            is_used[j] = True

    return count


@cache
def place_entries() -> Any:
    """``place(matrix, fill, ids, values)``: the entries that ``count_entries`` counts, by row and then by column.

    fill: (n,) int64, the first place of each row; updated. ids: (2P,) int64, and values: (P,) float64, written.
    """
    tile = _TILE

    @kernel
    def place(matrix: Any, fill: Any, ids: Any, values: Any) -> None:
        n = fill.size
        for top in range(0, n, tile):
            for left in range(top, n, tile):
                for i in range(top, min(n, top + tile)):
                    k = fill[i]
                    for j in range(max(left, i + 1), min(n, left + tile)):
                        value = np.float64(matrix[i, j]) + np.float64(matrix[j, i])
                        if value != 0.0:
                            ids[2 * k] = i
                            ids[2 * k + 1] = j
                            values[k] = value
                            k += 1
                    fill[i] = k

    return place
