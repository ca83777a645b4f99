"""Coefficients as integers, in which nothing is rounded any more: units, quadratic problems of spins, exact costs."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import compress, pairwise

import numpy as np

from qiosk.errors import InvalidValue
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64, I8, I64
from qiosk.model.flips import term_magnitude
from qiosk.model.units import common_unit_of

MOST_BITS = 58
"""The sum of the sizes of all integers is below 2**58, so int64 has room to double them three times."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SpinIntegers:
    """cost = offset + unit (constant + sum_i fields[i] s_i + sum_p weights[p] s_{rows[p]} s_{cols[p]}).

    Spins stand for the variables: for bits x = (1 - s) / 2. With ``is_exact`` the integers are the coefficients, where
    decimal fractions count as what they round to; else the smallest were rounded, because no unit of all is in the
    range of int64.
    """

    fields: I64  # (n,)
    rows: I64  # (P,) row < col
    cols: I64  # (P,)
    weights: I64  # (P,)
    constant: int
    unit: float  # [cost]
    offset: float  # [cost]
    is_exact: bool

    @property
    def size(self) -> int:
        """Sum of the sizes of all couplings and fields."""
        return int(np.abs(self.fields).sum()) + int(np.abs(self.weights).sum())


def spin_integers(problem: CompiledProblem, bits: int = MOST_BITS) -> SpinIntegers:
    """The integers of a quadratic problem; the sum of their sizes is below 2**bits.

    Raises InvalidValue for terms of three or more variables and for groups.
    """
    if not problem.is_quadratic:
        raise InvalidValue("problem: must be quadratic and without squared linear combinations")
    unit, is_exact = integer_unit(problem, bits - (0 if problem.is_spin else 2))
    rows = problem.pair_rows.astype(np.int64)
    cols = problem.pair_cols.astype(np.int64)
    weights = np.rint(problem.pair_values / unit).astype(np.int64)
    fields = np.rint(problem.linear / unit).astype(np.int64)
    constant = 0
    if not problem.is_spin:  # x = (1 - s) / 2, in quarters of the unit
        constant = int(weights.sum()) + 2 * int(fields.sum())
        fields *= -2
        np.subtract.at(fields, rows, weights)
        np.subtract.at(fields, cols, weights)
        unit /= 4
    return SpinIntegers(
        fields=fields,
        rows=rows,
        cols=cols,
        weights=weights,
        constant=constant,
        unit=unit,
        offset=problem.constant,
        is_exact=is_exact,
    )


def integer_unit(problem: CompiledProblem, bits: int) -> tuple[float, bool]:
    """A unit of the coefficients [cost], those of groups apart, and whether all are whole multiples of it.

    The sum of the sizes of all multiples is below 2**bits, also after those that are not whole were rounded.
    """
    size = term_magnitude(problem)
    room = 2.0**bits
    if size == 0.0:
        return 1.0, True

    def blocks() -> Iterator[F64]:
        yield problem.linear
        yield problem.term_values
        yield from (values for _, _, values in problem.pair_blocks())

    unit = common_unit_of(blocks)
    if unit is not None and size / unit < room:
        return unit, True
    # the least power of two with room for each coefficient to be rounded up by half a unit; a quarter is normal, too
    count = problem.n + problem.n_pairs + len(problem.term_values)
    unit = 2.0 ** max(math.ceil(math.log2(size) - math.log2(room - count)), -1020)
    return unit, all(bool(np.all(np.rint(values / unit) == values / unit)) for values in blocks())


class ExactCosts:
    """Costs of configurations of a problem in fractions; coefficients count as the float64 numbers that they are."""

    def __init__(self, problem: CompiledProblem) -> None:
        self._problem = problem
        # float64 numbers are integers times powers of two
        parts, exponents = np.frexp(np.concatenate([problem.linear, problem.pair_values, problem.term_values]))
        least = int(exponents.min(initial=0))
        shifts = (exponents - least).tolist()
        self._unit = Fraction(2) ** (least - 53)
        self._whole = [
            part << shift for part, shift in zip((parts * 2.0**53).astype(np.int64).tolist(), shifts, strict=True)
        ]
        self._squares = [
            (
                Fraction(float(problem.group_values[g])),
                Fraction(float(problem.group_offsets[g])),
                list(map(Fraction, problem.group_weights[first:end].tolist())),
                problem.group_variables[first:end].tolist(),
            )
            for g, (first, end) in enumerate(pairwise(problem.group_indptr.tolist()))
        ]

    def of(self, x: I8) -> Fraction:
        """Of a configuration (n,) [cost]."""
        p = self._problem
        products = [x, x[p.pair_rows] * x[p.pair_cols]]
        if len(p.term_values):
            products.append(np.multiply.reduceat(x[p.term_variables], p.term_indptr[:-1]))
        values = np.concatenate(products)
        total: Fraction = self._unit * (sum(compress(self._whole, values > 0)) - sum(compress(self._whole, values < 0)))
        for c, offset, weights, ids in self._squares:
            root = offset + sum((w * int(x[i]) for w, i in zip(weights, ids, strict=True)), Fraction(0))
            total += c * root**2
        return total + Fraction(p.constant)
