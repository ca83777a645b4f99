"""The ``JobRunner`` of real jobs: reads the problem and runs the target's solver.

Importing this module loads the solvers: a fork server does so once for all its children.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace

from qiosk.errors import UnreadableCheckpoint
from qiosk.formats import registry as formats
from qiosk.kernels.announcements import announced_to
from qiosk.modeling.jobs import solve_job
from qiosk.service.jobs.runs import ChunkReport, JobSpec
from qiosk.solvers import solve as api
from qiosk.solvers.parameter_free import annealing, tempering
from qiosk.solvers.result import Result
from qiosk.solvers.samplers import planner

_log = logging.getLogger(__name__)

PRELOADED = (annealing, planner, tempering)
"""Modules that a run would otherwise import at its start."""


def run(
    spec: JobSpec,
    data: bytes,
    *,
    is_cancelled: Callable[[], bool],
    on_chunk: Callable[[ChunkReport], None],
    on_activity: Callable[[str], None],
    resume: bytes | None,
) -> Result:
    """Solve a job; see ``service.jobs.runs.JobRunner``. Raises InvalidInput and InsufficientResources."""
    with announced_to(on_activity):
        return _run(spec, data, is_cancelled, on_chunk, resume)


def _run(
    spec: JobSpec,
    data: bytes,
    is_cancelled: Callable[[], bool],
    on_chunk: Callable[[ChunkReport], None],
    resume: bytes | None,
) -> Result:
    cost_function = formats.read(data, spec.input_data_format)
    n, terms = len(cost_function.variables), cost_function.n_terms
    _log.info("job %s: %d variables, %d terms, %s, %s threads", spec.id, n, terms, spec.target, spec.threads)
    hooks = api.Hooks(
        is_cancelled=is_cancelled,
        on_chunk=on_chunk,
        resume=resume,
        is_extension=spec.is_extension,
        input_data_uri=spec.input_data_uri,
        max_seconds=spec.max_seconds,
    )
    setup = api.job_setup(spec.target, spec.input_params, spec.threads)
    try:
        return solve_job(cost_function, setup, hooks)
    except UnreadableCheckpoint as error:  # of another version, or another machine
        if spec.is_extension:  # a search from the beginning is not what was asked for
            raise
        _log.warning("job %s: starts again from the beginning: %s", spec.id, error)
        restarted = replace(hooks, resume=None)
        return solve_job(cost_function, setup, restarted)
