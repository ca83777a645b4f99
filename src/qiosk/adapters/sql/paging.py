"""Pages of any table whose items are sorted by a key, then by creation, then by id."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple, TypeVar

import sqlalchemy as sa

from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.tables import to_time
from qiosk.contract.paging import ItemOrder
from qiosk.service.paging import Cursor

_log = logging.getLogger(__name__)

T = TypeVar("T")

AT_ONCE = 128
"""Rows that are read by one statement: a driver may keep all of them in memory, up to hundreds of kilobytes each."""
_LONGEST = 1024
"""Most characters of a sort key and an id; a page's token has room for them."""


class Place(NamedTuple):
    """The columns that an item is sorted by; ``key`` is None where all items have the same one."""

    key: sa.Column[str] | None
    created_at: sa.ColumnElement[Any]
    id: sa.ColumnElement[Any]
    item_type: str
    is_indexed: bool = True

    def unindexed(self) -> Place:
        """The same place, for rows that a condition on the id selects: they are found by the index of ids, and sorted.

        Otherwise a database may read all rows in the order of another index until the page is full.
        """
        return self._replace(is_indexed=False)

    def columns(self) -> list[sa.ColumnElement[Any]]:
        """What the rows are sorted by, in this order."""
        columns = [self.created_at, self.id] if self.key is None else [self.key, self.created_at, self.id]
        return columns if self.is_indexed else [sa.func.coalesce(column, column) for column in columns]


def read_page(
    database: Database,
    wanted: sa.Select[Any],
    place: Place,
    order: ItemOrder,
    descending: bool,
    after: Cursor | None,
    limit: int,
    skip: int,
    *,
    convert: Callable[[Mapping[Any, Any]], T],
    cursor: Callable[[T, ItemOrder], Cursor],
) -> Iterator[tuple[Mapping[Any, Any], T]]:
    """Rows of ``wanted`` with their items, at most ``limit``, ``skip`` after ``after``.

    Rows whose place in the list cannot be read are left out, with a warning: no page could begin after them.
    """
    while limit > 0:
        size = min(limit, AT_ONCE)
        with database.read() as tx:
            rows = tx.execute(one_page(wanted, place, order, descending, after, size, skip)).mappings().all()
        for row in rows:
            item = convert(row)
            here = cursor(item, order)
            if _is_at(row, place, here):
                after, skip, limit = here, 0, limit - 1
                yield row, item
            else:
                skip += 1
                _log.warning("%s %a is left out of a list: its place cannot be read", place.item_type, row["id"])
        if len(rows) < size:
            return


def _is_at(row: Mapping[Any, Any], place: Place, cursor: Cursor) -> bool:
    """Whether a row is where the list continues after ``cursor``."""
    if len(cursor.key) + len(cursor.id) > _LONGEST:
        return False
    is_at_key = place.key is None or row[place.key.name] == cursor.key
    return is_at_key and (row["created_at"], row["id"]) == (to_time(cursor.created_at), cursor.id)


def one_page(
    wanted: sa.Select[Any],
    place: Place,
    order: ItemOrder,
    descending: bool,
    after: Cursor | None,
    limit: int,
    skip: int,
) -> sa.Select[Any]:
    """At most ``limit`` rows of ``wanted``, sorted by ``order``, ``skip`` after ``after``."""
    columns = place.columns()
    sorted_rows = wanted.order_by(*(column.desc() if descending else column.asc() for column in columns))
    if after is not None:
        sorted_rows = sorted_rows.where(_is_after(after, columns, place, order, descending))
    return sorted_rows.limit(limit).offset(skip or None)


def _is_after(
    after: Cursor, columns: list[sa.ColumnElement[Any]], place: Place, order: ItemOrder, descending: bool
) -> sa.ColumnElement[bool]:
    if order is ItemOrder.ITEM_TYPE and after.key != place.item_type:
        return sa.true() if (place.item_type < after.key) is descending else sa.false()
    values: list[Any] = [to_time(after.created_at), after.id]
    if place.key is not None:
        values.insert(0, after.key)
    here = sa.tuple_(*columns)
    there = sa.tuple_(*(sa.literal(value) for value in values))
    return here < there if descending else here > there
