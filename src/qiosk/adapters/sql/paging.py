"""Pages of any table whose items are sorted by a key, then by creation, then by id."""

from __future__ import annotations

from typing import Any, NamedTuple

import sqlalchemy as sa

from qiosk.adapters.sql.tables import to_time
from qiosk.contract.paging import ItemOrder
from qiosk.service.paging import Cursor


class Place(NamedTuple):
    """The columns that an item is sorted by; ``key`` is None where all items have the same one."""

    key: sa.ColumnElement[str] | None
    created_at: sa.ColumnElement[Any]
    id: sa.ColumnElement[Any]
    item_type: str

    def unindexed(self) -> Place:
        """The same place, for rows that a condition on the id selects: they are found by the index of ids, and sorted.

        Otherwise a database may read all rows in the order of another index until the page is full.
        """
        key = None if self.key is None else sa.func.coalesce(self.key, self.key)
        created_at, item_id = (sa.func.coalesce(column, column) for column in (self.created_at, self.id))
        return Place(key, created_at, item_id, self.item_type)


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
    columns = [place.created_at, place.id]
    if place.key is not None:
        columns.insert(0, place.key)
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
