"""Reference kernel of ``kernels.dense``, in plain loops, and the fields of dense problems."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import kernel
from qiosk.kernels.plain.cached import BLOCK, PADDING, draw_block

TILE = 128
"""Columns of a tile of couplings."""


@cache
def dense_fields() -> Any:
    """``fill(couplings2, base, spins, fields)``: field_i = base_i - sum_j J_ij s_j of every row, summed in float64.

    couplings2: tiles as in ``kernels.dense``; base: (n,) float64 -h_i; spins, fields: (R, N), padding included.
    """

    @kernel
    def fill(couplings2: Any, base: Any, spins: Any, fields: Any) -> None:
        R, N = spins.shape
        sums = np.empty(N)
        for r in range(R):
            sums[: base.size] = base
            for j in range(base.size):
                half = 0.5 * spins[r, j]
                for tile in range(N // TILE):
                    row = couplings2[j // BLOCK, tile, j % BLOCK]
                    part = sums[tile * TILE : (tile + 1) * TILE]
                    for c in range(TILE):
                        part[c] -= half * row[c]
            fields[r] = sums
            fields[r, base.size :] = PADDING

    return fill


@cache
def dense_sweeps() -> Any:
    """Reference kernel of ``kernels.dense.dense_sweeps``; the arguments are documented there."""

    @kernel
    def sweeps(
        couplings2: Any,
        spins: Any,
        fields: Any,
        generators: Any,
        scales: Any,
        by_replica: Any,
        n_sweeps: Any,
        part: Any,
    ) -> None:
        R, N = spins.shape
        drawn = np.empty(BLOCK, np.float32)
        for sweep in range(n_sweeps):
            for r in range(R):
                scale = scales[r] if by_replica else scales[sweep]
                for i in range(part[0], part[1]):
                    if i % BLOCK == 0:
                        draw_block(generators, r, drawn)
                    if fields[r, i] * spins[r, i] <= drawn[i % BLOCK] * scale:
                        s = spins[r, i]
                        spins[r, i] = -s
                        for j in range(N):
                            fields[r, j] += s * couplings2[i // BLOCK, j // TILE, i % BLOCK, j % TILE]

    return sweeps
