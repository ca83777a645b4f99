"""Conditions on jobs as the text that servers read."""

from __future__ import annotations

from collections.abc import Sequence

from qiosk.contract.jobs import JobQuery
from qiosk.errors import InvalidFilter


def filter_text(query: JobQuery) -> str | None:
    """The ``filter`` of a query; None if it has no conditions but those on sessions.

    ``is_empty`` tells beforehand whether the query asks for one of no values, which a filter cannot say. Raises
    InvalidFilter for a time without a zone.
    """
    clauses = [f"startswith(Name, '{_quoted(query.name_prefix)}')"] if query.name_prefix else []
    choices: dict[str, Sequence[str] | None] = {
        "JobType": query.job_types,
        "ProviderId": query.provider_ids,
        "Target": query.targets,
        "State": query.statuses,
    }
    for name, values in choices.items():
        if values is not None:
            alternatives = [f"{name} eq '{_quoted(str(value))}'" for value in values]
            clauses.append(f"({' or '.join(alternatives)})")
    if query.is_top_level:
        clauses.append("(ItemType eq 'Job')")
    for operator, bound in (("ge", query.created_after), ("le", query.created_before)):
        if bound is not None:
            if bound.tzinfo is None:
                raise InvalidFilter(f"creation time: must have a time zone, found {bound.isoformat()}")
            clauses.append(f"CreationTime {operator} {bound.isoformat()}")
    return " and ".join(clauses) or None


def is_empty(query: JobQuery) -> bool:
    """Whether no job can meet the conditions, because one of them allows no value."""
    return any(
        values is not None and not values
        for values in (query.statuses, query.job_types, query.provider_ids, query.targets)
    )


def orderby_text(query: JobQuery) -> str:
    """The ``orderby`` of a query."""
    return f"{query.order_by} {'desc' if query.descending else 'asc'}"


def _quoted(text: str) -> str:
    return text.replace("'", "''")
