"""Passes over terms of any number of variables, and over their coefficients.

Plain loops: each kernel is its own reference.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import kernel

_ROUNDING = 4 * np.finfo(np.float64).eps


@cache
def common_divisor() -> Any:
    """``divide(values, factor, divisor) -> divisor``: of the sizes of values (m,) times ``factor``, if all are whole.

    The greatest common divisor of all of them and ``divisor``, an integer >= 0; -1 if one of them is no integer up to
    the rounding of float64. They are at most 2**53.
    """
    rounding = float(_ROUNDING)

    @kernel
    def divide(values: Any, factor: Any, divisor: Any) -> Any:
        for t in range(values.size):
            scaled = abs(values[t]) * factor
            whole = np.rint(scaled)
            if abs(scaled - whole) > rounding * scaled:
                return -1
            if divisor == 1:
                continue
            a, b = np.int64(whole), divisor
            while b:
                a, b = b, a % b
            divisor = a
        return divisor

    return divide


@cache
def term_summands() -> Any:
    """``multiply(indptr, positions, coefficients, x, out)``: coefficient times the product of the values of each term.

    indptr: (T + 1,) int64, from 0; positions: (nnz,) int64; coefficients: (T,) float64; x: (n,) int8, -1, 0 or 1. out:
    (T,) float64, written.
    """

    @kernel
    def multiply(indptr: Any, positions: Any, coefficients: Any, x: Any, out: Any) -> None:
        for t in range(coefficients.size):
            product = 1
            for k in range(indptr[t], indptr[t + 1]):
                product *= x[positions[k]]
            out[t] = coefficients[t] * product

    return multiply


@cache
def first_repeat() -> Any:
    """``find(indptr, ids, scratch, where)``: the first term that has an id twice, and the smallest such id.

    indptr: (T + 1,) int64, from 0; ids: (nnz,) int64. scratch: int64, as long as the longest term. where: (2,) int64,
    written with the term and the id, or with -1.
    """

    @kernel
    def find(indptr: Any, ids: Any, scratch: Any, where: Any) -> None:
        where[0] = where[1] = -1
        for t in range(indptr.size - 1):
            begin = indptr[t]
            size = indptr[t + 1] - begin
            if size == 2:
                if ids[begin] == ids[begin + 1]:
                    where[0], where[1] = t, ids[begin]
                    return
                continue
            if size <= 8:
                for k in range(size):  # sorted by insertion
                    place, own = k, ids[begin + k]
                    while place > 0 and scratch[place - 1] > own:
                        scratch[place] = scratch[place - 1]
                        place -= 1
                    scratch[place] = own
            else:
                for k in range(size):
                    scratch[k] = ids[begin + k]
                scratch[:size].sort()
            for k in range(1, size):
                if scratch[k] == scratch[k - 1]:
                    where[0], where[1] = t, scratch[k]
                    return

    return find


@cache
def exclusive_partners() -> Any:
    """``count(rows, cols, values, linear, least, partners)``: of each variable, pairs of bits that may both be unset.

    rows, cols, values: (P,) pairs. linear: (n,) float64. least: (n,) float64, zeros; written with the sum of linear and
    of all negative values of a variable's pairs. partners: (n,) int64, zeros; pairs of positive value are counted at
    both ends if at either end ``least`` and the value add up to 0 or more.
    """

    @kernel
    def count(rows: Any, cols: Any, values: Any, linear: Any, least: Any, partners: Any) -> None:
        for p in range(values.size):
            least[rows[p]] += min(values[p], 0.0)
        for p in range(values.size):
            least[cols[p]] += min(values[p], 0.0)
        for i in range(linear.size):
            least[i] += linear[i]
        for p in range(values.size):
            value = values[p]
            if value > 0.0 and least[rows[p]] + value >= 0.0 and least[cols[p]] + value >= 0.0:
                partners[rows[p]] += 1
                partners[cols[p]] += 1

    return count
