"""Sparse quadratic problems with stored fields: the sampler for one or a few replicas."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.plain.cached import BLOCK, color_order, fields_of
from qiosk.kernels.sweeps.cached import cached_sweeps
from qiosk.kernels.sweeps.thresholds import threshold_scales
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I64
from qiosk.solvers.samplers.arithmetic import Real
from qiosk.solvers.samplers.ising import IsingForm
from qiosk.solvers.samplers.parts import Parts
from qiosk.solvers.samplers.row_form import spin_form
from qiosk.solvers.samplers.rows import RowLanes
from qiosk.solvers.samplers.sampler import LaneGroup


class CachedSampler(RowLanes):
    """Metropolis dynamics of a quadratic problem, replica after replica, an accepted flip updating its neighbours.

    Variables are visited color by color of a greedy coloring, so that neighbours are rarely in one block.

    Arithmetic, float32 or float64: whole multiples of a unit are exact up to 2**24 or 2**53; other fields collect an
    error of at most 2**-24 or 2**-53 of the largest field per neighbour's flip, and are summed again in float64 every
    256 sweeps. Costs come from the fields.
    """

    def __init__(
        self, problem: CompiledProblem, *, arithmetic: Real | None = None, lanes: int = 1, form: IsingForm | None = None
    ) -> None:
        form = form if form is not None else spin_form(problem)
        chosen = arithmetic or form.real
        order = _color_order(form)
        width = -(-form.n // BLOCK) * BLOCK
        super().__init__(form, is_spin=problem.is_spin, lanes=lanes, width=width, real=chosen, order=order)
        self.kernel = f"cached-{chosen}x{lanes}"
        self._indptr, self._neighbors, self._couplings2 = form.lay_out_by(order, 2.0, self._real)
        steps = np.zeros(width, np.int64)
        steps[: form.n] = np.diff(self._indptr) + 1
        self.parts = Parts(steps.reshape(-1, BLOCK).sum(axis=1), lanes)

    def _fill(self, spins: NDArray[np.floating], fields: NDArray[np.floating]) -> None:
        fields_of()(self._indptr, self._neighbors, self._couplings2, self._base, spins, fields)

    def sweep(self, group: LaneGroup, betas: F64) -> None:
        """One sweep per entry of ``betas``."""
        self._run(group, betas, False, len(betas))

    def sweep_ladder(self, group: LaneGroup, betas: F64, sweeps: int) -> None:
        """``sweeps`` sweeps, replica r at ``betas[r]``."""
        self._run(group, betas, True, sweeps)

    def _run(self, group: LaneGroup, betas: F64, by_replica: bool, sweeps: int) -> None:
        arrays = group.arrays
        scales = threshold_scales(betas, self._form.scale)
        for some, (first, last) in self.parts.calls(sweeps):
            cached_sweeps()(
                self._indptr,
                self._neighbors,
                self._couplings2,
                self._base,
                arrays["spins"],
                arrays["fields"],
                arrays["generators"],
                arrays["age"],
                scales if by_replica else scales[some],
                by_replica,
                some.stop - some.start,
                (BLOCK * first, BLOCK * last),
            )


def _color_order(form: IsingForm) -> I64:
    """(n,) variables, color by color."""
    indptr, neighbors = form.topology()
    colors = np.empty(form.n, np.int32)
    color_order()(indptr, neighbors, colors, np.full(form.n + 1, -1, np.int32))
    return np.argsort(colors, kind="stable").astype(np.int64)
