"""Filters of jobs and sessions: from the text that clients send to queries.

::

    filter     = clause *( " and " clause )
    clause     = start | comparison | "(" comparison *( " or " comparison ) ")"
    start      = "startswith(Name, 'prefix')" | "startswith(Id, 'prefix')"
    comparison = property " eq 'value'" | "CreationTime ge date" | "CreationTime le date"
    order      = property [ " asc" | " desc" ]

Letter case of words, properties and values is ignored, except in ids and tags. ``Tag`` may be compared in several
clauses, which demand several tags. A quote inside a value is doubled. In a name prefix it may also
be single, because clients do not double it: the prefix ends at the first ``')`` that is followed by the end of the
filter or by another clause. Between two conditions on the creation time ``and`` and its blanks may be missing, because
azure-quantum 3.13 omits them. A filter has a limited length and is read in one pass.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time
from typing import Any

from qiosk.contract.items import ItemQuery, ItemType
from qiosk.contract.jobs import JobQuery, JobStatus
from qiosk.contract.paging import ItemOrder
from qiosk.contract.plain import is_storable
from qiosk.contract.sessions import SessionStatus
from qiosk.errors import InvalidFilter
from qiosk.service.names import is_job_id
from qiosk.service.paging import NAME_KEY_CHARS

MAX_FILTER = 8192
"""Most characters of a filter."""
MAX_CHOICES = 200
"""Most values that one property may be compared with."""

_OTHER_STATES = ("Queued", "CancellationRequested", "Cancelling", "Finishing", "Completed")
"""States that clients may ask for, but that no job or session is ever in."""
_STATES = {state.lower(): state for state in (*map(str, JobStatus), *map(str, SessionStatus), *_OTHER_STATES)}
_ITEM_TYPES = {kind.lower(): kind.value for kind in ItemType}
_MEMBERS = {
    "itemtype": "item_types",
    "jobtype": "job_types",
    "providerid": "provider_ids",
    "target": "targets",
    "state": "statuses",
    "sessionid": "session_ids",
    "parentid": "parent_ids",
}
_OF_JOBS = {"SessionId": "session_ids", "ParentId": "parent_ids"}
"""Properties that only jobs have."""
_BOUNDS = {"ge": ("created_after", time.min), "le": ("created_before", time.max)}

_COMPARISON = r"(?:ItemType|JobType|ProviderId|Target|State|SessionId|ParentId|Tag)\s+eq\s"
_CLAUSE = rf"(?:startswith\s*\(|\(?\s*{_COMPARISON}|\(?\s*CreationTime\s)"
_PREFIX_BEGIN = re.compile(r"startswith\s*\(\s*(Name|Id)\s*,\s*'", re.IGNORECASE)
_PREFIX_END = re.compile(rf"'\s*\)(?=\s*\Z|\s+and\s+{_CLAUSE})", re.IGNORECASE)
_EQUALS = re.compile(r"(\w+)\s+eq\s+'((?:[^']|'')*)'", re.IGNORECASE)
_MOMENT = re.compile(r"CreationTime\s+(ge|le)\s+('?)([0-9](?:(?!CreationTime)[0-9A-Za-z:.+-]){0,40})\2", re.IGNORECASE)
_ORDER = re.compile(r"\s*(\w+)(?:\s+(asc|desc))?\s*", re.IGNORECASE)
_SPACE = re.compile(r"\s*")
_AND = re.compile(r"\s+and\s+", re.IGNORECASE)
_OR = re.compile(r"\s+or\s+", re.IGNORECASE)


def item_query(filter_text: str | None = None, orderby: str | None = None) -> ItemQuery:
    """The query that ``filter`` and ``orderby`` describe. If both are None or blank: everything, newest first.

    Raises InvalidFilter, which names the place.
    """
    conditions = _conditions(filter_text, orderby)
    for name, member in _OF_JOBS.items():
        if member in conditions:
            raise InvalidFilter(f"filter: {name} can be compared in lists of jobs only")
    return ItemQuery(**conditions)


def job_query(filter_text: str | None = None, orderby: str | None = None, *, session_id: str | None = None) -> JobQuery:
    """As ``item_query``, for jobs only, of one session if ``session_id`` is given. Raises InvalidFilter."""
    conditions = _conditions(filter_text, orderby)
    named = {name: set(conditions.pop(member, ())) for name, member in _OF_JOBS.items()}
    named["SessionId"].update(() if session_id is None else (session_id,))
    for name, ids in named.items():
        if len(ids) > 1:
            raise InvalidFilter(f"filter: {name} may be compared with one value only, in the path or in the filter")
    ids_of = {name: next(iter(ids), None) for name, ids in named.items()}
    return to_job_query(ItemQuery(**conditions), session_id=ids_of["SessionId"], parent_id=ids_of["ParentId"])


def _conditions(filter_text: str | None, orderby: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if filter_text is not None and filter_text.strip():
        found = _Reader(_checked("filter", filter_text)).read()
    if orderby is not None and orderby.strip():
        found |= _order(_checked("orderby", orderby))
    return found


def to_job_query(
    query: ItemQuery, *, session_id: str | None = None, parent_id: str | None = None, is_top_level: bool = False
) -> JobQuery:
    """The same query for jobs; it matches none if the items to list are not jobs."""
    statuses = query.statuses
    if query.item_types is not None and ItemType.JOB not in query.item_types:
        statuses = ()
    return JobQuery(
        id_prefix=query.id_prefix,
        name_prefix=query.name_prefix,
        tags=query.tags,
        statuses=None if statuses is None else tuple(JobStatus(s) for s in statuses if s in set(JobStatus)),
        job_types=query.job_types,
        provider_ids=query.provider_ids,
        targets=query.targets,
        created_after=query.created_after,
        created_before=query.created_before,
        session_id=session_id,
        parent_id=parent_id,
        is_top_level=is_top_level,
        order_by=query.order_by,
        descending=query.descending,
    )


def check_query(query: JobQuery) -> None:
    """Raise InvalidFilter, which names the condition, for one that a store cannot evaluate."""
    for bound in (query.created_after, query.created_before):
        if isinstance(bound, datetime) and bound.tzinfo is None:
            raise InvalidFilter(f"creation time: must have a time zone, found {bound.isoformat()}")
    if query.id_prefix is not None and not is_job_id(query.id_prefix):
        rule = "must be 1 to 100 letters, digits, '-' or '_'"
        raise InvalidFilter(f"id prefix: {rule}, found {query.id_prefix[:100]!r}")
    prefix = query.name_prefix
    if prefix is not None and len(prefix.casefold()) > NAME_KEY_CHARS:
        raise InvalidFilter(f"name prefix: must have at most {NAME_KEY_CHARS} characters, found {len(prefix)}")
    single = (prefix or "", query.session_id or "", query.parent_id or "", *query.tags)
    for choices in (query.job_types, query.provider_ids, query.targets, single):
        for text in choices or ():
            if not is_storable(text):
                raise InvalidFilter(f"filter: must be valid Unicode without NUL, found {text!r}")


def _checked(what: str, text: str) -> str:
    if len(text) > MAX_FILTER:
        raise InvalidFilter(f"{what}: at most {MAX_FILTER} characters are allowed, found {len(text)}")
    if not is_storable(text):
        raise InvalidFilter(f"{what}: must be valid Unicode without NUL, found {text[:100]!r}")
    return text


def _order(text: str) -> dict[str, Any]:
    match = _ORDER.fullmatch(text)
    orders = {order.lower(): order for order in ItemOrder}
    if match is None or match[1].lower() not in orders:
        allowed = "|".join(ItemOrder)
        raise InvalidFilter(f"orderby: must be <{allowed}> with asc or desc, found {text[:100]!r}")
    return {"order_by": orders[match[1].lower()], "descending": (match[2] or "asc").lower() == "desc"}


@dataclass(slots=True)
class _Reader:
    """Reads a filter from left to right; ``found`` are the members of the query."""

    text: str
    at: int = 0
    found: dict[str, Any] = field(default_factory=dict)

    def read(self) -> dict[str, Any]:
        self._skip(_SPACE)
        self._clause()
        while not self._is_at_end():
            if not self._skip(_AND) and not _MOMENT.match(self.text, self.at):
                raise self._unreadable("'and' and another condition")
            self._clause()
        return self.found

    def _is_at_end(self) -> bool:
        return _SPACE.fullmatch(self.text, self.at) is not None

    def _skip(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        match = pattern.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
        return match

    def _clause(self) -> None:
        if begin := self._skip(_PREFIX_BEGIN):
            self._prefix(begin[1])
        elif self.text.startswith("(", self.at):
            self.at += 1
            self._skip(_SPACE)
            self._choices(is_grouped=True)
            self._skip(_SPACE)
            if not self.text.startswith(")", self.at):
                raise self._unreadable("')' or 'or'")
            self.at += 1
        else:
            self._choices(is_grouped=False)

    def _prefix(self, name: str) -> None:
        end = _PREFIX_END.search(self.text, self.at)
        if end is None:
            raise self._unreadable(f"a prefix of {name} that ends with ')")
        self._put(name, f"{name.lower()}_prefix", self.text[self.at : end.start()].replace("''", "'"))
        self.at = end.end()

    def _choices(self, *, is_grouped: bool) -> None:
        if moment := self._skip(_MOMENT):
            self._bound(moment[1].lower(), moment[3])
            return
        name, value = self._equals()
        values = [value]
        while is_grouped and self._skip(_OR):
            other, value = self._equals()
            if other.lower() != name.lower():
                raise InvalidFilter(f"filter: 'or' must join values of one property, found {name} and {other}")
            values.append(value)
        self._compare(name, values)

    def _equals(self) -> tuple[str, str]:
        match = self._skip(_EQUALS)
        if match is None:
            raise self._unreadable("a condition such as State eq 'Failed'")
        return match[1], match[2].replace("''", "'")

    def _compare(self, name: str, values: Sequence[str]) -> None:
        if name.lower() == "tag":
            if len(values) > 1:
                raise InvalidFilter("filter: 'or' must not join tags; 'and' demands several")
            self.found["tags"] = (*self.found.get("tags", ()), *values)
            return
        member = _MEMBERS.get(name.lower())
        if member is None:
            raise InvalidFilter(
                f"filter: {name} cannot be compared by eq; ItemType, JobType, ProviderId, Target, State, SessionId,"
                " ParentId and Tag can, Name and Id by startswith and CreationTime by ge and le"
            )
        if len(values) > MAX_CHOICES:
            raise InvalidFilter(
                f"filter: {name} may be compared with at most {MAX_CHOICES} values, found {len(values)}"
            )
        known = {"statuses": _STATES, "item_types": _ITEM_TYPES}.get(member)
        self._put(name, member, tuple(values if known is None else (_known(name, v, known) for v in values)))

    def _bound(self, operator: str, text: str) -> None:
        member, of_day = _BOUNDS[operator]
        self._put(f"CreationTime {operator}", member, _moment(text, of_day))

    def _put(self, name: str, member: str, value: object) -> None:
        if member in self.found:
            raise InvalidFilter(f"filter: at most one condition on {name} is allowed, found another")
        self.found[member] = value

    def _unreadable(self, wanted: str) -> InvalidFilter:
        return InvalidFilter(f"filter: must have {wanted} at character {self.at}, found {self.text[self.at :][:60]!r}")


def _known(name: str, value: str, known: dict[str, Any]) -> Any:
    try:
        return known[value.lower()]
    except KeyError:
        raise InvalidFilter(f"filter: {name} must be one of {', '.join(known.values())}, found {value!r}") from None


def _moment(text: str, of_day: time) -> datetime:
    """An aware time: a date means its first or last moment, a time without a zone is UTC."""
    try:
        if len(text) == len("2026-01-31"):
            return datetime.combine(date.fromisoformat(text), of_day, UTC)
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise InvalidFilter(f"filter: CreationTime must be an ISO 8601 date or time, found {text!r}") from error
