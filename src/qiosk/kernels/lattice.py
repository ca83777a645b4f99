"""Lattice reduction in exact integers, with an orthogonalization in floating point."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import inlined, kernel

ETA = 0.501
"""Multiples of shorter rows up to this are left in a row: 1/2, and room for rounding."""
MOST_PASSES = 30
"""Passes over the rows below until one is reduced, at most."""


@inlined()
def _project(basis: Any, factors: Any, squares: Any, k: Any) -> None:
    """Row k of ``factors`` and ``squares``, from exact inner products with the rows up to it."""
    for j in range(k + 1):
        exact = np.int64(0)
        for c in range(basis.shape[1]):
            exact += basis[k, c] * basis[j, c]
        product = np.float64(exact)
        for i in range(j):
            product -= factors[j, i] * squares[k, i]
        squares[k, j] = product
        if j < k:
            factors[k, j] = product / squares[j, j]


@inlined()
def _shorten(basis: Any, factors: Any, k: Any) -> Any:
    """Take whole multiples of the rows below from row k; whether there were any."""
    is_changed = False
    for j in range(k - 1, -1, -1):
        if abs(factors[k, j]) > ETA:
            multiple = np.rint(factors[k, j])
            is_changed = True
            for i in range(j):
                factors[k, i] -= multiple * factors[j, i]
            for c in range(basis.shape[1]):
                basis[k, c] -= np.int64(multiple) * basis[j, c]
    return is_changed


@cache
def reduce_lattice() -> Any:
    """``reduce(basis, delta, limit) -> rows reduced``: make a basis short and nearly orthogonal, in place.

    basis: (d, m) int64, independent rows; the lattice they generate stays the same. Inner products have to stay below
    2**63. delta: 1/4..1, how much shorter a row must be to go before another. limit: rows to reduce, at most; beyond
    that, -1 is returned and the basis is partly reduced. Rows that are orthogonalized again from exact inner products
    whenever they change keep rounding away.

    Plain loops: it is its own reference kernel.

    References: A. K. Lenstra, H. W. Lenstra, L. Lovász, Math. Ann. 261, 515 (1982), doi:10.1007/BF01457454; P. Q.
    Nguyen, D. Stehlé, SIAM J. Comput. 39, 874 (2009), doi:10.1137/070705702 (in floating point).
    """

    @kernel
    def reduce(basis: Any, delta: Any, limit: Any) -> int:
        d, m = basis.shape
        factors, squares = np.zeros((d, d)), np.zeros((d, d))
        row = np.empty(m, np.int64)
        k, done = 0, 0
        while k < d:
            if done == limit:
                return -1
            done += 1
            for _ in range(MOST_PASSES):
                _project(basis, factors, squares, k)
                if not _shorten(basis, factors, k):
                    break
            # the first place where this row, without its part along the rows before, is the shorter one
            place, square = 0, np.float64(0.0)
            for c in range(m):
                square += np.float64(basis[k, c]) ** 2
            while place < k and square >= delta * squares[place, place]:
                square -= factors[k, place] * squares[k, place]
                place += 1
            if place < k:
                # by element: assigning rows takes two more seconds to compile
                for c in range(m):
                    row[c] = basis[k, c]
                for q in range(k, place, -1):
                    for c in range(m):
                        basis[q, c] = basis[q - 1, c]
                for c in range(m):
                    basis[place, c] = row[c]
            k = place if place < k else k + 1
        return done

    return reduce
