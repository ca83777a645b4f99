"""Least values of tables for each value of a variable, moved between the tables that contain it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import called, kernel


@called()
def _take_out(tables: Any, first: Any, size: Any, bit: Any) -> Any:
    """Subtract a table's least values for both values of a variable; returns them."""
    low0 = low1 = np.int64(2**62)
    for x in range(1 << size):
        if x >> bit & 1:
            low1 = min(low1, tables[first + x])
        else:
            low0 = min(low0, tables[first + x])
    for x in range(1 << size):
        tables[first + x] -= low1 if x >> bit & 1 else low0
    return low0, low1


@cache
def diffuse_tables() -> Any:
    """``diffuse(indptr, factors, bits, starts, sizes, tables, own, first, last, step) -> None``: variables in turn.

    Of every variable, the least values of all tables that contain it are added to its own two values, and these are
    dealt out again in equal shares. The sum of all stays the same function.

    indptr: (n + 1,) int64; factors, bits: (m,) int64, the tables that contain a variable, and which bit it is there.
    starts, sizes: (F,) int64, where each table begins and its variables. tables: (2**sizes together,) int64, updated.
    own: (n, 2) int64, updated. step: +1 or -1, from ``first`` up to ``last``. Plain loops: it is its own reference
    kernel.
    """

    @kernel
    def diffuse(
        indptr: Any,
        factors: Any,
        bits: Any,
        starts: Any,
        sizes: Any,
        tables: Any,
        own: Any,
        first: Any,
        last: Any,
        step: Any,
    ) -> None:
        for i in range(first, last, step):
            degree = indptr[i + 1] - indptr[i]
            total0, total1 = own[i, 0], own[i, 1]
            for p in range(indptr[i], indptr[i + 1]):
                f = factors[p]
                low0, low1 = _take_out(tables, starts[f], sizes[f], bits[p])
                total0 += low0
                total1 += low1
            share0, share1 = total0 // (degree + 1), total1 // (degree + 1)
            for p in range(indptr[i], indptr[i + 1]):
                f = factors[p]
                for x in range(1 << sizes[f]):
                    tables[starts[f] + x] += share1 if x >> bits[p] & 1 else share0
            own[i, 0], own[i, 1] = total0 - degree * share0, total1 - degree * share1

    return diffuse
