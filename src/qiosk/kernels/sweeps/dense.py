"""Dense sweep with stored fields and delayed updates.

Replica-major, as ``cached``. A block of 64 variables is tested at once and its flips are found one after the other,
each adding its row of the block's own 64 x 64 couplings to a copy of the block's fields held in registers; then the
flips of all replicas are applied to all fields, tile by tile of ``TILE`` columns, so a tile of couplings is read once
from memory for all replicas. Every field receives the same additions in the same order as in a sweep without blocks.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import kernel, simd_available
from qiosk.kernels.plain import dense as plain
from qiosk.kernels.plain.cached import BLOCK
from qiosk.kernels.plain.dense import TILE
from qiosk.kernels.sweeps.cached import after, draw_block

if simd_available():
    from qiosk.kernels.simd import (
        at_most,
        kept,
        load,
        mask_to_word,
        pointer,
        select,
        splat,
        store,
        trailing_zeros,
        word_to_mask,
        zeros,
    )

_ZERO = np.uint64(0)


@cache
def dense_sweeps() -> Any:
    """``sweeps(couplings2, spins, fields, generators, scales, by_replica, n_sweeps, part)``.

    Shapes: N variables with padding (a multiple of TILE), R replicas; "real" is float32 or float64.

    couplings2: (N / BLOCK, N / TILE, BLOCK, TILE) real tiles of 2 J, zeros on the diagonal and in the padding.
    spins, fields: (R, N) real; updated. generators: (R * 4 * BLOCK,) uint32; updated.
    scales: float32 threshold scales, (R,) if ``by_replica``, else (n_sweeps,). part: as in ``cached``.
    """
    if not simd_available():
        return plain.dense_sweeps()

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
        n_tiles = N // TILE
        couplings2_at, spins_at, fields_at = pointer(couplings2), pointer(spins), pointer(fields)
        generators_at = pointer(generators)
        rows = np.empty((R, BLOCK), np.int64)
        signs = np.empty((R, BLOCK), spins.dtype)
        counts = np.empty(R, np.int64)
        rows_at, signs_at, counts_at = pointer(rows), pointer(signs), pointer(counts)
        zero = zeros(spins, BLOCK)
        for sweep in range(n_sweeps):
            for block in range(part[0], part[1], BLOCK):
                tiles = block // BLOCK * n_tiles * BLOCK * TILE
                own = tiles + block // TILE * BLOCK * TILE + block % TILE
                n_flips = 0
                for r in range(R):
                    scale = scales[r] if by_replica else scales[sweep]
                    threshold = draw_block(generators_at, r) * splat(scale, BLOCK)
                    field, spin = load(fields_at, r * N + block, BLOCK), load(spins_at, r * N + block, BLOCK)
                    bits = mask_to_word(at_most(field * spin, threshold))
                    flipped = _ZERO
                    count = 0
                    while bits:
                        bit = trailing_zeros(bits)
                        s = spins_at[r * N + block + bit]
                        rows_at[r * BLOCK + count] = bit * TILE
                        signs_at[r * BLOCK + count] = s
                        count += 1
                        flipped |= bits & (_ZERO - bits)
                        field = field + load(couplings2_at, own + bit * TILE, BLOCK) * s
                        bits = mask_to_word(at_most(field * spin, threshold)) & after(bit)
                    if count:
                        store(spins_at, r * N + block, select(word_to_mask(flipped), zero - spin, spin))
                    counts_at[r] = count
                    n_flips += count
                if n_flips:
                    for tile in range(n_tiles):
                        tile_at = tiles + tile * BLOCK * TILE
                        for r in range(R):
                            if counts_at[r]:
                                at = r * N + tile * TILE
                                wide = load(fields_at, at, TILE)
                                for q in range(counts_at[r]):
                                    row = load(couplings2_at, tile_at + rows_at[r * BLOCK + q], TILE)
                                    wide = wide + row * signs_at[r * BLOCK + q]
                                store(fields_at, at, wide)
        kept(rows)
        kept(signs)
        kept(counts)

    return sweeps
