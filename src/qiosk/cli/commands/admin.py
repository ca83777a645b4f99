"""The commands under ``qiosk admin``."""

from __future__ import annotations

from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from qiosk.cli import options
from qiosk.cli.output import counted, print_json, reported
from qiosk.cli.table import Column, print_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from qiosk.contract.quotas import QuotaView

admin = typer.Typer(
    help="Back up and restore, remove old jobs and data, and limit workspaces.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_WORKSPACE_HELP = "Workspace as SUBSCRIPTION/GROUP/NAME, or default."
Workspace = Annotated[str, typer.Argument(metavar="WORKSPACE", help=_WORKSPACE_HELP)]


class Limit(StrEnum):
    """What can be limited."""

    JOB_HOURS = "job-hours"
    CONCURRENT_JOBS = "concurrent-jobs"
    QUEUED_JOBS = "queued-jobs"
    STORED_BYTES = "stored-bytes"
    RUN_SECONDS = "run-seconds"
    OPEN_SESSIONS = "open-sessions"


@admin.command()
def prune(
    older_than: Annotated[str, typer.Option("--older-than", help="Age from which things are removed: 12h, 30d.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count; remove nothing.")] = False,
    uploads: Annotated[bool, typer.Option("--uploads", help="Also uploads that no stored job refers to.")] = False,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Remove jobs that have ended, with their data, ended sessions, and data that no job refers to.

    May be used while a server runs. Data without a job are removed after a day, or from the given age if that is less.
    """
    with reported():
        from qiosk.bootstrap import open_administration
        from qiosk.settings import parse_duration

        age = parse_duration("--older-than", older_than)
        with open_administration(home) as administration:
            found = administration.prune(age, is_dry_run=dry_run, has_uploads=uploads)
        if as_json:
            print_json(asdict(found))
        else:
            verb = "would remove" if dry_run else "removed"
            typer.echo(
                f"{verb} {counted(found.jobs, 'job')}, {counted(found.sessions, 'session')},"
                f" {counted(found.blobs, 'blob')} ({found.size_bytes / 2**20:.1f} MiB),"
                f" {counted(found.unfinished, 'unfinished upload')}"
            )
        if found.has_no_jobs:
            typer.echo("the database contains no job at all: data without a job were not removed", err=True)


@admin.command()
def limit(
    workspace: Workspace,
    what: Annotated[Limit, typer.Argument(help="What is limited; hours are those of a calendar month.")],
    value: Annotated[str, typer.Argument(metavar="LIMIT", help="A number, 'unlimited', or 'default'.")],
    home: options.Home = None,
) -> None:
    """Set a workspace's own limit, set it to unlimited, or return to the default."""
    with reported():
        from qiosk.bootstrap import open_administration
        from qiosk.contract.quotas import Dimension
        from qiosk.contract.workspaces import parse_workspace
        from qiosk.service.accounts.quotas import parse_limit

        key, dimension = parse_workspace(workspace), Dimension[what.name]
        with open_administration(home) as administration:
            if value == "default":
                administration.limits.unset(key, dimension)
            else:
                administration.limits.set(key, dimension, parse_limit(dimension, value))
            _print([quota for quota in administration.quotas(key) if quota.dimension == dimension])


@admin.command()
def quotas(workspace: Workspace, home: options.Home = None, as_json: options.AsJson = False) -> None:
    """Show the limits and the usage of a workspace."""
    with reported():
        from msgspec.structs import asdict

        from qiosk.bootstrap import open_administration
        from qiosk.contract.workspaces import parse_workspace

        with open_administration(home) as administration:
            found = administration.quotas(parse_workspace(workspace))
        if as_json:
            print_json([asdict(quota) for quota in found])
        else:
            _print(found)


def _print(found: Sequence[QuotaView]) -> None:
    from qiosk.contract.quotas import UNLIMITED

    rows = [
        (
            quota.dimension,
            f"{quota.utilization:.10g}",
            f"{quota.holds:.10g}",
            "unlimited" if quota.limit >= UNLIMITED else f"{quota.limit:.15g}",
        )
        for quota in found
    ]
    print_table((Column("QUOTA"), Column("USED"), Column("HELD"), Column("LIMIT")), rows)
