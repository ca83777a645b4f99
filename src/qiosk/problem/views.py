"""The lists ``problem.terms`` and ``problem.terms_slc``, which are views of columns."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, MutableSequence, Sequence
from typing import Any, TypeVar, overload

from qiosk.errors import InvalidValue, WrongType
from qiosk.problem.columns import GroupColumns, TermColumns
from qiosk.problem.term import SlcTerm, Term

T = TypeVar("T")


class ColumnView(MutableSequence[T]):
    """A list whose items are created when they are read.

    Appending, reading, and replacing by a term with as many ids take constant time; operations that move terms rewrite
    the columns.
    """

    _columns: TermColumns | GroupColumns

    @abstractmethod
    def _get(self, index: int) -> T:
        """The item at 0 <= index < len."""

    @abstractmethod
    def _set(self, index: int, value: T) -> None:
        """Replace the item at 0 <= index < len."""

    @abstractmethod
    def append(self, value: T) -> None:
        """Add an item at the end. Raises InvalidInput."""

    def __len__(self) -> int:
        return len(self._columns)

    def _at(self, index: int) -> int:
        at = index + len(self) if index < 0 else index
        if not 0 <= at < len(self):
            raise IndexError(f"index {index} is out of range, there are {len(self)}")
        return at

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self._get(k) for k in range(*index.indices(len(self)))]
        return self._get(self._at(index))

    def __iter__(self) -> Iterator[T]:
        k = 0
        while k < len(self):  # includes items that are appended during the iteration, like list
            yield self._get(k)
            k += 1

    @overload
    def __setitem__(self, index: int, value: T) -> None: ...
    @overload
    def __setitem__(self, index: slice, value: Iterable[T]) -> None: ...
    def __setitem__(self, index: int | slice, value: Any) -> None:
        if isinstance(index, slice):
            items = list(self)
            items[index] = value
            self._rewrite(items)
        else:
            self._set(self._at(index), value)

    def __delitem__(self, index: int | slice) -> None:
        if not isinstance(index, slice):
            self._columns.remove(self._at(index))
            return
        items = list(self)
        del items[index]
        self._rewrite(items)

    def insert(self, index: int, value: T) -> None:
        """Insert an item before another."""
        if index >= len(self):
            self.append(value)
            return
        items = list(self)
        items.insert(index, value)
        self._rewrite(items)

    def _rewrite(self, items: Sequence[T]) -> None:
        fresh = type(self)(type(self._columns)())  # type: ignore[call-arg]
        for item in items:
            fresh.append(item)  # before the columns are cleared, so that a wrong item changes nothing
        self._columns.copy_from(fresh._columns)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, list | ColumnView):
            return NotImplemented
        return len(self) == len(other) and all(a == b for a, b in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]

    def __add__(self, other: Iterable[T]) -> list[T]:
        return [*self, *other]

    def __radd__(self, other: Iterable[T]) -> list[T]:
        return [*other, *self]

    def copy(self) -> list[T]:
        """The items as a plain list."""
        return list(self)

    def __repr__(self) -> str:
        return repr(list(self))


class _StoredTerm(Term):
    """A term read from a problem: setting ``c`` or ``ids`` changes the problem."""

    __slots__ = ("_columns", "_index", "_order")

    _columns: TermColumns
    _index: int
    _order: int

    def __init__(self, columns: TermColumns, index: int) -> None:
        c, ids = columns.term(index)
        for name, value in (("c", c), ("ids", ids), ("_columns", columns), ("_index", index)):
            object.__setattr__(self, name, value)
        object.__setattr__(self, "_order", columns.order)

    def __setattr__(self, name: str, value: Any) -> None:
        if self._order != self._columns.order:
            raise InvalidValue("terms were inserted or removed since this one was read, read it again")
        c, ids = (value, self.ids) if name == "c" else (self.c, value)
        self._columns.replace(self._index, c, ids)
        object.__setattr__(self, name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        return Term, (self.ids, None, self.c)

    def __deepcopy__(self, memo: dict[int, Any]) -> Term:
        return Term(c=self.c, indices=list(self.ids))


class TermsView(ColumnView[Term]):
    """The terms of a problem, without its squared linear combinations.

    ``problem.terms[3].c = 2`` changes the problem. A change within a list of ids does not; assign a new list instead.
    """

    def __init__(self, columns: TermColumns) -> None:
        self._columns: TermColumns = columns

    def _get(self, index: int) -> Term:
        return _StoredTerm(self._columns, index)

    def _set(self, index: int, value: Term) -> None:
        _require(value, Term)
        self._columns.replace(index, value.c, value.ids)

    def append(self, value: Term) -> None:
        """Add a term at the end. Raises InvalidInput."""
        _require(value, Term)
        self._columns.append(value.c, value.ids)


class GroupsView(ColumnView[SlcTerm]):
    """The squared linear combinations of a problem. Items are copies; assign an item to change it."""

    def __init__(self, columns: GroupColumns) -> None:
        self._columns: GroupColumns = columns

    def _get(self, index: int) -> SlcTerm:
        return self._columns.group(index)

    def _set(self, index: int, value: SlcTerm) -> None:
        self[index : index + 1] = [value]

    def append(self, value: SlcTerm) -> None:
        """Add a squared linear combination at the end. Raises InvalidInput."""
        _require(value, SlcTerm)
        self._columns.append(value)


def _require(value: Any, wanted: type) -> None:
    if not isinstance(value, wanted):
        raise WrongType(f"term: must be a {wanted.__name__}, found {type(value).__name__} {value!r}")
