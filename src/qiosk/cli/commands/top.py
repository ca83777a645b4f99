"""``qiosk top``."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Annotated

import typer

from qiosk.cli import options
from qiosk.cli.commands.workspaces import hint_at_others, open_workspace
from qiosk.cli.output import print_json, reported
from qiosk.cli.table import Cell, print_table

if TYPE_CHECKING:
    from qiosk.cli.top.rows import Snapshot

_INTERVAL_HELP = "Seconds between two readings of the jobs."
_ALL_HELP = "Also the newest jobs that had ended before."


def top(
    interval: Annotated[float, typer.Option("--interval", min=0.25, max=3600, help=_INTERVAL_HELP)] = 1.0,
    show_all: Annotated[bool, typer.Option("--all", "-a", help=_ALL_HELP)] = False,
    home: options.Home = None,
    url: options.Url = None,
    workspace_name: options.Workspace = None,
    as_json: options.AsJson = False,
) -> None:
    """Show the jobs that run or wait in a live table, until q or Ctrl-C.

    Keys: arrows or j and k select a job, Enter shows its details and log, c cancels it, s changes the order. Without a
    terminal, and with --json, the jobs are printed once.
    """
    import os
    import sys

    from qiosk.cli.top.feed import Feed
    from qiosk.console.status_line import is_terminal

    with reported(), open_workspace(home, url, workspace_name) as workspace:
        feed = Feed(workspace.api, has_recent=show_all)
        found = feed.read()
        is_dumb = os.environ.get("TERM", "").lower() in ("dumb", "unknown")
        if as_json or is_dumb or not (is_terminal(sys.stdout) and is_terminal(sys.stdin)):
            _print(found, as_json=as_json)
            if not found.views and not as_json:
                hint_at_others(workspace, home)
            return
        from qiosk.cli.top.live import run

        where = f"workspace {workspace.key} of {workspace.url or home or 'this machine'}"
        screen = sys.stdout.fileno()
        for message in run(feed, found, where, interval_s=interval, keys=sys.stdin.fileno(), screen=screen):
            with suppress(OSError):  # the terminal is closed
                typer.echo(message, err=True)


def _print(found: Snapshot, *, as_json: bool) -> None:
    """The table without its last column, which is a picture; or all properties of its jobs."""
    from datetime import UTC, datetime

    from qiosk.cli.top.rows import Order, rows_of
    from qiosk.cli.top.view import COLUMNS, plain_cells
    from qiosk.client.details import JobDetails

    rows = rows_of(found, Order.STATE, datetime.now(UTC))
    if as_json:
        print_json([JobDetails.from_view(row.view).as_dict() for row in rows])
        return
    cells: list[list[str | Cell]] = [[*plain_cells(row)] for row in rows]
    for row, line in zip(rows, cells, strict=True):
        line[1] = Cell(row.view.id, row.short_id)
    print_table(COLUMNS[:-1], cells, colour="STATUS")
