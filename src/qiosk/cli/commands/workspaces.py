"""Open the workspace that the options name, and the command ``qiosk workspaces list``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

from qiosk.cli import options
from qiosk.cli.output import print_json, reported
from qiosk.cli.table import Column, print_table
from qiosk.contract.workspaces import DEFAULT_KEY, parse_workspace

if TYPE_CHECKING:
    from qiosk.client.workspace import Workspace

_HINTED = 3

workspaces = typer.Typer(help="List the workspaces of this machine.", no_args_is_help=True, rich_markup_mode=None)


@workspaces.command("list")
def list_workspaces(home: options.Home = None, as_json: options.AsJson = False) -> None:
    """List the workspaces of a home that have jobs. Those of a server are not listed."""
    with reported():
        counts = _job_counts(home)
        if as_json:
            print_json([{"workspace": key, "jobs": jobs} for key, jobs in counts.items()])
        else:
            print_table((Column("WORKSPACE"), Column("JOBS")), [(key, str(jobs)) for key, jobs in counts.items()])


def open_workspace(home: Path | None, url: str | None, named: str | None = None) -> Workspace:
    """The workspace that the options ``--home``, ``--url`` and ``--workspace`` name. Raises InvalidValue."""
    from qiosk.client.workspace import Workspace

    if named is None:
        return Workspace(home=home, url=url)
    key = parse_workspace(named)
    subscription_id, group, name = [DEFAULT_KEY] * 3 if key == DEFAULT_KEY else key.split("/")
    return Workspace(subscription_id=subscription_id, resource_group=group, name=name, home=home, url=url)


def hint_at_others(workspace: Workspace, home: Path | None) -> None:
    """If a workspace of this machine has no jobs, and others have, print which on standard error."""
    if workspace.url is not None:
        return
    counts = dict(_job_counts(home))
    if counts.pop(workspace.key, 0) or not counts:
        return
    named = ", ".join(list(counts)[:_HINTED]) + (", …" if len(counts) > _HINTED else "")
    typer.echo(f"workspace {workspace.key} has no jobs; these have, and --workspace selects them: {named}", err=True)


def _job_counts(home: Path | None) -> dict[str, int]:
    from qiosk.bootstrap import open_administration

    with open_administration(home) as administration:
        return dict(administration.jobs_by_workspace())
