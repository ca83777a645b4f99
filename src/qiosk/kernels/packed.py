"""Bit-packed recompute sweep of pairwise Ising problems, many replicas at once.

Spins are bits: word ``spins[i * words + r // 64]`` holds lane r of variable i in bit r % 64, set when the
spin is -1. Visiting variable i, its field is summed anew for all lanes together: it starts at the value for
all neighbours at +1 and every neighbour that is at -1 in a lane subtracts twice its coupling there, one
masked subtraction for 64 float32 lanes in four AVX-512 registers or for 64 int8 lanes in one. No fields are
stored, so an accepted flip costs one bit.

Signs: ``field_i = -(h_i + sum_j J_ij s_j)``, so flipping spin i changes the cost by ``2 s_i field_i`` and is
accepted iff ``s_i field_i <= threshold`` (see ``thresholds``).

Thresholds come from a pool that is filled anew every ``period`` variables. With ``period`` 1 and a pool of
one entry per lane all thresholds are fresh. With ``period`` n and a large pool every variable reads ``lanes``
consecutive entries from a pseudo-random offset; entries are used more than once per sweep, so the pool has at
least max(8192, n) of them.

The accumulator's type is that of ``couplings2``, ``base`` and ``pool``: int8, int16, float32 or float64.
Integers are exact as long as every field, at all neighbours' values, fits the type (sums in between may
wrap).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from qiosk.kernels.compiler import inlined, kernel, simd_available
from qiosk.kernels.plain import packed as plain
from qiosk.kernels.rng import GENERATORS, LCG_INCREMENT, LCG_MULTIPLIER, OFFSET_SHIFT, next_uint32
from qiosk.kernels.thresholds import minus_log2

if simd_available():
    from qiosk.kernels.simd import convert, load, load_mask, select, splat, store, store_mask, zeros


@inlined()
def _minimum(x: Any, y: Any) -> Any:
    return select(x < y, x, y)


@cache
def packed_sweeps(lanes: int) -> Any:
    """The sweep kernel for 64, 128, ... lanes; it is specialized for an accumulator type when it is called.

    ``sweeps(indptr, neighbors, couplings2, base, spins, generators, offsets, scales, lane_scales, pool,
    offset_mask, period, cap, uniform, n_sweeps)``. Shapes: n variables, nnz = 2 x pairs, P pool entries.

    indptr, neighbors: CSR, (n + 1,) int64 and (nnz,) int32.
    couplings2, base: (nnz,) -2 J_ij and (n,) -(h_i + sum_j J_ij), in the accumulator's type and unit.
    spins: (n * lanes / 64,) uint64; updated.
    generators, offsets: random state, uint32 (4 * GENERATORS,) and uint64 (1,); updated.
    scales: (n_sweeps,) float32 threshold scale of every sweep, if ``uniform``; else unused.
    lane_scales: (lanes,) float32 threshold scale of every lane; overwritten if ``uniform``.
    pool: (P,) scratch in the accumulator's type, P a multiple of GENERATORS and at least offset_mask + lanes.
    offset_mask: uint64, picks the bits of an offset; 0 for fresh thresholds.
    period: variables between two fills of the pool; divides n.
    cap: float32, largest threshold: at least the largest field, and no more than the type holds.
    """
    if not simd_available():
        return plain.packed_sweeps(lanes)
    words = lanes // 64
    last_lane = lanes - 1

    @kernel
    def sweeps(
        indptr: Any,
        neighbors: Any,
        couplings2: Any,
        base: Any,
        spins: Any,
        generators: Any,
        offsets: Any,
        scales: Any,
        lane_scales: Any,
        pool: Any,
        offset_mask: Any,
        period: Any,
        cap: Any,
        uniform: Any,
        n_sweeps: Any,
    ) -> None:
        a = load(generators, 0, GENERATORS)
        b = load(generators, GENERATORS, GENERATORS)
        c = load(generators, 2 * GENERATORS, GENERATORS)
        d = load(generators, 3 * GENERATORS, GENERATORS)
        largest = splat(cap, GENERATORS)
        zero = zeros(pool, lanes)
        state = offsets[0]
        for sweep in range(n_sweeps):
            if uniform:
                for lane in range(0, lanes, GENERATORS):
                    store(lane_scales, lane, splat(scales[sweep], GENERATORS))
            until_fill = 0
            for i in range(base.size):
                if until_fill == 0:
                    until_fill = period
                    for entry in range(0, pool.size, GENERATORS):
                        drawn, a, b, c, d = next_uint32(a, b, c, d)
                        threshold = minus_log2(drawn) * load(lane_scales, entry & last_lane, GENERATORS)
                        store(pool, entry, convert(_minimum(threshold, largest), pool))
                until_fill -= 1
                state = state * LCG_MULTIPLIER + LCG_INCREMENT
                field = splat(base[i], lanes)
                field2 = zero
                k = indptr[i]
                end = indptr[i + 1]
                while k + 2 <= end:
                    minus = load_mask(spins, neighbors[k] * words, lanes)
                    field = select(minus, field - couplings2[k], field)
                    minus = load_mask(spins, neighbors[k + 1] * words, lanes)
                    field2 = select(minus, field2 - couplings2[k + 1], field2)
                    k += 2
                if k < end:
                    minus = load_mask(spins, neighbors[k] * words, lanes)
                    field = select(minus, field - couplings2[k], field)
                field = field + field2
                minus = load_mask(spins, i * words, lanes)
                field = select(minus, zero - field, field)
                flips = field <= load(pool, (state >> OFFSET_SHIFT) & offset_mask, lanes)
                store_mask(spins, i * words, minus ^ flips)
        store(generators, 0, a)
        store(generators, GENERATORS, b)
        store(generators, 2 * GENERATORS, c)
        store(generators, 3 * GENERATORS, d)
        offsets[0] = state

    return sweeps


@cache
def packed_costs() -> Any:
    """The cost kernel: ``costs(indptr, cols, couplings2, fields2, start, spins, words, out)``.

    Adds up in float64, hence exactly for integers whose absolute values sum to at most 2**53.
    Every pair once: indptr (n + 1,) int64 over the pairs of each row, cols (P,) int32, couplings2 (P,) 2
    J_ij, fields2 (n,) 2 h_i; start, the cost at all spins +1; spins (n * words,) uint64 as above; out (64 *
    words,) float64.
    """
    if not simd_available():
        return plain.packed_costs()

    @kernel
    def costs(
        indptr: Any, cols: Any, couplings2: Any, fields2: Any, start: Any, spins: Any, words: Any, out: Any
    ) -> None:
        for word in range(words):
            total = splat(start, 64)
            for i in range(fields2.size):
                minus = load_mask(spins, i * words + word, 64)
                total = select(minus, total - fields2[i], total)
                for k in range(indptr[i], indptr[i + 1]):
                    unlike = minus ^ load_mask(spins, cols[k] * words + word, 64)
                    total = select(unlike, total - couplings2[k], total)
            store(out, 64 * word, total)

    return costs
