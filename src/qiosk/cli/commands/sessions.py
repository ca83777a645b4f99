"""The commands under ``qiosk sessions``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from qiosk.cli import options
from qiosk.cli.commands.jobs import first_of, print_jobs, target_cell
from qiosk.cli.commands.workspaces import open_workspace
from qiosk.cli.output import print_json, reported, when
from qiosk.cli.table import Cell, Column, print_table

if TYPE_CHECKING:
    from qiosk.client.session import Session

_COLUMNS = (
    Column("ID"),
    Column("NAME", rank=2, least=10),
    Column("STATUS", rank=1, least=9),
    Column("TARGET", rank=4, least=10),
    Column("CREATED", rank=3, least=10),
)

sessions = typer.Typer(
    help="Open, list, show and close sessions, which group jobs.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_TARGET_HELP = "Target of the session; its jobs may be sent to other targets, too; qiosk.auto unless given."
_CONTINUE_HELP = "Take more jobs after one has failed; otherwise the first failure ends the session."


@sessions.command("open")
def open_session(
    name: Annotated[str, typer.Argument(help="Name of the session; not unique.")],
    target: Annotated[str | None, typer.Option("--target", help=_TARGET_HELP)] = None,
    keep_going: Annotated[bool, typer.Option("--continue", help=_CONTINUE_HELP)] = False,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """Open a session, and print its id, which 'qiosk submit --session' takes."""
    from qiosk.client.session import Session
    from qiosk.solvers.targets.catalogue import DEFAULT_TARGET

    with reported(), open_workspace(home, url, workspace_name) as workspace:
        policy = "Continue" if keep_going else "Abort"
        session = Session(workspace, target=target or DEFAULT_TARGET, name=name, job_failure_policy=policy).open()
        if as_json:
            print_json(session.details.as_dict())
        else:
            typer.echo(session.id)


@sessions.command("list")
def list_sessions(
    name: Annotated[str | None, typer.Option("--name", help=options.NAME_HELP)] = None,
    status: Annotated[str | None, typer.Option("--status", help="State, such as Executing.")] = None,
    limit: Annotated[int, typer.Option("--limit", min=1, help="Largest number of sessions to list.")] = 50,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """List sessions, newest first."""
    with reported(name_match=name, status=status), open_workspace(home, url, workspace_name) as workspace:
        found = workspace.list_sessions(name, status, limit=limit + 1)
        found = first_of(found, limit, "session")
        if as_json:
            print_json([session.details.as_dict() for session in found])
        else:
            from qiosk.client.short_ids import shortened

            short_ids = shortened(session.id for session in found)
            print_table(_COLUMNS, [_row(*each) for each in zip(found, short_ids, strict=True)], colour="STATUS")


@sessions.command()
def show(
    session_id: options.SessionId,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """Show every property of a session."""
    with reported(), open_workspace(home, url, workspace_name) as workspace:
        _print(workspace.get_session(session_id), as_json=as_json)


@sessions.command()
def jobs(
    session_id: options.SessionId,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """List the jobs of a session, newest first."""
    with reported(), open_workspace(home, url, workspace_name) as workspace:
        found = workspace.list_session_jobs(session_id)
        print_jobs(found, as_json=as_json)


@sessions.command()
def close(
    session_id: options.SessionId,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """Close a session: it takes no more jobs, and those it has continue."""
    with reported(), open_workspace(home, url, workspace_name) as workspace:
        _print(workspace.get_session(session_id).close(), as_json=as_json)


def _print(session: Session, *, as_json: bool) -> None:
    if as_json:
        print_json(session.details.as_dict())
    else:
        typer.echo(str(session.details))


def _row(session: Session, short_id: str) -> tuple[str | Cell, ...]:
    details = session.details
    target, created = target_cell(details.target), when(details.creation_time)
    return (Cell(session.id, short_id), session.name, str(session.status), target, created)
