"""The top-level commands. Their bodies import what they need, so that ``--help`` stays fast."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qiosk.cli import options
from qiosk.cli.commands.admin import admin
from qiosk.cli.commands.backups import backup, restore
from qiosk.cli.commands.dashboard import dashboard
from qiosk.cli.commands.db import db
from qiosk.cli.commands.jobs import jobs
from qiosk.cli.commands.keys import keys
from qiosk.cli.commands.rerun import rerun
from qiosk.cli.commands.serve import serve
from qiosk.cli.commands.sessions import sessions
from qiosk.cli.commands.study import study
from qiosk.cli.commands.top import top
from qiosk.cli.commands.verify import verify
from qiosk.cli.commands.workspaces import open_workspace, workspaces
from qiosk.cli.output import FAILED, INFEASIBLE, print_json, print_solution, reported, to_json
from qiosk.cli.table import Column, print_table

if TYPE_CHECKING:
    from qiosk.cli.solving import Found
    from qiosk.client.details import JobDetails

_FOREGROUND_IDLE_S = "999999999"

app = typer.Typer(
    name="qiosk",
    help="Quantum-inspired optimization: solve problems in this process, or as jobs.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(jobs, name="jobs")
app.add_typer(sessions, name="sessions")
app.add_typer(study, name="study")
app.add_typer(workspaces, name="workspaces")
app.add_typer(keys, name="keys")
app.add_typer(admin, name="admin")
admin.command()(backup)
admin.command()(restore)
app.add_typer(db, name="db")
app.command()(serve)
app.command()(top)
app.command()(dashboard)
app.command()(rerun)
app.command()(verify)


def _version(asked: bool) -> None:
    if asked:
        from qiosk.version import __version__

        typer.echo(__version__)
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Quantum-inspired optimization: solve problems in this process, or as jobs."""


@app.command()
def solve(
    files: options.Files,
    target: options.TargetName = None,
    timeout: options.Timeout = None,
    seed: options.Seed = None,
    target_cost: options.TargetCost = None,
    gap: options.Gap = None,
    bound: options.Bound = None,
    param: options.Params = None,
    penalty: options.Penalty = None,
    grid: options.Grid = None,
    from_format: options.From = None,
    threads: Annotated[
        int | None, typer.Option("--threads", help="Threads to sweep in; all cores unless given.")
    ] = None,
    kernel: Annotated[str | None, typer.Option("--kernel", help="Sweep kernel, instead of the planned one.")] = None,
    receipt: options.Receipt = None,
    label: options.Label = None,
    tag: options.Tags = None,
    url: Annotated[str | None, typer.Option("--url", help="URL of a server that solves it, as a job.")] = None,
    workspace_name: options.Workspace = None,
    output: options.Output = None,
    as_json: options.AsJson = False,
) -> None:
    """Solve problems in this process, or with --url on a server. Ctrl-C stops and prints the best solution so far; a
    second one aborts.
    """
    from qiosk.cli.inputs import Reading, parse_params
    from qiosk.cli.many import EachFile
    from qiosk.cli.solving import solve_file, solve_on_server

    params = parse_params(param, timeout=timeout, seed=seed, target_cost=target_cost, gap=gap, bound=bound)
    reading = Reading(from_format, penalty, grid)
    for option, value in (("--threads", threads), ("--kernel", kernel)):
        if url is not None and value is not None:
            raise typer.BadParameter("must not be given together with --url: the server decides", param_hint=option)
    if url is None and workspace_name is not None:
        raise typer.BadParameter("needs --url; use 'qiosk submit' for a job of this machine", param_hint="--workspace")
    given = {"timeout": timeout, "seed": seed, "target_cost": target_cost, "gap": gap, "bound": bound}
    given |= {"threads": threads, "kernel": kernel}
    labels = {name: value for name, value in (("label", label), ("tags", tag)) if value}
    many = EachFile(files)
    many.refuse_if_several(output=output, receipt=receipt)

    def solved(file: str) -> tuple[dict[str, Any], Found]:
        if url is None:
            found = solve_file(file, target, params, reading=reading, threads=threads, kernel=kernel)
        else:
            opened = partial(open_workspace, None, url, workspace_name)
            found = solve_on_server(
                file,
                target,
                params,
                name=label,
                tags=tag or (),
                opened=opened,
                reading=reading,
                with_receipt=receipt is not None,
            )
        document = found.document | labels
        if file != "-" and (url is None or many.are_several):
            document["source"] = reading.source(file)
        if not as_json:
            print_solution(document, {**found.quoted, **found.statistics, **labels}, file if many.are_several else None)
        elif not many.are_several:
            print_json(document)
        if output is not None:
            output.write_text(to_json(document) + "\n")
        if receipt is not None:
            receipt.write_bytes(found.receipt())
        return document, found

    documents = []
    for document, found in many.each(solved, **given):
        documents.append(document)
        many.end_with(FAILED if found.was_interrupted else INFEASIBLE if document.get("violated") else 0)
        if found.was_interrupted:
            break
    if as_json and many.are_several:
        print_json(documents)
    many.end()


