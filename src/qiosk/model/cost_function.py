"""A cost function as it was written down: terms and squared linear combinations, stored by column.

Cost of a configuration x = sum_t c_t * prod_{i in term t} x_i + sum_g c_g * (sum_i a_gi * x_i + k_g)^2, with
x_i in {-1, +1} (Ising) or {0, 1} (PUBO).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

F64 = NDArray[np.float64]
I64 = NDArray[np.int64]
I8 = NDArray[np.int8]
I32 = NDArray[np.int32]
Column = NDArray[Any]
"""Numbers of any type."""


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


def rows_of(values: I64, indptr: I64, where: I64, degree: int) -> I64:
    """(m, degree) the values (nnz,) of the terms ``where`` (m,), all of ``degree``; a view if those are all values."""
    if len(where) * degree == len(values):
        return values.reshape(len(where), degree)
    rows: I64 = values[indptr[where][:, None] + np.arange(degree)]
    return rows


def distinct_degrees(degrees: I64) -> list[int]:
    """The numbers of ids that terms (T,) have, ascending; sorting them all takes long, and mostly they are equal."""
    if len(degrees) == 0:
        return []
    low, high = int(degrees.min()), int(degrees.max())
    if low == high:
        return [low]
    if high - low > len(degrees):
        return list(np.unique(degrees).tolist())
    return list((np.flatnonzero(np.bincount(degrees - low)) + low).tolist())


def _empty_f() -> F64:
    return np.empty(0, np.float64)


def _empty_i() -> I64:
    return np.empty(0, np.int64)


def _zero_ptr() -> I64:
    return np.zeros(1, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Numbering:
    """The variables of some terms, ascending, and the place of each of their ids among them.

    ``table`` holds the places by id; there is none if the ids are 0..n - 1 or few of a wide range.
    """

    variables: I64  # (n,)
    table: I64 | None

    @classmethod
    def of(cls, blocks: Callable[[], Iterable[I64]]) -> Numbering:
        """Of ids in blocks, which are read twice or three times."""
        top, low, count = -1, 0, 0
        for ids in blocks():
            top, low = max(top, int(ids.max(initial=-1))), min(low, int(ids.min(initial=0)))
            count += len(ids)
        # A table over 0..top is some ten times faster than sorting, and ids are dense in nearly every problem.
        if top > 8 * count + 4096 or low < 0:
            distinct = _empty_i()
            for ids in blocks():
                distinct = np.union1d(distinct, ids)
            return cls(distinct, None)
        occurs = np.zeros(top + 1, np.bool_)
        for ids in blocks():
            occurs[ids] = True
        variables = np.flatnonzero(occurs).astype(np.int64, copy=False)
        return cls(variables, None if len(variables) == top + 1 else np.cumsum(occurs) - 1)

    def places(self, ids: I64) -> I64:
        """Where each of ``ids`` is in ``variables``."""
        if self.table is not None:
            return self.table[ids]
        if len(self.variables) == 0 or int(self.variables[-1]) == len(self.variables) - 1:
            return ids
        distinct, where = np.unique(ids, return_inverse=True)
        return np.searchsorted(self.variables, distinct)[where].astype(np.int64, copy=False)


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
"""Terms that are read together where all of them at once would take too much memory."""


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
        for degree in distinct_degrees(degrees):
            where = np.flatnonzero(degrees == degree)
            if len(where):
                yield degree, where, rows_of(self.ids, self.indptr, where, degree)


class _Widened:
    """A field of numbers: an array in the type in which it was given, read as one of ``dtype``, a copy if need be."""

    def __init__(self, dtype: type[Any]) -> None:
        self._dtype = dtype

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = f"_{name}"

    def __get__(self, holder: Any, owner: type | None = None) -> NDArray[Any]:
        if holder is None:
            raise AttributeError(self._name)  # so that the field has no default
        given: Column = getattr(holder, self._name)
        return given.astype(self._dtype, copy=False)

    def __set__(self, holder: Any, value: Column) -> None:
        object.__setattr__(holder, self._name, value)


class _Pointers(_Widened):
    """``indptr``, which may be given as the number of ids that all terms have."""

    def __get__(self, holder: Any, owner: type | None = None) -> NDArray[Any]:
        given = None if holder is None else getattr(holder, self._name)
        if isinstance(given, int):
            return np.arange(len(holder.coefficients) + 1, dtype=np.int64) * given
        return super().__get__(holder, owner)

    def __set__(self, holder: Any, value: Column | int) -> None:
        object.__setattr__(holder, self._name, value)


@dataclass(frozen=True, eq=False)
class CostFunction:
    """Terms in the order in which they were given, unmerged. Checked by the caller that builds it, then never changed.

    Shapes: T terms, nnz ids in all terms. Coefficients are finite. Ids are of any value >= 0, in any order; inside one
    PUBO term they may repeat. ``initial_configuration`` maps every id to its value, or is None.

    The columns of the terms are kept in the types in which they are given, so that problems that fill the memory may
    have narrow ones: floats of up to 64 bits or integers, and ``indptr`` may be the number of ids that all terms have.
    They are read as float64 and int64: large problems in ``blocks``, since a whole column is a wide copy then.
    ``release`` is called repeatedly during a pass over the columns: it may give back the memory that pages of a
    mapped file take.
    """

    problem_type: ProblemType
    coefficients: _Widened = _Widened(np.float64)  # (T,)
    indptr: _Pointers = _Pointers(np.int64)  # (T + 1,)
    ids: _Widened = _Widened(np.int64)  # (nnz,)
    groups: Groups = field(default_factory=Groups)
    initial_configuration: Mapping[int, int] | None = None
    name: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    release: Callable[[], None] | None = field(default=None, repr=False)

    @property
    def columns(self) -> tuple[Column, Column | int, Column]:
        """Coefficients, indptr (or the ids of every term) and ids in the types in which they are kept."""
        kept = vars(self)
        return kept["_coefficients"], kept["_indptr"], kept["_ids"]

    @cached_property
    def _numbering(self) -> Numbering:
        members = self.groups.ids
        return Numbering.of(lambda: chain([members[members != CONSTANT]], self._id_blocks()))

    def _id_blocks(self) -> Iterator[I64]:
        ids = self.columns[2]
        for start in range(0, len(ids), BLOCK):
            yield ids[start : start + BLOCK].astype(np.int64, copy=False)
            if self.release is not None:
                self.release()

    @property
    def variables(self) -> I64:
        """(n,) distinct variable ids, ascending; also those whose coefficients cancel or are zero."""
        return self._numbering.variables

    @property
    def positions(self) -> I64:
        """(nnz,) where each of ``ids`` is in ``variables``; of narrow columns made again every time."""
        return self._positions if self.columns[2].dtype == np.int64 else self._numbering.places(self.ids)

    @cached_property
    def _positions(self) -> I64:
        return self._numbering.places(self.ids)

    @property
    def group_positions(self) -> I64:
        """(M,) where each of ``groups.ids`` is in ``variables``; -1 for constants."""
        members = self.groups.ids
        positions = np.full(len(members), -1, np.int64)
        positions[members != CONSTANT] = self._numbering.places(members[members != CONSTANT])
        return positions

    def blocks(self, *, numbered: bool = False) -> Iterator[Block]:
        """All terms, in their order, in blocks of at most ``BLOCK``; with ``numbered``, positions for ids."""
        coefficients, pointers, ids = self.columns
        is_mapped = self.release is not None
        positions = self.positions if numbered and ids.dtype == np.int64 and not is_mapped else None
        for start in range(0, len(coefficients), BLOCK):
            some = coefficients[start : start + BLOCK].astype(np.float64, copy=is_mapped)
            if isinstance(pointers, int):
                first, indptr = start * pointers, np.arange(len(some) + 1, dtype=np.int64) * pointers
            else:
                indptr = pointers[start : start + BLOCK + 1].astype(np.int64)
                first = int(indptr[0])
                indptr -= first
            span = slice(first, first + int(indptr[-1]))
            own = ids[span].astype(np.int64, copy=is_mapped) if positions is None else positions[span]
            if self.release is not None:
                self.release()
            yield Block(start, some, indptr, self._numbering.places(own) if numbered and positions is None else own)

    @cached_property
    def has_exact_sums(self) -> bool:
        """Whether sums and differences of the coefficients of terms are exact in any order."""
        total = 0.0
        for block in self.blocks():
            with np.errstate(over="ignore"):
                total += float(np.abs(block.coefficients).sum())
            if total >= 2.0**53 or not np.array_equal(block.coefficients, np.trunc(block.coefficients)):
                return False
        return True

    @property
    def n_terms(self) -> int:
        """Number of terms and of squared linear combinations together."""
        return len(self.columns[0]) + len(self.groups)
