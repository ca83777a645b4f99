"""Queries for jobs and sessions, written as the ``filter`` and ``orderby`` parameters of the REST interface."""

from __future__ import annotations

from collections.abc import Sequence

from qiosk.contract.items import ItemQuery, ItemType
from qiosk.contract.jobs import JobQuery
from qiosk.contract.plain import is_storable
from qiosk.errors import InvalidFilter


def filter_text(query: JobQuery | ItemQuery) -> str | None:
    """The ``filter`` of a query; None if it has no conditions.

    A filter cannot express that a property is one of no values; check that with ``is_empty`` first. Raises
    InvalidFilter for a time without a zone.
    """
    starts = {"Name": query.name_prefix or None, "Id": query.id_prefix}
    clauses = [f"startswith({name}, '{_quoted(start)}')" for name, start in starts.items() if start is not None]
    clauses += [f"Tag eq '{_quoted(tag)}'" for tag in query.tags]
    session_id, parent_id = (query.session_id, query.parent_id) if isinstance(query, JobQuery) else (None, None)
    choices: dict[str, Sequence[str] | None] = {
        "SessionId": None if session_id is None else (session_id,),
        "ParentId": None if parent_id is None else (parent_id,),
        "ItemType": _item_types(query),
        "JobType": query.job_types,
        "ProviderId": query.provider_ids,
        "Target": query.targets,
        "State": query.statuses,
    }
    for name, values in choices.items():
        if values is not None:
            alternatives = [f"{name} eq '{_quoted(str(value))}'" for value in values]
            clauses.append(f"({' or '.join(alternatives)})")
    for operator, bound in (("ge", query.created_after), ("le", query.created_before)):
        if bound is not None:
            if bound.tzinfo is None:
                raise InvalidFilter(f"creation time: must have a time zone, found {bound.isoformat()}")
            clauses.append(f"CreationTime {operator} {bound.isoformat()}")
    return " and ".join(clauses) or None


def is_empty(query: JobQuery | ItemQuery) -> bool:
    """Whether no item can match, because one of the conditions allows no value."""
    if isinstance(query, JobQuery) and query.is_top_level and query.session_id is not None:
        return True
    return any(
        values is not None and not values
        for values in (_item_types(query), query.statuses, query.job_types, query.provider_ids, query.targets)
    )


def orderby_text(query: JobQuery | ItemQuery) -> str:
    """The ``orderby`` of a query."""
    return f"{query.order_by} {'desc' if query.descending else 'asc'}"


def _item_types(query: JobQuery | ItemQuery) -> Sequence[ItemType] | None:
    if isinstance(query, ItemQuery):
        return query.item_types
    return (ItemType.JOB,) if query.is_top_level else None


def _quoted(text: str) -> str:
    if not is_storable(text):
        raise InvalidFilter(f"filter: must be valid Unicode without NUL, found {text!r}")
    return text.replace("'", "''")
