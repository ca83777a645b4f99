"""Bits that are set with given probabilities, 1024 at a time and with a probability of its own for each.

A bit is set iff a uniform random number of 32 binary digits is below a threshold t: with probability t * 2**-32
exactly, t = 0 .. 2**32. The digits are compared from the highest on, one draw of all generators per digit; a bit is
decided by the first digit that differs, and drawing ends when none is undecided, after 11 to 12 digits on average.

Thresholds are laid out as ``digits``, a row of words per digit: 33 rows of GENERATORS uint32 per class of thresholds,
row 0 for 2**32 and the others from the highest digit down; bit k of word w belongs to bit 32 w + k of a chunk.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.compiler import inlined, simd_available
from qiosk.kernels.rng import GENERATORS, next_uint32

if simd_available():
    from qiosk.kernels.simd import any_set, load, splat, store, store_mask

CHUNK_BYTES = 4 * GENERATORS
"""Of the bits that are drawn together."""
DIGITS = 32
ROWS = DIGITS + 1
UNCHECKED_DIGITS = 8
"""Digits that are drawn before the first check for undecided bits: four of 1024 are left by then."""

_1 = np.uint64(1)
_LOW32 = np.uint64(0xFFFFFFFF)


def thresholds(probabilities: NDArray[np.float64]) -> NDArray[np.uint64]:
    """t nearest to 2**32 times each probability: off by at most 2**-33."""
    return np.rint(np.ldexp(np.asarray(probabilities, np.float64), DIGITS)).astype(np.uint64)


@inlined()
def spread_digits(digits: Any, first: Any, threshold: Any) -> None:
    """From ``digits[first]`` on, the digits of one threshold for all bits."""
    for row in range(ROWS):
        digit = (threshold >> np.uint64(DIGITS - row)) & _1
        store(digits, first + row * GENERATORS, splat(np.uint32(digit * _LOW32), GENERATORS))


@inlined()
def lane_digits(digits: Any, first: Any, thresholds: Any, lane: Any, lanes: Any) -> None:
    """The same of ``thresholds[lane : lane + lanes]``, one for each bit, over and over; lanes a multiple of 32."""
    for word in range(GENERATORS):
        mine = load(thresholds, lane + 32 * word % lanes, 32)
        for row in range(ROWS):
            store_mask(digits, first + row * GENERATORS + word, ((mine >> np.uint64(DIGITS - row)) & _1) == _1)


@inlined()
def draw_below(digits: Any, first: Any, a: Any, b: Any, c: Any, d: Any) -> tuple[Any, Any, Any, Any, Any]:
    """A chunk of bits by the digits from ``digits[first]`` on, as GENERATORS words, and the new random state."""
    below = load(digits, first, GENERATORS)
    undecided = ~below
    row = 1
    while row <= UNCHECKED_DIGITS or (row <= DIGITS and any_set(undecided)):
        drawn, a, b, c, d = next_uint32(a, b, c, d)
        digit = load(digits, first + row * GENERATORS, GENERATORS)
        below = below | (undecided & digit & ~drawn)
        undecided = undecided & ~(digit ^ drawn)
        row += 1
    return below, a, b, c, d
