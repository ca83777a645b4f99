"""Studies on real homes and servers, also with the process that runs them killed in the middle."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from homes import shared_home
from patience import HANG_S, eventually
from qiosk import Study, Workspace
from served import served

SETTINGS = """
name = "night"
instances = ["*.rud", "bad.json"]
seeds = 6
jobs_in_flight = 3
[[targets]]
target = "tabu"
parameters = { sweeps = 20 }
[[targets]]
target = "simulatedannealing"
parameters = { sweeps = 20 }
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "one.rud").write_text("3 3\n1 2 1\n2 3 -2\n1 3 4\n")
    (tmp_path / "bad.json").write_text("{}")
    path = tmp_path / "study.toml"
    path.write_text(SETTINGS)
    return path


def check(workspace: Workspace, file: Path) -> None:
    study = Study.from_file(workspace, file)
    study.run(show_progress=False)
    rows = study.rows()
    assert Counter(row.status for row in rows) == {"Succeeded": 12, "Unreadable": 12}
    assert {row.cost for row in rows if row.instance == "one"} == {-7.0}
    assert all(row.time_to_target is not None and row.time_to_target < HANG_S for row in rows if row.job_id)
    jobs = workspace.list_jobs(tags="study:night")
    assert sorted(job.id for job in jobs) == sorted(row.job_id for row in rows if row.job_id is not None)
    assert {job.details.attempts for job in jobs} == {1}


def test_a_study_on_a_server_is_that_of_a_home(tmp_path: Path, file: Path) -> None:
    with served(tmp_path / "home", "--insecure") as server, Workspace(server.url) as workspace:
        check(workspace, file)
        before = {job.id for job in workspace.list_jobs()}
        check(workspace, file)
        assert {job.id for job in workspace.list_jobs()} == before


def test_a_study_whose_process_is_killed_goes_on_when_it_is_run_again(tmp_path: Path, file: Path) -> None:
    with shared_home(tmp_path / "home"), Workspace() as workspace:
        command = [sys.executable, "-m", "qiosk", "study", "run", str(file)]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, env=dict(os.environ))
        try:
            assert eventually(lambda: len(workspace.list_jobs(tags="study:night")) >= 2)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait(HANG_S)
        early = {job.id for job in workspace.list_jobs(tags="study:night")}
        assert len(early) >= 2
        check(workspace, file)
        assert early <= {job.id for job in workspace.list_jobs(tags="study:night")}
