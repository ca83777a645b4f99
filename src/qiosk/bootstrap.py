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
from qiosk.contract.jobs import TargetView
from qiosk.service.service import JobService
from qiosk.service.targets import TargetTable
from qiosk.settings import Settings, read_settings

SOLVER_RUNNER = "qiosk.adapters.solver_runner:run"
"""What job processes call; by name, so that the process that submits never imports a solver."""


def open_embedded(
    home: Path | None = None,
    workspace: str = "default",
    settings: Settings | None = None,
    *,
    runner: str = SOLVER_RUNNER,
) -> JobService:
    """A service over a folder of this machine; processes that open the same one share its jobs.

    ``home`` and ``settings`` default to the environment's; ``workspace`` is any text, and isolates jobs and
    blobs. ``runner`` is the dotted name of a ``service.ports.JobRunner``. Raises InvalidValue for settings
    that are wrong.
    """
    chosen = settings if settings is not None else read_settings(os.environ)
    if home is not None:
        chosen = replace(chosen, home=home)
    place = Home(chosen.home)
    return JobService(
        workspace=workspace,
        jobs=open_sqlite(place.database),
        blobs=LocalBlobStore(place.blobs, workspace),
        targets=TargetTable(_targets()),
        executor=SupervisorLauncher(place, chosen.to_environ(), runner=runner),
        clock=SystemClock(),
        new_id=lambda: str(uuid.uuid4()),
    )


def _targets() -> list[TargetView]:
    solvers = ("simulatedannealing", "paralleltempering")
    ids = [f"microsoft.{solver}{suffix}.cpu" for solver in solvers for suffix in ("", "-parameterfree")]
    return [TargetView(id=target, provider_id="Microsoft") for target in ids]
