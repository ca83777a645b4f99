"""Solve a file in this process."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import typer

from qiosk.cli.inputs import read_bytes, read_penalized, resolve_target
from qiosk.cli.interrupt import Interrupt
from qiosk.client.progress_bar import ProgressBar
from qiosk.contract.jobs import JobProgress
from qiosk.formats.files import read_file

if TYPE_CHECKING:
    from qiosk.solvers.result import Result

REPORTED_COMPILE_S = 2.0
"""A longer time for loading kernels is reported."""


def solve_file(
    file: str, target: str | None, params: Mapping[str, Any], *, penalty: str | None = None
) -> tuple[Result, bool]:
    """The result, and whether Ctrl-C cut the search short.

    With a ``penalty``, of :func:`read_penalized`, the file may have constraints. Raises BadParameter, OSError and what
    :func:`qiosk.solve` raises.
    """
    chosen = resolve_target(target, params)
    problem = read_file(file, read_bytes(file)) if penalty is None else read_penalized(file, penalty)

    # here: it loads the kernels, and errors of the command line come before
    from qiosk.solvers.solve import solve

    with Interrupt() as interrupt, ProgressBar() as bar:

        def follow(progress: JobProgress) -> bool:
            bar.update("Executing", progress)
            return not interrupt.asked

        result = solve(problem, chosen, progress=follow, **params)
    compiled = result.statistics["compile_seconds"]
    if compiled >= REPORTED_COMPILE_S:
        typer.echo(f"loading kernels took {compiled:.1f} s; they are compiled once and then kept", err=True)
    return result, interrupt.asked
