"""Cursors: the place in a sorted list where a page ends, and its text, the token.

A page starts after a :class:`Cursor`, not after a number of items. So all pages cost the same, and an item that is
added or removed meanwhile neither hides nor repeats another one. An item whose sort key changes meanwhile, such as a
job's state, may be on two pages, or on none.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from qiosk.contract import codec
from qiosk.contract.paging import MAX_PAGE, ItemOrder
from qiosk.contract.plain import is_storable
from qiosk.errors import InvalidFilter
from qiosk.service.jobs.job import Job

NAME_KEY_CHARS = 200
"""Characters of a name that are sorted and searched by; letter case is ignored."""

PAGE_BYTES = 4 << 20
"""A page of jobs ends with the job with which it reaches this ``weight``, however many the caller asks for."""

_MAX_TOKEN = 4096


class Cursor(NamedTuple):
    """The last item of a page: its sort key, then the order of items with equal keys.

    ``key`` is empty in the order of creation.
    """

    key: str
    created_at: datetime
    id: str


def name_key(name: str) -> str:
    """The part of a name by which it is sorted and searched."""
    return name.casefold()[:NAME_KEY_CHARS]


def cursor_of(job: Job, order: ItemOrder) -> Cursor:
    """A job's place in the list that is sorted by ``order``."""
    match order:
        case ItemOrder.NAME:
            key = name_key(job.name)
        case ItemOrder.ITEM_TYPE:
            key = "Job"
        case ItemOrder.JOB_TYPE:
            key = job.job_type
        case ItemOrder.PROVIDER_ID:
            key = job.provider_id.lower()
        case ItemOrder.TARGET:
            key = job.target.lower()
        case ItemOrder.STATE:
            key = job.state.value
        case ItemOrder.CREATION_TIME:
            key = ""
    return Cursor(key, job.created_at, job.id)


def weight(job: Job) -> int:
    """Bytes of a job's long members, as JSON."""
    provenance = 0 if job.provenance is None else len(codec.encode(job.provenance))
    return provenance + sum(len(json.dumps(member)) for member in (job.input_params, job.metadata, job.tags))


def is_heavy(jobs: Iterable[Job]) -> bool:
    """Whether these jobs fill a page."""
    return sum(map(weight, jobs)) >= PAGE_BYTES


def encode_token(cursor: Cursor, order: ItemOrder, *, descending: bool) -> str:
    """The cursor as text that is safe in a URL."""
    members = [order.value, descending, cursor.key, cursor.created_at.isoformat(), cursor.id]
    return base64.urlsafe_b64encode(json.dumps(members).encode()).rstrip(b"=").decode()


def decode_token(token: str, order: ItemOrder, *, descending: bool) -> Cursor:
    """The cursor of a token. Raises InvalidFilter if the text is no token, or one of a list in another order."""
    try:
        if len(token) > _MAX_TOKEN:
            raise ValueError("too long")
        text = base64.urlsafe_b64decode(token.encode("ascii") + b"=" * (-len(token) % 4))
        its_order, its_direction, key, created_at, item_id = json.loads(text)
        cursor = Cursor(_plain(key), datetime.fromisoformat(created_at), _plain(item_id))
        if cursor.created_at.tzinfo is None:
            raise ValueError("no time zone")
    except (ValueError, TypeError, RecursionError, binascii.Error) as error:
        raise InvalidFilter(f"page token: must be the token of a page, found {token[:100]!r}") from error
    if (its_order, its_direction) != (order.value, descending):
        raise InvalidFilter(
            f"page token: must be used with the order it was made for, {its_order!r}, found {order.value!r}"
            if its_order != order.value
            else "page token: must be used with the direction it was made for"
        )
    return cursor


def check_window(top: int, skip: int) -> int:
    """Most items of a page. Raises InvalidFilter unless ``top`` >= 1 and ``skip`` >= 0."""
    if top < 1:
        raise InvalidFilter(f"top: must be at least 1, found {top}")
    if not 0 <= skip < 2**63:
        raise InvalidFilter(f"skip: must be at least 0, found {skip}")
    return min(top, MAX_PAGE)


def _plain(text: object) -> str:
    if not isinstance(text, str) or not is_storable(text):
        raise ValueError("no text")
    return text
