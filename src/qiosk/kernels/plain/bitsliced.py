"""Reference kernels of ``kernels.bitsliced``, in plain loops; the arguments are documented there."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np

from qiosk.kernels.compiler import inlined, kernel
from qiosk.kernels.plain.bernoulli import draw_below, set_digits
from qiosk.kernels.rng import GENERATORS, LCG_INCREMENT, LCG_MULTIPLIER, OFFSET_SHIFT
from qiosk.kernels.sweeps.bernoulli import CHUNK_BYTES, ROWS


@inlined()
def bit_of(words: Any, first: int, lane: int) -> int:
    """Bit ``lane`` of the bytes from ``first`` on."""
    return int(words[first + lane // 8] >> (lane % 8)) & 1


def bitsliced_sweeps(lanes: int, slots: int) -> Any:
    """Reference kernel of ``kernels.bitsliced.bitsliced_sweeps``; the same for all lanes and slots."""
    return _sweeps()


@cache
def _sweeps() -> Any:
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
        below, undecided = np.empty(GENERATORS, np.int64), np.empty(GENERATORS, np.int64)
        width, slots = signs.size // 2, neighbors.size // max(1, rows.size)
        lanes = 8 * width
        step = 0 if offset_mask else width
        for sweep in range(n_sweeps):
            for m in range(n_classes):
                if uniform:
                    set_digits(digits, m * ROWS, thresholds, sweep * n_classes + m, 1)
                elif sweep == 0:
                    set_digits(digits, m * ROWS, thresholds, m * lanes, lanes)
            until_fill = 0
            for i in range(rows.size):
                if until_fill == 0:
                    until_fill = period
                    for m in range(n_classes):
                        for at in range(m * stride, (m + 1) * stride, CHUNK_BYTES):
                            draw_below(pool, at, digits, m * ROWS, generators, below, undecided)
                until_fill -= 1
                offsets[0] = offsets[0] * LCG_MULTIPLIER + LCG_INCREMENT
                first = rows[i] + until_fill * step + int((offsets[0] >> OFFSET_SHIFT) & offset_mask)
                for r in range(lanes):
                    spin = bit_of(spins, i * width, r)
                    count = 0
                    for place in neighbors[i * slots : (i + 1) * slots]:
                        count += spin ^ bit_of(spins, (place >> 1) * width, r) ^ (place & 1)
                    row = slots // 2 - 1 - count
                    if row < 0 or bit_of(pool, first + row * stride, r):
                        spins[i * width + r // 8] ^= 1 << (r % 8)

    return sweeps
