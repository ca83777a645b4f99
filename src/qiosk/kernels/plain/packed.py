"""Reference kernels of ``kernels.packed``, in plain loops; the arguments are documented there."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import kernel
from qiosk.kernels.plain.random import fill_thresholds
from qiosk.kernels.rng import GENERATORS, LCG_INCREMENT, LCG_MULTIPLIER, OFFSET_SHIFT

_ONE = np.uint64(1)


@cache
def packed_sweeps(lanes: int, ladder: bool = False) -> Any:
    """Reference kernel of ``kernels.packed.packed_sweeps``."""
    words = lanes // 64

    @kernel
    def sweeps(
        indptr: Any,
        neighbors: Any,
        couplings2: Any,
        base: Any,
        spins: Any,
        generators: Any,
        offsets: Any,
        thresholds: Any,
        part: Any,
    ) -> None:
        scales, lane_scales, pool, offset_mask, period, cap, uniform, n_sweeps = thresholds
        fields = np.empty(lanes, base.dtype)
        fields2 = np.empty(lanes, base.dtype)
        for sweep in range(n_sweeps):
            if uniform:
                lane_scales[:] = scales[sweep]
            for i in range(part[0], part[1]):
                if i % period == 0:
                    fill_thresholds(pool, pool.size, generators, GENERATORS, lane_scales, cap)
                offsets[0] = offsets[0] * LCG_MULTIPLIER + LCG_INCREMENT
                offset = int((offsets[0] >> OFFSET_SHIFT) & offset_mask)
                fields[:] = base[i]
                fields2[:] = 0
                n_neighbors = indptr[i + 1] - indptr[i]
                for q in range(n_neighbors):
                    k = indptr[i] + q
                    # the vector kernel adds up even and odd neighbours apart, the odd one out among the even
                    # ones
                    sums = fields2 if q % 2 == 1 else fields
                    for r in range(lanes):
                        if (spins[neighbors[k] * words + r // 64] >> np.uint64(r % 64)) & _ONE:
                            sums[r] -= couplings2[k]
                for r in range(lanes):
                    word = i * words + r // 64
                    bit = _ONE << np.uint64(r % 64)
                    fields[r] += fields2[r]
                    field = -fields[r] if spins[word] & bit else fields[r]
                    threshold = pool[offset + r] * scales[r] if ladder else pool[offset + r]
                    if field <= threshold:
                        spins[word] ^= bit

    return sweeps


@cache
def packed_costs(lanes: int) -> Any:
    """Reference kernel of ``kernels.packed.packed_costs``."""
    words = lanes // 64

    @kernel
    def costs(indptr: Any, cols: Any, couplings: Any, fields: Any, spins: Any, out: Any) -> None:
        out[:] = 0
        for i in range(fields.size):
            for r in range(lanes):
                word = r // 64
                bit = np.uint64(r % 64)
                own = (spins[i * words + word] >> bit) & _ONE
                row = fields[i] if own else fields[i] - fields[i]
                for k in range(indptr[i], indptr[i + 1]):
                    if (spins[cols[k] * words + word] >> bit) & _ONE != own:
                        row += couplings[k]
                out[r] += row

    return costs
