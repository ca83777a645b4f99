"""Conditions on jobs and sessions, as programs write them, made exact."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, date, datetime, time
from itertools import islice
from typing import Any, TypeVar

from qiosk.contract.jobs import JobStatus, JobView
from qiosk.contract.paging import MAX_PAGE, Page
from qiosk.contract.sessions import SessionStatus, SessionView
from qiosk.errors import InvalidFilter

_START = re.compile(r"\^((?:[\w -](?![*?{])){1,100})", re.ASCII)

Item = TypeVar("Item", bound=JobView | SessionView)


def conditions(
    read_status: Callable[[str], str],
    status: str | Iterable[str] | None,
    created_after: datetime | date | str | None,
    provider_id: str | None,
    target: str | None,
    *,
    created_before: datetime | date | str | None = None,
    tags: str | Iterable[str] | None = None,
    name_match: str | None = None,
) -> dict[str, Any]:
    """Members of a ``JobQuery`` or ``ItemQuery``; conditions that are None do not restrict it. Raises InvalidFilter."""
    states = (status,) if isinstance(status, str) else status
    return {
        "name_prefix": None if name_match is None else _literal_start(name_match),
        "tags": (tags,) if isinstance(tags, str) else tuple(tags or ()),
        "statuses": None if states is None else tuple(map(read_status, states)),
        "provider_ids": None if provider_id is None else (provider_id,),
        "targets": None if target is None else _targets(target),
        "created_after": None if created_after is None else moment(created_after),
        "created_before": None if created_before is None else moment(created_before, of_day=time.max),
    }


def _targets(name: str) -> tuple[str, ...]:
    """The targets of a name, which may be the middle part of several."""
    if "." in name:
        return (name,)
    forms = "microsoft.{}.cpu", "microsoft.{}-parameterfree.cpu", "1qbit.{}", "toshiba.{}.ising", "qiosk.{}"
    return tuple(form.format(name) for form in forms)


def matching(
    page: Callable[[int, str | None], Page[Item]],
    name_match: str | None = None,
    limit: int | None = None,
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


def _literal_start(name_match: str) -> str | None:
    """What every name begins with that a regular expression matches, so that the service finds those names.

    None if it does not begin with ``^`` and plain characters, or has alternatives.
    """
    start = _START.match(name_match)
    return None if start is None or "|" in name_match else start[1]


def job_status(status: JobStatus | str) -> JobStatus:
    """A state, or its name in any letter case, as a state. Raises InvalidFilter."""
    return JobStatus(_one_of(map(str, JobStatus), status))


def item_status(status: str) -> str:
    """A state of jobs or sessions, given in any letter case, as it is written. Raises InvalidFilter."""
    return _one_of([*map(str, SessionStatus), *map(str, JobStatus)], status)


def moment(given: datetime | date | str, *, of_day: time = time.min) -> datetime:
    """A time in UTC, from a time, a date (its time ``of_day``) or either as ISO 8601 text.

    Those without a zone are local. Times that have no place in UTC, such as ``datetime.min``, are the nearest that have
    one. Raises InvalidFilter.
    """
    if hasattr(given, "astype"):  # a NumPy time, which is in UTC
        given = f"{given.astype('datetime64[us]')}Z"
    if isinstance(given, str):
        try:
            given = _read_moment(given.strip())
        except ValueError as error:
            raise InvalidFilter(f"creation time: must be an ISO 8601 date or time, found {given!r}") from error
    if not isinstance(given, date):
        raise InvalidFilter(f"creation time: must be a time, a date or ISO 8601 text, found {given!r}")
    if not isinstance(given, datetime):
        given = datetime.combine(given, of_day)
    try:
        return given.astimezone(UTC)
    except (OverflowError, ValueError):  # beyond the years 1 and 9999
        return given.replace(tzinfo=UTC)


def _read_moment(text: str) -> datetime | date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return datetime.fromisoformat(text)


def _one_of(states: Iterable[str], status: str) -> str:
    known = {state.lower(): state for state in states}
    found = known.get(str(status).lower())
    if found is None:
        raise InvalidFilter(f"status must be one of {', '.join(known.values())}, found {status!r}")
    return found
