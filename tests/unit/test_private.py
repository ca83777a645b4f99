"""Files and folders of a home and of a storage are closed to other users."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from qiosk.adapters import private
from qiosk.bootstrap import open_embedded
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


def test_a_folder_that_many_share_is_left_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    tmp_path.chmod(0o1777)
    private.check_folder(tmp_path, "home")
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o1777
    assert "0700" in caplog.text
