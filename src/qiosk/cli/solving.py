"""Solve a file in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import typer

from qiosk.cli.inputs import Reading, resolve_target
from qiosk.cli.interrupt import Interrupt
from qiosk.cli.output import reported
from qiosk.cli.submitting import submit_file
from qiosk.console.progress_bar import ProgressBar
from qiosk.contract.jobs import JobProgress

if TYPE_CHECKING:
    from qiosk.client.results import Results
    from qiosk.client.workspace import Workspace
    from qiosk.solvers.result import Result

REPORTED_COMPILE_S = 2.0
"""A longer time for loading kernels is reported."""


def solve_file(
    file: str,
    target: str | None,
    params: Mapping[str, Any],
    *,
    reading: Reading,
    threads: int | None = None,
    kernel: str | None = None,
) -> tuple[Result, bool]:
    """The result, and whether Ctrl-C cut the search short.

    Raises BadParameter, OSError and what :func:`qiosk.solve` raises.
    """
    chosen = resolve_target(target, params)
    problem = reading.read(file)

    # here: it loads the kernels, and errors of the command line come before
    from qiosk.solvers.solve import solve

    with Interrupt() as interrupt, ProgressBar(state="Executing") as bar:

        def follow(progress: JobProgress) -> bool:
            bar.update("Executing", progress)
            return not interrupt.asked

        result = solve(problem, chosen, progress=follow, threads=threads, kernel=kernel, **params)
    compiled = result.statistics["compile_seconds"]
    if compiled >= REPORTED_COMPILE_S:
        typer.echo(f"loading kernels took {compiled:.1f} s; they are compiled once and then kept", err=True)
    return result, interrupt.asked


def solve_on_server(
    file: str,
    target: str | None,
    params: Mapping[str, Any],
    *,
    name: str | None,
    tags: Sequence[str],
    opened: Callable[[], Workspace],
    reading: Reading,
) -> tuple[Results, bool]:
    """The results of a job for a file, and whether Ctrl-C cancelled it. Raises as ``submit_file``; JobFailed."""
    details = submit_file(file, target, params, name=name, tags=tags, session_id=None, opened=opened, reading=reading)
    with opened() as workspace:
        job = workspace.get_job(str(details.id))

        def cancel() -> None:
            with suppress(typer.Exit), reported():
                workspace.api.cancel(job.id)

        with Interrupt(cancel) as interrupt:
            job.wait_until_completed()
        return job.get_results(), interrupt.asked
