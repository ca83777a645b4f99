"""The one place that names adapters: puts a service together."""

from __future__ import annotations

import os
import uuid
from dataclasses import replace
from pathlib import Path

from qiosk.adapters.blobs import LocalBlobStore
from qiosk.adapters.clock import SystemClock
from qiosk.adapters.home import Home
from qiosk.adapters.launcher import SupervisorLauncher
from qiosk.adapters.sql_jobs import open_sqlite
from qiosk.service.service import JobService
from qiosk.settings import Settings, read_settings
from qiosk.solvers.registry import Catalogue


def open_embedded(
    home: Path | None = None,
    workspace: str = "default",
    settings: Settings | None = None,
    *,
    runner: str | None = None,
) -> JobService:
    """A service over a folder of this machine; processes that open the same one share its jobs.

    ``home`` and ``settings`` default to the environment's; ``workspace`` is any text, and isolates jobs and
    blobs. ``runner`` is the dotted name of a ``service.ports.JobRunner`` to use instead of the solvers'.
    Raises InvalidValue for settings that are wrong.
    """
    chosen = settings if settings is not None else read_settings(os.environ)
    if home is not None:
        chosen = replace(chosen, home=home)
    place = Home(chosen.home)
    chosen = replace(chosen, home=place.path)
    return JobService(
        workspace=workspace,
        jobs=open_sqlite(place.database),
        blobs=LocalBlobStore(place.blobs, workspace),
        targets=Catalogue(),
        executor=SupervisorLauncher(place, chosen.to_environ(), runner=runner),
        clock=SystemClock(),
        new_id=lambda: str(uuid.uuid4()),
    )
