"""Costs of quadratic problems whose replicas are bits."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.kernels.aligned import aligned_copy, aligned_empty
from qiosk.kernels.packed import packed_costs
from qiosk.model.cost_function import F64, I64
from qiosk.solvers.samplers.ising import Arithmetic, IsingForm, LargeForm


class BitCosts:
    """Adds up the costs of ``lanes`` replicas: exactly in integers, or in float64 from the unrounded coefficients."""

    def __init__(self, form: IsingForm, arithmetic: Arithmetic, lanes: int) -> None:
        self._at_plus = form.at_plus
        self._lanes = lanes
        dtype = np.dtype(arithmetic)
        is_whole = dtype.kind == "i"
        self._unit = form.scale if is_whole else 1.0
        self._type = np.dtype({"int8": np.int32, "int16": np.int64}.get(arithmetic, np.float64))
        row_type = dtype if is_whole else np.dtype(np.float64)
        if isinstance(form, LargeForm):
            self._place: I64 | None = form.place
            self._indptr, self._cols, fields = form.source.pair_indptr, form.source.pair_cols, form.own_fields
        else:
            self._place, self._cols, fields = None, form.cols, form.fields
            self._indptr = np.zeros(form.n + 1, np.int64)
            np.cumsum(np.bincount(form.rows, minlength=form.n), out=self._indptr[1:])
        if isinstance(form, LargeForm) and not is_whole:
            self._unit = form.share  # the values as they are, no copy of them
            values = form.source.narrow_values
            self._couplings: NDArray[Any] = values if values.dtype.kind == "f" else values.astype(np.float32)
        else:
            self._couplings = aligned_empty(len(self._cols), row_type)
            begin = 0
            for _, _, couplings in form.coupling_blocks():
                self._couplings[begin : begin + len(couplings)] = self._in_units(couplings, is_whole)
                begin += len(couplings)
        self._fields = aligned_copy(self._in_units(fields, is_whole), row_type)

    def _in_units(self, values: F64, is_whole: bool) -> F64:
        return np.rint(values / self._unit) if is_whole else values / self._unit

    def __call__(self, spins: NDArray[np.uint64]) -> F64:
        """(lanes,) costs, added up anew: about as much work as half a sweep of packed spins."""
        if self._place is not None:
            spins = aligned_copy(spins.reshape(-1, self._lanes // 64)[self._place].ravel())
        out = aligned_empty(self._lanes, self._type)
        packed_costs(self._lanes)(self._indptr, self._cols, self._couplings, self._fields, spins, out)
        return self._at_plus - 2 * self._unit * out.astype(np.float64)
