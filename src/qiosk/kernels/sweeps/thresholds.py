"""Metropolis without exponentials: a random threshold instead of a random number.

A move is accepted with probability min(1, exp(-beta * delta)) iff delta <= -ln(u) / beta for u uniform in (0,
1]. The kernels compare fields instead of deltas and draw ``-log2(u) * scale``, scale = ln 2 / (2 beta), so
beta takes one multiplication per threshold. u = (32 random bits | 1) / 2**32, converted to float32 as an integer,
which keeps the tail down to 2**-32.

-log2(u) is exact in the exponent; in the mantissa a polynomial of degree 4 is off by at most 1.1e-4, hence acceptance
probabilities by a factor of at most 1 +- 8e-5. It is never below ``LEAST``, so that at beta = 0, where the scale is
``LARGEST_SCALE``, every move is accepted; at beta = inf the scale and every threshold are 0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.compiler import inlined, simd_available
from qiosk.kernels.rng import GENERATORS, next_uint32

if simd_available():
    from qiosk.kernels.simd import (
        bits_as_float32,
        bits_as_uint32,
        convert,
        load,
        select,
        splat,
        store,
        to_float32,
    )

# log2(m) on [1, 2], interpolated in 64 Chebyshev nodes and truncated to degree 4, as powers of m
_NODES = np.cos(np.pi * (np.arange(64) + 0.5) / 64) * 0.5 + 1.5
_FIT = np.polynomial.chebyshev.Chebyshev.fit(_NODES, np.log2(_NODES), 4, domain=[1, 2])
C0, C1, C2, C3, C4 = (np.float32(c) for c in _FIT.convert(kind=np.polynomial.Polynomial).coef)

EXPONENT_OF_ONE = np.float32(127 + 32) - C0  # the exponent field of 2**32, less the polynomial's constant
LEAST = np.float32(2.0**-26)
LARGEST_SCALE = np.float32(1e30)
LN2 = float(np.log(2.0))


def threshold_scales(betas: NDArray[np.float64], unit: float) -> NDArray[np.float32]:
    """ln 2 / (2 beta unit) per beta, for fields counted in ``unit`` [cost]: 0 at inf, huge at 0."""
    with np.errstate(divide="ignore", over="ignore"):
        exact = LN2 / 2 / (np.asarray(betas, np.float64) * unit)
    return np.minimum(exact, float(LARGEST_SCALE)).astype(np.float32)


@inlined()
def minus_log2(random_bits: Any) -> Any:
    """-log2 of uniform random numbers, float32 >= LEAST, from a uint32 vector of random bits."""
    pattern = bits_as_uint32(to_float32(random_bits | 1))
    mantissa = bits_as_float32((pattern & 0x7FFFFF) | 0x3F800000)
    log = to_float32(pattern >> 23) + mantissa * (C1 + mantissa * (C2 + mantissa * (C3 + mantissa * C4)))
    value = EXPONENT_OF_ONE - log
    return select(value > LEAST, value, splat(LEAST, value))


@inlined()
def fill_thresholds(
    pool: Any, length: Any, lane_scales: Any, last_lane: Any, cap: Any, a: Any, b: Any, c: Any, d: Any
) -> tuple[Any, Any, Any, Any]:
    """Fill a pool with thresholds of the pool's type, entry e at the scale of lane e % lanes; the new random state.

    pool, lane_scales: pointers; length: of the pool, a multiple of GENERATORS; last_lane: lanes - 1, lanes a power
    of two; cap: float32.
    """
    largest = splat(cap, GENERATORS)
    for entry in range(0, length, GENERATORS):
        drawn, a, b, c, d = next_uint32(a, b, c, d)
        threshold = minus_log2(drawn) * load(lane_scales, entry & last_lane, GENERATORS)
        store(pool, entry, convert(select(threshold < largest, threshold, largest), pool))
    return a, b, c, d


@inlined()
def set_scales(lane_scales: Any, lanes: Any, scale: Any) -> None:
    """One scale for every lane; lanes a multiple of GENERATORS."""
    for lane in range(0, lanes, GENERATORS):
        store(lane_scales, lane, splat(scale, GENERATORS))


@inlined()
def load_generators(states: Any) -> tuple[Any, Any, Any, Any]:
    """The four state words of a vector of generators."""
    return (
        load(states, 0, GENERATORS),
        load(states, GENERATORS, GENERATORS),
        load(states, 2 * GENERATORS, GENERATORS),
        load(states, 3 * GENERATORS, GENERATORS),
    )


@inlined()
def store_generators(states: Any, a: Any, b: Any, c: Any, d: Any) -> None:
    """Write them back."""
    store(states, 0, a)
    store(states, GENERATORS, b)
    store(states, 2 * GENERATORS, c)
    store(states, 3 * GENERATORS, d)
