"""Commands that take several files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from qiosk.cli.app import app
from qiosk.testing import MemoryService

TRIANGLE = "3 3\n1 2 1\n2 3 -2\n1 3 4\n"


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> MemoryService:
    memory = MemoryService()
    monkeypatch.setattr("qiosk.client.opening._open_embedded", lambda home, key: memory.service)
    return memory


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "one.rud").write_text(TRIANGLE)
    (tmp_path / "two.rud").write_text(TRIANGLE.replace("4", "6"))
    (tmp_path / "bad.rud").write_text("nonsense")
    return tmp_path


def qiosk(*words: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, list(words), input=stdin)


@pytest.mark.usefixtures("folder")
def test_each_file_is_a_job(memory: MemoryService) -> None:
    done = qiosk("submit", "one.rud", "bad.rud", "two.rud", "none.rud", "--timeout", "1")
    assert done.exit_code == 2
    jobs = memory.workspace().list_jobs()
    assert {job.id for job in jobs} == set(done.stdout.split())
    assert [job.details.name for job in reversed(jobs)] == ["one", "two"]
    first, second = done.stderr.splitlines()
    assert first.startswith("error: bad.rud: AZQ105: rudy: line 1: ")
    assert second == "error: none.rud: No such file or directory"
    listed = json.loads(qiosk("submit", "one.rud", "two.rud", "--json").stdout)
    assert [job["name"] for job in listed] == ["one", "two"]
    assert json.loads(qiosk("submit", "one.rud", "--json").stdout)["name"] == "one"
    assert json.loads(qiosk("submit", "bad.rud", "none.rud", "--json").stdout) == []


@pytest.mark.usefixtures("folder")
def test_each_file_is_solved() -> None:
    done = qiosk("solve", "one.rud", "bad.rud", "two.rud", "--seed", "1")
    assert done.exit_code == 2
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[1] for line in lines if line[0] in ("file", "cost")] == ["one.rud", "-7.0", "two.rud", "-9.0"]
    done = qiosk("solve", "one.rud", "-", "--seed", "1", "--json", stdin=TRIANGLE)
    assert done.exit_code == 0, done.output
    one, other = json.loads(done.stdout)
    assert (one["cost"], one["source"]["file"], other["cost"], "source" in other) == (-7.0, "one.rud", -7.0, False)


@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("option", ["-o", "--receipt"])
def test_what_means_one_file_is_refused_for_several(option: str) -> None:
    done = qiosk("solve", "one.rud", "two.rud", option, "out.json")
    assert done.exit_code == 2
    assert "must not be given for several files" in done.stderr
    assert not Path("out.json").exists()


def test_standard_input_is_read_once() -> None:
    done = qiosk("submit", "-", "-", stdin="{}")
    assert done.exit_code == 2
    assert "can be read only once" in " ".join(done.stderr.split())
