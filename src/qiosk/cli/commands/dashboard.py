"""``qiosk dashboard``."""

from __future__ import annotations

from typing import Annotated

import typer

from qiosk.cli import options
from qiosk.cli.output import reported
from qiosk.errors import extra


def dashboard(
    home: options.Home = None,
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 0,
    browser: Annotated[bool, typer.Option("--browser/--no-browser", help="Open the pages in a browser.")] = True,
) -> None:
    """Show the jobs of this machine in a browser, until Ctrl-C. The jobs run on after that.

    The pages are served on the loopback. The address that this command prints opens them; other users of this machine
    cannot without it.
    """
    import logging
    import os
    import secrets
    import webbrowser
    from dataclasses import replace
    from functools import partial

    from qiosk.settings import read_settings

    with reported():
        from qiosk.bootstrap import ServerParts, open_server

        with extra("server", "qiosk dashboard"):
            from qiosk.dashboard import create_dashboard
            from qiosk.server.run import serve
            from qiosk.server.settings import ServerSettings
            from qiosk.server.web.logs import configure_logs

        settings = read_settings(os.environ, home=home)
        key = secrets.token_urlsafe(32)

        def open_parts() -> ServerParts:
            return replace(open_server(settings, admin_key=key), stop=lambda: True)  # its jobs are not the pages'

        def announce(url: str) -> None:
            address = f"{url}/ui/open?token={key}"
            typer.echo(f"The jobs of {settings.home} are at {address}")
            if browser and not webbrowser.open(address):
                typer.echo("There is no browser to open it in.")

        configure_logs("console", level=logging.WARNING)
        serve(
            open_parts,
            ServerSettings(port=port),
            announce=announce,
            create_pages=partial(create_dashboard, opening_token=key),
            may_wait=settings.has_database_server,
        )
