"""Quadratic problems as spins, and the arithmetic that resolves their coefficients.

A PUBO problem becomes an Ising one by x = (1 - s) / 2. Divisions by 2 and 4 are exact, so whole coefficients
stay whole multiples of a common unit.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np

from qiosk.model.compiled import I32, CompiledProblem
from qiosk.model.cost_function import F64, I64
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

    @cached_property
    def coupling_sums(self) -> F64:
        """(n,) sum_j J_ij."""
        both = np.bincount(self.rows, self.couplings, minlength=self.n)
        return np.asarray(both + np.bincount(self.cols, self.couplings, minlength=self.n), np.float64)

    @cached_property
    def largest_field(self) -> float:
        """max_i |h_i| + sum_j |J_ij| [cost]; flipping a spin changes the cost by at most twice that."""
        sizes = np.abs(self.couplings)
        bound = np.abs(self.fields) + np.bincount(self.rows, sizes, minlength=self.n)
        return float(np.max(bound + np.bincount(self.cols, sizes, minlength=self.n), initial=0.0))

    @cached_property
    def unit(self) -> float | None:
        """The largest number of which all h_i and J_ij are whole multiples, None if there is none."""
        return common_unit(np.concatenate([self.fields, self.couplings]))

    def neighbors(self) -> tuple[I64, I32, F64]:
        """CSR with each pair in both rows: indptr (n + 1,), neighbors (2P,), couplings (2P,); rows sorted."""
        return symmetric_rows(self.rows, self.cols, self.couplings, self.n)

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
            coefficients = np.concatenate([self.fields, self.couplings])
            return arithmetic == "float32" and is_resolved_by_float32(self.largest_field, coefficients)
        largest = self.largest_field / self.unit
        if arithmetic != "float32":
            largest = max(largest, 2 * float(np.max(np.abs(self.couplings), initial=0.0)) / self.unit)
        return largest <= LARGEST_FIELD[arithmetic]

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


def power_of_two_above(value: float) -> float:
    """The least power of two >= value, at most 2**1023; 1 for 0."""
    return 2.0 ** min(int(np.ceil(np.log2(value))), 1023) if value > 0 else 1.0


def common_unit(values: F64) -> float | None:
    """The largest u of which all values are whole multiples, up to their rounding; None if it is tiny.

    Tried are multiples of powers of 1/2 (down to 2**-20 of the smallest value) and of 1/10 (down to 10**-6).
    """
    sizes = np.unique(np.abs(values[values != 0]))
    if len(sizes) == 0:
        return 1.0
    exponent = int(np.floor(np.log2(sizes[0])))
    halves = [2.0 ** (k - exponent) for k in range(0, 21, 4) if -1000 < k - exponent < 1000]
    for factor in (1.0, *halves, *(10.0**k for k in range(1, 7))):
        unit = _unit_at(sizes, factor)
        if unit is not None:
            return unit
    return None


def _unit_at(sizes: F64, factor: float) -> float | None:
    """gcd(sizes * factor) / factor if these are whole, else None."""
    if sizes[-1] > 2.0**53 / factor or sizes[0] < 0.5 / factor:
        return None
    for part in (sizes[:256], sizes):
        scaled = part * factor
        whole = np.rint(scaled)
        if np.any(np.abs(scaled - whole) > 4 * np.finfo(np.float64).eps * scaled):
            return None
    return float(np.gcd.reduce(whole.astype(np.int64)) / factor)
