"""Arrays that begin on a cache line.

NumPy aligns to 16 bytes only, and a 64-byte load that straddles two lines costs twice.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike, NDArray

ALIGNMENT = 64
"""Bytes: an AVX-512 register, and a cache line."""


def aligned_empty(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """An uninitialized C-contiguous array whose data begins at a multiple of 64 bytes."""
    dtype = np.dtype(dtype)
    size_bytes = math.prod(shape if isinstance(shape, tuple) else (shape,)) * dtype.itemsize
    buffer = np.empty(size_bytes + ALIGNMENT, np.uint8)
    start = -buffer.ctypes.data % ALIGNMENT
    return buffer[start : start + size_bytes].view(dtype).reshape(shape)


def aligned_zeros(shape: int | tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
    """As ``aligned_empty``, filled with zeros."""
    array = aligned_empty(shape, dtype)
    array[...] = 0
    return array


def aligned_copy(values: ArrayLike, dtype: DTypeLike | None = None) -> NDArray[Any]:
    """An aligned, contiguous copy of ``values``, converted to ``dtype`` when one is given."""
    source = np.asarray(values)
    array = aligned_empty(source.shape, dtype if dtype is not None else source.dtype)
    array[...] = source
    return array


def is_aligned(array: NDArray[Any]) -> bool:
    """Whether the data of a contiguous array begins where that of ``aligned_empty`` would."""
    return array.ctypes.data % ALIGNMENT == 0
