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
    default that is done when it costs no more than half of what filling a pool does. Ladders always draw anew: there a
    pool would be shared by fewer variables, and what tempering exchanges by should be sampled well.
    """

    def __init__(self, n: int, lanes: int, dtype: DTypeLike, unit: float, fresh: bool | None = None) -> None:
        self._n = n
        self._lanes = lanes
        self._dtype = np.dtype(dtype)
        self._unit = unit
        self._entries = pool_entries(n)
        self._fresh = 2 * (self._entries + lanes) >= n * lanes if fresh is None else fresh
        self._scratch = threading.local()

    def uniform(self, betas: F64) -> ThresholdArguments:
        """For one sweep per entry of ``betas``, all lanes at the same."""
        scales = threshold_scales(betas, self._unit)
        return self._arguments(scales, np.empty(self._lanes, np.float32), True, len(scales), self._fresh)

    def ladder(self, betas: F64, sweeps: int) -> ThresholdArguments:
        """For ``sweeps`` sweeps with lane r at ``betas[r]``."""
        scales = threshold_scales(betas, self._unit)
        return self._arguments(scales, scales, False, sweeps, True)

    def _arguments(self, scales: F32, lane_scales: F32, uniform: bool, sweeps: int, fresh: bool) -> ThresholdArguments:
        size = self._lanes if fresh else self._entries + self._lanes
        mask = 0 if fresh else self._entries - 1
        period = 1 if fresh else max(self._n, 1)
        cap = np.float32(_CAPS[self._dtype.name])
        return scales, lane_scales, self._buffer(size), np.uint64(mask), period, cap, uniform, sweeps

    def _buffer(self, size: int) -> NDArray[Any]:
        """Scratch of this thread."""
        buffers: dict[int, NDArray[Any]] = self._scratch.__dict__.setdefault("buffers", {})
        if size not in buffers:
            buffers[size] = aligned_empty(size, self._dtype)
        return buffers[size]
