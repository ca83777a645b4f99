"""Open the workspace that the options name, and the command ``qiosk workspaces list``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from qiosk.cli import options
from qiosk.cli.output import print_json, reported
from qiosk.cli.table import Column, print_table
from qiosk.contract.workspaces import DEFAULT_KEY, parse_workspace
from qiosk.errors import QioskError

if TYPE_CHECKING:
    from qiosk.client.workspace import Workspace

_HINTED = 3

workspaces = typer.Typer(help="List workspaces.", no_args_is_help=True, rich_markup_mode=None)


@workspaces.command("list")
def list_workspaces(home: options.Home = None, url: options.Url = None, as_json: options.AsJson = False) -> None:
    """List the workspaces that have jobs. On a server: those that the key may read."""
    with reported():
        counts = _job_counts(home, url)
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
    """If a workspace has no jobs, and others that the caller may read have, print which on standard error."""
    try:
        counts = {key: jobs for key, jobs in _job_counts(home, workspace.url).items() if jobs}
    except QioskError:
        return  # a server of an earlier release: without the hint, the list is still right
    if workspace.key in counts or not counts:
        return
    named = ", ".join(list(counts)[:_HINTED]) + (", …" if len(counts) > _HINTED else "")
    typer.echo(f"workspace {workspace.key} has no jobs; these have, and --workspace selects them: {named}", err=True)


def _job_counts(home: Path | None, url: str | None) -> Mapping[str, int]:
    from qiosk.client.remote.connection import connection

    server = connection(url, None, None, None, None, is_local=home is not None)
    if server is not None:
        from qiosk.client.remote.workspaces import job_counts

        return job_counts(server)
    from qiosk.bootstrap import open_administration

    with open_administration(home) as administration:
        return administration.jobs_by_workspace()
