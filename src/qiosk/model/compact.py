"""The same two classes for problems that fill the memory: columns stay in the narrowest types that hold them.

Whoever asks for a column in full gets a wide copy of it; what large problems meet on their way into a solver goes
through blocks of terms, or through the narrow columns themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from qiosk.model.compiled import I32, CompiledProblem, PairBlock
from qiosk.model.cost_function import BLOCK, CONSTANT, F64, I64, Block, CostFunction, Groups, ProblemType

LARGE = 1 << 22
"""Terms from which on problems are kept this way."""

Column = NDArray[Any]
_NARROW = (np.int8, np.int16, np.float32)


class CompactCostFunction(CostFunction):
    """A cost function whose columns stay as they were read: any integers, and floats of up to 64 bits.

    ``indptr`` may be the number of ids that all terms have. ``forget`` is called now and then during a pass over the
    columns: it may take back memory that a mapped file occupies.
    """

    _columns: tuple[Column, Column | int, Column]
    _forget: Callable[[], None]

    def __init__(
        self,
        problem_type: ProblemType,
        coefficients: Column,
        indptr: Column | int,
        ids: Column,
        groups: Groups | None = None,
        initial_configuration: Mapping[int, int] | None = None,
        name: str = "",
        metadata: Mapping[str, Any] | None = None,
        forget: Callable[[], None] = lambda: None,
    ) -> None:
        vars(self).update(
            problem_type=problem_type,
            groups=groups if groups is not None else Groups(),
            initial_configuration=initial_configuration,
            name=name,
            metadata=metadata if metadata is not None else {},
            _columns=(coefficients, indptr, ids),
            _forget=forget,
        )

    @property
    def coefficients(self) -> F64:
        """(T,) a copy, unless they are float64."""
        return self._columns[0].astype(np.float64, copy=False)

    @property
    def indptr(self) -> I64:
        """(T + 1,) a copy, unless they are int64."""
        indptr = self._columns[1]
        if isinstance(indptr, int):
            return np.arange(len(self._columns[0]) + 1, dtype=np.int64) * indptr
        return indptr.astype(np.int64, copy=False)

    @property
    def ids(self) -> I64:
        """(nnz,) a copy, unless they are int64."""
        return self._columns[2].astype(np.int64, copy=False)

    @property
    def n_terms(self) -> int:
        """Number of terms and of squared linear combinations together."""
        return len(self._columns[0]) + len(self.groups)

    @property
    def variables(self) -> I64:
        """(n,) distinct variable ids, ascending."""
        return self._numbers[0]

    @property
    def positions(self) -> I64:
        """(nnz,) where each of ``ids`` is in ``variables``; made anew every time."""
        return self._places_of(self.ids)

    @property
    def group_positions(self) -> I64:
        """(M,) where each of ``groups.ids`` is in ``variables``; -1 for constants."""
        members = self.groups.ids
        positions = np.full(len(members), -1, np.int64)
        positions[members != CONSTANT] = self._places_of(members[members != CONSTANT])
        return positions

    def blocks(self, *, numbered: bool = False) -> Iterator[Block]:
        """All terms, in their order, in blocks of at most ``BLOCK``; with ``numbered``, positions for ids."""
        coefficients, pointers, ids = self._columns
        for start in range(0, len(coefficients), BLOCK):
            some = coefficients[start : start + BLOCK].astype(np.float64)
            if isinstance(pointers, int):
                first, indptr = start * pointers, np.arange(len(some) + 1, dtype=np.int64) * pointers
            else:
                indptr = pointers[start : start + BLOCK + 1].astype(np.int64)
                first = int(indptr[0])
                indptr -= first
            own = ids[first : first + int(indptr[-1])].astype(np.int64)
            self._forget()
            yield Block(start, some, indptr, self._places_of(own) if numbered else own)

    @cached_property
    def _numbers(self) -> tuple[I64, I64 | None]:
        """Variables, and the table of their numbers by id; no table if all ids from 0 on occur, or few of them."""
        members = self.groups.ids[self.groups.ids != CONSTANT]
        top, low, count = int(members.max(initial=-1)), int(members.min(initial=0)), len(members)
        for block in self.blocks():
            top, low = max(top, int(block.ids.max(initial=-1))), min(low, int(block.ids.min(initial=0)))
            count += len(block.ids)
        if top > 8 * count + 4096 or low < 0:
            distinct = np.unique(members)
            for block in self.blocks():
                distinct = np.union1d(distinct, block.ids)
            return distinct, None
        occurs = np.zeros(top + 1, np.bool_)
        occurs[members] = True
        for block in self.blocks():
            occurs[block.ids] = True
        variables = np.flatnonzero(occurs).astype(np.int64, copy=False)
        return variables, None if len(variables) == top + 1 else np.cumsum(occurs) - 1

    def _places_of(self, ids: I64) -> I64:
        variables, table = self._numbers
        if table is not None:
            return table[ids]
        is_dense = len(variables) == 0 or int(variables[-1]) == len(variables) - 1
        return ids if is_dense else np.searchsorted(variables, ids).astype(np.int64, copy=False)


class CompactProblem(CompiledProblem):
    """A compiled problem that keeps its pairs in rows, their values in the narrowest type that holds them.

    ``pair_indptr`` (n + 1,) int64, ``pair_cols`` (P,), ``narrow_values`` (P,). ``pair_rows`` and ``pair_values`` are
    made anew whenever they are asked for.
    """

    pair_indptr: I64
    narrow_values: Column

    def __init__(
        self,
        *,
        pair_cols: I32,
        pair_values: Column,
        pair_rows: I32 | None = None,
        pair_indptr: I64 | None = None,
        **others: Any,
    ) -> None:
        if pair_indptr is None:
            pair_indptr = np.zeros(len(others["variables"]) + 1, np.int64)
            if pair_rows is not None:
                np.cumsum(np.bincount(pair_rows, minlength=len(pair_indptr) - 1), out=pair_indptr[1:])
        vars(self).update(others, pair_cols=pair_cols, pair_indptr=pair_indptr, narrow_values=narrowed(pair_values))

    @property
    def pair_rows(self) -> I32:
        """(P,) a new array."""
        return np.repeat(np.arange(self.n, dtype=np.int32), np.diff(self.pair_indptr))

    @property
    def pair_values(self) -> F64:
        """(P,) a new array, unless they are float64."""
        return self.narrow_values.astype(np.float64, copy=False)

    @property
    def n_pairs(self) -> int:
        """Number of pairs."""
        return len(self.pair_cols)

    def pair_blocks(self) -> Iterator[PairBlock]:
        """All pairs, some rows at a time."""
        row = 0
        while row < self.n:
            begin = int(self.pair_indptr[row])
            last = int(np.searchsorted(self.pair_indptr, begin + BLOCK, side="right")) - 1
            last = max(row + 1, min(last, self.n))
            end = int(self.pair_indptr[last])
            rows = np.repeat(np.arange(row, last, dtype=np.int64), np.diff(self.pair_indptr[row : last + 1]))
            if end > begin:
                yield rows, self.pair_cols[begin:end], self.narrow_values[begin:end].astype(np.float64)
            row = last


def compacted(*, coefficients: F64, indptr: I64, ids: I64, **others: Any) -> CompactCostFunction:
    """A cost function with narrow copies of these columns; ``others`` as ``CostFunction`` takes them."""
    degree = int(indptr[1]) if len(indptr) > 1 else 0
    is_even = all(
        np.array_equal(indptr[k : k + BLOCK], np.arange(k, min(k + BLOCK, len(indptr))) * degree)
        for k in range(0, len(indptr), BLOCK)
    )
    top, low = int(ids.max(initial=0)), int(ids.min(initial=0))
    return CompactCostFunction(
        coefficients=narrowed(coefficients),
        indptr=degree if is_even else indptr,
        ids=ids.astype(np.int32) if low >= 0 and top < 2**31 else ids,
        **others,
    )


def narrowed(values: Column) -> Column:
    """The values in the first of int8, int16, float32 and float64 that holds all of them exactly."""
    for width in _NARROW:
        with np.errstate(invalid="ignore", over="ignore"):  # what does not fit is not equal
            blocks = range(0, len(values), BLOCK)
            if all(np.array_equal(values[k : k + BLOCK].astype(width), values[k : k + BLOCK]) for k in blocks):
                return values.astype(width, copy=False)
    return values.astype(np.float64, copy=False)
