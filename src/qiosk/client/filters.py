"""What programs may write as a condition on jobs, made exact."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date, datetime

from qiosk.contract.jobs import JobStatus
from qiosk.contract.sessions import SessionStatus
from qiosk.errors import InvalidFilter


def name_pattern(name_match: str) -> re.Pattern[str]:
    """The regular expression that names are searched for. Raises InvalidFilter."""
    try:
        return re.compile(name_match)
    except re.error as error:
        raise InvalidFilter(f"name_match must be a regular expression, found {name_match!r}: {error}") from error


def job_status(status: JobStatus | str) -> JobStatus:
    """A state, from itself or its string in any letter case. Raises InvalidFilter."""
    return JobStatus(_one_of(map(str, JobStatus), status))


def item_status(status: str) -> str:
    """A state of jobs or sessions, given in any letter case, as it is written. Raises InvalidFilter."""
    return _one_of([*map(str, SessionStatus), *map(str, JobStatus)], status)


def _one_of(states: Iterable[str], status: str) -> str:
    known = {state.lower(): state for state in states}
    found = known.get(str(status).lower())
    if found is None:
        raise InvalidFilter(f"status must be one of {', '.join(known.values())}, found {status!r}")
    return found


def moment(created_after: datetime | date) -> datetime:
    """An aware time from a date (its first moment) or a time; those without a zone are local."""
    if not isinstance(created_after, datetime):
        created_after = datetime(created_after.year, created_after.month, created_after.day)
    return created_after.astimezone() if created_after.tzinfo is None else created_after
