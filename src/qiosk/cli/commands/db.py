"""The commands under ``qiosk db``."""

from __future__ import annotations

import typer

from qiosk.cli import options
from qiosk.cli.output import print_json, reported

db = typer.Typer(help="Look after the database of jobs.", no_args_is_help=True, rich_markup_mode=None)


@db.command()
def upgrade(home: options.Home = None) -> None:
    """Bring the database to what this release expects; an empty one gets its tables. There is no way back.

    The database is QIOSK_DATABASE, else the home's own file. Before it, make a backup with 'qiosk admin backup'.
    Servers of the older release may run on if the error with which those of this release end says so; else stop them.
    """
    with reported():
        from qiosk.bootstrap import open_schema

        with open_schema(home) as schema:
            before = schema.revision()
            schema.upgrade()
            after = schema.revision()
        change = "up to date" if before == after else f"{before or 'empty'} -> {after}"
        typer.echo(f"{schema}: {change}")


@db.command()
def current(home: options.Home = None, as_json: options.AsJson = False) -> None:
    """Print the database's schema revision, and the one that this release expects."""
    with reported():
        from qiosk.bootstrap import open_schema

        with open_schema(home) as schema:
            found = schema.revision()
        if as_json:
            print_json({"database": str(schema), "revision": found, "expected": schema.expected})
        else:
            typer.echo(f"{schema}: {found or 'empty'}, expected {schema.expected}")
