"""Columns of very large problems, in the narrowest types that hold them exactly."""

from __future__ import annotations

from typing import Any

import numpy as np

from qiosk.model.cost_function import BLOCK, F64, I64, Column, CostFunction

LARGE_TERMS = 1 << 22
"""Terms from which on problems are kept this way."""

_NARROW = (np.int8, np.int16, np.float32)


def compacted(*, coefficients: F64, indptr: I64, ids: I64, **others: Any) -> CostFunction:
    """A cost function with narrow copies of these columns; ``others`` as ``CostFunction`` takes them."""
    degree = int(indptr[1]) if len(indptr) > 1 else 0
    is_even = all(
        np.array_equal(indptr[k : k + BLOCK], np.arange(k, min(k + BLOCK, len(indptr))) * degree)
        for k in range(0, len(indptr), BLOCK)
    )
    top, low = int(ids.max(initial=0)), int(ids.min(initial=0))
    return CostFunction(
        coefficients=narrowed(coefficients),
        indptr=degree if is_even else indptr,
        ids=ids.astype(np.int32) if low >= 0 and top < 2**31 else ids,
        **others,
    )


def narrowed(values: Column) -> Column:
    """The values in the first of int8, int16, float32 and float64 that holds all of them exactly."""
    for width in _NARROW:
        with np.errstate(invalid="ignore", over="ignore"):  # what does not fit is not equal
            blocks = range(0, len(values), BLOCK)
            if all(np.array_equal(values[k : k + BLOCK].astype(width), values[k : k + BLOCK]) for k in blocks):
                return values.astype(width, copy=False)
    return values.astype(np.float64, copy=False)
