"""Costs of quadratic problems whose replicas are bits."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.aligned import aligned_copy, aligned_empty
from qiosk.kernels.packed import packed_costs
from qiosk.model.cost_function import F64
from qiosk.solvers.samplers.ising import Arithmetic, IsingForm


class BitCosts:
    """Adds up the costs of ``lanes`` replicas: exactly in integers, or in float64 from the unrounded coefficients."""

    def __init__(self, form: IsingForm, arithmetic: Arithmetic, lanes: int) -> None:
        self._form = form
        self._lanes = lanes
        dtype = np.dtype(arithmetic)
        is_whole = dtype.kind == "i"
        self._unit = form.scale if is_whole else 1.0
        self._type = np.dtype({"int8": np.int32, "int16": np.int64}.get(arithmetic, np.float64))
        self._indptr = np.zeros(form.n + 1, np.int64)
        np.cumsum(np.bincount(form.rows, minlength=form.n), out=self._indptr[1:])
        couplings, fields = form.couplings / self._unit, form.fields / self._unit
        if is_whole:
            couplings, fields = np.rint(couplings), np.rint(fields)
        row_type = dtype if is_whole else np.dtype(np.float64)
        self._couplings = aligned_copy(couplings, row_type)
        self._fields = aligned_copy(fields, row_type)

    def __call__(self, spins: NDArray[np.uint64]) -> F64:
        """(lanes,) costs, added up anew: about as much work as half a sweep of packed spins."""
        out = aligned_empty(self._lanes, self._type)
        packed_costs(self._lanes)(self._indptr, self._form.cols, self._couplings, self._fields, spins, out)
        return self._form.at_plus - 2 * self._unit * out.astype(np.float64)
