"""Jobs and sessions side by side: what a list of both is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from qiosk.contract.paging import ItemOrder


class ItemType(StrEnum):
    """What an item of a workspace is, as written on the wire."""

    JOB = "Job"
    SESSION = "Session"


class ItemQuery(Struct, frozen=True, kw_only=True):
    """Which items to list. Conditions left at None do not restrict.

    As ``JobQuery``, but ``statuses`` may name those of jobs and of sessions. A condition on ``job_types`` leaves out
    sessions, which have none. Newest first by default.
    """

    name_prefix: str | None = None
    item_types: Sequence[ItemType] | None = None
    statuses: Sequence[str] | None = None
    job_types: Sequence[str] | None = None
    provider_ids: Sequence[str] | None = None
    targets: Sequence[str] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    order_by: ItemOrder = ItemOrder.CREATION_TIME
    descending: bool = True
