"""Quadratic problems, bit-packed: the sampler for sparse and medium density, from 64 replicas on."""

from __future__ import annotations

import numpy as np

from qiosk.kernels.aligned import aligned_copy
from qiosk.kernels.packed import packed_sweeps
from qiosk.kernels.rng import combine_seed, generator_states
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8, I64
from qiosk.solvers.sampler import LaneGroup
from qiosk.solvers.samplers.bit_costs import BitCosts
from qiosk.solvers.samplers.bits import move_lanes, read_lane, start_bits, write_lane
from qiosk.solvers.samplers.ising import Arithmetic, IsingForm
from qiosk.solvers.samplers.pool import ThresholdArguments, ThresholdPool


class PackedSampler:
    """Metropolis dynamics of a quadratic problem, ``lanes`` (a multiple of 64) replicas as the bits of words.

    Arithmetic: int8 and int16 are exact; float32 and float64 have a field error of at most (degree + 2) * 2**-24 or
    2**-53 times the largest field, and none if all fields are whole multiples below 2**24 or 2**53 of a common unit.
    Random thresholds are float32. Costs are added up exactly in integers, or in float64 from
    the unrounded coefficients.
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
        chosen: Arithmetic = arithmetic or self._form.arithmetic
        self._is_spin = problem.is_spin
        self.n = problem.n
        self.lanes = lanes
        self.kernel = f"packed-{chosen}x{lanes}"
        self._words = lanes // 64
        unit = self._form.scale
        self._thresholds = ThresholdPool(self.n, lanes, chosen, unit, fresh, scales_late=True)
        self._costs = BitCosts(self._form, chosen, lanes)
        self._lay_out(np.dtype(chosen), unit)

    def _lay_out(self, dtype: np.dtype[np.generic], unit: float) -> None:
        form = self._form
        indptr, neighbors, couplings = form.neighbors()
        base = -(form.fields + form.coupling_sums) / unit
        couplings2 = -2 * couplings / unit
        if dtype.kind == "i":
            base, couplings2 = np.rint(base), np.rint(couplings2)
        self._indptr = indptr
        self._neighbors = aligned_copy(neighbors)
        self._couplings2 = aligned_copy(couplings2, dtype)
        self._base = aligned_copy(base, dtype)

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
        self._run(group, self._thresholds.uniform(betas), ladder=False)

    def sweep_ladder(self, group: LaneGroup, betas: F64, sweeps: int) -> None:
        """``sweeps`` sweeps, replica r at ``betas[r]``."""
        self._run(group, self._thresholds.ladder(betas, sweeps), ladder=True)

    def _run(self, group: LaneGroup, thresholds: ThresholdArguments, *, ladder: bool) -> None:
        arrays = group.arrays
        with np.errstate(over="ignore"):  # random words wrap when this runs uncompiled
            packed_sweeps(self.lanes, ladder)(
                self._indptr,
                self._neighbors,
                self._couplings2,
                self._base,
                arrays["spins"],
                arrays["generators"],
                arrays["offsets"],
                *thresholds,
            )

    def costs(self, group: LaneGroup) -> F64:
        """(lanes,) cost of every replica, added up anew: about as much work as half a sweep."""
        return self._costs(group.arrays["spins"])

    def configuration(self, group: LaneGroup, lane: int) -> I8:
        """(n,) configuration of one replica."""
        return read_lane(group.arrays["spins"], self._words, lane, self._is_spin)

    def replace(self, group: LaneGroup, lane: int, configuration: I8) -> None:
        """Put a replica at a configuration."""
        write_lane(group.arrays["spins"], self._words, lane, self._is_spin, configuration)

    def copy(self, group: LaneGroup, to: I64, source: LaneGroup, lanes: I64) -> None:
        """Replicas ``to`` take the configurations of replicas ``lanes`` of ``source``."""
        move_lanes(group.arrays["spins"], to, source.arrays["spins"], lanes, self._words)
