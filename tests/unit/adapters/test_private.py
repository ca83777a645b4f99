"""Files and folders of a home and of a storage are closed to other users."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from qiosk.adapters import private
from qiosk.adapters.sql.databases.database import Database
from qiosk.bootstrap import open_embedded
from qiosk.errors import ServiceUnavailable
from qiosk.settings import Settings


@pytest.fixture(params=[0o000, 0o022, 0o077], ids=oct)
def umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def loose(root: Path) -> list[str]:
    """Everything below a folder that others may use."""
    return [f"{stat.filemode(p.stat().st_mode)} {p}" for p in [root, *root.rglob("*")] if p.stat().st_mode & 0o077]


@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize("existed", [False, True])
def test_a_home_and_a_storage_are_private(tmp_path: Path, existed: bool, caplog: pytest.LogCaptureFixture) -> None:
    home, storage = tmp_path / "a" / "home", tmp_path / "b" / "storage"
    if existed:
        for folder in (home, storage):
            folder.mkdir(parents=True)
            folder.chmod(0o755)
    settings = Settings(home=home, storage=storage.as_uri())
    with caplog.at_level(logging.WARNING, "qiosk.home"):
        service = open_embedded(settings=settings, workspace="w" * 300)
    assert len(caplog.records) == (2 if existed else 0)
    service.put_blob("container", "deep/name", b"content")
    assert not [line for folder in (home, storage) for line in loose(folder)]


def test_a_database_that_was_open_to_others_is_closed(tmp_path: Path) -> None:
    home = tmp_path / "home"
    open_embedded(home)
    (home / "jobs.db").chmod(0o644)
    open_embedded(home)
    assert not loose(home)


def test_a_damaged_database_is_unavailable_and_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    open_embedded(tmp_path / "home")
    database = Database(sa.URL.create("sqlite", database=str(tmp_path / "home" / "jobs.db")))
    with database.write() as connection:
        (page,) = connection.exec_driver_sql("SELECT rootpage FROM sqlite_master WHERE name = 'jobs'").one()
        (size,) = connection.exec_driver_sql("PRAGMA page_size").one()
    database.checkpoint()
    database.close()
    with (tmp_path / "home" / "jobs.db").open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * size)
    with pytest.raises(ServiceUnavailable, match="malformed"), database.read() as connection:
        connection.exec_driver_sql("SELECT * FROM jobs").all()
    assert "the database is damaged" in caplog.text
    with pytest.raises(ServiceUnavailable, match="malformed"):
        database.check()  # as /readyz does
    database.close()


def test_a_folder_that_many_share_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tmp_path.chmod(0o1777)
    private.check_folder(tmp_path, "home")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777
    assert "0700" in caplog.text
