"""Short ids: the first characters of a UUID, which name a job or session as long as no other one has them, too."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TypeVar

from qiosk.errors import InvalidFilter, NotFound

SHOWN = 8
"""Characters of a short id in lists, unless more are needed to tell the listed ids apart."""
_MOST_NAMED = 4
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BEGIN = re.compile(r"[0-9a-f][0-9a-f-]{3,34}")

View = TypeVar("View")


def shortened(ids: Iterable[str]) -> list[str]:
    """Each id's first characters, of one length, all different; ids that are no UUIDs are left as they are."""
    full = list(ids)
    uuids = {each for each in full if _UUID.fullmatch(each)}
    length = next(n for n in range(SHOWN, 37) if len({each[:n] for each in uuids}) == len(uuids))
    return [each[:length] if each in uuids else each for each in full]


def may_be_short(text: str) -> bool:
    """Whether a text can be the beginning of a UUID, and is no whole one."""
    return _BEGIN.fullmatch(text.lower()) is not None


def by_id(text: str, get: Callable[[str], View], ids: Callable[[str], Iterable[str]]) -> View:
    """``get(text)``; if nothing has this id, what has the only UUID that begins with it.

    ``ids`` returns the ids that begin with a text. At least four characters, in any letter case. Raises what ``get``
    raises; InvalidFilter if several ids begin so.
    """
    try:
        return get(text)
    except NotFound:
        if not may_be_short(text):
            raise
        begin = text.lower()
        found = list(islice(filter(_UUID.fullmatch, ids(begin)), _MOST_NAMED + 1))
        if not found:
            raise
    if len(found) > 1:
        named = ", ".join(found[:_MOST_NAMED]) + (", …" if len(found) > _MOST_NAMED else "")
        raise InvalidFilter(f"id {text!r}: several ids begin so: {named}")
    return get(found[0])
