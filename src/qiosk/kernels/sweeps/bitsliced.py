"""Bit-sliced sweep of sparse Ising problems whose couplings all have one magnitude J.

Spins are bits as in ``packed``, one word holding those of many lanes, and sums are taken by logic on words. Every
variable has ``slots`` = 2, 4 or 6 neighbours; for each neighbour one word operation finds, for all lanes together,
whether the pair is unsatisfied. A tree of bitwise adders then finds whether at least 1, 2 or 3 of them are. Flipping a
spin with U of d pairs unsatisfied changes the cost by 2 J (d - 2 U), so it is accepted where U >= d / 2 and else with
one of at most three probabilities, p_m = exp(-2 beta J m), m = d - 2 U > 0: for those, random bits that are set with
p_m are made beforehand (``bernoulli``; exact up to 2**-33).

Every slot is taken: ``neighbors`` holds 2 j + sign, sign 1 where the pair is satisfied by unlike spins. A coupling of
k J is k neighbours, and a field of k J is k that are always +1, the row after the last variable. A variable that has
two neighbours less has itself in their places, once with each sign, which adds to d and to 2 U alike. One that has an
odd number has itself once, always satisfied: its U, and the limits on it, are as if it had one more, but its
probabilities are those of odd m.

Random bits come from a pool of one row per class m, refilled every ``period`` variables: variable i reads ``lanes``
consecutive bits of every row it needs, from one pseudo-random byte on. With a period of a few variables each reads
bits of its own.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import inlined, kernel, simd_available
from qiosk.kernels.plain import bitsliced as plain
from qiosk.kernels.rng import GENERATORS, LCG_INCREMENT, LCG_MULTIPLIER, OFFSET_SHIFT
from qiosk.kernels.sweeps.bernoulli import CHUNK_BYTES, ROWS, draw_below, lane_digits, spread_digits
from qiosk.kernels.sweeps.thresholds import load_generators, store_generators

if simd_available():
    from qiosk.kernels.simd import load, pointer, store


@inlined()
def unsatisfied(spins: Any, spin: Any, signs: Any, neighbors: Any, slot: Any, width: Any) -> Any:
    """Bits of the lanes where the pair in a slot is unsatisfied; ``spin`` holds the variable's own bits.

    Pointers to bytes: spins; signs, to a vector without and one with all bits set; width: bytes of a vector.
    """
    place = neighbors[slot]
    return spin ^ load(spins, (place >> 1) * width, spin) ^ load(signs, (place & 1) * width, spin)


@inlined()
def flips_of_2(
    spins: Any, spin: Any, signs: Any, neighbors: Any, slot: Any, pool: Any, at: Any, stride: Any, width: Any
) -> Any:
    """Bits of the lanes that flip, of a variable with two slots; ``at``: its random bits in the first row it needs."""
    u0 = unsatisfied(spins, spin, signs, neighbors, slot, width)
    u1 = unsatisfied(spins, spin, signs, neighbors, slot + 1, width)
    return u0 | u1 | load(pool, at, spin)


@inlined()
def flips_of_4(
    spins: Any, spin: Any, signs: Any, neighbors: Any, slot: Any, pool: Any, at: Any, stride: Any, width: Any
) -> Any:
    """The same with four slots."""
    u0 = unsatisfied(spins, spin, signs, neighbors, slot, width)
    u1 = unsatisfied(spins, spin, signs, neighbors, slot + 1, width)
    u2 = unsatisfied(spins, spin, signs, neighbors, slot + 2, width)
    u3 = unsatisfied(spins, spin, signs, neighbors, slot + 3, width)
    any01, any23 = u0 | u1, u2 | u3
    one = any01 | any23
    two = (u0 & u1) | (u2 & u3) | (any01 & any23)
    return two | (one & load(pool, at, spin)) | (~one & load(pool, at + stride, spin))


@inlined()
def flips_of_6(
    spins: Any, spin: Any, signs: Any, neighbors: Any, slot: Any, pool: Any, at: Any, stride: Any, width: Any
) -> Any:
    """The same with six slots: two full adders, and their sums and carries together."""
    u0 = unsatisfied(spins, spin, signs, neighbors, slot, width)
    u1 = unsatisfied(spins, spin, signs, neighbors, slot + 1, width)
    u2 = unsatisfied(spins, spin, signs, neighbors, slot + 2, width)
    u3 = unsatisfied(spins, spin, signs, neighbors, slot + 3, width)
    u4 = unsatisfied(spins, spin, signs, neighbors, slot + 4, width)
    u5 = unsatisfied(spins, spin, signs, neighbors, slot + 5, width)
    sum_a, carry_a = u0 ^ u1 ^ u2, (u0 & u1) | (u2 & (u0 | u1))
    sum_b, carry_b = u3 ^ u4 ^ u5, (u3 & u4) | (u5 & (u3 | u4))
    any_sum, any_carry = sum_a | sum_b, carry_a | carry_b
    one = any_sum | any_carry
    two = any_carry | (sum_a & sum_b)
    three = (carry_a & carry_b) | (any_carry & any_sum)
    rarely = (one & load(pool, at + stride, spin)) | (~one & load(pool, at + 2 * stride, spin))
    return three | (two & load(pool, at, spin)) | (~two & rarely)


FLIPS = {2: flips_of_2, 4: flips_of_4, 6: flips_of_6}


@cache
def bitsliced_sweeps(lanes: int, slots: int) -> Any:
    """The sweep kernel for 64, 128, ... 1024 lanes (a power of two), and 2, 4 or 6 slots.

    ``sweeps(neighbors, rows, signs, spins, generators, offsets, thresholds, uniform, digits, pool, n_classes, stride,
    offset_mask, period, n_sweeps)``. Shapes: n variables, C classes.

    neighbors: (n * slots,) int32, 2 j + sign; j = n for a field, i for an empty slot.
    rows: (n,) int32, where in the pool the row of the first class of a variable begins [bytes]; those of its second and
        third class, in order of m, follow it.
    signs: (2 * lanes / 8,) uint8, 0 in the first half and 255 in the second.
    spins: ((n + 1) * lanes / 8,) uint8, lane r of variable i is bit r % 8 of byte i * lanes / 8 + r // 8, set when the
        spin is -1; updated, save for the last variable, which must be 0.
    generators, offsets: random state, uint32 (4 * GENERATORS,) and uint64 (1,); updated.
    thresholds: uint64, 0 .. 2**32, (n_sweeps * C,) of every sweep if ``uniform``, else (C * lanes,) of every lane.
    digits: uint32 (C * ROWS * GENERATORS,) scratch. pool: uint8 (C * stride,) scratch.
    stride: bytes of a row of the pool, a multiple of CHUNK_BYTES.
    offset_mask: uint64, picks the bits of an offset [bytes] in a row, at most stride - lanes / 8; 0 for bits of their
        own, which must be for lanes of unlike thresholds.
    period: variables between two fills; with an offset_mask of 0 it is stride * 8 / lanes.
    """
    if not simd_available():
        return plain.bitsliced_sweeps(lanes, slots)
    width = lanes // 8
    flips_of = FLIPS[slots]

    @kernel
    def sweeps(
        neighbors: Any,
        rows: Any,
        signs: Any,
        spins: Any,
        generators: Any,
        offsets: Any,
        thresholds: Any,
        uniform: Any,
        digits: Any,
        pool: Any,
        n_classes: Any,
        stride: Any,
        offset_mask: Any,
        period: Any,
        n_sweeps: Any,
    ) -> None:
        spins_at, neighbors_at, signs_at, pool_at = pointer(spins), pointer(neighbors), pointer(signs), pointer(pool)
        digits_at = pointer(digits)
        step = 0 if offset_mask else width
        a, b, c, d = load_generators(pointer(generators))
        state = offsets[0]
        for sweep in range(n_sweeps):
            for m in range(n_classes):
                if uniform:
                    spread_digits(digits, m * ROWS * GENERATORS, thresholds[sweep * n_classes + m])
                elif sweep == 0:
                    lane_digits(digits, m * ROWS * GENERATORS, thresholds, m * lanes, lanes)
            until_fill = 0
            for i in range(rows.size):
                if until_fill == 0:
                    until_fill = period
                    for m in range(n_classes):
                        for at in range(m * stride, (m + 1) * stride, CHUNK_BYTES):
                            bits, a, b, c, d = draw_below(digits_at, m * ROWS * GENERATORS, a, b, c, d)
                            store(pool_at, at, bits)
                until_fill -= 1
                state = state * LCG_MULTIPLIER + LCG_INCREMENT
                at = rows[i] + until_fill * step + np.int64((state >> OFFSET_SHIFT) & offset_mask)
                spin = load(spins_at, i * width, width)
                flips = flips_of(spins_at, spin, signs_at, neighbors_at, i * slots, pool_at, at, stride, width)
                store(spins_at, i * width, spin ^ flips)
        store_generators(pointer(generators), a, b, c, d)
        offsets[0] = state

    return sweeps
