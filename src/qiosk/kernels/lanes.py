"""Copies replicas that are packed as bits of words.

Lane r of variable i is bit r % 64 of word ``i * words + r // 64``: so one load reads 64 replicas of a variable, but one
replica is spread over all words, one bit in each. Copies go variable by variable and change all bits of a word at once.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import kernel

_1, _6, _63 = np.uint64(1), np.uint64(6), np.uint64(63)


@cache
def copy_lanes() -> Any:
    """``copy(spins, to, source, lanes, words)``: lane ``to[k]`` takes the bits of ``lanes[k]``.

    Lane r of variable i is bit r % 64 of word ``i * words + r // 64``. spins, source: (n * words,) uint64, the
    first updated; they may be the same array if no lane is in both lists. to, lanes: (m,) uint64; fastest with ``to``
    ascending, because a word is then read and written once.
    """

    @kernel
    def copy(spins: Any, to: Any, source: Any, lanes: Any, words: Any) -> None:
        for i in range(spins.size // words):
            k = 0
            while k < to.size:
                column = to[k] >> _6
                place = i * words + np.int64(column)
                word = spins[place]
                while k < to.size and to[k] >> _6 == column:
                    bit = source[i * words + np.int64(lanes[k] >> _6)] >> (lanes[k] & _63) & _1
                    shift = to[k] & _63
                    word = word & ~(_1 << shift) | bit << shift
                    k += 1
                spins[place] = word

    return copy
