"""Every term at its least in float64: a bound for problems of any size, at some nanoseconds a term."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from qiosk.bounds.bound import Bound
from qiosk.bounds.trivial import METHOD, OF_SPINS
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import F64
from qiosk.model.flips import group_magnitudes

ROUNDING = 2.0**-40
"""Of what is added up, which is taken off: sums of 2**13 as many terms as fit memory are off by less."""
EXACT = 2.0**53
"""Sums of whole numbers below this are exact."""


def quick_bound(problem: CompiledProblem) -> Bound:
    """The bound by every term at its least, or by every coupling of spins; it has no certificate."""
    sums = _Sums()
    groups = problem.group_values
    sums.add(-group_magnitudes(problem)[groups < 0.0]) if len(groups) else None
    if problem.is_spin:
        for values in (problem.linear, problem.term_values, *(values for _, _, values in problem.pair_blocks())):
            sums.add(-np.abs(values))
        return sums.bound(problem.constant, METHOD)
    of_spins = _Sums() if problem.is_quadratic else None
    fields = problem.linear * 2.0
    for values in (problem.linear, problem.term_values):
        sums.add(np.minimum(values, 0.0))
    for rows, cols, values in problem.pair_blocks():
        sums.add(np.minimum(values, 0.0))
        if of_spins is not None:  # x y = (1 - s - t + s t) / 4, in quarters here
            of_spins.add(values - np.abs(values))
            fields += np.bincount(rows, values, problem.n) + np.bincount(cols, values, problem.n)
    found = sums.bound(problem.constant, METHOD)
    if of_spins is None:
        return found
    of_spins.add(problem.linear * 2.0)
    of_spins.add(-np.abs(fields))
    return max(found, of_spins.bound(problem.constant, OF_SPINS, parts=4.0), key=lambda each: each.value)


class _Sums:
    """A sum, the size of all that is in it, and whether that is whole numbers only."""

    def __init__(self) -> None:
        self._total = self._size = 0.0
        self._is_whole = True

    def add(self, values: F64) -> None:
        """Add all of them."""
        self._total += float(values.sum())
        self._size += float(np.abs(values).sum())
        self._is_whole = self._is_whole and bool((np.rint(values) == values).all())

    def bound(self, constant: float, method: str, parts: float = 1.0) -> Bound:
        """The sum in parts of a unit and a constant, less what may be rounded."""
        size = self._size + abs(constant) * parts
        is_exact = self._is_whole and size < EXACT and float(constant * parts).is_integer()
        value = constant + self._total / parts - (0.0 if is_exact else size / parts * ROUNDING)
        return Bound(value=value, method=method, seconds=0.0, certificate={}, exact=Fraction(value))
