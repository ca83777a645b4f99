"""Terms gathered in tables whose least values add up to a bound: a factor for every largest set of variables."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import groupby

import numpy as np

from qiosk.bounds.bound import Proof
from qiosk.bounds.polynomial import Polynomial
from qiosk.model.cost_function import I64

METHOD = "diffusion"
MOST_VARIABLES = 12
"""Variables of a term, at most."""
MOST_ENTRIES = 1 << 24
"""Entries of all tables together: 128 MB."""
PART = 1 << 20
"""Entries of tables that terms are added to at a time."""
MOST_SHIFT = 20
BITS = 60
"""All tables together stay below 2**60, in units of 2**-shift."""
MOST_SIZE = 2.0**62
ROUNDS = 400
WORK = 3_000_000
"""Entries of tables that are looked at before the caller is asked whether to go on; some 20 ms."""
GAIN = 1e-5
"""Gain in ``LOOK`` rounds, as a share of the distance to the trivial bound, below which it ends."""
LOOK = 10


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Factors:
    """level = 2**-shift (sum_f table_f(x) + sum_i own[i, x_i]); index 1, or a bit, is a spin of -1 or a bit of 1.

    Bit b of an index into a table is the variable ``scopes[f][b]``.
    """

    scopes: list[list[int]]
    starts: I64  # (F + 1,) of each table
    tables: I64
    own: I64  # (n, 2)
    shift: int

    @property
    def least(self) -> Fraction:
        """The least values of all tables, added up."""
        total = int(self.own.min(axis=1).sum())
        if self.scopes:
            total += int(np.minimum.reduceat(self.tables, self.starts[:-1]).sum())
        return Fraction(total, 1 << self.shift)

    @property
    def is_sound(self) -> bool:
        """Whether the tables still are the function that they were.

        Integers that overflow are right modulo 2**64, so they are right where all sums of the tables are small enough.
        """
        size = float(np.abs(self.own).max(axis=1).sum(dtype=np.float64))
        if self.scopes:
            largest = np.maximum.reduceat(np.abs(self.tables.astype(np.float64)), self.starts[:-1])
            size += float(largest.sum())
        return size < MOST_SIZE


def factors_of(terms: Polynomial) -> Factors | None:
    """The terms of a problem as factors; None where the tables would be too large."""
    sizes = np.diff(terms.indptr)
    if int(sizes.max(initial=1)) > MOST_VARIABLES or int((1 << sizes[sizes > 1]).sum()) > MOST_ENTRIES:
        return None
    shift = max(0, min(MOST_SHIFT, BITS - terms.size.bit_length()))
    scopes, homes = _scopes(terms)
    starts = np.zeros(len(scopes) + 1, np.int64)
    np.cumsum([1 << len(scope) for scope in scopes], out=starts[1:]) if scopes else None
    tables, own = np.zeros(int(starts[-1]), np.int64), np.zeros((terms.n, 2), np.int64)
    values, is_alone = terms.values << shift, sizes == 1
    alone = terms.variables[terms.indptr[:-1][is_alone]]
    own[alone, 1] = -values[is_alone] if terms.is_spin else values[is_alone]
    own[alone, 0] = values[is_alone] if terms.is_spin else 0
    masks = np.array(
        [
            sum(1 << scopes[f].index(i) for i in ids) if f >= 0 else 0
            for ids, f in zip(terms.scopes(), homes, strict=True)
        ],
        np.int64,
    )
    home = np.array(homes, np.int64)
    for rows in _alike(home, np.array([len(scope) for scope in scopes], np.int64)):
        where = np.arange(starts[home[rows[0]] + 1] - starts[home[rows[0]]])
        ones = np.bitwise_count(masks[rows, None] & where).astype(np.int64)
        products = 1 - 2 * (ones & 1) if terms.is_spin else (ones == sizes[rows, None]).astype(np.int64)
        np.add.at(tables, starts[home[rows], None] + where, values[rows, None] * products)
    return Factors(scopes=scopes, starts=starts, tables=tables, own=own, shift=shift)


def _alike(homes: I64, sizes: I64) -> Iterator[I64]:
    """Terms in scopes of the same size, so many at a time that their tables have ``PART`` entries."""
    there = np.flatnonzero(homes >= 0)
    for size in np.unique(sizes).tolist():
        rows, step = there[sizes[homes[there]] == size], max(1, PART >> size)
        yield from (rows[first : first + step] for first in range(0, len(rows), step))


def _scopes(terms: Polynomial) -> tuple[list[list[int]], list[int]]:
    """Largest sets of variables of the terms, and for each term one that contains it; -1 for terms of one variable.

    No term contains another one of its size, so those of one size are looked for in larger ones only.
    """
    every = terms.scopes()
    scopes, holders = list[list[int]](), defaultdict[int, set[int]](set)
    homes = [-1] * len(every)
    order = sorted((t for t in range(len(every)) if len(every[t]) > 1), key=lambda t: -len(every[t]))
    for _, alike in groupby(order, key=lambda t: len(every[t])):
        first = len(scopes)
        for t in alike:
            smallest, *others = sorted((holders[i] for i in every[t]), key=len)
            around = smallest.intersection(*others)
            homes[t] = min(around) if around else len(scopes)
            if not around:
                scopes.append(every[t])
        for f in range(first, len(scopes)):
            for i in scopes[f]:
                holders[i].add(f)
    return scopes, homes


def diffusion(terms: Polynomial) -> Iterator[Proof | None]:
    """Min-sum diffusion, for terms of any size: yields None between parts of the work, and better and better proofs.

    The tables stay the same function while least values move between them, so the sum of their least values is a bound
    at every moment. Reference: T. Werner, IEEE Trans. Pattern Anal. Mach. Intell. 29, 1165 (2007),
    doi:10.1109/TPAMI.2007.1036.
    """
    factors = factors_of(terms)
    if factors is None:
        return
    yield None
    yield from diffused(terms, factors)


def diffused(terms: Polynomial, factors: Factors) -> Iterator[Proof | None]:
    """As ``diffusion``, of factors, which are changed."""
    from qiosk.kernels.bounds.min_marginals import diffuse_tables

    diffuse, n = diffuse_tables(), terms.n
    sizes = np.array([len(scope) for scope in factors.scopes], np.int64)
    members = np.array([i for scope in factors.scopes for i in scope], np.int64)
    owners = np.repeat(np.arange(len(sizes)), sizes)
    bits = np.array([b for scope in factors.scopes for b in range(len(scope))], np.int64)
    order = np.argsort(members, kind="stable")
    indptr = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(members, minlength=n), out=indptr[1:])
    holders, bits = owners[order], bits[order]
    work = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(members, (1 << sizes)[owners], n), out=work[1:]) if len(members) else None
    before = factors.least
    span = abs(before) + 1
    for turn in range(ROUNDS):
        first = 0
        while first < n:
            last = min(n, max(first + 1, int(np.searchsorted(work, work[first] + WORK, side="right")) - 1))
            ends = (first, last, 1) if turn % 2 == 0 else (n - 1 - first, n - 1 - last, -1)
            diffuse(indptr, holders, bits, factors.starts, sizes, factors.tables, factors.own, *ends)
            first = last
            yield None
        if turn % LOOK == LOOK - 1:
            least = factors.least
            if least > before and factors.is_sound:
                yield proof_of(terms, factors)
            if least - before <= span * Fraction(GAIN):
                return
            before = least


def proof_of(terms: Polynomial, factors: Factors, method: str = METHOD) -> Proof:
    """What the least values of tables prove."""
    sizes = np.array([len(scope) for scope in factors.scopes], np.int64)
    return Proof(
        method=method,
        level=Fraction(rounded_up(terms, factors.least)),
        scale=terms.scale,
        arrays={
            "table_sizes": sizes,
            "table_variables": np.array([i for scope in factors.scopes for i in scope], np.int64),
            "tables": factors.tables.copy(),
            "own": factors.own.copy(),
            "shift": np.array(factors.shift),
        },
    )


def rounded_up(terms: Polynomial, level: Fraction) -> int:
    """The least attainable level that is at least ``level``: levels are whole, and multiples of a common divisor apart.

    Flipping a spin changes a term by twice its value.
    """
    if not len(terms.values):
        return 0
    spacing = int(np.gcd.reduce(np.abs(terms.values))) * (2 if terms.is_spin else 1)
    base = -terms.size if terms.is_spin else 0
    return base - (base - level) // spacing * spacing
