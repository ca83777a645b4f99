"""Asyncio wrappers of ``Workspace``, ``Job``, ``Study`` and the solver classes, which call the same code in threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from qiosk.aio.job import Job
from qiosk.aio.workspace import Workspace
from qiosk.contract.jobs import JobStatus

if TYPE_CHECKING:
    from qiosk.aio.study import Study

__all__ = ["Job", "JobStatus", "Study", "Workspace"]


def __getattr__(name: str) -> Any:
    """Studies, whose settings load the targets, when they are first used."""
    if name != "Study":
        raise AttributeError(f"module 'qiosk.aio' has no attribute {name!r}")
    from qiosk.aio.study import Study

    return Study
