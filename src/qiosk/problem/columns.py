"""Terms in columns that grow: 32 bytes for a quadratic term, and no Python object.

Columns are arrays of the standard library. They grow in amortized constant time, for single terms and for a million at
once, and take values from Python faster than NumPy arrays do. Snapshots are copies, so they never change.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from qiosk.errors import InvalidValue, MissingSection, WrongType
from qiosk.formats.qio.writer import number
from qiosk.model.cost_function import CONSTANT, F64, I64, Groups
from qiosk.problem.term import Number, SlcTerm, Term, coefficient

_MAX_ID = 2**63 - 1
_PLAIN = {int}


def variable_ids(indices: Any) -> array[int]:
    """Ids from a list, tuple or array of integers. Raises WrongType, MissingSection or InvalidValue."""
    if indices is None:
        raise MissingSection("`indices` is missing")
    if isinstance(indices, str | bytes) or not isinstance(indices, Iterable):
        raise WrongType(f"`indices` must be a list of integers, found {indices!r}")
    some = list(indices)
    if not _PLAIN.issuperset(map(type, some)):
        some = [_variable_id(i) for i in some]
    try:
        return array("q", some)
    except OverflowError as e:
        raise InvalidValue(f"variable id {max(some, key=abs)} is greater than {_MAX_ID}") from e


def _variable_id(i: Any) -> int:
    if isinstance(i, bool | np.bool_) or not isinstance(i, int | np.integer):
        raise WrongType(f"a variable id must be an integer, found {type(i).__name__} {i!r}")
    return int(i)


def as_float(c: Number) -> float:
    """A coefficient as float64. Raises InvalidValue if an integer is out of its range."""
    try:
        return float(c)
    except OverflowError as e:
        raise InvalidValue("coefficient is beyond the range of float64") from e


class Columns:
    """What terms and groups have in common: rows of coefficients, and ``indptr`` into columns of their members.

    ``version`` increases with every change, ``order`` with every change that moves rows.
    """

    def __init__(self) -> None:
        self.coefficients = array("d")
        self.indptr = array("q", [0])
        self.ids = array("q")
        self.version = 0
        self.order = 0

    @property
    def _members(self) -> tuple[array[Any], ...]:
        """The columns that have an entry for each member of a row."""
        return (self.ids,)

    def __len__(self) -> int:
        return len(self.coefficients)

    def _add(self, coefficients: F64, indptr: I64, *members: NDArray[Any]) -> None:
        if len(coefficients):
            base = len(self.ids)
            _extend(self.coefficients, coefficients)
            _extend(self.indptr, indptr[1:] + base)
            for column, values in zip(self._members, members, strict=True):
                _extend(column, values)
            self.version += 1

    def rows_with(self, variable: int) -> list[int]:
        """The rows that contain a variable, ascending."""
        if not len(self.ids):
            return []
        places = np.flatnonzero(np.frombuffer(self.ids, np.int64) == variable)
        rows: list[int] = np.unique(
            np.searchsorted(np.frombuffer(self.indptr, np.int64), places, side="right") - 1
        ).tolist()
        return rows

    def remove(self, row: int) -> None:
        """Remove one row, 0 <= row < len."""
        start, stop = self.indptr[row], self.indptr[row + 1]
        for column in self._members:
            del column[start:stop]
        del self.indptr[row], self.coefficients[row]
        np.frombuffer(self.indptr, np.int64)[row:] -= stop - start
        self._moved()

    def clear(self) -> None:
        """Remove all rows."""
        for column in self._members:
            del column[:]
        del self.coefficients[:], self.indptr[1:]
        self._moved()

    def copy_from(self, other: Columns) -> None:
        """Replace all rows by those of another object of the same class."""
        self.coefficients[:], self.indptr[:] = other.coefficients, other.indptr
        for mine, theirs in zip(self._members, other._members, strict=True):
            mine[:] = theirs
        self._moved()

    def _moved(self) -> None:
        self.version += 1
        self.order += 1


class TermColumns(Columns):
    """The terms of a problem."""

    def append(self, c: Any, indices: Any) -> None:
        """Add a term; nothing is added if it is wrong."""
        try:
            value, ids = as_float(coefficient(c)), variable_ids(indices)
        except (WrongType, MissingSection, InvalidValue) as e:
            raise type(e)(f"term {len(self)}: {e.message}") from e
        self.coefficients.append(value)
        self.ids.extend(ids)
        self.indptr.append(len(self.ids))
        self.version += 1

    def extend(self, coefficients: F64, indptr: I64, ids: I64) -> None:
        """Add many terms: coefficients (T,), indptr (T + 1,), ids (nnz,)."""
        self._add(coefficients, indptr, ids)

    def term(self, t: int) -> tuple[Number, list[int]]:
        """Coefficient and ids of one term, 0 <= t < len."""
        return number(self.coefficients[t]), self.ids[self.indptr[t] : self.indptr[t + 1]].tolist()

    def replace(self, t: int, c: Any, indices: Any) -> None:
        """Replace one term, 0 <= t < len."""
        value, ids = as_float(coefficient(c)), variable_ids(indices)
        start, stop = self.indptr[t], self.indptr[t + 1]
        if len(ids) != stop - start:
            np.frombuffer(self.indptr, np.int64)[t + 1 :] += len(ids) - (stop - start)
        self.ids[start:stop] = ids
        self.coefficients[t] = value
        self.version += 1

    def arrays(self) -> tuple[F64, I64, I64]:
        """Copies of coefficients (T,), indptr (T + 1,) and ids (nnz,)."""
        return _copy(self.coefficients, np.float64), _copy(self.indptr, np.int64), _copy(self.ids, np.int64)


class GroupColumns(Columns):
    """The squared linear combinations of a problem."""

    def __init__(self) -> None:
        super().__init__()
        self.weights = array("d")

    @property
    def _members(self) -> tuple[array[Any], ...]:
        return self.ids, self.weights

    def append(self, group: SlcTerm) -> None:
        """Add a group; nothing is added if it is wrong."""
        try:
            value = as_float(group.c)
            weights = [as_float(term.c) for term in group.terms]
            ids = [variable_ids([] if term.ids is None else term.ids) for term in group.terms]
        except (WrongType, InvalidValue) as e:
            raise type(e)(f"group {len(self)}: {e.message}") from e
        self.coefficients.append(value)
        self.weights.extend(weights)
        self.ids.extend(some[0] if some else CONSTANT for some in ids)
        self.indptr.append(len(self.ids))
        self.version += 1

    def group(self, g: int) -> SlcTerm:
        """One group, 0 <= g < len."""
        members = range(self.indptr[g], self.indptr[g + 1])
        terms = [
            Term(c=number(self.weights[m]), indices=[] if self.ids[m] == CONSTANT else [self.ids[m]]) for m in members
        ]
        return SlcTerm(terms, c=number(self.coefficients[g]))

    def extend(self, groups: Groups) -> None:
        """Add many groups."""
        self._add(groups.coefficients, groups.indptr, groups.ids, groups.weights)

    def arrays(self) -> Groups:
        """Copies of the columns, as a cost function has them."""
        return Groups(
            _copy(self.coefficients, np.float64),
            _copy(self.indptr, np.int64),
            _copy(self.weights, np.float64),
            _copy(self.ids, np.int64),
        )


def _extend(column: array[Any], values: NDArray[Any]) -> None:
    if values.size:
        column.frombytes(np.ascontiguousarray(values).data.cast("B"))


def _copy(column: array[Any], dtype: type) -> NDArray[Any]:
    return np.frombuffer(column, dtype).copy() if len(column) else np.empty(0, dtype)


def checked_arrays(coefficients: ArrayLike, ids: ArrayLike, indptr: ArrayLike | None) -> tuple[F64, I64, I64]:
    """Checked arrays for ``TermColumns.extend``.

    ``ids`` is (nnz,) with ``indptr`` (T + 1,), or (T, k) without. Raises WrongType for a wrong dtype and
    InvalidValue for shapes or pointers that do not match.
    """
    c = np.asarray(coefficients)
    if c.dtype.kind not in "iuf" and c.size:
        raise WrongType(f"`coefficients` must be numbers, found {c.dtype}")
    if c.ndim != 1:
        raise InvalidValue(f"`coefficients` must be one-dimensional, found shape {c.shape}")
    i = _integers("ids", ids)
    if indptr is None:
        if i.ndim != 2 or len(i) != len(c):
            raise InvalidValue(
                f"without `indptr`, `ids` must have a row for each of the {len(c)} terms, found shape {i.shape}"
            )
        return c.astype(np.float64), np.arange(len(c) + 1) * i.shape[1], i.ravel()
    p = _integers("indptr", indptr)
    if i.ndim != 1:
        raise InvalidValue(f"with `indptr`, `ids` must be one-dimensional, found shape {i.shape}")
    if p.shape != (len(c) + 1,):
        raise InvalidValue(f"`indptr` must have {len(c) + 1} entries, found shape {p.shape}")
    if p[0] != 0 or p[-1] != len(i) or np.any(p[1:] < p[:-1]):
        raise InvalidValue(f"`indptr` must rise from 0 to {len(i)}, the number of ids, without falling")
    return c.astype(np.float64), p, i


def _integers(name: str, values: ArrayLike | Sequence[Any]) -> I64:
    array_ = np.asarray(values)
    if array_.size == 0:
        return np.zeros(array_.shape, np.int64)
    if array_.dtype.kind not in "iu":
        raise WrongType(f"`{name}` must be integers, found {array_.dtype}")
    if array_.dtype.kind == "u" and array_.max() > _MAX_ID:
        raise InvalidValue(f"`{name}`: {array_.max()} is greater than {_MAX_ID}")
    return array_.astype(np.int64, copy=False)
