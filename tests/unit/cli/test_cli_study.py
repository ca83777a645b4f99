"""The commands under ``qiosk study``, over a service in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from qiosk.cli.app import app
from qiosk.testing import MemoryService

SETTINGS = """
name = "first"
instances = ["*.rud"]
seeds = 2
[[targets]]
target = "tabu"
grid.sweeps = [5, 50]
"""
TRIANGLE = "3 3\n1 2 1\n2 3 -2\n1 3 4\n"


@pytest.fixture(autouse=True)
def memory(monkeypatch: pytest.MonkeyPatch) -> MemoryService:
    memory = MemoryService()
    monkeypatch.setattr("qiosk.client.opening._open_embedded", lambda home, key: memory.service)
    return memory


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "one.rud").write_text(TRIANGLE)
    path = tmp_path / "study.toml"
    path.write_text(SETTINGS)
    return str(path)


def qiosk(*words: str) -> Result:
    return CliRunner().invoke(app, ["study", *words])


def test_a_study_is_run_shown_and_written(file: str, tmp_path: Path) -> None:
    assert "tabu sweeps=5   2" in qiosk("show", file).stdout
    done = qiosk("run", file)
    assert done.exit_code == 0, done.output
    assert done.stdout.splitlines() == [
        "SOLVER          NOT SUBMITTED  EXECUTING  SUCCEEDED",
        "tabu sweeps=5   0              0          2",
        "tabu sweeps=50  0              0          2",
        "all             0              0          4",
    ]
    assert json.loads(qiosk("show", file, "--json").stdout) == {
        "name": "first",
        "jobs": 4,
        "solvers": {"tabu sweeps=5": {"Succeeded": 2}, "tabu sweeps=50": {"Succeeded": 2}},
    }
    lines = qiosk("table", file).stdout.splitlines()
    assert len(lines) == 5
    assert lines[1].split()[:6] == ["one", "tabu", "sweeps=5", "0", "Succeeded", "-7"]
    found = json.loads(qiosk("table", file, "--json").stdout)
    assert {row["cost"] for row in found} == {-7.0}
    assert found[0]["provenance"]["target"] == "microsoft.tabu.cpu"
    written = qiosk("table", file, "-o", str(tmp_path / "a.csv"))
    assert (written.exit_code, written.stdout) == (0, "")
    assert len((tmp_path / "a.csv").read_text().splitlines()) == 5
    assert qiosk("cancel", file).stdout == "0 jobs cancelled\n"


@pytest.mark.parametrize("kind", ["performance-profile", "time-to-target", "ranks"])
def test_plots_are_drawn_to_files(file: str, tmp_path: Path, kind: str) -> None:
    pytest.importorskip("matplotlib")
    done = qiosk("run", file)
    assert done.exit_code == 0, done.output
    path = tmp_path / "a.png"
    done = qiosk("plot", file, "--kind", kind, "-o", str(path))
    assert (done.exit_code, done.stdout) == (0, f"{path}\n")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_instances_that_cannot_be_read_are_told_and_the_others_run(file: str, tmp_path: Path) -> None:
    (tmp_path / "bad.rud").write_text("nonsense")
    done = qiosk("run", file)
    assert done.exit_code == 1
    assert done.stderr.startswith("bad: 4 jobs: AZQ105: rudy: line 1: must be numbers of vertices and edges")
    assert "UNREADABLE" in done.stdout
    assert "all             0              0          4          4" in done.stdout


@pytest.mark.parametrize("command", ["run", "show", "table", "plot", "cancel"])
def test_wrong_settings_are_told_in_one_line(file: str, command: str) -> None:
    Path(file).write_text(SETTINGS.replace("seeds", "seds"))
    done = qiosk(command, file)
    assert done.exit_code == 2
    assert done.stderr == f"error: AZQ107: {file}: the key 'seds' is unknown, did you mean seeds?\n"
    done = qiosk(command, f"{file}.none")
    assert (done.exit_code, done.stderr) == (2, f"error: {file}.none: No such file or directory\n")


def test_an_empty_study(file: str) -> None:
    Path(file).write_text('name = "a"\ninstances = []\ntargets = []\n')
    done = qiosk("run", file)
    assert (done.exit_code, done.stdout) == (0, "SOLVER  NOT SUBMITTED  EXECUTING  SUCCEEDED\n")
    assert qiosk("table", file).exit_code == 0
    assert "nothing can be compared" in qiosk("plot", file).stderr
