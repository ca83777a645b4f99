"""Quadratic problems, bit-packed: the sampler for sparse and medium density, from 64 replicas on."""

from __future__ import annotations

import threading

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.aligned import aligned_copy, aligned_empty
from qiosk.kernels.packed import packed_costs, packed_sweeps
from qiosk.kernels.rng import combine_seed, generator_states
from qiosk.kernels.thresholds import threshold_scales
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8
from qiosk.solvers.sampler import LaneGroup
from qiosk.solvers.samplers.bits import read_lane, start_bits, write_lane
from qiosk.solvers.samplers.ising import Arithmetic, IsingForm

_CAPS = {"int8": 127.0, "int16": 32767.0, "float32": 3e38, "float64": 3e38}


def pool_entries(n: int) -> int:
    """Thresholds in a pool for n variables: a power of two >= max(8192, n); with fewer, reuse shows."""
    return 1 << (max(8192, n) - 1).bit_length()


class PackedSampler:
    """Metropolis dynamics of a quadratic problem, ``lanes`` replicas as the bits of a word.

    Arithmetic: int8 and int16 are exact; float32 and float64 have a field error of at most (degree + 2) *
    2**-24 or 2**-53 times the largest field, and none if all fields are whole multiples below 2**24 or 2**53
    of a common unit. Random thresholds are float32. Costs are added up in float64 from the unrounded
    coefficients.

    ``fresh`` draws every threshold anew; by default that is done when it costs no more than a pool would, and
    on ladders.
    """

    def __init__(
        self,
        problem: CompiledProblem,
        *,
        arithmetic: Arithmetic | None = None,
        lanes: int = 64,
        fresh: bool | None = None,
        form: IsingForm | None = None,
    ) -> None:
        self._form = form if form is not None else IsingForm.of(problem)
        self._arithmetic: Arithmetic = arithmetic or self._form.arithmetic
        self._is_spin = problem.is_spin
        self.n = problem.n
        self.lanes = lanes
        self.kernel = f"packed-{self._arithmetic}x{lanes}"
        self._words = lanes // 64
        self._unit = self._form.scale(self._arithmetic)
        self._pool_entries = pool_entries(self.n)
        pool_pays = 2 * (self._pool_entries + lanes) < self.n * lanes
        self._fresh = not pool_pays if fresh is None else fresh
        self._scratch = threading.local()
        self._lay_out()

    def _lay_out(self) -> None:
        form, dtype = self._form, np.dtype(self._arithmetic)
        indptr, neighbors, couplings = form.neighbors()
        base = -(form.fields + form.coupling_sums) / self._unit
        couplings2 = -2 * couplings / self._unit
        if dtype.kind == "i":
            base, couplings2 = np.rint(base), np.rint(couplings2)
        self._indptr = indptr
        self._neighbors = aligned_copy(neighbors)
        self._couplings2 = aligned_copy(couplings2, dtype)
        self._base = aligned_copy(base, dtype)
        self._row_indptr = np.zeros(self.n + 1, np.int64)
        np.cumsum(np.bincount(form.rows, minlength=self.n), out=self._row_indptr[1:])
        self._row_cols = form.cols
        self._row_couplings2 = 2 * form.couplings
        self._fields2 = 2 * form.fields

    def start(self, seed: tuple[int, ...], initial: I8 | None = None) -> LaneGroup:
        """A new group: random configurations, or all replicas at ``initial``."""
        base = combine_seed(seed)
        return LaneGroup(
            {
                "spins": start_bits(base, self.n, self._words, self._is_spin, initial),
                "generators": generator_states(base),
                "offsets": np.array([base], np.uint64),
            }
        )

    def sweep(self, group: LaneGroup, betas: F64) -> None:
        """One sweep per entry of ``betas``."""
        scales = threshold_scales(betas, self._unit)
        self._run(group, scales, np.empty(self.lanes, np.float32), True, len(scales), self._fresh)

    def sweep_ladder(self, group: LaneGroup, betas: F64, sweeps: int) -> None:
        """``sweeps`` sweeps, replica r at ``betas[r]``."""
        scales = threshold_scales(betas, self._unit)
        self._run(group, scales, scales, False, sweeps, True)

    def _run(
        self,
        group: LaneGroup,
        scales: NDArray[np.float32],
        lane_scales: NDArray[np.float32],
        uniform: bool,
        sweeps: int,
        fresh: bool,
    ) -> None:
        pool, offset_mask = self._pool(fresh)
        with np.errstate(over="ignore"):  # random words wrap when this runs uncompiled
            packed_sweeps(self.lanes)(
                self._indptr,
                self._neighbors,
                self._couplings2,
                self._base,
                group.arrays["spins"],
                group.arrays["generators"],
                group.arrays["offsets"],
                scales,
                lane_scales,
                pool,
                offset_mask,
                1 if fresh else max(self.n, 1),
                np.float32(_CAPS[self._arithmetic]),
                uniform,
                sweeps,
            )

    def _pool(self, fresh: bool) -> tuple[NDArray[np.generic], np.uint64]:
        """Scratch of this thread for thresholds, and the mask of offsets into it."""
        size = self.lanes if fresh else self._pool_entries + self.lanes
        name = "fresh" if fresh else "pool"
        if not hasattr(self._scratch, name):
            setattr(self._scratch, name, aligned_empty(size, self._arithmetic))
        return getattr(self._scratch, name), np.uint64(0 if fresh else self._pool_entries - 1)

    def costs(self, group: LaneGroup) -> F64:
        """(lanes,) cost of every replica, added up anew: about as much work as half a sweep."""
        out = aligned_empty(self.lanes, np.float64)
        packed_costs()(
            self._row_indptr,
            self._row_cols,
            self._row_couplings2,
            self._fields2,
            self._form.at_plus,
            group.arrays["spins"],
            self._words,
            out,
        )
        return out

    def configuration(self, group: LaneGroup, lane: int) -> I8:
        """(n,) configuration of one replica."""
        return read_lane(group.arrays["spins"], self._words, lane, self._is_spin)

    def replace(self, group: LaneGroup, lane: int, configuration: I8) -> None:
        """Put a replica at a configuration."""
        write_lane(group.arrays["spins"], self._words, lane, self._is_spin, configuration)
