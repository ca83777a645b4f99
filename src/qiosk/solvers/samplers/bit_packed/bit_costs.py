"""Costs of quadratic problems whose replicas are bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.aligned import aligned_copy, aligned_empty
from qiosk.kernels.sweeps.packed import packed_costs
from qiosk.model.cost_function import F64
from qiosk.solvers.samplers.arithmetic import Arithmetic
from qiosk.solvers.samplers.ising import IsingForm


class BitCosts:
    """Adds up the costs of ``lanes`` replicas: exactly in integers, or in float64 from the unrounded coefficients."""

    def __init__(self, form: IsingForm, arithmetic: Arithmetic, lanes: int) -> None:
        self._at_plus = form.at_plus
        self._lanes = lanes
        self._type = np.dtype({"int8": np.int32, "int16": np.int64}.get(arithmetic, np.float64))
        self._rows = form.cost_rows(arithmetic)

    def __call__(self, spins: NDArray[np.uint64]) -> F64:
        """(lanes,) costs, added up again: about as much work as half a sweep of packed spins."""
        rows = self._rows
        if rows.place is not None:
            spins = aligned_copy(spins.reshape(-1, self._lanes // 64)[rows.place].ravel())
        out = aligned_empty(self._lanes, self._type)
        packed_costs(self._lanes)(rows.indptr, rows.cols, rows.couplings, rows.fields, spins, out)
        return self._at_plus - 2 * rows.unit * out.astype(np.float64)
