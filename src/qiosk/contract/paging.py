"""Lists in pages: their sort keys, and the token that leads from one page to the next."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Generic, TypeVar

from msgspec import Struct

DEFAULT_PAGE = 100
"""Items of a page, unless the caller asks for another number."""
MAX_PAGE = 1000
"""Most items of a page. A caller who asks for more gets this many and the token of the next page."""

Item = TypeVar("Item")


class ItemOrder(StrEnum):
    """Sort keys of jobs and sessions, as in requests. Items of equal keys are sorted by creation."""

    NAME = "Name"
    ITEM_TYPE = "ItemType"
    JOB_TYPE = "JobType"
    PROVIDER_ID = "ProviderId"
    TARGET = "Target"
    STATE = "State"
    CREATION_TIME = "CreationTime"


class Page(Struct, Generic[Item], frozen=True):
    """Some items of a list, in order.

    ``next`` is the token of the next page, text that is safe in a URL; None if this is the last page. Only the service
    that made a token can read it.
    """

    items: Sequence[Item]
    next: str | None = None