@app.command()
def submit(
    files: options.Files,
    target: options.TargetName = None,
    timeout: options.Timeout = None,
    seed: options.Seed = None,
    target_cost: options.TargetCost = None,
    gap: options.Gap = None,
    bound: options.Bound = None,
    param: options.Params = None,
    penalty: options.Penalty = None,
    grid: options.Grid = None,
    from_format: options.From = None,
    name: options.Label = None,
    tag: options.Tags = None,
    session: Annotated[str | None, typer.Option("--session", help="Id of the session it joins.")] = None,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """Queue a job for each problem, and print their ids. The jobs run on after this command has ended."""
    from qiosk.cli.inputs import Reading, parse_params
    from qiosk.cli.many import EachFile
    from qiosk.cli.submitting import submit_file

    params = parse_params(param, timeout=timeout, seed=seed, target_cost=target_cost, gap=gap, bound=bound)
    given = {"timeout": timeout, "seed": seed, "target_cost": target_cost, "gap": gap, "bound": bound}
    many = EachFile(files)

    def submitted(file: str) -> JobDetails:
        return submit_file(
            file,
            target,
            params,
            name=name,
            tags=tag or (),
            session_id=session,
            opened=lambda: open_workspace(home, url, workspace_name),
            reading=Reading(from_format, penalty, grid),
        )

    documents = []
    for details in many.each(submitted, **given):
        documents.append(details.as_dict())
        if not as_json:
            typer.echo(details.id)
    if as_json:
        print_json(documents if many.are_several else documents[0])
    many.end()


@app.command()
def convert(
    source: Annotated[
        str, typer.Argument(metavar="A", help="File to read, plain, gzip, zstd or xz; - is standard input.")
    ],
    destination: Annotated[str, typer.Argument(metavar="B", help="File to write; - is standard output.")],
    from_format: options.From = None,
    to_format: Annotated[str | None, typer.Option("--to", help="Format of B; by default chosen by its name.")] = None,
    instance: Annotated[int | None, typer.Option("--instance", help="Which problem of an OR-Library file.")] = None,
    renumber: Annotated[bool, typer.Option("--renumber", help="Renumber the variables 0, 1, …")] = False,
    drop_constant: Annotated[bool, typer.Option("--drop-constant", help="Leave out the constant.")] = False,
    penalty: options.Penalty = None,
    grid: options.Grid = None,
) -> None:
    """Convert a problem from one file format to another.

    Formats: qio (.json), rudy (.rud, .mc, Gset), biqmac (.sparse, .qs), orlib (.bqp), qubo, coo, qplib, wcnf (.cnf),
    lp and mps. Costs stay the same, with x = (1 + s) / 2 between bits and spins; objectives to be maximized change
    their signs.
    """
    from qiosk.cli.commands.convert import convert_file
    from qiosk.cli.inputs import Reading

    with reported():
        convert_file(
            source,
            destination,
            reading=Reading(from_format, penalty, grid),
            to_format=to_format,
            instance=instance,
            renumber=renumber,
            drop_constant=drop_constant,
        )


@app.command()
def targets(
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """List the solvers that jobs can be sent to."""
    from msgspec import to_builtins

    with reported(), open_workspace(home, url, workspace_name) as workspace:
        views = workspace.target_views()
        if as_json:
            print_json(to_builtins(views))
        else:
            rows = [(v.id, v.provider_id, v.current_availability, f"{v.average_queue_time} s") for v in views]
            others = (
                Column("PROVIDER", rank=3, least=6),
                Column("AVAILABILITY", rank=1, least=9),
                Column("QUEUE", rank=2),
            )
            print_table((Column("TARGET"), *others), rows)


@app.command()
def demo(home: options.Home = None) -> None:
    """Solve the ship-loading problem and a published max-cut instance as jobs, and list them."""
    from qiosk.cli.commands.demo import run

    with reported():
        run(home)


@app.command()
def supervise(home: options.Home = None) -> None:
    """Run this home's jobs in the foreground until Ctrl-C, which suspends running jobs: they wait again.

    Only needed to watch: submitting a job starts a supervisor in the background. If one is running already, this
    command ends at once. Unlike that one it does not exit when idle, unless QIOSK_IDLE_SECONDS is set.
    """
    import os

    from qiosk.settings import read_settings
    from qiosk.supervisor.__main__ import main

    os.environ.setdefault("QIOSK_IDLE_SECONDS", _FOREGROUND_IDLE_S)
    with reported():
        read_settings(os.environ)  # errors are one line here; the supervisor would log them
    raise typer.Exit(main([] if home is None else ["--home", str(home)]))
