"""The commands under ``qiosk study``."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qiosk.cli import options
from qiosk.cli.commands.workspaces import open_workspace
from qiosk.cli.output import FAILED, check_writable, counted, print_json, reported
from qiosk.cli.table import Column, print_table

if TYPE_CHECKING:
    from qiosk.client.workspace import Workspace
    from qiosk.studies.rows import Row
    from qiosk.studies.running import Counts
    from qiosk.studies.study import Study

_COLUMNS = (
    Column("INSTANCE", rank=1, least=8),
    Column("SOLVER", rank=2, least=10),
    Column("SEED", rank=6),
    Column("STATUS", rank=3, least=9),
    Column("COST"),
    Column("GAP", rank=7),
    Column("TO BEST KNOWN", rank=5),
    Column("TIME TO BEST", rank=8),
    Column("TIME TO TARGET", rank=4),
)

study = typer.Typer(
    help="Run many instances, solvers, parameters and seeds as jobs, and compare them.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

File = Annotated[Path, typer.Argument(metavar="FILE", help="Settings of the study, in TOML.")]
_RETRY_HELP = "Delete the jobs that have failed or were cancelled, and run them again."
_KIND_HELP = "performance-profile, time-to-target or ranks."


@study.command()
def run(
    file: File,
    retry: Annotated[bool, typer.Option("--retry", help=_RETRY_HELP)] = False,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """Submit the jobs of a study that do not exist yet, wait for all of them, and print how many are in each state.

    After Ctrl-C the submitted jobs continue; the same command goes on. Exits with 1 if a job has no result.
    """
    with reported(), open_workspace(home, url, workspace_name) as workspace:
        opened = _open(workspace, file)
        try:
            opened.run(retry=retry)
        except KeyboardInterrupt:
            goes_on, stops = (f"'qiosk study {verb} {file}'" for verb in ("run", "cancel"))
            typer.echo(f"the submitted jobs continue: {goes_on} goes on, {stops} stops them", err=True)
            raise
        counts = opened.counts()
        _report_errors(opened)
        _print_counts(opened, counts, as_json=as_json)
    if any(number for (_, state), number in counts.items() if state != "Succeeded"):
        raise typer.Exit(FAILED)


@study.command()
def show(
    file: File,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """Print how many jobs of a study are in each state."""
    with reported(), open_workspace(home, url, workspace_name) as workspace:
        opened = _open(workspace, file)
        _print_counts(opened, opened.counts(), as_json=as_json)


@study.command()
def table(
    file: File,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", callback=check_writable, help="Write the table to this .csv or .parquet file."),
    ] = None,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """Print a row for each job of a study, or write them with all columns."""
    from qiosk.studies.tables import json_records, write_table

    with reported(), open_workspace(home, url, workspace_name) as workspace:
        rows = _open(workspace, file).rows()
        if output is not None:
            write_table(output, rows)
        if as_json:
            print_json(json_records(rows))
        elif output is None:
            print_table(_COLUMNS, map(_cells, rows), colour="STATUS")


@study.command()
def plot(
    file: File,
    kind: Annotated[str, typer.Option("--kind", "-k", help=_KIND_HELP)] = "performance-profile",
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", callback=check_writable, help="File of the picture, such as study.png."),
    ] = None,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
) -> None:
    """Draw a comparison of the solvers of a study to a file, which is named after the study and the plot by default."""
    from qiosk.studies.plots import save

    with reported(), open_workspace(home, url, workspace_name) as workspace:
        opened = _open(workspace, file)
        path = output or Path(f"{opened.name}-{kind}.png")
        save(kind, opened.rows(), path)
        typer.echo(str(path))


@study.command()
def cancel(
    file: File,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """Cancel the jobs of a study that have not ended; the best solutions they have found are kept."""
    with reported(), open_workspace(home, url, workspace_name) as workspace:
        number = _open(workspace, file).cancel()
        if as_json:
            print_json({"cancelled": number})
        else:
            typer.echo(f"{counted(number, 'job')} cancelled")


def _open(workspace: Workspace, file: Path) -> Study:
    from qiosk.studies.study import Study

    return Study.from_file(workspace, file)


def _report_errors(opened: Study) -> None:
    """A line on standard error for each instance that cannot be read, and each kind of failure of its jobs."""
    found = Counter((row.instance, row.error) for row in opened.rows() if row.error is not None)
    for (instance, error), number in found.items():
        typer.echo(f"{instance}: {counted(number, 'job')}: {error}", err=True)


def _print_counts(opened: Study, counts: Counts, *, as_json: bool) -> None:
    from qiosk.studies.progress import count_rows, shown_states, title

    if as_json:
        solvers: dict[str, dict[str, int]] = {}
        for (solver, state), number in counts.items():
            solvers.setdefault(solver, {})[state] = number
        print_json({"name": opened.name, "jobs": sum(counts.values()), "solvers": solvers})
        return
    print_table([Column("SOLVER"), *(Column(title(state)) for state in shown_states(counts))], count_rows(counts))


def _cells(row: Row) -> tuple[str, ...]:
    return (
        row.instance,
        row.solver,
        str(row.seed),
        row.status,
        _number(row.cost if row.objective is None else row.objective, ".10g"),
        _number(row.gap, ".2%"),
        _number(row.best_known_gap, ".2%"),
        _number(row.time_to_best, ".3g"),
        _number(row.time_to_target, ".3g"),
    )


def _number(value: Any, form: str) -> str:
    return "" if value is None else format(value, form)
