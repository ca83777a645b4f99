"""Quadratic problems as spins, and the arrays that kernels read of them.

A PUBO problem becomes an Ising one by x = (1 - s) / 2. Divisions by 2 and 4 are exact, so whole coefficients
stay whole multiples of a common unit.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qiosk.kernels.aligned import aligned_copy, aligned_empty
from qiosk.model.arrays.pairs import PairBlock, inverse
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I32, I64
from qiosk.model.flips import pair_sums
from qiosk.model.units import common_unit_of
from qiosk.solvers.samplers.arithmetic import (
    ARITHMETICS,
    LARGEST_FIELD,
    Arithmetic,
    Real,
    is_resolved_by_float32,
    power_of_two_above,
)
from qiosk.solvers.samplers.incidence import index_by_variable, symmetric_rows

CANCELLED = 2.0**-50
"""Of the sum of magnitudes: what is left of a field when its summands cancel is rounding, and has no unit."""


@dataclass(frozen=True, eq=False, kw_only=True)
class CostRows:
    """What costs of bit-packed replicas are added up from: each pair once, by row, and couplings and fields in a unit.

    ``place`` (n,) is the number that each row's variable has in the replicas; None if they have the same order.
    """

    indptr: I64  # (n + 1,)
    cols: I32  # (P,)
    couplings: NDArray[Any]  # (P,) J / unit
    fields: NDArray[Any]  # (n,) h / unit
    unit: float  # [cost]
    place: I64 | None = None


@dataclass(frozen=True, eq=False, kw_only=True)
class IsingForm(ABC):
    """cost(s) = constant + sum h_i s_i + sum_p J_p s_row s_col, and ``at_plus``, the cost of all spins +1.

    Shapes: n variables, P pairs; float64 in the problem's unit.
    """

    fields: F64  # (n,) h
    constant: float
    at_plus: float

    @property
    def n(self) -> int:
        """Number of variables."""
        return len(self.fields)

    @abstractmethod
    def pair_list(self) -> tuple[I32, I32, F64]:
        """Rows, columns and couplings (P,) of all pairs: row < col, sorted by (row, col)."""

    @abstractmethod
    def coupling_blocks(self) -> Iterator[PairBlock]:
        """Rows, columns and couplings of all pairs, in blocks that need not be made at once."""

    @abstractmethod
    def sums_of(self, measure: Callable[[F64], F64], start: F64) -> F64:
        """(n,) start_i + sum_j measure(J_ij)."""

    @abstractmethod
    def neighbors(self) -> tuple[I64, I32, F64]:
        """CSR with each pair in both rows: indptr (n + 1,), neighbors (2P,), couplings (2P,); rows sorted."""

    def topology(self) -> tuple[I64, I32]:
        """indptr and neighbors as in ``neighbors``."""
        indptr, neighbors, _ = self.lay_out(0.0, np.int8)
        return indptr, neighbors

    @abstractmethod
    def lay_out(self, factor: float, dtype: DTypeLike) -> tuple[I64, I32, NDArray[Any]]:
        """As ``neighbors``, aligned, with ``factor`` J / scale, which are rounded if ``dtype`` is of integers."""

    @abstractmethod
    def lay_out_by(self, order: I64, factor: float, dtype: DTypeLike) -> tuple[I64, I32, NDArray[Any]]:
        """As ``lay_out``, of reals, with variable ``order[k]`` as number k; rows need not be sorted."""

    @abstractmethod
    def cost_rows(self, dtype: DTypeLike) -> CostRows:
        """Whole multiples of the scale if ``dtype`` is of integers, else what gives the unrounded costs."""

    @cached_property
    def coupling_sums(self) -> F64:
        """(n,) sum_j J_ij."""
        return self.sums_of(np.asarray, np.zeros(self.n))

    @cached_property
    def largest_field(self) -> float:
        """max_i |h_i| + sum_j |J_ij| [cost]; flipping a spin changes the cost by at most twice that."""
        return float(np.max(self.sums_of(np.abs, np.abs(self.fields)), initial=0.0))

    @cached_property
    def largest_coupling(self) -> float:
        """max |J_ij| [cost]."""
        return max((float(np.max(np.abs(c), initial=0.0)) for _, _, c in self.coupling_blocks()), default=0.0)

    @cached_property
    def unit(self) -> float | None:
        """The largest number of which all h_i and J_ij are whole multiples, None if there is none."""
        return common_unit_of(self.coefficient_blocks)

    def coefficient_blocks(self) -> Iterator[F64]:
        """All h_i and J_ij, in blocks."""
        yield self.fields
        yield from (couplings for _, _, couplings in self.coupling_blocks())

    def is_resolved_by(self, arithmetic: Arithmetic) -> bool:
        """Whether an arithmetic is exact, or its rounding is small against the small coefficients.

        int8, int16: all fields are whole multiples of the unit and fit, and so do twice the couplings (exact).
        float32: with a unit, if all fields are at most 2**24 of it (exact). Without one, if the error of a field, at
        most (degree + 2) * 2**-24 * largest field and typically 2**-24 * largest field, is below 1/256 of the
        coefficient that a tenth of all nonzero ones do not exceed.
        float64 is always accepted: it errs by at most (degree + 2) * 2**-53 * largest field.
        """
        if arithmetic == "float64":
            return True
        if self.unit is None:
            return arithmetic == "float32" and self._is_resolved_by_float32
        largest = self.largest_field / self.unit
        if arithmetic != "float32":
            largest = max(largest, 2 * self.largest_coupling / self.unit)
        return largest <= LARGEST_FIELD[arithmetic]

    @property
    @abstractmethod
    def _is_resolved_by_float32(self) -> bool:
        """Of coefficients without a unit."""

    @cached_property
    def arithmetic(self) -> Arithmetic:
        """The narrowest arithmetic that resolves the coefficients."""
        return next(a for a in ARITHMETICS if self.is_resolved_by(a))

    @property
    def real(self) -> Real:
        """The narrower floating-point arithmetic that resolves the coefficients."""
        return "float32" if self.is_resolved_by("float32") else "float64"

    @property
    def scale(self) -> float:
        """The cost that counts as 1: the unit, or without one a power of two that bounds all fields."""
        return self.unit if self.unit is not None else power_of_two_above(self.largest_field)

    def _whole(self, blocks: Iterable[F64], size: int, dtype: DTypeLike) -> NDArray[Any]:
        """(size,) values of all blocks, in whole multiples of the scale."""
        out, begin = aligned_empty(size, dtype), 0
        for values in blocks:
            out[begin : begin + len(values)] = np.rint(values / self.scale)
            begin += len(values)
        return out


@dataclass(frozen=True, eq=False, kw_only=True)
class ListForm(IsingForm):
    """The spin form of a problem whose pairs are in a list: row < col, sorted."""

    rows: I32
    cols: I32
    couplings: F64  # (P,) J

    @classmethod
    def of(cls, problem: CompiledProblem) -> ListForm:
        """Of a quadratic problem of either domain."""
        rows, cols, values = problem.pair_rows, problem.pair_cols, problem.pair_values
        fields, constant, at_plus = problem.linear, problem.constant, problem.constant
        total = float(problem.linear.sum())
        if problem.is_spin:
            at_plus = constant + total + float(values.sum())
        else:
            values = values / 4
            ones = np.ones(problem.n)
            fields = -(problem.linear / 2 + sum(pair_sums(problem, ones, share=0.25)))
            sizes = sum(pair_sums(problem, ones, share=0.25, is_absolute=True))
            fields[np.abs(fields) <= CANCELLED * (np.abs(problem.linear) / 2 + sizes)] = 0.0
            constant = constant + total / 2 + float(values.sum())
        return cls(fields=fields, constant=constant, at_plus=at_plus, rows=rows, cols=cols, couplings=values)

    def pair_list(self) -> tuple[I32, I32, F64]:
        """The arrays themselves."""
        return self.rows, self.cols, self.couplings

    def coupling_blocks(self) -> Iterator[PairBlock]:
        """All pairs at once."""
        yield self.rows, self.cols, self.couplings

    def sums_of(self, measure: Callable[[F64], F64], start: F64) -> F64:
        """(n,) start_i + sum_j measure(J_ij)."""
        return sums_over(self.coupling_blocks(), measure, start)

    def neighbors(self) -> tuple[I64, I32, F64]:
        """CSR with each pair in both rows: indptr (n + 1,), neighbors (2P,), couplings (2P,); rows sorted."""
        return symmetric_rows(self.rows, self.cols, self.couplings, self.n)

    def lay_out(self, factor: float, dtype: DTypeLike) -> tuple[I64, I32, NDArray[Any]]:
        """As ``neighbors``, aligned, with ``factor`` J / scale, which are rounded if ``dtype`` is of integers."""
        scaled = factor * self.couplings / self.scale
        if np.dtype(dtype).kind == "i":
            np.rint(scaled, out=scaled)
        indptr, neighbors, couplings = symmetric_rows(self.rows, self.cols, scaled.astype(dtype, copy=False), self.n)
        return indptr, aligned_copy(neighbors), aligned_copy(couplings)

    def lay_out_by(self, order: I64, factor: float, dtype: DTypeLike) -> tuple[I64, I32, NDArray[Any]]:
        """As ``lay_out``, of reals, with variable ``order[k]`` as number k; rows are not sorted."""
        place = inverse(order).astype(np.int32)
        here = np.concatenate([place[self.rows], place[self.cols]])
        there = np.concatenate([place[self.cols], place[self.rows]])
        indptr, by_place = index_by_variable(here, self.n)
        couplings = np.concatenate([self.couplings, self.couplings])[by_place]
        return indptr, aligned_copy(there[by_place]), aligned_copy(factor * couplings / self.scale, dtype)

    def cost_rows(self, dtype: DTypeLike) -> CostRows:
        """Whole multiples of the scale if ``dtype`` is of integers, else the float64 coefficients themselves."""
        indptr = np.zeros(self.n + 1, np.int64)
        np.cumsum(np.bincount(self.rows, minlength=self.n), out=indptr[1:])
        if np.dtype(dtype).kind == "i":
            couplings, fields = (self._whole([values], len(values), dtype) for values in (self.couplings, self.fields))
            unit = self.scale
        else:
            couplings, fields, unit = aligned_copy(self.couplings), aligned_copy(self.fields), 1.0
        return CostRows(indptr=indptr, cols=self.cols, couplings=couplings, fields=fields, unit=unit)

    @cached_property
    def _is_resolved_by_float32(self) -> bool:
        return is_resolved_by_float32(self.largest_field, np.concatenate([*self.coefficient_blocks()]))


def sums_over(blocks: Iterator[PairBlock], measure: Callable[[F64], F64], start: F64) -> F64:
    """(n,) start_i + sum_j measure(J_ij)."""
    total = start.copy()
    for rows, cols, couplings in blocks:
        sizes = measure(couplings)
        total += np.bincount(rows, sizes, minlength=len(total))
        total += np.bincount(cols, sizes, minlength=len(total))
    return total
