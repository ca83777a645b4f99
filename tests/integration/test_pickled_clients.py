"""Workspaces, jobs and solvers in other processes, homes written with ~, and packages found through sys.path alone."""

from __future__ import annotations

import os
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

import qiosk
from fake_jobs import FakeJobs
from qiosk.client.solvers import SimulatedAnnealing
from qiosk.client.workspace import Workspace
from qiosk.problem import Problem, Term
from servers import MemoryParts, listening


def pair() -> Problem:
    return Problem("pair", terms=[Term(c=1.0, indices=[0, 1])])


def test_an_embedded_workspace_and_what_belongs_to_it_can_be_pickled(tmp_path: Path) -> None:
    with Workspace("sub", "group", "mine", home=tmp_path) as workspace:
        solver = SimulatedAnnealing(workspace, sweeps=10, restarts=2, seed=1)
        job = solver.submit(pair())
        results = job.get_results()
        again, its_solver, its_job, its_results = pickle.loads(pickle.dumps((workspace, solver, job, results)))
    assert (again.subscription_id, again.name) == ("sub", "mine")
    assert [found.id for found in again.list_jobs()] == [its_job.id] == [job.id]
    assert its_job.workspace is again is its_solver.workspace
    assert its_job.get_results() == results == its_results
    assert its_solver.optimize(pair()).cost == -1.0


def test_a_pickle_contains_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    with listening(MemoryParts().parts) as url, Workspace(url, api_key="the-key", credential="a-credential") as remote:
        job = SimulatedAnnealing(remote, sweeps=10, seed=1)
        data = pickle.dumps((remote, job))
    for secret in (b"the-key", b"a-credential", b"sig="):
        assert secret not in data
    monkeypatch.setenv("QIOSK_API_KEY", "the-key")
    again, _ = pickle.loads(data)
    assert (again.url, again.credentials) == (url, None)


def test_links_in_a_pickled_job_have_no_signature() -> None:
    with listening(MemoryParts().parts) as url, Workspace(url) as remote:
        job = SimulatedAnnealing(remote, sweeps=10, seed=1).submit(pair())
        assert "sig=" in str(job.details.input_data_uri)
        data = pickle.dumps(job)
        assert b"sig=" not in data
        again = pickle.loads(data)
        assert again.download_data(again.details.input_data_uri) == job.download_data(job.details.input_data_uri)


def test_a_workspace_over_another_api_cannot_be_pickled() -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(Workspace(api=FakeJobs()))


def test_the_home_may_begin_with_a_tilde(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "user"))
    monkeypatch.chdir(tmp_path)
    with Workspace(home="~/jobs") as workspace:
        workspace.list_jobs()
    assert (tmp_path / "user" / "jobs").is_dir()
    subprocess.run([sys.executable, "-m", "qiosk", "jobs", "list", "--home=~/other"], check=True, cwd=tmp_path)
    assert (tmp_path / "user" / "other").is_dir()
    assert not (tmp_path / "~").exists()


def test_a_package_that_is_found_through_sys_path_alone_runs_jobs(tmp_path: Path) -> None:
    program = f"""
import sys
sys.path[:0] = {[str(Path(qiosk.__file__).parents[1]), *filter(None, sys.path)]!r}
from qiosk import Problem, Workspace
from qiosk.optimization import SimulatedAnnealing, Term
with Workspace(home={str(tmp_path)!r}) as workspace:
    problem = Problem("pair", terms=[Term(c=1.0, indices=[0, 1])])
    print(SimulatedAnnealing(workspace, sweeps=10, seed=1).optimize(problem).cost)
"""
    environ = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    ended = subprocess.run(
        [sys.base_prefix + "/bin/python3", "-S", "-c", program],
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ended.stdout, ended.returncode) == ("-1.0\n", 0), ended.stderr
