"""Bit-packed recompute sweep of pairwise Ising problems, many replicas at once.

Spins are bits: word ``spins[i * words + r // 64]`` holds lane r of variable i in bit r % 64, set when the
spin is -1. Visiting variable i, its field is summed again for all lanes together: it starts at the value for
all neighbours at +1 and every neighbour that is at -1 in a lane subtracts twice its coupling there, one
masked subtraction for 64 float32 lanes in four AVX-512 registers or for 64 int8 lanes in one. No fields are
stored, so an accepted flip costs one bit.

Signs: ``field_i = -(h_i + sum_j J_ij s_j)``, so flipping spin i changes the cost by ``2 s_i field_i`` and is
accepted iff ``s_i field_i <= threshold`` (see ``thresholds``).

Thresholds come from a pool that is refilled every ``period`` variables. With ``period`` 1 and a pool of
one entry per lane all thresholds are fresh. With ``period`` n and a large pool every variable reads ``lanes``
consecutive entries from a pseudo-random offset; entries are used more than once per sweep, so the pool must be
large: 8192 entries or more, and a multiple of n.

The accumulator's type is that of ``couplings2``, ``base`` and ``pool``: int8, int16, float32 or float64. Integers are
exact while every field, at all neighbours' values, fits the type (sums in between may wrap).
"""

from __future__ import annotations

from functools import cache
from typing import Any

from qiosk.kernels.compiler import inlined, kernel, simd_available
from qiosk.kernels.plain import packed as plain
from qiosk.kernels.rng import LCG_INCREMENT, LCG_MULTIPLIER, OFFSET_SHIFT
from qiosk.kernels.sweeps.thresholds import fill_thresholds, load_generators, set_scales, store_generators

if simd_available():
    from qiosk.kernels.simd import (
        at_most,
        convert,
        load,
        load_mask,
        load_words,
        pointer,
        select,
        splat,
        store,
        store_mask,
        words_to_mask,
        zeros,
    )


@inlined()
def subtract_where_set(
    total: Any, zero: Any, spins: Any, words: Any, indices: Any, values: Any, begin: Any, end: Any
) -> Any:
    """``total`` less ``values[k]`` in the lanes where variable ``indices[k]`` is set, k from begin to end.

    Two sums, over even and odd k, hide the latency of an addition.
    """
    odd = zero
    k = begin
    while k + 2 <= end:
        is_set = load_mask(spins, indices[k] * words, total)
        total = select(is_set, total - values[k], total)
        is_set = load_mask(spins, indices[k + 1] * words, total)
        odd = select(is_set, odd - values[k + 1], odd)
        k += 2
    if k < end:
        is_set = load_mask(spins, indices[k] * words, total)
        total = select(is_set, total - values[k], total)
    return total + odd


@cache
def packed_sweeps(lanes: int, ladder: bool = False) -> Any:
    """The sweep kernel for 64, 128, ... lanes; it is specialized for an accumulator type when it is called.

    Replicas of a ``ladder`` have scales of their own: their pool holds plain -log2(u) as float32, multiplied by the
    lane's scale where it is used, so lanes may share entries nevertheless.

    ``sweeps(indptr, neighbors, couplings2, base, spins, generators, offsets, thresholds, part)``, thresholds:
    ``(scales, lane_scales, pool, offset_mask, period, cap, uniform, n_sweeps)``. Shapes: n variables, nnz = 2 x pairs,
    P pool entries.

    indptr, neighbors: CSR, (n + 1,) int64 and (nnz,) int32.
    couplings2, base: (nnz,) -2 J_ij and (n,) -(h_i + sum_j J_ij), in the accumulator's type and unit.
    spins: (n * lanes / 64,) uint64; updated.
    generators, offsets: random state, uint32 (4 * GENERATORS,) and uint64 (1,); updated.
    scales: float32 threshold scales, (n_sweeps,) of every sweep if ``uniform``, (lanes,) of every lane on a ladder.
    lane_scales: (lanes,) float32 scale of the pool's entries by lane: overwritten if ``uniform``, ones on a ladder.
    pool: (P,) scratch, float32 on a ladder, else of the accumulator's type; P a multiple of GENERATORS and at least
        offset_mask + lanes.
    offset_mask: uint64, picks the bits of an offset; 0 for fresh thresholds.
    period: variables between two fills of the pool; divides n.
    cap: float32, largest threshold: at least the largest field, and no more than the type holds.
    part: the first variable and the one after the last that are visited. A sweep may be made of several calls, one for
        each part in order, with the same scratch.
    """
    if not simd_available():
        return plain.packed_sweeps(lanes, ladder)
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
        spins_at, neighbors_at, couplings2_at = pointer(spins), pointer(neighbors), pointer(couplings2)
        pool_at, scales_at, lane_scales_at = pointer(pool), pointer(scales), pointer(lane_scales)
        a, b, c, d = load_generators(pointer(generators))
        zero = zeros(base, lanes)
        state = offsets[0]
        for sweep in range(n_sweeps):
            if uniform:
                set_scales(lane_scales_at, lanes, scales[sweep])
            until_fill = -part[0] % period
            for i in range(part[0], part[1]):
                if until_fill == 0:
                    until_fill = period
                    a, b, c, d = fill_thresholds(pool_at, pool.size, lane_scales_at, lanes - 1, cap, a, b, c, d)
                until_fill -= 1
                state = state * LCG_MULTIPLIER + LCG_INCREMENT
                field = subtract_where_set(
                    splat(base[i], lanes), zero, spins_at, words, neighbors_at, couplings2_at, indptr[i], indptr[i + 1]
                )
                minus = load_mask(spins_at, i * words, lanes)
                field = select(minus, zero - field, field)
                threshold = load(pool_at, (state >> OFFSET_SHIFT) & offset_mask, lanes)
                if ladder:  # noqa: SIM108 - pruned when compiled, where a conditional expression would be typed whole
                    flips = at_most(field, threshold * load(scales_at, 0, lanes))
                else:
                    flips = field <= threshold
                store_mask(spins_at, i * words, minus ^ flips)
        store_generators(pointer(generators), a, b, c, d)
        offsets[0] = state

    return sweeps


@cache
def packed_costs(lanes: int) -> Any:
    """The cost kernel: ``costs(indptr, cols, couplings, fields, spins, out)``.

    Every pair once: indptr (n + 1,) int64 over the pairs of each row, cols (P,) int32, couplings (P,) J_ij, fields (n,)
    h_i. spins: (n * lanes / 64,) uint64 as above. out: (lanes,) sum of h_i over the spins at -1 and of J_ij over the
    pairs of unlike spins: half of what the cost is below that of all spins +1.

    Each row is added up in the type of ``fields`` and ``couplings``, the rows in the wider type of ``out``.
    """
    if not simd_available():
        return plain.packed_costs(lanes)
    words = lanes // 64

    @kernel
    def costs(indptr: Any, cols: Any, couplings: Any, fields: Any, spins: Any, out: Any) -> None:
        zero = zeros(fields, lanes)
        total = zeros(out, lanes)
        for i in range(fields.size):
            minus = load_words(spins, i * words, lanes)
            row = select(words_to_mask(minus), zero + fields[i], zero)
            for k in range(indptr[i], indptr[i + 1]):
                unlike = words_to_mask(minus ^ load_words(spins, cols[k] * words, lanes))
                row = select(unlike, row + couplings[k], row)
            total = total + convert(row, out)
        store(out, 0, total)

    return costs
