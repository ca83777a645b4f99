"""Conditions of queries that jobs and sessions have in common."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from qiosk.adapters.sql.tables import to_time
from qiosk.contract.items import ItemQuery
from qiosk.contract.jobs import JobQuery
from qiosk.service.paging import name_key

Condition = sa.ColumnElement[bool]


def item_conditions(items: sa.Table, query: JobQuery | ItemQuery) -> list[Condition]:
    """What a query demands of all members that jobs and sessions have in common."""
    conditions: list[Condition] = []
    if query.name_prefix is not None:
        conditions += _begins_with(items.c.name_key, name_key(query.name_prefix))
    if query.id_prefix is not None:  # ids are ASCII, and the last character of ASCII is in none
        conditions += [items.c.id >= query.id_prefix, items.c.id < f"{query.id_prefix}\x7f"]
    conditions += [_has_tag(items.c.tags, tag) for tag in query.tags]
    if query.created_after is not None:
        conditions.append(items.c.created_at >= to_time(query.created_after))
    if query.created_before is not None:
        conditions.append(items.c.created_at <= to_time(query.created_before))
    conditions += is_among(items.c.provider_key, query.provider_ids)
    return conditions + is_among(items.c.target_key, query.targets)


def _begins_with(column: sa.ColumnElement[str], prefix: str) -> list[Condition]:
    """That a text begins with a prefix, as a range of an index. Databases compare characters by their numbers."""
    head = prefix.rstrip(chr(sys.maxunicode))
    if not head:
        return [column >= prefix]
    following = ord(head[-1]) + 1
    return [column >= prefix, column < head[:-1] + chr(0xE000 if following == 0xD800 else following)]


def _has_tag(tags: sa.ColumnElement[str], tag: str) -> Condition:
    """That one of the tags in a column, which ``to_tags`` wrote, is this one."""
    text = json.dumps(tag)
    first = f"[{text}"
    is_first, is_later = sa.func.substr(tags, 1, len(first)) == first, sa.func.replace(tags, f"\n{text}", "") != tags
    return sa.and_(tags.contains(text, autoescape=True), sa.or_(is_first, is_later))  # most rows fail the quick test


def is_among(column: sa.ColumnElement[Any], choices: Sequence[str] | None) -> list[Condition]:
    """That a column in lower case is one of ``choices``, in any letter case; no condition for None."""
    return [] if choices is None else [column.in_([choice.lower() for choice in choices])]
