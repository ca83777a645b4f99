"""Smaller coefficients for inequalities of few bits, with exactly the same solutions.

Slack counts in the unit of the coefficients, so fine coefficients need many slack bits, and searches get lost among
them. Which combinations of a few bits satisfy an inequality, though, can mostly be told by small coefficients: those of
the row, scaled down and rounded. They are taken if all combinations prove them right.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction

import numpy as np

from qiosk.model.cost_function import I64
from qiosk.modeling.expression import Monomial, Sense
from qiosk.modeling.rows import Row

MAX_BITS = 16
"""Bits up to which all combinations are tried: a few milliseconds for each of some fifty scales."""
_EVERY_SCALE = 32
_GROWTH = 1.25


def reduced(row: Row) -> Row:
    """An inequality with the same solutions and less slack, if there is one; the row itself otherwise."""
    bits = sorted({bit for some in row.terms for bit in some})
    low, high = row.bounds
    span = int(row.bound) - low if row.sense is Sense.AT_MOST else high - int(row.bound)
    if row.sense is Sense.EQUAL or len(bits) > MAX_BITS or span.bit_length() <= len(bits):
        return row
    masks = [sum(1 << bits.index(bit) for bit in some) for some in row.terms]
    sign = 1 if row.sense is Sense.AT_MOST else -1
    coefficients = np.array([sign * c for c in row.terms.values()], np.int64)
    is_solution = _sums(coefficients, masks, len(bits)) <= sign * int(row.bound)
    if is_solution.all() or not is_solution.any():
        return row
    largest = int(np.abs(coefficients).max())
    scale = 1.0
    while scale < largest:
        rounded = np.rint(coefficients * (scale / largest)).astype(np.int64)
        sums = _sums(rounded, masks, len(bits))
        bound = int(sums[is_solution].max())
        if bound < sums[~is_solution].min() and bound - int(rounded[rounded < 0].sum()) < span:
            return _row(row, rounded, bound)
        scale = max(scale * _GROWTH, scale + 1.0) if scale >= _EVERY_SCALE else scale + 1.0
    return row


def _sums(coefficients: I64, masks: Sequence[int], n: int) -> I64:
    """(2^n,) the left side at every combination of bits: bit i of the index is that of bit i."""
    sums = np.zeros(1 << n, np.int64)
    for c, mask in zip(coefficients.tolist(), masks, strict=True):
        sums[mask] += c
    for i in range(n):
        low, high = np.moveaxis(sums.reshape(-1, 2, 1 << i), 1, 0)
        high += low
    return sums


def _row(row: Row, coefficients: I64, bound: int) -> Row:
    terms: Mapping[Monomial, int] = {some: c for some, c in zip(row.terms, coefficients.tolist(), strict=True) if c}
    return Row(terms, Sense.AT_MOST, Fraction(bound), row.unit)
