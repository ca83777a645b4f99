"""The ``JobRunner`` of real jobs: reads the problem and runs the target's solver.

Importing this module loads the solvers: a fork server does so once for all its children.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from dataclasses import fields, replace

from qiosk.errors import UnreadableCheckpoint
from qiosk.formats import registry as formats
from qiosk.kernels.announcements import announced_to
from qiosk.model.cost_function import CostFunction
from qiosk.modeling.jobs import solve_job
from qiosk.service.jobs.members import Merge, Part, seed_of
from qiosk.service.jobs.runs import ChunkReport, JobSpec
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.members.carried import result_to_bytes
from qiosk.solvers.members.run import merged_job
from qiosk.solvers.parameter_free import annealing, tempering
from qiosk.solvers.result import Result
from qiosk.solvers.samplers import planner
from qiosk.solvers.setup import Setup, job_setup

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
    found: Mapping[int, bytes],
) -> Result:
    """Solve a job; see ``service.jobs.runs.JobRunner``. Raises InvalidInput and InsufficientResources."""
    with announced_to(on_activity):
        cost_function = formats.read(data, spec.input_data_format)
        if isinstance(spec.part, Merge):
            return _merge(spec, cost_function, found, spec.part)
        result = _run(spec, cost_function, is_cancelled, on_chunk, resume)
    if spec.part is None:
        return result
    return _OfMember(**{each.name: getattr(result, each.name) for each in fields(result)})


class _OfMember(Result):
    """The result of a member of a job."""

    def to_bytes(self) -> bytes:
        """The content of the blob of the member."""
        return result_to_bytes(self)


def _merge(spec: JobSpec, cost_function: CostFunction, found: Mapping[int, bytes], part: Merge) -> Result:
    return merged_job(
        spec.target,
        spec.input_params,
        cost_function,
        found,
        seed=_seed(spec, job_setup(spec.target, spec.input_params, spec.threads)),
        threads=spec.threads,
        was_cancelled=part.was_cancelled,
        input_data_uri=spec.input_data_uri,
    )


def _seed(spec: JobSpec, setup: Setup) -> int:
    """That of a job over several nodes."""
    return seed_of(spec.workspace, spec.id) if setup.seed is None else setup.seed


def _run(
    spec: JobSpec,
    cost_function: CostFunction,
    is_cancelled: Callable[[], bool],
    on_chunk: Callable[[ChunkReport], None],
    resume: bytes | None,
) -> Result:
    n, terms = len(cost_function.variables), cost_function.n_terms
    _log.info("job %s: %d variables, %d terms, %s, %s threads", spec.id, n, terms, spec.target, spec.threads)
    hooks = Hooks(
        is_cancelled=is_cancelled,
        on_chunk=on_chunk,
        resume=resume,
        is_extension=spec.is_extension,
        input_data_uri=spec.input_data_uri,
        max_seconds=spec.max_seconds,
    )
    setup = job_setup(spec.target, spec.input_params, spec.threads)
    if isinstance(spec.part, Part):
        setup = setup.members(_seed(spec, setup))[spec.part.index]
    try:
        return solve_job(cost_function, setup, hooks)
    except UnreadableCheckpoint as error:  # of another version, or another machine
        if spec.is_extension:  # a search from the beginning is not what was asked for
            raise
        _log.warning("job %s: starts again from the beginning: %s", spec.id, error)
        restarted = replace(hooks, resume=None)
        return solve_job(cost_function, setup, restarted)
