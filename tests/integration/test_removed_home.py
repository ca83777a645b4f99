"""A home that is removed while it is open, and one that is made again in its place."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

import homes
from qiosk.adapters.sql.schema import open_sqlite_database
from qiosk.contract.jobs import JobQuery, JobStatus
from qiosk.errors import QioskError, ServiceUnavailable

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(autouse=True)
def _fake_runners_are_importable(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))


@pytest.fixture
def opened(tmp_path):
    """A home in which a job has run, and whose supervisor has left."""
    service = homes.open_home(tmp_path / "home", idle_seconds=0.0)
    homes.finished(service, homes.submit(service, id="old").id)
    assert homes.eventually(lambda: not homes.processes_of(tmp_path / "home"))
    yield service
    service.close()
    if (tmp_path / "home").exists():
        homes.close_home(tmp_path / "home")


def test_nothing_is_accepted_by_a_home_that_was_removed(opened, tmp_path):
    shutil.rmtree(tmp_path / "home")
    for call in (
        lambda: homes.submit(opened),
        lambda: opened.get("old"),
        lambda: list(opened.list(JobQuery())),
        lambda: opened.put_blob("container", "blob", b""),
        opened._executor.wake,
    ):
        with pytest.raises(QioskError):
            call()
    assert not (tmp_path / "home").exists(), "nor is it made again by accident"


@pytest.mark.parametrize("is_in_use", [True, False])
def test_a_home_that_was_made_again_is_seen(opened, tmp_path, is_in_use):
    shutil.rmtree(tmp_path / "home")
    (tmp_path / "home").mkdir()
    if is_in_use:
        other = homes.open_home(tmp_path / "home", idle_seconds=0.0)
        homes.submit(other, id="other")
        other.close()
    view = homes.submit(opened)
    ids = {"other", view.id} if is_in_use else {view.id}
    assert {seen.id for seen in opened.list(JobQuery())} == ids
    for name in ids:
        assert homes.finished(opened, name).status is JobStatus.SUCCEEDED


def test_a_database_is_never_written_to_after_its_file_was_removed(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    database = open_sqlite_database(folder / "jobs.db")
    shutil.rmtree(folder)
    for use in (database.read, database.write, database.write_once):
        with pytest.raises(ServiceUnavailable, match=r"jobs\.db was removed"), use():
            pytest.fail("the file is gone")
    with pytest.raises(ServiceUnavailable, match="was removed"):
        database.version()
    folder.mkdir()
    with database.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM jobs").scalar_one() == 0
    database.close()
