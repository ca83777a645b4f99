"""The commands under ``qiosk db``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

from qiosk.cli import options
from qiosk.cli.output import print_json, reported

if TYPE_CHECKING:
    from pathlib import Path

    from qiosk.adapters.sql.database import Database

db = typer.Typer(help="Look after the database of jobs.", no_args_is_help=True, rich_markup_mode=None)


@db.command()
def upgrade(home: options.Home = None) -> None:
    """Bring the database to what this release expects; an empty one gets its tables. There is no way back.

    The database is QIOSK_DATABASE, else the home's own file. Stop all servers that use it, and make a copy, first.
    """
    with reported():
        from qiosk.adapters.sql.schema import revision_of
        from qiosk.adapters.sql.schema import upgrade as upgrade_schema

        database = _database(home)
        try:
            before = revision_of(database)
            upgrade_schema(database)
            after = revision_of(database)
        finally:
            database.close()
        change = "up to date" if before == after else f"{before or 'empty'} -> {after}"
        typer.echo(f"{database}: {change}")


@db.command()
def current(home: options.Home = None, as_json: options.AsJson = False) -> None:
    """Print the database's schema revision, and the one that this release expects."""
    with reported():
        from qiosk.adapters.sql.schema import REVISION, revision_of

        database = _database(home)
        try:
            found = revision_of(database)
        finally:
            database.close()
        if as_json:
            print_json({"database": str(database), "revision": found, "expected": REVISION})
        else:
            typer.echo(f"{database}: {found or 'empty'}, expected {REVISION}")


def _database(home: Path | None) -> Database:
    import os

    from qiosk.adapters.home.home import Home
    from qiosk.adapters.sql.database import Database
    from qiosk.adapters.sql.schema import home_url
    from qiosk.settings import read_settings

    settings = read_settings(os.environ, home=home)
    return Database(home_url(Home(settings.home), settings))
