"""Reference of ``kernels.bernoulli``, bit by bit; the arguments are documented there."""

from __future__ import annotations

from typing import Any

import numpy as np

from qiosk.kernels.compiler import inlined
from qiosk.kernels.plain.random import next_uint32
from qiosk.kernels.rng import GENERATORS
from qiosk.kernels.sweeps.bernoulli import DIGITS, ROWS, UNCHECKED_DIGITS

_LOW32 = 0xFFFFFFFF


@inlined()
def set_digits(digits: Any, first_row: int, thresholds: Any, first: int, lanes: int) -> None:
    """Digits of ``thresholds[first : first + lanes]`` for one bit each, over and over."""
    for word in range(GENERATORS):
        for row in range(ROWS):
            digit_word = 0
            for k in range(32):
                threshold = int(thresholds[first + (32 * word + k) % lanes])
                digit_word |= ((threshold >> (DIGITS - row)) & 1) << k
            digits[(first_row + row) * GENERATORS + word] = digit_word


@inlined()
def draw_below(pool: Any, at: int, digits: Any, first_row: int, states: Any, below: Any, undecided: Any) -> None:
    """A chunk of bits into bytes ``at`` and on of a pool; below, undecided: (GENERATORS,) int64 scratch."""
    for g in range(GENERATORS):
        below[g] = int(digits[first_row * GENERATORS + g])
        undecided[g] = _LOW32 ^ below[g]
    row = 1
    while row <= UNCHECKED_DIGITS or (row <= DIGITS and np.any(undecided != 0)):
        for g in range(GENERATORS):
            drawn = next_uint32(states, g, GENERATORS)
            digit = int(digits[(first_row + row) * GENERATORS + g])
            below[g] |= undecided[g] & digit & (_LOW32 ^ drawn)
            undecided[g] &= _LOW32 ^ (digit ^ drawn)
        row += 1
    for g in range(GENERATORS):
        for byte in range(4):
            pool[at + 4 * g + byte] = (below[g] >> (8 * byte)) & 0xFF
