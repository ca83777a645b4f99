"""Thresholds of the bit-packed samplers: their scale, and the pool that they come from.

A random threshold for every replica and variable would cost more than the rest of a sweep. So a pool of thresholds is
filled once per sweep, and every variable reads as many consecutive entries as there are replicas, from a pseudo-random
offset on. Entries are used several times per sweep, by different variables and replicas, which correlates the costs of
replicas slightly; the pool is large enough to keep that small (see ``pool_entries``). Small problems have a fresh
threshold for every use, because filling a pool would take longer.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qiosk.kernels.aligned import aligned_empty
from qiosk.kernels.sweeps.thresholds import threshold_scales
from qiosk.model.cost_function import F64
from qiosk.solvers.samplers.bit_packed.bits import WordLanes
from qiosk.solvers.samplers.sampler import LaneGroup

F32 = NDArray[np.float32]

_CAPS = {"int8": 127.0, "int16": 32767.0, "float32": 3e38, "float64": 3e38}

ThresholdArguments = tuple[F32, F32, NDArray[Any], np.uint64, int, np.float32, bool, int]
"""Last argument of a sweep kernel: scales, lane_scales, pool, offset_mask, period, cap, uniform, n_sweeps."""


def pool_entries(n: int) -> int:
    """Thresholds in a pool for n variables: a power of two >= max(8192, 4 n).

    All replicas of a group read the same pool in a sweep. On a square lattice that correlates their costs by
    0.2 * n / entries (measured); means stay as they should be.
    """
    return 1 << (max(8192, 4 * n) - 1).bit_length()


@dataclass(frozen=True, eq=False)
class _Kind:
    """A pool's size and type, and how a kernel reads it."""

    size: int
    dtype: np.dtype[Any]
    offset_mask: np.uint64
    period: int
    cap: np.float32

    @classmethod
    def of(cls, n: int, lanes: int, entries: int, dtype: np.dtype[Any]) -> _Kind:
        """A pool for n variables; without ``entries`` it is refilled for every variable."""
        period = max(n, 1) if entries else 1
        return cls(entries + lanes, dtype, np.uint64(max(entries - 1, 0)), period, np.float32(_CAPS[dtype.name]))


class ThresholdPool:
    """Where the thresholds of one sampler come from; used by several threads at once, each with its own scratch.

    ``unit`` is the cost that counts as 1 in the kernel's arithmetic ``dtype``. ``fresh`` draws a new threshold for
    every use; by default that is done unless filling a pool takes less than half as many draws. On ladders a kernel
    either scales pool entries where it uses them (``scales_late``), or always draws new ones.
    """

    def __init__(
        self, n: int, lanes: int, dtype: DTypeLike, unit: float, fresh: bool | None = None, *, scales_late: bool = False
    ) -> None:
        self._lanes = lanes
        self._unit = unit
        entries = pool_entries(n)
        is_fresh = 2 * (entries + lanes) >= n * lanes if fresh is None else fresh
        dtype = np.dtype(dtype)
        self._uniform = _Kind.of(n, lanes, 0 if is_fresh else entries, dtype)
        late = _Kind.of(n, lanes, 0 if is_fresh else entries, np.dtype(np.float32))
        self._ladder = late if scales_late else _Kind.of(n, lanes, 0, dtype)
        self._scales_late = scales_late
        self._scratch = threading.local()

    def uniform(self, betas: F64) -> ThresholdArguments:
        """For one sweep per entry of ``betas``, all lanes at the same."""
        scales = threshold_scales(betas, self._unit)
        lane_scales = np.empty(self._lanes, np.float32)
        return scales, lane_scales, *self._pool(self._uniform), True, len(scales)

    def ladder(self, betas: F64, sweeps: int) -> ThresholdArguments:
        """For ``sweeps`` sweeps with lane r at ``betas[r]``."""
        scales = threshold_scales(betas, self._unit)
        lane_scales = np.ones(self._lanes, np.float32) if self._scales_late else scales
        return scales, lane_scales, *self._pool(self._ladder), False, sweeps

    def _pool(self, kind: _Kind) -> tuple[NDArray[Any], np.uint64, int, np.float32]:
        """Scratch of this thread, the mask of offsets into it, the variables between fills, the largest threshold."""
        buffers: dict[_Kind, NDArray[Any]] | None = getattr(self._scratch, "buffers", None)
        if buffers is None:
            buffers = self._scratch.buffers = {}
        if kind not in buffers:
            buffers[kind] = aligned_empty(kind.size, kind.dtype)
        return buffers[kind], kind.offset_mask, kind.period, kind.cap


def of_sweeps(thresholds: ThresholdArguments, sweeps: slice) -> ThresholdArguments:
    """The same for some of the sweeps."""
    scales, lane_scales, pool, offset_mask, period, cap, is_uniform, _ = thresholds
    some = scales[sweeps] if is_uniform else scales
    return some, lane_scales, pool, offset_mask, period, cap, is_uniform, sweeps.stop - sweeps.start


class PooledLanes(WordLanes):
    """Bit-packed samplers whose thresholds come from a pool."""

    _thresholds: ThresholdPool

    def sweep(self, group: LaneGroup, betas: F64) -> None:
        """One sweep per entry of ``betas``."""
        self._run(group, self._thresholds.uniform(betas), ladder=False)

    def sweep_ladder(self, group: LaneGroup, betas: F64, sweeps: int) -> None:
        """``sweeps`` sweeps, replica r at ``betas[r]``."""
        self._run(group, self._thresholds.ladder(betas, sweeps), ladder=True)

    def _run(self, group: LaneGroup, thresholds: ThresholdArguments, *, ladder: bool) -> None:
        raise NotImplementedError
