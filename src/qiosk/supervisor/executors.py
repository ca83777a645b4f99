"""Opens the executor that the settings name."""

from __future__ import annotations

import os

from qiosk.settings import Settings
from qiosk.supervisor.executor import Executor
from qiosk.supervisor.processes.job_process import SOLVER_RUNNER, ProcessOptions, warm_context
from qiosk.supervisor.processes.local import LocalExecutor
from qiosk.supervisor.processes.secret_variables import storage_variables


def open_executor(settings: Settings, storage_url: str, runner: str | None = None) -> Executor:
    """The executor of a supervisor. Jobs read and write the blobs at the URL.

    ``runner`` is the dotted name of a ``JobRunner``; None: that of the solvers. Raises MissingExtra without Ray.
    """
    chosen = runner or SOLVER_RUNNER
    options = ProcessOptions(storage=storage_url, runner=chosen, memory_limit=settings.memory_limit)
    if settings.executor == "local":
        return LocalExecutor(warm_context(chosen), options, concurrent_jobs=settings.concurrent_jobs)
    from qiosk.supervisor.cluster.check import require_ray
    from qiosk.supervisor.cluster.executor import RayExecutor

    require_ray("QIOSK_EXECUTOR=ray")
    return RayExecutor(settings, options, storage_variables(os.environ, storage_url))
