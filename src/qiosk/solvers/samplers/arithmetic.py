"""Which arithmetic resolves given coefficients."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Literal

import numpy as np

from qiosk.model.cost_function import F64

Arithmetic = Literal["int8", "int16", "float32", "float64"]
Real = Literal["float32", "float64"]
ARITHMETICS: tuple[Arithmetic, ...] = ("int8", "int16", "float32", "float64")

LARGEST_FIELD = {"int8": 127, "int16": 32767, "float32": 2**24}
"""The whole numbers up to which an arithmetic is exact."""
ROUNDING32 = 2.0**-24
RESOLVED = 2.0**-8


def is_resolved_by_float32(largest: float, coefficients: F64) -> bool:
    """Whether rounding sums as large as ``largest`` to float32 is small against most coefficients."""
    return ROUNDING32 * largest <= RESOLVED * typical_small(coefficients)


def typical_small(coefficients: F64) -> float:
    """The size that a tenth of all nonzero coefficients do not exceed; infinite if there are none."""
    sizes = np.abs(coefficients[coefficients != 0])
    return float(np.quantile(sizes, 0.1)) if len(sizes) else np.inf


def quantile_is_at_least(blocks: Callable[[], Iterator[F64]], share: float, least: float) -> bool:
    """Whether this quantile of the sizes that are not 0 is at least ``least``; also if there are none.

    Sizes are counted: neither sorted nor all there at once.
    """
    count, fewer, below, above = 0, 0, 0.0, np.inf
    for values in blocks():
        sizes = np.abs(values[values != 0])
        is_below = sizes < least
        count, fewer = count + len(sizes), fewer + int(np.count_nonzero(is_below))
        below = max(below, float(sizes.max(initial=0.0, where=is_below)))
        above = min(above, float(sizes.min(initial=np.inf, where=~is_below)))
    place = share * (count - 1)
    first = int(place)
    if count == 0 or fewer <= first:
        return True
    return fewer == first + 1 < count and below + (above - below) * (place - first) >= least


def power_of_two_above(value: float) -> float:
    """The least power of two >= value, at most 2**1023; 1 for 0."""
    return 2.0 ** min(int(np.ceil(np.log2(value))), 1023) if value > 0 else 1.0
