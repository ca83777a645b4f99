"""Lists that come in pages: what they can be sorted by, and how one page leads to the next."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Generic, TypeVar

from msgspec import Struct

DEFAULT_PAGE = 100
"""Items of a page, unless another number is asked for."""
MAX_PAGE = 1000
"""Most items of a page; a caller who asks for more gets so many, and the token of the next page."""

Item = TypeVar("Item")


class ItemOrder(StrEnum):
    """What jobs and sessions can be sorted by, as written on the wire. Equal ones are sorted by creation."""

    NAME = "Name"
    ITEM_TYPE = "ItemType"
    JOB_TYPE = "JobType"
    PROVIDER_ID = "ProviderId"
    TARGET = "Target"
    STATE = "State"
    CREATION_TIME = "CreationTime"


class Page(Struct, Generic[Item], frozen=True):
    """Some items of a list, in order.

    ``next`` is the token that asks for the items behind the last one, text that is safe in a URL; None if these were
    the last. What it holds is the service's own business.
    """

    items: Sequence[Item]
    next: str | None = None
