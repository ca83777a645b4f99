"""Quadratic problems, bit-packed: the sampler for sparse and medium density, from 64 replicas on."""

from __future__ import annotations

import numpy as np

from qiosk.kernels.aligned import aligned_copy
from qiosk.kernels.sweeps.packed import packed_sweeps
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64
from qiosk.solvers.samplers.arithmetic import Arithmetic
from qiosk.solvers.samplers.bit_packed.bit_costs import BitCosts
from qiosk.solvers.samplers.bit_packed.pool import PooledLanes, ThresholdArguments, ThresholdPool, of_sweeps
from qiosk.solvers.samplers.ising import IsingForm
from qiosk.solvers.samplers.parts import Parts
from qiosk.solvers.samplers.row_form import spin_form
from qiosk.solvers.samplers.sampler import LaneGroup


class PackedSampler(PooledLanes):
    """Metropolis dynamics of a quadratic problem, ``lanes`` (a multiple of 64) replicas as the bits of words.

    Arithmetic: int8 and int16 are exact; float32 and float64 have a field error of at most (degree + 2) * 2**-24 or
    2**-53 times the largest field, and none if all fields are whole multiples below 2**24 or 2**53 of a common unit.
    Random thresholds are float32. Costs are added up exactly in integers, or in float64 from the unrounded
    coefficients.
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
        self._form = form if form is not None else spin_form(problem)
        chosen: Arithmetic = arithmetic or self._form.arithmetic
        super().__init__(problem.n, lanes, problem.is_spin)
        self.kernel = f"packed-{chosen}x{lanes}"
        unit = self._form.scale
        self._thresholds = ThresholdPool(self.n, lanes, chosen, unit, fresh, scales_late=True)
        self._costs = BitCosts(self._form, chosen, lanes)
        self._lay_out(np.dtype(chosen), unit)

    def _lay_out(self, dtype: np.dtype[np.generic], unit: float) -> None:
        form = self._form
        base = -(form.fields + form.coupling_sums) / unit
        if dtype.kind == "i":
            base = np.rint(base)
        self._indptr, self._neighbors, self._couplings2 = form.lay_out(-2.0, dtype)
        self._base = aligned_copy(base, dtype)
        self.parts = Parts(np.diff(self._indptr) + 1, self._words)

    def _run(self, group: LaneGroup, thresholds: ThresholdArguments, *, ladder: bool) -> None:
        arrays = group.arrays
        with np.errstate(over="ignore"):  # random words wrap when this runs uncompiled
            for sweeps, part in self.parts.calls(thresholds[-1]):
                packed_sweeps(self.lanes, ladder)(
                    self._indptr,
                    self._neighbors,
                    self._couplings2,
                    self._base,
                    arrays["spins"],
                    arrays["generators"],
                    arrays["offsets"],
                    of_sweeps(thresholds, sweeps),
                    part,
                )

    def costs(self, group: LaneGroup) -> F64:
        """(lanes,) cost of every replica, added up again: about as much work as half a sweep."""
        return self._costs(group.arrays["spins"])
