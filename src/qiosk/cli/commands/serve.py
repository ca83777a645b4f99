"""``qiosk serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from qiosk.cli import options
from qiosk.cli.output import reported
from qiosk.errors import ServiceUnavailable, extra


def serve(
    home: options.Home = None,
    host: Annotated[str | None, typer.Option(help="Address to listen on; 127.0.0.1 unless given.")] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 8000 unless given, 0 takes a free one.")] = None,
    certfile: Annotated[Path | None, typer.Option(help="Certificate chain in PEM, for TLS.")] = None,
    keyfile: Annotated[Path | None, typer.Option(help="The certificate's private key in PEM.")] = None,
    public_url: Annotated[
        str | None,
        typer.Option(help="URL by which clients reach the server."),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="Listen on any address although no key is configured.")
    ] = False,
    executor: Annotated[
        str | None, typer.Option(help="Where jobs run: local, on this machine, or ray, on a Ray cluster.")
    ] = None,
    ray_address: Annotated[
        str | None, typer.Option(help="The cluster's head as HOST:PORT; auto, one of this machine, unless given.")
    ] = None,
    log_format: Annotated[str | None, typer.Option(help="json or console.")] = None,
) -> None:
    """Serve jobs over HTTP to many people and machines, until Ctrl-C or SIGTERM.

    Running jobs are suspended then, and continue when the server is started again. Options win over the
    variables QIOSK_HOST, QIOSK_PORT and so on.
    """
    import os
    from functools import partial

    from qiosk.settings import of_server, read_settings

    with reported():
        from qiosk.bootstrap import open_server

        with extra("server", "qiosk serve"):
            from qiosk.dashboard import create_dashboard
            from qiosk.server.run import serve as run
            from qiosk.server.settings import read_server_settings
            from qiosk.server.web.logs import configure_logs

        chosen = read_server_settings(
            host=host,
            port=port,
            certfile=certfile,
            keyfile=keyfile,
            public_url=public_url,
            insecure=insecure or None,
            log_format=log_format,
        )
        settings = of_server(read_settings(os.environ, home=home, executor=executor, ray_address=ray_address))
        configure_logs(chosen.log_format)
        if settings.executor == "ray":
            _check_cluster(settings.ray_address)
        open_parts = partial(
            open_server,
            settings,
            admin_key=chosen.admin_key,
            secret_key=chosen.secret_key,
            base_path=chosen.base_path,
        )
        run(
            open_parts,
            chosen,
            announce=lambda url: typer.echo(f"Qiosk serves {settings.home} at {url}"),
            create_pages=create_dashboard,
            may_wait=settings.has_database_server,
        )


def _check_cluster(address: str) -> None:
    """Refuse a cluster whose nodes have other versions; one that does not answer may do so later."""
    from qiosk.supervisor.cluster.check import check_cluster, require_ray

    require_ray("qiosk serve --executor ray")
    try:
        check_cluster(address)
    except ServiceUnavailable as error:
        typer.echo(f"warning: {error.message}; jobs wait until it answers", err=True)
