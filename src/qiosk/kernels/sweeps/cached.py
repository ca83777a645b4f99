"""Sparse sweep with stored fields: for a few replicas, or cold ones, where most proposals are rejected.

Replica-major: row r of ``spins`` and ``fields`` belongs to replica r and is padded to whole blocks of 64 variables. A
block is tested at once; the lowest accepted variable flips, its neighbours' fields are updated, and the rest of the
block is tested again, against the same thresholds, only if one of these neighbours is in it. So this is an exact
sequential sweep. It is fastest when neighbours are in different blocks (see ``color_order``).

``field_i = -(h_i + sum_j J_ij s_j)``: a flip is accepted iff ``s_i field_i <= threshold``. Fields are summed again
in float64 every ``REFRESH_SWEEPS`` sweeps of a group, so rounding does not build up; integers are exact anyway. Padding
has spin +1 and the field ``PADDING``, above all thresholds.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import inlined, kernel, simd_available
from qiosk.kernels.plain import cached as plain
from qiosk.kernels.plain.cached import BLOCK, REFRESH_SWEEPS, add_up_fields
from qiosk.kernels.rng import next_uint32
from qiosk.kernels.sweeps.thresholds import minus_log2

if simd_available():
    from qiosk.kernels.simd import at_most, load, mask_to_word, pointer, splat, store, trailing_zeros

_ABOVE_FIRST = np.uint64(2**64 - 2)
_ONE = np.uint64(1)


@inlined()
def draw_block(generators: Any, replica: Any) -> Any:
    """-log2(u) for a block of variables of one replica, whose generators advance."""
    at = replica * 4 * BLOCK
    drawn, a, b, c, d = next_uint32(
        load(generators, at, BLOCK),
        load(generators, at + BLOCK, BLOCK),
        load(generators, at + 2 * BLOCK, BLOCK),
        load(generators, at + 3 * BLOCK, BLOCK),
    )
    store(generators, at, a)
    store(generators, at + BLOCK, b)
    store(generators, at + 2 * BLOCK, c)
    store(generators, at + 3 * BLOCK, d)
    return minus_log2(drawn)


@inlined()
def after(bit: Any) -> Any:
    """A word of the bits above ``bit``."""
    return _ABOVE_FIRST << np.uint64(bit)


@cache
def cached_sweeps() -> Any:
    """``sweeps(indptr, neighbors, couplings2, base, spins, fields, generators, age, scales, by_replica, n_sweeps,
    part)``.

    Shapes: n variables, N of them with padding (a multiple of BLOCK), R replicas, nnz = 2 x pairs; "real" is float32 or
    float64, the type of ``fields``.

    indptr, neighbors, couplings2: CSR, (n + 1,) int64, (nnz,) int32 and (nnz,) real 2 J_ij.
    base: (n,) float64 -h_i. spins, fields: (R, N) real; updated. generators: (R * 4 * BLOCK,) uint32; updated.
    age: (1,) int64 sweeps that these replicas have made; updated.
    scales: float32 threshold scales, (R,) if ``by_replica``, else (n_sweeps,).
    part: the first place and the one after the last that are visited, multiples of BLOCK. A sweep may be made of
        several calls, one for each part in order.
    """
    if not simd_available():
        return plain.cached_sweeps()

    @kernel
    def sweeps(
        indptr: Any,
        neighbors: Any,
        couplings2: Any,
        base: Any,
        spins: Any,
        fields: Any,
        generators: Any,
        age: Any,
        scales: Any,
        by_replica: Any,
        n_sweeps: Any,
        part: Any,
    ) -> None:
        R, N = spins.shape
        spins_at, fields_at, generators_at = pointer(spins), pointer(fields), pointer(generators)
        neighbors_at, couplings2_at = pointer(neighbors), pointer(couplings2)
        for r in range(R):
            row = r * N
            for sweep in range(n_sweeps):
                if part[0] == 0 and (age[0] + sweep) % REFRESH_SWEEPS == 0:
                    add_up_fields(indptr, neighbors, couplings2, base, spins[r], fields[r])
                scale = splat(scales[r] if by_replica else scales[sweep], BLOCK)
                for block in range(part[0], part[1], BLOCK):
                    at = row + block
                    threshold = draw_block(generators_at, r) * scale
                    accepted = load(fields_at, at, BLOCK) * load(spins_at, at, BLOCK)
                    bits = mask_to_word(at_most(accepted, threshold))
                    while bits:
                        bit = trailing_zeros(bits)
                        i = block + bit
                        s = spins_at[row + i]
                        spins_at[row + i] = -s
                        is_near: Any = False
                        for k in range(indptr[i], indptr[i + 1]):
                            j = neighbors_at[k]
                            fields_at[row + j] += s * couplings2_at[k]
                            is_near |= np.uint64(j - block) < BLOCK
                        if is_near:
                            accepted = load(fields_at, at, BLOCK) * load(spins_at, at, BLOCK)
                            bits = mask_to_word(at_most(accepted, threshold)) & after(bit)
                        else:
                            bits &= bits - _ONE
        if part[1] == spins.shape[1]:
            age[0] += n_sweeps

    return sweeps
