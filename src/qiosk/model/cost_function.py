"""A cost function as it was written down: terms and squared linear combinations, stored by column.

Cost of a configuration x = sum_t c_t * prod_{i in term t} x_i + sum_g c_g * (sum_i a_gi * x_i + k_g)^2, with
x_i in {-1, +1} (Ising) or {0, 1} (PUBO).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I8 = NDArray[np.int8]


class ProblemType(StrEnum):
    """Domain of the variables, and whether squared linear combinations may occur.

    >>> from qiosk.optimization import ProblemType
    >>> ProblemType.ising.is_ising, ProblemType.pubo.grouped.value
    (True, 'pubo_grouped')
    """

    pubo = "pubo"
    ising = "ising"
    pubo_grouped = "pubo_grouped"
    ising_grouped = "ising_grouped"

    @property
    def is_ising(self) -> bool:
        """Whether variables are -1 or +1 (else 0 or 1)."""
        return self in (ProblemType.ising, ProblemType.ising_grouped)

    @property
    def is_grouped(self) -> bool:
        """Whether the type allows squared linear combinations."""
        return self in (ProblemType.pubo_grouped, ProblemType.ising_grouped)

    @property
    def grouped(self) -> ProblemType:
        """This domain's grouped type."""
        return ProblemType.ising_grouped if self.is_ising else ProblemType.pubo_grouped


def number_variables(ids: I64) -> tuple[I64, I64]:
    """Distinct ids in ascending order, and where each id is among them.

    Shapes: ids (nnz,); returns variables (n,) and positions (nnz,) with ``variables[positions] == ids``.
    """
    if len(ids) == 0:
        return _empty_i(), _empty_i()
    top = int(ids.max())
    # A table over 0..max is some ten times faster than sorting, and ids are dense in nearly every problem.
    if top > 8 * len(ids) + 4096 or int(ids.min()) < 0:
        variables, positions = np.unique(ids, return_inverse=True)
        return variables, positions.astype(np.int64, copy=False)
    occurs = np.zeros(top + 1, np.bool_)
    occurs[ids] = True
    variables = np.flatnonzero(occurs).astype(np.int64, copy=False)
    if len(variables) == top + 1:
        return variables, ids
    table = np.zeros(top + 1, np.int64)
    table[variables] = np.arange(len(variables))
    return variables, table[ids]


def rows_of(values: I64, indptr: I64, where: I64, degree: int) -> I64:
    """(m, degree) the values (nnz,) of the terms ``where`` (m,), all of ``degree``; a view if those are all values."""
    if len(where) * degree == len(values):
        return values.reshape(len(where), degree)
    rows: I64 = values[indptr[where][:, None] + np.arange(degree)]
    return rows


def _empty_f() -> F64:
    return np.empty(0, np.float64)


def _empty_i() -> I64:
    return np.empty(0, np.int64)


def _zero_ptr() -> I64:
    return np.zeros(1, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Groups:
    """Squared linear combinations c * (sum a_i x_i + k)^2, by column.

    Shapes: G groups, M members. A member whose id is ``CONSTANT`` is (a part of) k.
    """

    coefficients: F64 = field(default_factory=_empty_f)  # (G,) c
    indptr: I64 = field(default_factory=_zero_ptr)  # (G + 1,)
    weights: F64 = field(default_factory=_empty_f)  # (M,) a_i, or k
    ids: I64 = field(default_factory=_empty_i)  # (M,) variable id, or CONSTANT

    def __len__(self) -> int:
        return len(self.coefficients)


CONSTANT = np.iinfo(np.int64).min
"""Marks the constant member of a squared linear combination; no variable has this id."""

BLOCK = 1 << 20
"""Terms that are looked at together where all of them at once would take too much memory."""


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """Some terms in a row, the first of them number ``start``: coefficients (m,), indptr (m + 1,) from 0, and ids."""

    start: int
    coefficients: F64
    indptr: I64
    ids: I64

    def by_degree(self) -> Iterator[tuple[int, I64, I64]]:
        """For every number d of ids that occurs: d, where its terms are in the block (m,), and their ids (m, d)."""
        degrees = np.diff(self.indptr)
        low, high = int(degrees.min(initial=0)), int(degrees.max(initial=0))
        for degree in (low,) if low == high else np.unique(degrees).tolist():
            where = np.flatnonzero(degrees == degree)
            if len(where):
                yield degree, where, rows_of(self.ids, self.indptr, where, degree)


@dataclass(frozen=True, eq=False)
class CostFunction:
    """Terms in the order in which they were given, unmerged. Checked by whoever builds it, then never changed.

    Shapes: T terms, nnz ids in all terms. Coefficients are finite float64. Ids are int64 of any value >= 0,
    in any order; inside one PUBO term they may repeat. ``initial_configuration`` maps every id to its value,
    or is None.
    """

    problem_type: ProblemType
    coefficients: F64  # (T,)
    indptr: I64  # (T + 1,)
    ids: I64  # (nnz,)
    groups: Groups = field(default_factory=Groups)
    initial_configuration: Mapping[int, int] | None = None
    name: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @cached_property
    def _numbering(self) -> tuple[I64, I64]:
        members = self.groups.ids
        if len(members) == 0:
            return number_variables(self.ids)
        return number_variables(np.concatenate([self.ids, members[members != CONSTANT]]))

    @property
    def variables(self) -> I64:
        """(n,) distinct variable ids, ascending; also those whose coefficients cancel or are zero."""
        return self._numbering[0]

    @property
    def positions(self) -> I64:
        """(nnz,) where each of ``ids`` is in ``variables``."""
        return self._numbering[1][: len(self.ids)]

    @property
    def group_positions(self) -> I64:
        """(M,) where each of ``groups.ids`` is in ``variables``; -1 for constants."""
        members = self.groups.ids
        positions = np.full(len(members), -1, np.int64)
        positions[members != CONSTANT] = self._numbering[1][len(self.ids) :]
        return positions

    def blocks(self, *, numbered: bool = False) -> Iterator[Block]:
        """All terms, in their order, in blocks of at most ``BLOCK``; with ``numbered``, positions for ids."""
        members = self.positions if numbered else self.ids
        for start in range(0, len(self.coefficients), BLOCK):
            indptr = self.indptr[start : start + BLOCK + 1]
            first = int(indptr[0])
            own = members[first : int(indptr[-1])]
            yield Block(start, self.coefficients[start : start + BLOCK], indptr - first, own)

    @property
    def n_terms(self) -> int:
        """Number of terms and of squared linear combinations together."""
        return len(self.coefficients) + len(self.groups)
