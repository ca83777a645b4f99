"""Solve a file in this process."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import typer

from qiosk.cli.inputs import Reading, read_bytes, resolve_target
from qiosk.cli.interrupt import Interrupt
from qiosk.cli.output import reported
from qiosk.cli.submitting import submit_file
from qiosk.console.progress_bar import ProgressBar
from qiosk.contract.jobs import JobProgress
from qiosk.errors import InvalidValue
from qiosk.formats.quoted import quoted_objective, quoted_values
from qiosk.model.cost_function import CostFunction

if TYPE_CHECKING:
    from qiosk.bounds import Bound
    from qiosk.client.results import Results
    from qiosk.client.workspace import Workspace

RECEIPT_S = 10.0
"""Time to look for a bound that has a receipt, where that of the search has none; at least."""
REPORTED_COMPILE_S = 2.0
"""A longer time for loading kernels is reported."""


@dataclass(frozen=True)
class Found:
    """What a search has found: the results document and what was measured."""

    results: Results
    statistics: Mapping[str, Any]
    was_interrupted: bool  # by Ctrl-C
    quoted: Mapping[str, Any] = field(default_factory=dict)  # of a benchmark file, see ``quoted_values``
    bound: Bound | None = None  # of a search in this process
    problem: CostFunction | None = None  # that such a search began with
    job_receipt: bytes | None = None  # of a job

    def receipt(self) -> bytes:
        """What proves the lower bound of the results, or one that is as good, of the problem in the file.

        A search in rounds may have changed the weights of constraints: then its bound is not that of the problem in the
        file. Raises InvalidValue where no bound that has a receipt is as good.
        """
        from qiosk.solvers.receipts import is_as_good, other_bound

        own = self.bound
        if own is not None and own.has_receipt and "model" not in self.results:
            return own.receipt()
        if self.problem is None:
            if self.job_receipt is None:
                raise InvalidValue("receipt: there is none beside the results of the job")
            return self.job_receipt
        other = other_bound(self.problem, own, RECEIPT_S if own is None else max(RECEIPT_S, own.seconds))
        if own is not None and not is_as_good(other, own, self.problem):
            raise InvalidValue(
                f"receipt: there is none for the bound {own.value!r} by {own.method}; {other.method}, which has one, "
                f"proves {other.value!r} for the problem in the file"
            )
        return other.receipt()

    @property
    def document(self) -> dict[str, Any]:
        """The results, and what is quoted of a benchmark."""
        return dict(self.results) | dict(self.quoted)


def solve_file(
    file: str,
    target: str | None,
    params: Mapping[str, Any],
    *,
    reading: Reading,
    threads: int | None = None,
    kernel: str | None = None,
) -> Found:
    """Solve a problem here; in rounds, as ``Model.solve`` does, if it has a model.

    Raises BadParameter, OSError and what :func:`qiosk.solve` raises.
    """
    chosen = resolve_target(target, params)
    data = read_bytes(file)
    problem = reading.parse_model(file, data) if reading.is_model else reading.parse(file, data)

    # here: they load the kernels, and errors of the command line come before
    from qiosk.client.results import read_results
    from qiosk.modeling.jobs import model_of
    from qiosk.solvers.solve import solve

    model = model_of(problem) if isinstance(problem, CostFunction) else problem
    with Interrupt() as interrupt, ProgressBar(state="Executing") as bar:

        def follow(progress: JobProgress) -> bool:
            bar.update("Executing", progress)
            return not interrupt.asked

        given: dict[str, Any] = {"progress": follow, "threads": threads, "kernel": kernel, **params}
        answer = None if model is None else model.solve(chosen, **given)
        result = solve(problem, chosen, **given) if answer is None else answer.result
    compiled = result.statistics["compile_seconds"]
    if compiled >= REPORTED_COMPILE_S:
        typer.echo(f"loading kernels took {compiled:.1f} s; they are compiled once and then kept", err=True)
    if isinstance(problem, CostFunction):
        quoted = quoted_values(file, data, reading.form, problem, result.cost)
    elif answer is not None and answer.is_feasible:
        quoted = quoted_objective(file, data, reading.form, answer.objective)
    else:
        quoted = {}
    results = read_results(result.to_json().encode())
    start = problem if isinstance(problem, CostFunction) else problem.problem().cost_function()
    return Found(results, result.statistics, interrupt.asked, quoted, result.lower_bound, start)


def solve_on_server(
    file: str,
    target: str | None,
    params: Mapping[str, Any],
    *,
    name: str | None,
    tags: Sequence[str],
    opened: Callable[[], Workspace],
    reading: Reading,
    with_receipt: bool,
) -> Found:
    """Solve a problem by a job; Ctrl-C cancels it. Raises as ``submit_file``; JobFailed."""
    details = submit_file(file, target, params, name=name, tags=tags, session_id=None, opened=opened, reading=reading)
    with opened() as workspace:
        job = workspace.get_job(str(details.id))

        def cancel() -> None:
            with suppress(typer.Exit), reported():
                workspace.api.cancel(job.id)

        with Interrupt(cancel) as interrupt:
            job.wait_until_completed()
        found = job.get_results()
        proof = job.get_receipt() if with_receipt else None
        if reading.is_model:
            answer = job.decode()
            is_quoted = file != "-" and answer.is_feasible
            known = quoted_objective(file, read_bytes(file), reading.form, answer.objective) if is_quoted else {}
            return Found(found, {}, interrupt.asked, known, job_receipt=proof)
    quoted: Mapping[str, Any] = {}
    if file != "-":  # which cannot be read again
        data = read_bytes(file)
        quoted = quoted_values(file, data, reading.form, reading.parse(file, data), found.cost)
    return Found(found, {}, interrupt.asked, quoted, job_receipt=proof)
