"""The commands under ``qiosk jobs``."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer
from msgspec import to_builtins

from qiosk.cli import options
from qiosk.cli.commands.workspaces import hint_at_others, open_workspace
from qiosk.cli.interrupt import Interrupt
from qiosk.cli.output import FAILED, counted, end_if_infeasible, print_json, print_solution, reported, to_json, when
from qiosk.cli.since import parse_since, parse_until
from qiosk.cli.table import Cell, Column, print_table, status_word
from qiosk.errors import InvalidValue, JobFailed

if TYPE_CHECKING:
    from qiosk.client.job import Job
    from qiosk.client.results import Results
    from qiosk.client.workspace import Workspace

_SINCE_HELP = "Created then or later: 90s, 1h, 2d, today, yesterday, 2026-11-01, or 2026-11-01T12:00, in local time."

_UNTIL_HELP = "Created then or earlier, as --since; a day includes its end."
_STATUS_HELP = "State, such as Executing; several may be given."
_TAG_HELP = "A tag of the jobs; if several are given, the jobs have all of them."
_TARGET_HELP = "Target of the jobs, or the middle part of its name: tabu."

_COLUMNS = (
    Column("ID"),
    Column("NAME", rank=2, least=10),
    Column("STATUS", rank=1, least=9),
    Column("TARGET", rank=5, least=10),
    Column("CREATED", rank=4, least=10),
    Column("BEST", rank=3, least=8),
)
jobs = typer.Typer(help="List, show, watch, cancel, extend, delete jobs.", no_args_is_help=True, rich_markup_mode=None)


@jobs.command("list")
def list_jobs(
    name: Annotated[str | None, typer.Option("--name", help=options.NAME_HELP)] = None,
    status: Annotated[list[str] | None, typer.Option("--status", help=_STATUS_HELP)] = None,
    since: Annotated[datetime | None, typer.Option(parser=parse_since, metavar="TIME", help=_SINCE_HELP)] = None,
    until: Annotated[datetime | None, typer.Option(parser=parse_until, metavar="TIME", help=_UNTIL_HELP)] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help=_TAG_HELP)] = None,
    session: Annotated[str | None, typer.Option("--session", metavar="ID", help="Session of the jobs.")] = None,
    parent: Annotated[str | None, typer.Option("--parent", metavar="ID", help="Job that the jobs extend.")] = None,
    target: Annotated[str | None, typer.Option("--target", help=_TARGET_HELP)] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Largest number of jobs to list.")] = 50,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """List jobs, newest first."""
    with reported(name_match=name, status=status), open_workspace(home, url, workspace_name) as workspace:
        found = workspace.list_jobs(
            name,
            status or None,
            since,
            created_before=until,
            target=target,
            session_id=None if session is None else workspace.get_session(session).id,
            parent_id=parent,
            tags=tags,
            limit=limit + 1,
        )
        print_jobs(first_of(found, limit, "job"), as_json=as_json)
        if not found:
            hint_at_others(workspace, home)


@jobs.command()
def show(
    job_id: options.JobId,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """Show every property of a job."""
    with reported(), open_workspace(home, url, workspace_name) as workspace:
        job = workspace.get_job(job_id)
        if as_json:
            print_json(job.details.as_dict())
        else:
            typer.echo(str(job.details))


@jobs.command()
def results(
    job_id: options.JobId,
    timeout: Annotated[float, typer.Option("--timeout", min=0, help="Longest wait for the end in seconds.")] = 300.0,
    output: options.Output = None,
    receipt: options.Receipt = None,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """Print the results of a job, as soon as it has ended."""
    with reported(), open_workspace(home, url, workspace_name) as workspace:
        job = workspace.get_job(job_id)
        found = job.get_results(timeout_secs=timeout)
        if as_json:
            print_json(found)
        else:
            print_solution(found)
        if output is not None:
            output.write_text(to_json(found) + "\n")
        if receipt is not None:
            proof = job.get_receipt()
            if proof is None:
                raise InvalidValue(f"receipt: there is none beside the results of job {job.id}")
            receipt.write_bytes(proof)
    end_if_infeasible(found)


@jobs.command()
def log(
    job_id: options.JobId,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """Print what was logged about a job: its attempts, the warnings of its process, and why it ended."""
    with reported(), open_workspace(home, url, workspace_name) as workspace:
        lines = workspace.get_job(job_id).logs()
        if as_json:
            print_json(to_builtins(lines))
        for line in () if as_json else lines:
            typer.echo(f"{line.time.astimezone():%Y-%m-%d %H:%M:%S.%f} {line.level} {line.text}")


@jobs.command()
def watch(
    job_id: options.JobId,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """Follow a job to its end, then print its results.

    Ctrl-C cancels the job and prints the best solution it has found; a second one exits at once.
    """
    with reported(), open_workspace(home, url, workspace_name) as workspace:
        job = workspace.get_job(job_id)
        with Interrupt(lambda: _cancel(workspace, job.id)):
            job.wait_until_completed()
        found, failure = _outcome(job)
        if as_json:
            print_json({"job": job.details.as_dict(), "results": found})
        elif found is not None:
            print_solution(found, {"status": status_word(job.details)})
        if failure is not None:
            raise failure
        if job.status != "Succeeded":
            raise typer.Exit(FAILED)
        end_if_infeasible(found or {})


@jobs.command()
def cancel(
    job_ids: options.JobIds,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """Stop jobs; the best solutions they have found are kept."""
    with reported(), open_workspace(home, url, workspace_name) as workspace:
        stopped = [workspace.cancel_job(job_id) for job_id in job_ids]
        if as_json:
            print_json([job.details.as_dict() for job in stopped])
        else:
            columns = Column("ID"), Column("STATUS")
            print_table(columns, [(job.id, status_word(job.details)) for job in stopped], colour="STATUS")


@jobs.command()
def extend(
    job_id: options.JobId,
    timeout: Annotated[float, typer.Option("--timeout", help="Seconds to search for, from now on.")],
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """Queue a job that goes on where one has ended because of a time limit or a cancellation, and print its id."""
    with reported(timeout=timeout), open_workspace(home, url, workspace_name) as workspace:
        again = workspace.get_job(job_id).extend(timeout)
        if as_json:
            print_json(again.details.as_dict())
        else:
            typer.echo(again.id)


@jobs.command()
def delete(
    job_ids: options.JobIds,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """Remove jobs and their data; those that still run are cancelled first."""
    with reported(), open_workspace(home, url, workspace_name) as workspace:
        deleted = []
        for job_id in job_ids:
            job = workspace.get_job(job_id)
            job.delete()
            deleted.append(job.id)
            if not as_json:
                typer.echo(job.id)
        if as_json:
            print_json({"deleted": deleted})


T = TypeVar("T")


def first_of(found: list[T], limit: int, what: str) -> list[T]:
    """The first ``limit`` of what was found; a message reports that there are more."""
    if len(found) > limit:
        verb = "matches" if limit == 1 else "match"
        typer.echo(f"more than {counted(limit, what)} {verb}: --limit shows more", err=True)
    return found[:limit]


def print_jobs(found: Sequence[Job], *, as_json: bool) -> None:
    """Print a table of jobs, or all their properties as JSON."""
    if as_json:
        print_json([job.details.as_dict() for job in found])
    else:
        from qiosk.client.short_ids import shortened

        rows = [_row(job, short) for job, short in zip(found, shortened(job.id for job in found), strict=True)]
        print_table(_COLUMNS, rows, colour="STATUS")


def _cancel(workspace: Workspace, job_id: str) -> None:
    """Ask a job to stop; an error is printed, and the command goes on."""
    with suppress(typer.Exit), reported():
        workspace.api.cancel(job_id)


def _outcome(job: Job) -> tuple[Results | None, JobFailed | None]:
    """The results of a job that has ended, or why there are none."""
    try:
        return job.get_results(), None
    except JobFailed as failure:
        return None, failure


def _row(job: Job, short_id: str) -> tuple[str | Cell, ...]:
    best = job.details.progress.best_cost
    return (
        Cell(job.id, short_id),
        job.details.name or "",
        status_word(job.details),
        target_cell(job.details.target),
        when(job.details.creation_time),
        "" if best is None else f"{best:.10g}",
    )


def target_cell(target: str) -> Cell:
    """A target for a table; in short without what most targets have in common."""
    return Cell(target, target.removeprefix("microsoft.").removesuffix(".cpu"))
