"""Thresholds of the bit-packed samplers: their scale, their pool, and when a pool is worth while."""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qiosk.kernels.aligned import aligned_empty
from qiosk.kernels.thresholds import threshold_scales
from qiosk.model.cost_function import F64

F32 = NDArray[np.float32]

_CAPS = {"int8": 127.0, "int16": 32767.0, "float32": 3e38, "float64": 3e38}

ThresholdArguments = tuple[F32, F32, NDArray[Any], np.uint64, int, np.float32, bool, int]
"""The last arguments of a sweep kernel: scales, lane_scales, pool, offset_mask, period, cap, uniform, n_sweeps."""


def pool_entries(n: int) -> int:
    """Thresholds in a pool for n variables: a power of two >= max(8192, n); with fewer, reuse shows."""
    return 1 << (max(8192, n) - 1).bit_length()


class ThresholdPool:
    """Where the thresholds of one sampler come from; used by several threads at once, each with its own scratch.

    ``unit`` is the cost that counts as 1 in the kernel's arithmetic ``dtype``. ``fresh`` draws every threshold anew; by
    default that is done unless filling a pool takes less than half as many draws. On ladders a kernel either scales
    pool entries where it uses them (``scales_late``), or draws anew always.
    """

    def __init__(
        self,
        n: int,
        lanes: int,
        dtype: DTypeLike,
        unit: float,
        fresh: bool | None = None,
        *,
        scales_late: bool = False,
    ) -> None:
        self._n = n
        self._lanes = lanes
        self._dtype = np.dtype(dtype)
        self._unit = unit
        self._entries = pool_entries(n)
        self._fresh = 2 * (self._entries + lanes) >= n * lanes if fresh is None else fresh
        self._scales_late = scales_late
        self._scratch = threading.local()

    def uniform(self, betas: F64) -> ThresholdArguments:
        """For one sweep per entry of ``betas``, all lanes at the same."""
        scales = threshold_scales(betas, self._unit)
        lane_scales = np.empty(self._lanes, np.float32)
        return scales, lane_scales, *self._pool(self._fresh, self._dtype), True, len(scales)

    def ladder(self, betas: F64, sweeps: int) -> ThresholdArguments:
        """For ``sweeps`` sweeps with lane r at ``betas[r]``."""
        scales = threshold_scales(betas, self._unit)
        if self._scales_late:
            ones = np.ones(self._lanes, np.float32)
            return scales, ones, *self._pool(self._fresh, np.dtype(np.float32)), False, sweeps
        return scales, scales, *self._pool(True, self._dtype), False, sweeps

    def _pool(self, fresh: bool, dtype: np.dtype[Any]) -> tuple[NDArray[Any], np.uint64, int, np.float32]:
        """Scratch of this thread, the mask of offsets into it, the variables between fills, the largest threshold."""
        size = self._lanes if fresh else self._entries + self._lanes
        buffers: dict[tuple[int, str], NDArray[Any]] = self._scratch.__dict__.setdefault("buffers", {})
        key = size, dtype.name
        if key not in buffers:
            buffers[key] = aligned_empty(size, dtype)
        mask, period = (0, 1) if fresh else (self._entries - 1, max(self._n, 1))
        return buffers[key], np.uint64(mask), period, np.float32(_CAPS[dtype.name])
