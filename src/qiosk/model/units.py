"""The unit of which given coefficients are whole multiples."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np

from qiosk.model.cost_function import F64

MANY_VALUES = 1 << 14
"""Values from which a compiled pass is worth loading Numba."""


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
        if len(values) >= MANY_VALUES:
            from qiosk.kernels.terms import common_divisor  # here: small problems need no Numba

            divisor = common_divisor()(values, factor, divisor)
            if divisor < 0:
                return None
            continue
        for part in (values[:256], values):
            scaled = np.abs(part) * factor
            whole = np.rint(scaled)
            if np.any(np.abs(scaled - whole) > 4 * np.finfo(np.float64).eps * scaled):
                return None
        divisor = math.gcd(divisor, int(np.gcd.reduce(whole.astype(np.int64), initial=0)))
    return divisor / factor
