"""The release before the last change of the schema: its servers work beside today's while they are replaced."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path

import pytest
from typer.testing import CliRunner

import databases
from patience import HANG_S, eventually
from qiosk.adapters.sql import migrations
from qiosk.adapters.sql.schema import REVISION
from qiosk.cli.app import app
from qiosk.client.workspace import Workspace
from together import Together, command

ROOT = Path(__file__).parents[2]
TOLERANT = "0017"
"""The first revision whose releases start with a newer schema."""

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"), pytest.mark.slow]


def git(*arguments: str) -> bytes:
    """What git prints. Skips the test where there is no history."""
    try:
        done = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True)
    except FileNotFoundError:
        pytest.skip("git is not installed: the previous release cannot be had")
    if done.returncode:
        pytest.skip(f"no history of the source: the previous release cannot be had: {done.stderr.decode().strip()}")
    return done.stdout


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source before the newest migration."""
    newest = max(path for path in (Path(migrations.__file__).parent / "versions").glob("r[0-9]*.py"))
    if not (ROOT / ".git").exists():
        pytest.skip("not a checkout of the repository: the previous release cannot be had")
    added = git("log", "-1", "--diff-filter=A", "--format=%H", "--", str(newest.relative_to(ROOT))).decode().strip()
    before = f"{added}^" if added else "HEAD"  # a migration that is not committed yet
    folder = tmp_path_factory.mktemp("release")
    with tarfile.open(fileobj=io.BytesIO(git("archive", before, "src", "tests/fake_runners.py"))) as archive:
        archive.extractall(folder, filter="data")
    return folder


def revision_of(release: Path) -> str:
    program = "from qiosk.adapters.sql import schema; print(schema.REVISION, schema.__file__)"
    environ = {**os.environ, "PYTHONPATH": str(release / "src")}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True, check=True)
    revision, file = done.stdout.split()
    assert file.startswith(str(release)), "the previous release is imported, and not this one"
    return revision


@pytest.fixture
def url() -> Iterator[str]:
    with databases.postgres_schema() as text:
        yield text


def test_servers_are_replaced_one_after_the_other(release: Path, tmp_path: Path, url: str, monkeypatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT / "tests"))
    revision, gate = revision_of(release), str(tmp_path / "gate")
    assert revision < REVISION
    with Together(tmp_path, url) as together:
        together.start("old", release=release)
        (old,) = together.workspaces()
        ids = [old.submit(command({"chunks": 20, "gate": gate})).id]
        assert eventually(lambda: together.runs(ids[0]) == ["old"])
        upgraded = CliRunner().invoke(app, ["db", "upgrade", "--home", str(tmp_path)], env={"QIOSK_DATABASE": url})
        assert upgraded.output.strip().endswith(f"{revision} -> {REVISION}"), upgraded.output
        together.start("new")
        old, new = together.workspaces()
        ids.append(new.submit(command({"chunks": 20, "gate": gate})).id)
        assert eventually(lambda: together.runs(ids[1]) == ["new"])
        check_cancellations(together, old, new)
        ids += [workspace.submit(command({"chunks": 20})).id for workspace in (old, new) * 4]
        Path(gate).touch()
        for workspace in (old, new):
            for job_id in ids:
                job = workspace.get_job(job_id)
                job.wait_until_completed(timeout_secs=HANG_S)
                assert (job.details.status, job.details.attempts) == ("Succeeded", 1)
                assert json.loads(workspace.api.results(job_id))["cost"] == -20
            assert {job.id for job in workspace.list_jobs(status=["Succeeded"])} == set(ids)
        assert {len(together.runs(job_id)) for job_id in ids} == {1}
    refused = pytest.raises(AssertionError, match=f"schema revision must be {revision}, found {REVISION}")
    with nullcontext() if revision >= TOLERANT else refused, Together(tmp_path / "again", url) as together:
        together.start("old", release=release)


def check_cancellations(together: Together, old: Workspace, new: Workspace) -> None:
    """Each server cancels a waiting job that the other one has accepted."""
    for first, second in ((old, new), (new, old)):
        waiting = first.submit(command({"chunks": 1_000_000}))
        second.cancel_job(waiting.id)
        assert first.get_job(waiting.id).details.status == "Cancelled"
        assert together.runs(waiting.id) == []
