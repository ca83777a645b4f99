"""The command ``qiosk rerun``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from msgspec import to_builtins

from qiosk.cli import options
from qiosk.cli.commands.workspaces import open_workspace
from qiosk.cli.output import FAILED, print_json, reported, to_json
from qiosk.errors import InvalidValue

if TYPE_CHECKING:
    from qiosk.cli.inputs import Reading
    from qiosk.formats.comparison import Comparison

DECIDED_BY_TIME = 4
"""Exit status if results differ and one of the runs depends on how fast the machine is."""
_BY_TIME = (
    "a time limit, a user, a target cost or a gap decided where a run ended, or how long its rounds were: its result"
    " depends on how fast the machine is, and need not be the same"
)

_OF_HELP = "Results, as 'qiosk solve -o' and 'qiosk jobs results -o' write them, or the id of a job that has ended."
_PROBLEM_HELP = "The problem of the results; by default the file that they name."


def rerun(
    of: Annotated[str, typer.Argument(metavar="RESULT|ID", help=_OF_HELP)],
    problem: Annotated[str | None, typer.Option("--problem", metavar="FILE", help=_PROBLEM_HELP)] = None,
    penalty: options.Penalty = None,
    grid: options.Grid = None,
    from_format: options.From = None,
    threads: Annotated[int | None, typer.Option("--threads", min=1, help="Threads, if not as many as before.")] = None,
    is_local: Annotated[bool, typer.Option("--local", help="Run a job again in this process.")] = False,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    output: options.Output = None,
    as_json: options.AsJson = False,
) -> None:
    """Do what a result was found by again, and tell whether it is the same.

    A job is run again as a new job of its workspace, whose metadata names it, or with --local in this process. Exits
    with 0 if the results are the same, with 1 if not, and with 4 if not and one of them depends on how fast the machine
    is: a time limit, a target cost or a gap has ended it, or a time limit has set the length of its rounds.
    """
    from qiosk.cli.inputs import Reading

    reading = Reading(from_format, penalty, grid)
    with reported():
        if Path(of).is_file():
            document, found = _of_file(Path(of), problem, reading, threads)
        elif problem is not None:
            raise typer.BadParameter(f"there is no file {of}, and a job has its own problem", param_hint="--problem")
        else:
            with open_workspace(home, url, workspace_name) as workspace:
                job = workspace.get_job(of)
                if is_local:
                    document, found = _here(job, job.get_results(), threads)
                else:
                    again = job.rerun()
                    again.wait_until_completed()
                    document, found = dict(again.get_results()), job.compare(again)
                    document["job"] = again.id
        if as_json:
            print_json(to_builtins(found) | {"is_same": found.is_same} | _job_of(document))
        else:
            _print(found, _job_of(document))
        if output is not None:
            output.write_text(to_json(document) + "\n")
    if not found.is_same:
        raise typer.Exit(DECIDED_BY_TIME if found.is_decided_by_time else FAILED)


def _of_file(path: Path, file: str | None, reading: Reading, threads: int | None) -> tuple[dict[str, Any], Comparison]:
    """The results of another run like that of a file of results, and the comparison. Raises as ``qiosk.rerun``."""
    from qiosk.cli.inputs import Reading
    from qiosk.client.results import read_results

    before = read_results(path.read_bytes())
    source = before.get("source")
    if file is None:
        if not isinstance(source, Mapping) or not isinstance(source.get("file"), str):
            raise InvalidValue(f"{path}: does not name the file of its problem; --problem does")
        file = source["file"]
        reading = Reading(**{name: source.get(name) for name in ("form", "penalty", "grid")})
        if not Path(file).exists() and (path.parent / file).exists():
            file = str(path.parent / file)
    return _here(reading.parse_any(file), before, threads)


def _here(problem: Any, before: Mapping[str, Any], threads: int | None) -> tuple[dict[str, Any], Comparison]:
    """A run in this process, with a progress bar; Ctrl-C ends it with the best so far."""
    from qiosk.cli.interrupt import Interrupt
    from qiosk.client.results import read_results
    from qiosk.console.progress_bar import ProgressBar
    from qiosk.contract.jobs import JobProgress
    from qiosk.modeling.rerun import rerun as run_again

    with Interrupt() as interrupt, ProgressBar(state="Executing") as bar:

        def follow(progress: JobProgress) -> bool:
            bar.update("Executing", progress)
            return not interrupt.asked

        again = run_again(problem, before, threads=threads, progress=follow)
    return dict(read_results(again.result.to_json().encode())), again.comparison


def _job_of(document: Mapping[str, Any]) -> dict[str, Any]:
    return {"job": document["job"]} if "job" in document else {}


def _print(found: Comparison, job: Mapping[str, Any]) -> None:
    lines = {
        **job,
        "same": "yes" if found.is_same else "no",
        "cost": _pair(found.cost_before, found.cost),
        "configuration": "the same" if found.is_same_configuration else "another one",
        "stop reason": _pair(found.stop_reason_before, found.stop_reason),
        **{name: _pair(*values) for name, values in found.differences.items()},
    }
    for name, value in lines.items():
        typer.echo(f"{name:<13}  {value}")
    if found.is_decided_by_time and not found.is_same:
        typer.echo(_BY_TIME)


def _pair(before: Any, now: Any) -> str:
    return str(now) if before == now else f"{now} (before: {before})"
