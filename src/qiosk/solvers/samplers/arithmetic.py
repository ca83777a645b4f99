"""Which arithmetic resolves given coefficients: the unit of which they are whole multiples, and their small ones."""

from __future__ import annotations

import math
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


def common_unit(values: F64) -> float | None:
    """The largest u of which all values are whole multiples, up to their rounding; None if it is tiny.

    Tried are multiples of powers of 1/2 (down to 2**-20 of the smallest value) and of 1/10 (down to 10**-6).
    """
    sizes = np.unique(np.abs(values[values != 0]))
    return common_unit_of(lambda: iter([sizes]))


def common_unit_of(blocks: Callable[[], Iterator[F64]]) -> float | None:
    """As :func:`common_unit`, of values that come in blocks."""
    low, high = np.inf, 0.0
    for values in blocks():
        sizes = np.abs(values)
        high = max(high, float(sizes.max(initial=0.0)))
        low = min(low, float(sizes.min(initial=np.inf, where=sizes > 0.0)))
    if high == 0.0:
        return 1.0
    exponent = int(np.floor(np.log2(low)))
    halves = [2.0 ** (k - exponent) for k in range(0, 21, 4) if -1000 < k - exponent < 1000]
    for factor in (1.0, *halves, *(10.0**k for k in range(1, 7))):
        if high > 2.0**53 / factor or low < 0.5 / factor:
            continue
        unit = _unit_at(blocks(), factor)
        if unit is not None:
            return unit
    return None


def _unit_at(blocks: Iterator[F64], factor: float) -> float | None:
    """gcd(sizes * factor) / factor if these are whole, else None."""
    divisor = 0
    for values in blocks:
        for part in (values[:256], values):
            scaled = np.abs(part) * factor
            whole = np.rint(scaled)
            if np.any(np.abs(scaled - whole) > 4 * np.finfo(np.float64).eps * scaled):
                return None
        divisor = math.gcd(divisor, int(np.gcd.reduce(whole.astype(np.int64), initial=0)))
    return divisor / factor
