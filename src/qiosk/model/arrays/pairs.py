"""The pairs of a compiled problem: a list, or rows of narrow numbers where a list would take too much memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from qiosk.model.cost_function import BLOCK, F64, I32, I64, Column

MANY_PAIRS = 1 << 14
"""Pairs from which compiled passes are worth loading Numba."""

PairBlock = tuple[NDArray[np.integer], NDArray[np.integer], F64]
"""Rows, columns and values of some pairs."""


class Pairs(Protocol):
    """P pairs of variables, each once, row < col, sorted by (row, col), and their coefficients [cost]."""

    @property
    def rows(self) -> I32:
        """(P,) the smaller variables."""
        ...

    @property
    def cols(self) -> I32:
        """(P,) the larger variables."""
        ...

    @property
    def values(self) -> F64:
        """(P,) the coefficients."""
        ...

    def __len__(self) -> int:
        """P."""
        ...

    def blocks(self) -> Iterator[PairBlock]:
        """All pairs, in blocks that need not be made at once."""
        ...

    def by_row(self, n: int) -> tuple[I64, I32, Column]:
        """CSR of the n rows: indptr (n + 1,), cols (P,), and coefficients (P,) in the type in which they are kept."""
        ...

    def row_ranges(self, n: int) -> Iterator[tuple[int, int]]:
        """First row and the one after the last, of each of ``blocks``."""
        ...

    def reordered(self, order: I64) -> Pairs:
        """The pairs when variable ``order[k]`` is number k; ``order`` (n,) is a permutation."""
        ...

    @property
    def source(self) -> ReorderedRows | None:
        """The rows that these pairs are kept in, and the order of the variables; None for a list."""
        ...


@dataclass(frozen=True, eq=False)
class PairList:
    """Pairs in three arrays."""

    rows: I32
    cols: I32
    values: F64
    source: None = None

    def __len__(self) -> int:
        return len(self.cols)

    def blocks(self) -> Iterator[PairBlock]:
        """All pairs at once."""
        yield self.rows, self.cols, self.values

    def by_row(self, n: int) -> tuple[I64, I32, Column]:
        """CSR of the rows; the arrays are those of the list."""
        indptr = np.full(n + 1, len(self), np.int64)
        indptr[0] = 0
        indptr[1 : len(self._ends) + 1] = self._ends
        return indptr, self.cols, self.values

    @cached_property
    def _ends(self) -> I64:
        """Where each row ends, up to the last one with a pair."""
        return np.cumsum(np.bincount(self.rows), dtype=np.int64)

    def row_ranges(self, n: int) -> Iterator[tuple[int, int]]:
        """All rows."""
        yield 0, n

    def reordered(self, order: I64) -> PairList:
        """Sorted again."""
        place = inverse(order)
        if len(self) >= MANY_PAIRS:
            return self._renumbered(order, place)
        ends = np.sort(np.stack([place[self.rows], place[self.cols]]), axis=0)
        by_row = np.argsort(ends[0] * len(order) + ends[1], kind="stable")
        return PairList(ends[0][by_row].astype(np.int32), ends[1][by_row].astype(np.int32), self.values[by_row])

    def _renumbered(self, order: I64, place: I64) -> PairList:
        """By counting, as the pairs are sorted already."""
        from qiosk.kernels.pair_sums import both_ends, renumbered  # here: small problems need no Numba

        n, P = len(order), len(self)
        indptr, above = np.zeros(n + 1, np.int64), np.zeros(n + 1, np.int64)
        np.cumsum(np.bincount(self.rows, minlength=n) + np.bincount(self.cols, minlength=n), out=indptr[1:])
        there, values = np.empty(2 * P, np.int32), np.empty(2 * P)
        both_ends()(self.rows, self.cols, self.values, indptr[:-1].copy(), there, values)
        np.cumsum(np.bincount(np.minimum(place[self.rows], place[self.cols]), minlength=n), out=above[1:])
        found = PairList(np.empty(P, np.int32), np.empty(P, np.int32), np.empty(P))
        arrays = found.rows, found.cols, found.values
        renumbered()(indptr, there, values, order, place, above[:-1].copy(), *arrays)
        return found


@dataclass(frozen=True, eq=False)
class PairRows:
    """Pairs in rows, their values in the narrowest type that holds them. Lists of them are made when asked for."""

    indptr: I64  # (n + 1,)
    cols: I32
    narrow_values: Column  # (P,)

    @property
    def n(self) -> int:
        """Rows."""
        return len(self.indptr) - 1

    @property
    def rows(self) -> I32:
        """(P,) a new array."""
        return np.repeat(np.arange(self.n, dtype=np.int32), np.diff(self.indptr))

    @property
    def values(self) -> F64:
        """(P,) a new array, unless they are float64."""
        return self.narrow_values.astype(np.float64, copy=False)

    def __len__(self) -> int:
        return len(self.cols)

    def row_ranges(self, n: int) -> Iterator[tuple[int, int]]:
        """Some rows at a time; no range without any pair."""
        row = 0
        while row < self.n:
            begin = int(self.indptr[row])
            last = int(np.searchsorted(self.indptr, begin + BLOCK, side="right")) - 1
            last = max(row + 1, min(last, self.n))
            if int(self.indptr[last]) > begin:
                yield row, last
            row = last

    def blocks(self) -> Iterator[PairBlock]:
        """All pairs, some rows at a time."""
        for first, last in self.row_ranges(self.n):
            begin, end = int(self.indptr[first]), int(self.indptr[last])
            rows = np.repeat(np.arange(first, last, dtype=np.int64), np.diff(self.indptr[first : last + 1]))
            yield rows, self.cols[begin:end], self.narrow_values[begin:end].astype(np.float64)

    def by_row(self, n: int) -> tuple[I64, I32, Column]:
        """The arrays themselves."""
        return self.indptr, self.cols, self.narrow_values

    def reordered(self, order: I64) -> ReorderedRows:
        """These rows, and the order."""
        return ReorderedRows(self, order)

    @property
    def source(self) -> ReorderedRows:
        """These rows, in their own order."""
        return ReorderedRows(self, np.arange(self.n))


@dataclass(frozen=True, eq=False)
class ReorderedRows:
    """Rows of pairs, and another order of their variables: variable ``order[k]`` is number k.

    Pairs are sorted only when the whole list is read.
    """

    kept: PairRows
    order: I64  # (n,)

    @cached_property
    def place(self) -> I64:
        """(n,) the inverse of ``order``."""
        return inverse(self.order)

    @cached_property
    def _list(self) -> PairList:
        return PairList(self.kept.rows, self.kept.cols, self.kept.values).reordered(self.order)

    @property
    def rows(self) -> I32:
        """(P,) sorted when first asked for."""
        return self._list.rows

    @property
    def cols(self) -> I32:
        """(P,) sorted when first asked for."""
        return self._list.cols

    @property
    def values(self) -> F64:
        """(P,) sorted when first asked for."""
        return self._list.values

    def __len__(self) -> int:
        return len(self.kept)

    def blocks(self) -> Iterator[PairBlock]:
        """All pairs at once."""
        return self._list.blocks()

    def by_row(self, n: int) -> tuple[I64, I32, Column]:
        """CSR of the rows in the new order."""
        return self._list.by_row(n)

    def row_ranges(self, n: int) -> Iterator[tuple[int, int]]:
        """All rows."""
        return self._list.row_ranges(n)

    def reordered(self, order: I64) -> ReorderedRows:
        """The same rows in an order of this order."""
        return ReorderedRows(self.kept, self.order[order])

    @property
    def source(self) -> ReorderedRows:
        """Itself."""
        return self


def inverse(order: I64) -> I64:
    """(n,) where each number is in the permutation ``order`` (n,)."""
    place = np.empty(len(order), np.int64)
    place[order] = np.arange(len(order))
    return place
