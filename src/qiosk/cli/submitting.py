"""Queue a job from a file."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from qiosk.cli.inputs import Reading, problem_name, read_bytes, resolve_target
from qiosk.client.details import JobDetails
from qiosk.client.short_ids import may_be_short
from qiosk.client.solvers import Solver, format_of
from qiosk.client.workspace import Workspace
from qiosk.formats import columns
from qiosk.formats.files import job_input
from qiosk.solvers.targets.catalogue import target as target_of


def submit_file(
    file: str,
    target: str | None,
    params: Mapping[str, Any],
    *,
    name: str | None,
    tags: Sequence[str],
    session_id: str | None,
    opened: Callable[[], Workspace],
    reading: Reading,
) -> JobDetails:
    """Check a problem, then queue a job for it.

    Raises BadParameter, OSError, InvalidInput, InvalidJobDefinition.
    """
    chosen = resolve_target(target, params)
    # a mistake in the file is reported now, not by a job that fails later
    if reading.is_model:
        data, input_format = columns.write(reading.read(file)), columns.NAME
    else:
        data, input_format, *_ = job_input(file, read_bytes(file), reading.form)
    with opened() as workspace:
        if session_id is not None and may_be_short(session_id):
            session_id = workspace.get_session(session_id).id
        given = target_of(chosen).in_own_units(params)
        solver = Solver(workspace, chosen, params=given, input_data_format=input_format, **asdict(format_of(chosen)))
        return solver.submit(data, name=name or problem_name(file), tags=tags, session_id=session_id).details
