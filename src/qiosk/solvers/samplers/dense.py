"""Dense quadratic problems with stored fields."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.aligned import aligned_zeros
from qiosk.kernels.pair_sums import pair_tiles
from qiosk.kernels.plain.cached import BLOCK, REFRESH_SWEEPS
from qiosk.kernels.plain.dense import TILE, dense_fields
from qiosk.kernels.sweeps.dense import dense_sweeps
from qiosk.kernels.sweeps.thresholds import threshold_scales
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64
from qiosk.solvers.samplers.arithmetic import Real
from qiosk.solvers.samplers.ising import IsingForm
from qiosk.solvers.samplers.parts import Parts
from qiosk.solvers.samplers.row_form import spin_form
from qiosk.solvers.samplers.rows import RowLanes
from qiosk.solvers.samplers.sampler import LaneGroup

VECTOR = 16
"""Couplings that are added at once: a step."""


class DenseSampler(RowLanes):
    """Metropolis dynamics of a dense quadratic problem, the coupling matrix in tiles.

    Arithmetic, float32 or float64: whole multiples of a unit are exact up to 2**24 or 2**53; other fields collect an
    error of at most 2**-24 or 2**-53 of the largest field per flip, and are summed again in float64 every 256 sweeps.
    Costs come from the fields.
    """

    def __init__(
        self,
        problem: CompiledProblem,
        *,
        arithmetic: Real | None = None,
        lanes: int = 64,
        form: IsingForm | None = None,
    ) -> None:
        form = form if form is not None else spin_form(problem)
        chosen = arithmetic or form.real
        width, order = padded(form.n), np.arange(form.n)
        super().__init__(form, is_spin=problem.is_spin, lanes=lanes, width=width, real=chosen, order=order)
        self.kernel = f"dense-{chosen}x{lanes}"
        self.parts = Parts(np.full(width // BLOCK, BLOCK * width // VECTOR), lanes)
        self._couplings2 = aligned_zeros((width // BLOCK, width // TILE, BLOCK, TILE), chosen)
        rows, cols, couplings = form.pair_list()
        pair_tiles()(rows, cols, couplings, 2.0, form.scale, self._couplings2)

    def _fill(self, spins: NDArray[np.floating], fields: NDArray[np.floating]) -> None:
        dense_fields()(self._couplings2, self._base, spins, fields)

    def sweep(self, group: LaneGroup, betas: F64) -> None:
        """One sweep per entry of ``betas``."""
        scales = threshold_scales(betas, self._form.scale)
        done = 0
        while done < len(scales):
            part = scales[done : done + self._until_refresh(group)]
            self._run(group, part, False, len(part))
            done += len(part)

    def sweep_ladder(self, group: LaneGroup, betas: F64, sweeps: int) -> None:
        """``sweeps`` sweeps, replica r at ``betas[r]``."""
        scales = threshold_scales(betas, self._form.scale)
        self._run(group, scales, True, 0)  # a call without sweeps compiles, as in the other samplers
        while sweeps > 0:
            part = min(sweeps, self._until_refresh(group))
            self._run(group, scales, True, part)
            sweeps -= part

    def _until_refresh(self, group: LaneGroup) -> int:
        """Sweeps until the fields must be summed again; sums them if they must be now."""
        arrays = group.arrays
        past = int(arrays["age"][0]) % REFRESH_SWEEPS
        if past == 0:
            self._fill_all(group)
        return REFRESH_SWEEPS - past

    def _run(self, group: LaneGroup, scales: NDArray[np.float32], by_replica: bool, sweeps: int) -> None:
        arrays = group.arrays
        for some, (first, last) in self.parts.calls(sweeps):
            dense_sweeps()(
                self._couplings2,
                arrays["spins"],
                arrays["fields"],
                arrays["generators"],
                scales if by_replica else scales[some],
                by_replica,
                some.stop - some.start,
                (BLOCK * first, BLOCK * last),
            )
        arrays["age"] += sweeps


def padded(n: int) -> int:
    """n rounded up to whole tiles."""
    return -(-n // TILE) * TILE
