"""Quadratic problems as spins, and the arithmetic that resolves their coefficients.

A PUBO problem becomes an Ising one by x = (1 - s) / 2. Divisions by 2 and 4 are exact, so whole coefficients
stay whole multiples of a common unit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import DTypeLike, NDArray

from qiosk.kernels.aligned import aligned_copy, aligned_empty
from qiosk.model.compact import CompactProblem
from qiosk.model.compiled import I32, CompiledProblem, PairBlock
from qiosk.model.cost_function import BLOCK, F64, I64
from qiosk.model.reorder import ReorderedProblem, reorder
from qiosk.solvers.samplers.incidence import symmetric_rows

Arithmetic = Literal["int8", "int16", "float32", "float64"]
Real = Literal["float32", "float64"]
ARITHMETICS: tuple[Arithmetic, ...] = ("int8", "int16", "float32", "float64")

LARGEST_FIELD = {"int8": 127, "int16": 32767, "float32": 2**24}
"""The whole numbers up to which an arithmetic is exact."""
_ROUNDING32 = 2.0**-24
_RESOLVED = 2.0**-8
_CANCELLED = 2.0**-50
"""Of the sum of magnitudes: what is left of a field when its summands cancel is rounding, and has no unit."""


@dataclass(frozen=True, eq=False)
class IsingForm:
    """cost(s) = constant + sum h_i s_i + sum_p J_p s_row s_col, and ``at_plus``, the cost of all spins +1.

    Shapes: n variables, P pairs (row < col, sorted); float64 in the problem's unit.
    """

    rows: I32
    cols: I32
    couplings: F64  # (P,) J
    fields: F64  # (n,) h
    constant: float
    at_plus: float

    @classmethod
    def of(cls, problem: CompiledProblem) -> IsingForm:
        """The spin form of a quadratic problem of either domain."""
        if isinstance(problem, ReorderedProblem):
            return LargeForm(problem.source, problem.order, problem.place)
        if isinstance(problem, CompactProblem):
            own = np.arange(problem.n)
            return LargeForm(problem, own, own)
        rows, cols, values = problem.pair_rows, problem.pair_cols, problem.pair_values
        if problem.is_spin:
            at_plus = problem.constant + float(problem.linear.sum()) + float(values.sum())
            return cls(rows, cols, values, problem.linear, problem.constant, at_plus)
        quarter = values / 4
        sums = np.bincount(rows, quarter, minlength=problem.n) + np.bincount(cols, quarter, minlength=problem.n)
        fields = -(problem.linear / 2 + sums)
        sizes = (np.bincount(ends, np.abs(quarter), minlength=problem.n) for ends in (rows, cols))
        fields[np.abs(fields) <= _CANCELLED * (np.abs(problem.linear) / 2 + sum(sizes))] = 0.0
        constant = problem.constant + float(problem.linear.sum()) / 2 + float(quarter.sum())
        return cls(rows, cols, quarter, fields, constant, problem.constant)

    @property
    def n(self) -> int:
        """Number of variables."""
        return len(self.fields)

    def coupling_blocks(self) -> Iterator[PairBlock]:
        """Rows, columns and couplings of all pairs, in blocks that need not be made at once."""
        yield self.rows, self.cols, self.couplings

    def sums_of(self, measure: Callable[[F64], F64], start: F64) -> F64:
        """(n,) start_i + sum_j measure(J_ij)."""
        total = start.copy()
        for rows, cols, couplings in self.coupling_blocks():
            sizes = measure(couplings)
            total += np.bincount(rows, sizes, minlength=len(total))
            total += np.bincount(cols, sizes, minlength=len(total))
        return total

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

    def neighbors(self) -> tuple[I64, I32, F64]:
        """CSR with each pair in both rows: indptr (n + 1,), neighbors (2P,), couplings (2P,); rows sorted."""
        return symmetric_rows(self.rows, self.cols, self.couplings, self.n)

    def topology(self) -> tuple[I64, I32]:
        """indptr and neighbors as in ``neighbors``."""
        indptr, neighbors, _ = self.neighbors()
        return indptr, neighbors

    def lay_out(self, factor: float, dtype: DTypeLike) -> tuple[I64, I32, NDArray[Any]]:
        """As ``neighbors``, aligned, with ``factor`` J / scale, which are rounded if ``dtype`` is of integers."""
        indptr, neighbors, couplings = self.neighbors()
        scaled = factor * couplings / self.scale
        if np.dtype(dtype).kind == "i":
            scaled = np.rint(scaled)
        return indptr, aligned_copy(neighbors), aligned_copy(scaled, dtype)

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

    @cached_property
    def _is_resolved_by_float32(self) -> bool:
        return is_resolved_by_float32(self.largest_field, np.concatenate([*self.coefficient_blocks()]))

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


def is_resolved_by_float32(largest: float, coefficients: F64) -> bool:
    """Whether rounding sums as large as ``largest`` to float32 is small against most coefficients."""
    return _ROUNDING32 * largest <= _RESOLVED * typical_small(coefficients)


def typical_small(coefficients: F64) -> float:
    """The size that a tenth of all nonzero coefficients do not exceed; infinite if there are none."""
    sizes = np.abs(coefficients[coefficients != 0])
    return float(np.quantile(sizes, 0.1)) if len(sizes) else np.inf


def quantile_is_at_least(blocks: Callable[[], Iterator[F64]], share: float, least: float) -> bool:
    """Whether this quantile of the sizes that are not 0 is at least ``least``; also if there are none.

    Sizes are counted: neither sorted nor all there at once.
    """
    count, fewer, below, above = 0, 0, 0.0, np.inf
    for values in blocks():
        sizes = np.abs(values[values != 0])
        is_below = sizes < least
        count, fewer = count + len(sizes), fewer + int(np.count_nonzero(is_below))
        below = max(below, float(sizes.max(initial=0.0, where=is_below)))
        above = min(above, float(sizes.min(initial=np.inf, where=~is_below)))
    place = share * (count - 1)
    first = int(place)
    if count == 0 or fewer <= first:
        return True
    return fewer == first + 1 < count and below + (above - below) * (place - first) >= least


def power_of_two_above(value: float) -> float:
    """The least power of two >= value, at most 2**1023; 1 for 0."""
    return 2.0 ** min(int(np.ceil(np.log2(value))), 1023) if value > 0 else 1.0


def common_unit(values: F64) -> float | None:
    """The largest u of which all values are whole multiples, up to their rounding; None if it is tiny.

    Tried are multiples of powers of 1/2 (down to 2**-20 of the smallest value) and of 1/10 (down to 10**-6).
    """
    sizes = np.unique(np.abs(values[values != 0]))
    return common_unit_of(lambda: iter([sizes]))


def common_unit_of(blocks: Callable[[], Iterator[F64]]) -> float | None:
    """As :func:`common_unit`, of values that come in blocks."""
    low, high = np.inf, 0.0
    for values in blocks():
        sizes = np.abs(values)
        high = max(high, float(sizes.max(initial=0.0)))
        low = min(low, float(sizes.min(initial=np.inf, where=sizes > 0.0)))
    if high == 0.0:
        return 1.0
    exponent = int(np.floor(np.log2(low)))
    halves = [2.0 ** (k - exponent) for k in range(0, 21, 4) if -1000 < k - exponent < 1000]
    for factor in (1.0, *halves, *(10.0**k for k in range(1, 7))):
        if high > 2.0**53 / factor or low < 0.5 / factor:
            continue
        unit = _unit_at(blocks(), factor)
        if unit is not None:
            return unit
    return None


def _unit_at(blocks: Iterator[F64], factor: float) -> float | None:
    """gcd(sizes * factor) / factor if these are whole, else None."""
    divisor = 0
    for values in blocks:
        for part in (values[:256], values):
            scaled = np.abs(part) * factor
            whole = np.rint(scaled)
            if np.any(np.abs(scaled - whole) > 4 * np.finfo(np.float64).eps * scaled):
                return None
        divisor = math.gcd(divisor, int(np.gcd.reduce(whole.astype(np.int64), initial=0)))
    return divisor / factor


class LargeForm(IsingForm):
    """The spin form of a large problem in another order of its variables; its pairs are never made as a list.

    ``rows``, ``cols`` and ``couplings`` are made for whoever asks for them. Variable ``order[k]`` of the problem is
    number k, ``place`` (n,) is the inverse; ``own_fields`` (n,) and ``coupling_blocks`` go by the problem's numbers.
    """

    source: CompactProblem
    order: I64
    place: I64
    share: float  # J of a value
    own_fields: F64

    def __init__(self, source: CompactProblem, order: I64, place: I64) -> None:
        share = 1.0 if source.is_spin else 0.25
        vars(self).update(source=source, order=order, place=place, share=share)
        total = float(source.linear.sum())
        couplings = sum(float(values.sum()) for _, _, values in source.pair_blocks())
        if source.is_spin:
            fields, constant, at_plus = source.linear, source.constant, source.constant + total + couplings
        else:
            fields = -self._own_sums(np.asarray, source.linear / 2)
            fields[np.abs(fields) <= _CANCELLED * self._own_sums(np.abs, np.abs(source.linear) / 2)] = 0.0
            constant, at_plus = source.constant + total / 2 + couplings * share, source.constant
        vars(self).update(own_fields=fields, fields=fields[order], constant=constant, at_plus=at_plus)

    def reordered(self, order: I64) -> LargeForm:
        """The same with variable ``order[k]`` of this one as number k."""
        order = self.order[order]
        place = np.empty(self.n, np.int64)
        place[order] = np.arange(self.n)
        return LargeForm(self.source, order, place)

    def topology(self) -> tuple[I64, I32]:
        """indptr and neighbors as in ``neighbors``."""
        indptr, there, _ = self._laid_out(0.0, 1.0, np.int8)
        return indptr, there

    @cached_property
    def _listed(self) -> CompiledProblem:
        return reorder(self.source, self.order)

    @property
    def rows(self) -> I32:
        """(P,) sorted when first asked for."""
        return self._listed.pair_rows

    @property
    def cols(self) -> I32:
        """(P,) sorted when first asked for."""
        return self._listed.pair_cols

    @property
    def couplings(self) -> F64:
        """(P,) sorted when first asked for."""
        return self._listed.pair_values * self.share

    def coupling_blocks(self) -> Iterator[PairBlock]:
        """Rows, columns and couplings of all pairs, by the problem's numbers."""
        for rows, cols, values in self.source.pair_blocks():
            yield rows, cols, values * self.share

    def _own_sums(self, measure: Callable[[F64], F64], start: F64) -> F64:
        return super().sums_of(measure, start)

    def sums_of(self, measure: Callable[[F64], F64], start: F64) -> F64:
        """(n,) start_i + sum_j measure(J_ij)."""
        return self._own_sums(measure, start[self.place])[self.order]

    def neighbors(self) -> tuple[I64, I32, F64]:
        """CSR with each pair in both rows: indptr (n + 1,), neighbors (2P,), couplings (2P,); rows sorted."""
        return self._laid_out(1.0, 1.0, np.float64)

    def lay_out(self, factor: float, dtype: DTypeLike) -> tuple[I64, I32, NDArray[Any]]:
        """As ``neighbors``, aligned, with ``factor`` J / scale, which are rounded if ``dtype`` is of integers."""
        return self._laid_out(factor, self.scale, dtype)

    def _laid_out(self, factor: float, unit: float, dtype: DTypeLike) -> tuple[I64, I32, NDArray[Any]]:
        from qiosk.kernels.pairs import both_rows

        p = self.source
        degrees = np.diff(p.pair_indptr)
        for start in range(0, p.n_pairs, BLOCK):
            degrees += np.bincount(p.pair_cols[start : start + BLOCK], minlength=p.n)
        indptr = np.zeros(self.n + 1, np.int64)
        np.cumsum(degrees[self.order], out=indptr[1:])
        there, out = aligned_empty(2 * p.n_pairs, np.int32), aligned_empty(2 * p.n_pairs, dtype)
        longest = int(degrees.max(initial=0))
        both_rows()(
            p.pair_indptr,
            p.pair_cols,
            p.narrow_values,
            self.order,
            self.place,
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

    @cached_property
    def _is_resolved_by_float32(self) -> bool:
        least = _ROUNDING32 * self.largest_field / _RESOLVED
        return quantile_is_at_least(self.coefficient_blocks, 0.1, least)
