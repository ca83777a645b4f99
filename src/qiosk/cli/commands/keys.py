"""The commands under ``qiosk keys``."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qiosk.cli import options
from qiosk.cli.output import print_json, reported
from qiosk.cli.table import Column, print_table

if TYPE_CHECKING:
    from qiosk.service.accounts.keys import ApiKey

_COLUMNS = (
    Column("ID"),
    Column("NAME", rank=2, least=10),
    Column("WORKSPACE", rank=4, least=12),
    Column("ACCESS", rank=3, least=5),
    Column("CREATED", rank=6, least=16),
    Column("EXPIRES", rank=5, least=16),
    Column("STATE", rank=1, least=7),
)

keys = typer.Typer(help="Create, list and revoke API keys.", no_args_is_help=True, rich_markup_mode=None)

_WORKSPACE_HELP = "Workspace as SUBSCRIPTION/GROUP/NAME; the default one unless given."
_EXPIRES_HELP = "How long the key is valid: 12h, 90d; forever unless given."


@keys.command()
def create(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What the key is for.")],
    workspace: Annotated[str | None, typer.Option("--workspace", "-w", help=_WORKSPACE_HELP)] = None,
    admin: Annotated[bool, typer.Option("--admin", help="For all workspaces.")] = False,
    read_only: Annotated[bool, typer.Option("--read-only", help="The key allows reading only.")] = False,
    expires: Annotated[str | None, typer.Option("--expires", help=_EXPIRES_HELP)] = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Create a key and print it. It cannot be shown again: only its digest is stored.

    A server without keys needs none from its clients; with the first one it does.
    """
    if admin and workspace is not None:
        raise typer.BadParameter("must not be given together with --workspace", param_hint="--admin")
    with reported():
        from qiosk.bootstrap import open_administration
        from qiosk.contract.workspaces import parse_workspace
        from qiosk.settings import parse_duration

        valid_for = None if expires is None else parse_duration("--expires", expires)
        with open_administration(home) as administration:
            key, text = administration.keys.create(
                name,
                workspace=None if admin else parse_workspace(workspace or ""),
                is_read_only=read_only,
                expires_at=None if valid_for is None else datetime.now(UTC) + valid_for,
            )
        if as_json:
            print_json({**_members(key), "key": text})
        else:
            typer.echo(text)


@keys.command("list")
def list_keys(
    workspace: Annotated[str | None, typer.Option("--workspace", "-w", help="Only those of this workspace.")] = None,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """List keys, oldest first, expired and revoked ones included."""
    with reported():
        from qiosk.bootstrap import open_administration
        from qiosk.contract.workspaces import parse_workspace

        with open_administration(home) as administration:
            found = administration.keys.list(None if workspace is None else parse_workspace(workspace))
        if as_json:
            print_json([_members(key) for key in found])
        else:
            print_table(_COLUMNS, map(_row, found))


@keys.command()
def revoke(
    key_ids: Annotated[list[str], typer.Argument(metavar="ID...", help="Ids of the keys, as listed.")],
    home: options.Home = None,
) -> None:
    """Revoke keys, within seconds and forever."""
    with reported():
        from qiosk.bootstrap import open_administration

        with open_administration(home) as administration:
            for key_id in key_ids:
                typer.echo(administration.keys.revoke(key_id).id)


def _state(key: ApiKey) -> str:
    if key.revoked_at is not None:
        return "revoked"
    return "valid" if key.is_valid(datetime.now(UTC)) else "expired"


def _members(key: ApiKey) -> dict[str, Any]:
    times = {"createdAt": key.created_at, "expiresAt": key.expires_at, "revokedAt": key.revoked_at}
    return {
        "id": key.id,
        "name": key.name,
        "workspace": key.workspace,
        "isReadOnly": key.is_read_only,
        **{name: None if time is None else time.isoformat() for name, time in times.items()},
        "state": _state(key),
    }


def _row(key: ApiKey) -> tuple[str, ...]:
    return (
        key.id,
        key.name,
        "all" if key.workspace is None else key.workspace,
        "read" if key.is_read_only else "write",
        f"{key.created_at.astimezone():%Y-%m-%d %H:%M}",
        "never" if key.expires_at is None else f"{key.expires_at.astimezone():%Y-%m-%d %H:%M}",
        _state(key),
    )
