"""Lists that contain both jobs and sessions."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from msgspec import Struct

from qiosk.contract.paging import ItemOrder


class ItemType(StrEnum):
    """Kind of an item of a workspace, as in requests and replies."""

    JOB = "Job"
    SESSION = "Session"


class ItemQuery(Struct, frozen=True, kw_only=True):
    """Which items to list. Conditions left at None do not restrict.

    As ``JobQuery``, but ``statuses`` may contain those of jobs and of sessions. Sessions have no job type, so a
    condition on ``job_types`` excludes them. Newest first by default.
    """

    id_prefix: str | None = None
    name_prefix: str | None = None
    tags: Sequence[str] = ()
    item_types: Sequence[ItemType] | None = None
    statuses: Sequence[str] | None = None
    job_types: Sequence[str] | None = None
    provider_ids: Sequence[str] | None = None
    targets: Sequence[str] | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None
    order_by: ItemOrder = ItemOrder.CREATION_TIME
    descending: bool = True
