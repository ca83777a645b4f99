"""Unit vectors in place of spins, each led to where its couplings pull it."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import uncounted_kernel


@cache
def mix_vectors() -> Any:
    """``mix(indptr, others, weights, vectors, pulls, pull, first, last) -> None``: vectors from ``first`` to ``last``.

    Vector i becomes minus the direction of sum_j w_ij v_j, and ``pulls[i]`` the length of that sum; where it is 0 the
    vector stays. (Mixing method, doi:10.48550/arXiv.1706.00476.)

    indptr: (n + 1,) int64; others: (m,) int32; weights: (m,) of the type of vectors (n, d), which are updated, as are
    pulls (n,) float64. pull: (d,) of that type, anything. Plain loops: it is its own reference kernel.
    """

    @uncounted_kernel
    def mix(indptr: Any, others: Any, weights: Any, vectors: Any, pulls: Any, pull: Any, first: Any, last: Any) -> None:
        d = vectors.shape[1]
        for i in range(first, last):
            for k in range(d):
                pull[k] = 0
            for p in range(indptr[i], indptr[i + 1]):
                j, w = others[p], weights[p]
                for k in range(d):
                    pull[k] += w * vectors[j, k]
            square = np.float64(0.0)
            for k in range(d):
                square += np.float64(pull[k]) * np.float64(pull[k])
            length = np.sqrt(square)
            pulls[i] = length
            if length > 0.0:
                for k in range(d):
                    vectors[i, k] = -pull[k] / length

    return mix
