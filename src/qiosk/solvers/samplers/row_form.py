"""The spin form of very large quadratic problems, without a list of their pairs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qiosk.kernels.aligned import aligned_copy, aligned_empty
from qiosk.model.arrays.pairs import PairBlock, PairRows, ReorderedRows
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import BLOCK, F64, I32, I64
from qiosk.solvers.samplers.arithmetic import RESOLVED, ROUNDING32, quantile_is_at_least
from qiosk.solvers.samplers.ising import CANCELLED, CostRows, IsingForm, ListForm, sums_over


def spin_form(problem: CompiledProblem) -> IsingForm:
    """The spin form of a quadratic problem of either domain; made once."""
    return problem.derived(_spin_form)


def _spin_form(problem: CompiledProblem) -> IsingForm:
    rows = problem.pairs.source
    return ListForm.of(problem) if rows is None else RowForm.of(problem, rows)


@dataclass(frozen=True, eq=False, kw_only=True)
class RowForm(IsingForm):
    """The spin form of a large problem, whose pairs stay in the rows that they are kept in.

    ``own_fields`` (n,) and ``coupling_blocks`` go by the numbers that the variables have in those rows.
    """

    pairs: ReorderedRows
    share: float  # J of a pair's value
    own_fields: F64

    @classmethod
    def of(cls, problem: CompiledProblem, pairs: ReorderedRows) -> RowForm:
        """Of a quadratic problem with these pairs, of either domain."""
        share = 1.0 if problem.is_spin else 0.25
        fields = problem.linear[pairs.place]
        total, couplings = float(fields.sum()), sum(float(values.sum()) for _, _, values in pairs.kept.blocks())
        constant, at_plus = problem.constant, problem.constant
        if problem.is_spin:
            at_plus = constant + total + couplings
        else:
            sizes = sums_over(_scaled(pairs.kept, share), np.abs, np.abs(fields) / 2)
            fields = -sums_over(_scaled(pairs.kept, share), np.asarray, fields / 2)
            fields[np.abs(fields) <= CANCELLED * sizes] = 0.0
            constant = constant + total / 2 + couplings * share
        return cls(
            fields=fields[pairs.order],
            constant=constant,
            at_plus=at_plus,
            pairs=pairs,
            share=share,
            own_fields=fields,
        )

    def pair_list(self) -> tuple[I32, I32, F64]:
        """Rows, columns and couplings (P,) of all pairs, sorted when first asked for."""
        return self.pairs.rows, self.pairs.cols, self.pairs.values * self.share

    def coupling_blocks(self) -> Iterator[PairBlock]:
        """Rows, columns and couplings of all pairs, by the numbers of the rows that they are kept in."""
        return _scaled(self.pairs.kept, self.share)

    def sums_of(self, measure: Callable[[F64], F64], start: F64) -> F64:
        """(n,) start_i + sum_j measure(J_ij)."""
        return sums_over(self.coupling_blocks(), measure, start[self.pairs.place])[self.pairs.order]

    def neighbors(self) -> tuple[I64, I32, F64]:
        """CSR with each pair in both rows: indptr (n + 1,), neighbors (2P,), couplings (2P,); rows sorted."""
        return self._laid_out(self.pairs, 1.0, 1.0, np.float64)

    def lay_out(self, factor: float, dtype: DTypeLike) -> tuple[I64, I32, NDArray[Any]]:
        """As ``neighbors``, aligned, with ``factor`` J / scale, which are rounded if ``dtype`` is of integers."""
        return self._laid_out(self.pairs, factor, self.scale, dtype)

    def lay_out_by(self, order: I64, factor: float, dtype: DTypeLike) -> tuple[I64, I32, NDArray[Any]]:
        """As ``lay_out``, with variable ``order[k]`` as number k."""
        return self._laid_out(self.pairs.reordered(order), factor, self.scale, dtype)

    def _laid_out(
        self, pairs: ReorderedRows, factor: float, unit: float, dtype: DTypeLike
    ) -> tuple[I64, I32, NDArray[Any]]:
        from qiosk.kernels.pairs import both_rows

        kept = pairs.kept
        degrees = np.diff(kept.indptr)
        for start in range(0, len(kept), BLOCK):
            degrees += np.bincount(kept.cols[start : start + BLOCK], minlength=self.n)
        indptr = np.zeros(self.n + 1, np.int64)
        np.cumsum(degrees[pairs.order], out=indptr[1:])
        there, out = aligned_empty(2 * len(kept), np.int32), aligned_empty(2 * len(kept), dtype)
        longest = int(degrees.max(initial=0))
        both_rows()(
            kept.indptr,
            kept.cols,
            kept.narrow_values,
            pairs.order,
            pairs.place,
            self.share,
            factor,
            unit,
            np.dtype(dtype).kind == "i",
            indptr[:-1].copy(),
            there,
            out,
            np.empty(longest, np.int64),
            np.empty(longest, dtype),
        )
        return indptr, there, out

    def cost_rows(self, dtype: DTypeLike) -> CostRows:
        """Whole multiples of the scale if ``dtype`` is of integers, else the values as they are, without a copy."""
        kept = self.pairs.kept
        if np.dtype(dtype).kind == "i":
            couplings = self._whole((block[2] for block in self.coupling_blocks()), len(kept), dtype)
            fields, unit = self._whole([self.own_fields], self.n, dtype), self.scale
        else:
            values, unit = kept.narrow_values, self.share
            couplings = values if values.dtype.kind == "f" else values.astype(np.float32)
            fields = aligned_copy(self.own_fields / unit)
        return CostRows(
            indptr=kept.indptr, cols=kept.cols, couplings=couplings, fields=fields, unit=unit, place=self.pairs.place
        )

    @cached_property
    def _is_resolved_by_float32(self) -> bool:
        return quantile_is_at_least(self.coefficient_blocks, 0.1, ROUNDING32 * self.largest_field / RESOLVED)


def _scaled(pairs: PairRows, share: float) -> Iterator[PairBlock]:
    """All pairs, with couplings for values."""
    for rows, cols, values in pairs.blocks():
        yield rows, cols, values * share
