"""The vector generators and thresholds, one number at a time."""

from __future__ import annotations

from typing import Any

import numpy as np

from qiosk.kernels.compiler import inlined
from qiosk.kernels.sweeps.thresholds import C1, C2, C3, C4, EXPONENT_OF_ONE, LEAST

_LOW32 = 0xFFFFFFFF


@inlined()
def next_uint32(states: Any, generator: int, generators: int) -> int:
    """One draw, 0 .. 2**32 - 1, of one of a vector of xoshiro128+ generators; ``states`` is updated."""
    a = int(states[generator])
    b = int(states[generators + generator])
    c = int(states[2 * generators + generator])
    d = int(states[3 * generators + generator])
    drawn = (a + d) & _LOW32
    shifted = (b << 9) & _LOW32
    c ^= a
    d ^= b
    b ^= c
    a ^= d
    c ^= shifted
    d = ((d << 11) | (d >> 21)) & _LOW32
    states[generator] = a
    states[generators + generator] = b
    states[2 * generators + generator] = c
    states[3 * generators + generator] = d
    return drawn


@inlined()
def minus_log2(random_bits: int) -> Any:
    """-log2 of a uniform random number, as ``thresholds.minus_log2`` does it, operation by operation."""
    pattern = int(np.float32(random_bits | 1).view(np.int32))
    mantissa = np.int32((pattern & 0x7FFFFF) | 0x3F800000).view(np.float32)
    log = np.float32(pattern >> 23) + mantissa * (C1 + mantissa * (C2 + mantissa * (C3 + mantissa * C4)))
    value = EXPONENT_OF_ONE - log
    return value if value > LEAST else LEAST


@inlined()
def fill_thresholds(pool: Any, length: int, states: Any, generators: int, lane_scales: Any, cap: Any) -> None:
    """Fill a pool with capped thresholds of the pool's type, entry e at the scale of lane e % lanes."""
    lanes = lane_scales.size
    for entry in range(length):
        threshold = minus_log2(next_uint32(states, entry % generators, generators)) * lane_scales[entry % lanes]
        pool[entry] = min(threshold, cap)
