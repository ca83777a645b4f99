"""Bounds that the rows of a program imply, for columns without bounds of their own, such as slack variables."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from qiosk.formats.programs.program import Program, Row
from qiosk.model.cost_function import F64, I64

_ROUNDING = 1e-12  # relative errors of sums of float64


def with_implied_bounds(program: Program) -> Program:
    """The program, infinite bounds of its columns replaced by those that its rows imply.

    A linear row bounds a column if the sum of its other terms is bounded. Each bound that is found may lead to others.
    """
    bounds = _Bounds(program)
    linear = [row for row in program.constraints if row.coefficients and not row.products]
    rows = [(np.array(list(row.coefficients), np.int64), row) for row in linear]
    while True:
        rows = [(ids, row) for ids, row in rows if bounds.are_missing(ids)]
        if not sum(bounds.tighten(ids, row) for ids, row in rows):  # all of them
            break
    found = zip(program.columns, bounds.low.tolist(), bounds.high.tolist(), strict=True)
    return replace(program, columns=[replace(column, low=low, high=high) for column, low, high in found])


class _Bounds:
    """The bounds of all columns."""

    def __init__(self, program: Program) -> None:
        self.low = np.array([column.low for column in program.columns])
        self.high = np.array([column.high for column in program.columns])
        self._is_integer = np.array([column.is_integer for column in program.columns], bool)

    def are_missing(self, ids: I64) -> bool:
        """Whether one of these columns has an infinite bound."""
        return not bool(np.isfinite(self.low[ids]).all() and np.isfinite(self.high[ids]).all())

    def tighten(self, ids: I64, row: Row) -> bool:
        """Replace infinite bounds by those that a row implies; False if there are none."""
        c = np.array(list(row.coefficients.values()))
        ids, c = ids[c != 0], c[c != 0]
        low, high = self.low[ids], self.high[ids]
        least, most = np.where(c > 0, c * low, c * high), np.where(c > 0, c * high, c * low)
        above, slack_above = _others(least)  # c x <= row.high - above
        below, slack_below = _others(most)
        upper, lower = (row.high - above + slack_above) / c, (row.low - below - slack_below) / c
        upper, lower = np.where(c > 0, upper, lower), np.where(c > 0, lower, upper)
        whole = self._is_integer[ids]
        upper, lower = np.where(whole, np.floor(upper), upper), np.where(whole, np.ceil(lower), lower)
        found_high = np.isinf(high) & np.isfinite(upper)
        found_low = np.isinf(low) & np.isfinite(lower)
        self.high[ids[found_high]] = upper[found_high]
        self.low[ids[found_low]] = lower[found_low]
        return bool(found_high.any() or found_low.any())


def _others(terms: F64) -> tuple[F64, F64]:
    """For each term the sum of all others, infinite if one of them is; and how wrong that may be by rounding."""
    is_infinite: NDArray[np.bool_] = np.isinf(terms)
    finite = np.where(is_infinite, 0.0, terms)
    infinity = terms[is_infinite][0] if is_infinite.any() else 0.0
    sums = np.where(is_infinite.sum() - is_infinite > 0, infinity, finite.sum() - finite)
    return sums, np.full(len(terms), _ROUNDING * np.abs(finite).sum())
