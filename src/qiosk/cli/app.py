"""The commands at the top. Bodies import what they need, so that ``--help`` stays quick."""

from __future__ import annotations

from typing import Annotated

import typer

from qiosk.cli import options
from qiosk.cli.jobs import jobs
from qiosk.cli.output import FAILED, print_json, print_solution, print_table, reported

_FOREGROUND_IDLE_S = "999999999"

app = typer.Typer(
    name="qiosk",
    help="Quantum-inspired optimization: solve problems here and now, or as jobs.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    add_completion=False,
)
app.add_typer(jobs, name="jobs")


def _version(asked: bool) -> None:
    if asked:
        from qiosk import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Quantum-inspired optimization: solve problems here and now, or as jobs."""


@app.command()
def solve(
    file: options.File,
    target: options.TargetName = None,
    timeout: options.Timeout = None,
    seed: options.Seed = None,
    param: options.Params = None,
    output: options.Output = None,
    as_json: options.AsJson = False,
) -> None:
    """Solve a problem in this process. Ctrl-C stops and prints the best so far; a second one aborts."""
    from qiosk.cli.inputs import parse_params
    from qiosk.cli.solving import solve_file
    from qiosk.client.results import read_results

    params = parse_params(param, timeout=timeout, seed=seed)
    with reported():
        result, was_interrupted = solve_file(file, target, params)
        document = result.to_json()
        if as_json:
            typer.echo(document)
        else:
            print_solution(read_results(document.encode()), result.statistics)
        if output is not None:
            output.write_text(document + "\n")
    if was_interrupted:
        raise typer.Exit(FAILED)


@app.command()
def submit(
    file: options.File,
    target: options.TargetName = None,
    timeout: options.Timeout = None,
    seed: options.Seed = None,
    param: options.Params = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the job; the file's unless given.")] = None,
    tag: Annotated[list[str] | None, typer.Option("--tag", help="A tag to keep with the job.")] = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Queue a job that solves a problem, and print its id. The job runs on after this command has ended."""
    from qiosk.cli.inputs import parse_params
    from qiosk.cli.submitting import submit_file

    params = parse_params(param, timeout=timeout, seed=seed)
    with reported():
        details = submit_file(file, target, params, name=name, tags=tag or (), home=home)
        if as_json:
            print_json(details.as_dict())
        else:
            typer.echo(details.id)


@app.command()
def targets(home: options.Home = None, as_json: options.AsJson = False) -> None:
    """List the solvers that jobs can be sent to."""
    from qiosk.client.details import wire_members
    from qiosk.client.workspace import Workspace

    with reported(), Workspace(home=home) as workspace:
        views = workspace.target_views()
        if as_json:
            print_json([wire_members(view) for view in views])
        else:
            rows = [(v.id, v.provider_id, v.current_availability, f"{v.average_queue_time} s") for v in views]
            print_table(("TARGET", "PROVIDER", "AVAILABILITY", "QUEUE"), rows)


@app.command()
def demo(home: options.Home = None) -> None:
    """Solve the ship-loading problem and a published max-cut instance as jobs, and list them."""
    from qiosk.cli.demo import run

    with reported():
        run(home)


@app.command()
def supervise(home: options.Home = None) -> None:
    """Run this home's jobs in the foreground until Ctrl-C; jobs that still run then are started again later.

    Only needed to watch: a supervisor starts by itself in the background when there is work. It ends at once if
    there is one already. Unlike that one it does not leave when idle, unless QIOSK_IDLE_SECONDS is set.
    """
    import os

    from qiosk.adapters.supervisor import main
    from qiosk.settings import read_settings

    os.environ.setdefault("QIOSK_IDLE_SECONDS", _FOREGROUND_IDLE_S)
    with reported():
        read_settings(os.environ)  # said in one line here, in the supervisor it would be a log entry
    raise typer.Exit(main([] if home is None else ["--home", str(home)]))
