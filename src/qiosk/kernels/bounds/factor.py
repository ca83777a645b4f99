"""A factorization of symmetric matrices by one thread, in parts: neither its result nor its time depends on a BLAS."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import uncounted_kernel


@cache
def factor_rows() -> Any:
    """``factor(matrix, first, last) -> row``: rows from ``first`` to ``last`` of R with R'R = matrix.

    Returns ``last``, or the first row whose pivot is not positive.

    matrix: (n, n) float64; of its upper half, rows before ``first`` are those of R already. Updated. Plain loops: it is
    its own reference kernel.
    """

    @uncounted_kernel
    def factor(matrix: Any, first: Any, last: Any) -> Any:
        n = matrix.shape[0]
        for k in range(first, last):
            p = 0
            while p + 4 <= k:
                a, b, c, d = matrix[p, k], matrix[p + 1, k], matrix[p + 2, k], matrix[p + 3, k]
                for j in range(k, n):
                    matrix[k, j] -= (a * matrix[p, j] + b * matrix[p + 1, j]) + (
                        c * matrix[p + 2, j] + d * matrix[p + 3, j]
                    )
                p += 4
            while p < k:
                a = matrix[p, k]
                for j in range(k, n):
                    matrix[k, j] -= a * matrix[p, j]
                p += 1
            pivot = matrix[k, k]
            if not pivot > 0.0:
                return k
            root = np.sqrt(pivot)
            for j in range(k, n):
                matrix[k, j] /= root
        return last

    return factor
