"""Conditions of queries that jobs and sessions have in common."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from qiosk.adapters.sql.tables import to_time
from qiosk.contract.items import ItemQuery
from qiosk.contract.jobs import JobQuery
from qiosk.service.paging import name_key

Condition = sa.ColumnElement[bool]


def item_conditions(items: sa.Table, query: JobQuery | ItemQuery) -> list[Condition]:
    """What a query demands of the name, the provider, the target and the creation of jobs or sessions."""
    conditions: list[Condition] = []
    if query.name_prefix is not None:
        prefix = name_key(query.name_prefix)  # not LIKE: the prefix is literal
        name = items.c.name_key
        conditions += [name >= prefix, sa.func.substr(name, 1, len(prefix)) == prefix]
    if query.created_after is not None:
        conditions.append(items.c.created_at >= to_time(query.created_after))
    if query.created_before is not None:
        conditions.append(items.c.created_at <= to_time(query.created_before))
    conditions += is_among(items.c.provider_key, query.provider_ids)
    return conditions + is_among(items.c.target_key, query.targets)


def is_among(column: sa.ColumnElement[Any], choices: Sequence[str] | None) -> list[Condition]:
    """That a column in lower case is one of ``choices``, in any letter case; no condition for None."""
    return [] if choices is None else [column.in_([choice.lower() for choice in choices])]
