"""Backups of a home, or of the database and storage that its settings name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from qiosk.adapters.archives.reading import open_archive
from qiosk.adapters.archives.writing import new_archive
from qiosk.adapters.home.home import Home, SupervisorLock
from qiosk.adapters.home.secret_key import restore_secret, stored_secret
from qiosk.adapters.sql.backups import SqlRows
from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.jobs import SqlJobStore
from qiosk.bootstrap.storage import open_storage, storage_url
from qiosk.bootstrap.stores import database_url
from qiosk.errors import Conflict, InvalidValue
from qiosk.machine import SystemClock
from qiosk.service.backups.backup import Report, back_up
from qiosk.service.backups.manifest import SECRET
from qiosk.service.backups.restore import check, restore
from qiosk.service.blobs.store import Storage
from qiosk.settings import choose_settings
from qiosk.version import __version__


class _Place(NamedTuple):
    home: Home
    database: Database
    storage: Storage


def write_backup(
    path: Path, home: Path | None = None, *, has_secret: bool = False, report: Report = lambda _: None
) -> Mapping[str, object]:
    """Write a backup of a home into a new folder or tar file; returns what it contains.

    ``home`` defaults to the environment's. ``has_secret`` also stores the secret that signs links. Raises Conflict if
    ``path`` exists, InvalidValue if there is nothing to back up.
    """
    chosen = choose_settings(home, None)
    if not chosen.home.is_dir():
        raise InvalidValue(f"home: there is no folder {chosen.home}")
    with _opened(home) as place:
        folder = place.home.blobs
        if folder in (path.absolute().parent.resolve() / path.name).parents:
            raise InvalidValue(f"{path}: must not be in the folder of blobs, {folder}")
        secret = stored_secret(place.home.path / SECRET) if has_secret else None
        if has_secret and secret is None:
            raise InvalidValue(f"--with-secret: {place.home.path} has no {SECRET}")
        archive = new_archive(path)
        try:
            manifest = back_up(
                rows=SqlRows(place.database),
                storage=place.storage,
                archive=archive,
                release=__version__,
                now=SystemClock().now(),
                secret=secret,
                report=report,
            )
            archive.commit()
        finally:
            archive.abort()
    return manifest.summary()


def check_backup(path: Path, *, report: Report = lambda _: None) -> Mapping[str, object]:
    """Read a whole backup; returns what it contains. Raises UnreadableInput if it is damaged."""
    return check(open_archive(path), report).manifest.summary()


def restore_backup(path: Path, home: Path | None = None, *, report: Report = lambda _: None) -> Mapping[str, object]:
    """Restore a backup into an empty home, or the empty database and storage that its settings name.

    Raises UnreadableInput if it is damaged, Conflict if there is something already or a server runs; nothing was
    changed then.
    """
    checked = check(open_archive(path), report)
    with _opened(home) as place:
        if place.home.is_served() or SupervisorLock(place.home.lock).is_held():
            raise Conflict(f"home {place.home.path}: a server or a supervisor runs; stop it first")
        file = place.home.path / SECRET
        if checked.secret is not None and stored_secret(file) not in (None, checked.secret):
            raise Conflict(f"{file}: differs from the secret in the backup; remove it, or restore into another home")
        restore(
            checked,
            rows=SqlRows(place.database),
            storage=place.storage,
            jobs=SqlJobStore(place.database),
            clock=SystemClock(),
            keep_secret=partial(restore_secret, file, checked.secret),
            report=report,
        )
    return checked.manifest.summary()


@contextmanager
def _opened(path: Path | None) -> Iterator[_Place]:
    chosen = choose_settings(path, None)
    home = Home(chosen.home)
    database = Database(database_url(home, chosen))
    try:
        yield _Place(home, database, open_storage(storage_url(home, chosen)))
    finally:
        database.close()
