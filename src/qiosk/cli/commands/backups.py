"""The commands ``qiosk admin backup`` and ``qiosk admin restore``."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from qiosk.cli import options
from qiosk.cli.output import counted, print_json, reported

if TYPE_CHECKING:
    from qiosk.service.backups.backup import Counts, Report

_REDRAW_S = 0.1
_DEST_HELP = "New folder, or new file whose name ends in .tar, .tar.gz or .tar.zst."
_SECRET_HELP = "Also store secret.key, which signs links to data: who has the backup can then make links."


def backup(
    dest: Annotated[Path, typer.Argument(metavar="DEST", help=_DEST_HELP)],
    with_secret: Annotated[bool, typer.Option("--with-secret", help=_SECRET_HELP)] = False,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Write all jobs, sessions, keys' digests, limits and data to a new folder or file.

    May be used while servers and jobs run. Uploads that are not finished are left out.
    """
    with reported():
        from qiosk.bootstrap import write_backup

        with _shown("backup") as report:
            found = write_backup(dest, home, has_secret=with_secret, report=report)
        _print(f"wrote {dest}", found, as_json=as_json)
        if not as_json and not with_secret:
            typer.echo("the secret that signs links is not in it (--with-secret)", err=True)


def restore(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="Folder or file that 'qiosk admin backup' wrote.")],
    check: Annotated[bool, typer.Option("--check", help="Only check the backup; change nothing.")] = False,
    home: options.Home = None,
    as_json: options.AsJson = False,
) -> None:
    """Restore a backup into an empty home, or into the empty database and storage of the settings.

    Stop all servers first. Jobs that ran when the backup was made wait again. If a restore is interrupted, repeat it.
    """
    with reported():
        from qiosk.bootstrap import check_backup, restore_backup

        with _shown("restore") as report:
            found = check_backup(source, report=report) if check else restore_backup(source, home, report=report)
        _print(f"{source} is complete" if check else f"restored {source}", found, as_json=as_json)


def _print(done: str, found: Mapping[str, Any], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    rows, blobs = counted(sum(found["rows"].values()), "row"), counted(found["blobs"], "blob")
    jobs = counted(found["rows"].get("jobs", 0), "job")
    typer.echo(f"{done}: {jobs}, {rows}, {blobs} ({found['bytes'] / 2**20:.1f} MiB)")
    for number, what in (
        (found["removed_blobs"], "blob was removed while the backup was made"),
        (found["unreadable_rows"], "row is damaged and was left out"),
    ):
        if number:
            typer.echo(f"{number} times: a {what}", err=True)


@contextmanager
def _shown(what: str) -> Iterator[Report]:
    """Show on a terminal how far it is."""
    from qiosk.console.status_line import StatusLine

    text, drawn = what, time.monotonic()
    line = StatusLine(lambda width: text[:width])

    def report(counts: Counts) -> None:
        nonlocal text, drawn
        text = f"{what}: {counts.rows:,} rows, {counts.blobs:,} blobs, {counts.bytes / 2**20:,.1f} MiB"
        if time.monotonic() - drawn >= _REDRAW_S:
            drawn = time.monotonic()
            line.draw()

    line.start()
    try:
        yield report
    finally:
        line.stop()
