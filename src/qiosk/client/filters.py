"""Conditions on jobs and sessions, as programs write them, made exact."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import date, datetime
from itertools import islice
from typing import Any, TypeVar

from qiosk.contract.jobs import JobStatus, JobView
from qiosk.contract.paging import MAX_PAGE, Page
from qiosk.contract.sessions import SessionStatus, SessionView
from qiosk.errors import InvalidFilter

Item = TypeVar("Item", bound=JobView | SessionView)


def conditions(
    read_status: Callable[[str], str],
    status: str | None,
    created_after: datetime | date | None,
    provider_id: str | None,
    target: str | None,
) -> dict[str, Any]:
    """Members of a ``JobQuery`` or ``ItemQuery``; conditions that are None do not restrict it. Raises InvalidFilter."""
    return {
        "statuses": None if status is None else (read_status(status),),
        "provider_ids": None if provider_id is None else (provider_id,),
        "targets": None if target is None else _targets(target),
        "created_after": None if created_after is None else moment(created_after),
    }


def _targets(name: str) -> tuple[str, ...]:
    """The targets of a name, which may be the middle part of several."""
    if "." in name:
        return (name,)
    forms = "microsoft.{}.cpu", "microsoft.{}-parameterfree.cpu", "1qbit.{}", "toshiba.{}.ising"
    return tuple(form.format(name) for form in forms)


def matching(
    page: Callable[[int, str | None], Page[Item]], name_match: str | None, limit: int | None
) -> Iterator[Item]:
    """At most ``limit`` items whose name matches, from as few pages as possible.

    ``page`` is called with a page size and a token. Raises InvalidFilter.
    """
    if limit is not None and limit < 0:
        raise InvalidFilter(f"limit must not be negative, found {limit}")
    pattern = None if name_match is None else name_pattern(name_match)
    top = MAX_PAGE if limit is None or pattern is not None else min(max(limit, 1), MAX_PAGE)

    def items() -> Iterator[Item]:
        found = page(top, None)
        yield from found.items
        while found.next is not None:
            found = page(top, found.next)
            yield from found.items

    return islice((item for item in items() if pattern is None or pattern.search(item.name)), limit)


def name_pattern(name_match: str) -> re.Pattern[str]:
    """The regular expression to be found in names. Raises InvalidFilter."""
    try:
        return re.compile(name_match)
    except re.error as error:
        raise InvalidFilter(f"name_match must be a regular expression, found {name_match!r}: {error}") from error


def job_status(status: JobStatus | str) -> JobStatus:
    """A state, or its name in any letter case, as a state. Raises InvalidFilter."""
    return JobStatus(_one_of(map(str, JobStatus), status))


def item_status(status: str) -> str:
    """A state of jobs or sessions, given in any letter case, as it is written. Raises InvalidFilter."""
    return _one_of([*map(str, SessionStatus), *map(str, JobStatus)], status)


def moment(created_after: datetime | date) -> datetime:
    """A time with a zone, from a date (its first moment) or a time; times without a zone are local."""
    if not isinstance(created_after, datetime):
        created_after = datetime(created_after.year, created_after.month, created_after.day)
    return created_after.astimezone() if created_after.tzinfo is None else created_after


def _one_of(states: Iterable[str], status: str) -> str:
    known = {state.lower(): state for state in states}
    found = known.get(str(status).lower())
    if found is None:
        raise InvalidFilter(f"status must be one of {', '.join(known.values())}, found {status!r}")
    return found
