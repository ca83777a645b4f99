"""Asyncio wrappers of ``Workspace``, ``Job`` and the solver classes, which call the same code in threads."""

from __future__ import annotations

from qiosk.aio.job import Job
from qiosk.aio.workspace import Workspace
from qiosk.contract.jobs import JobStatus

__all__ = ["Job", "JobStatus", "Workspace"]
