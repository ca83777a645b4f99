"""Programs of the retired SDK, unchanged, with and without Microsoft's package beside Qiosk."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

PROGRAM = """
from azure.identity import ClientSecretCredential
from azure.quantum import Job, Workspace
from azure.quantum.optimization import Problem, ProblemType, Term, SimulatedAnnealing, HardwarePlatform
import azure.quantum.optimization as opt
from azure.quantum.target.microsoft import Tabu
from azure.quantum.target.solvers import RangeSchedule
from azure.quantum.aio.optimization import Solver

workspace = Workspace(subscription_id="", resource_group="", name="", location="",
                      credential=ClientSecretCredential("a", "b", "c"))
problem = Problem(name="ship", problem_type=ProblemType.ising)
problem.add_terms([Term(c=c, indices=[i]) for i, c in enumerate([-9, 3])])
result = SimulatedAnnealing(workspace, timeout=5, seed=22, platform=HardwarePlatform.CPU).optimize(problem)
print(result["cost"], opt.Tabu is Tabu, Job.__module__, RangeSchedule.__name__)
"""


@pytest.fixture
def run(tmp_path):
    def run_program(text, *command, before="", path=None):
        (tmp_path / "program.py").write_text(before + text)
        env = os.environ | {"QIOSK_HOME": str(tmp_path / "home"), "QIOSK_IDLE_SECONDS": "1"}
        if path:
            env["PYTHONPATH"] = str(path)
        words = [sys.executable, "-W", "error", *(command or ("-m", "qiosk.azure")), "program.py", "word"]
        return subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=120)

    return run_program


@pytest.fixture
def microsofts_package(tmp_path):
    """Something installed as ``azure.quantum``, beside another package below ``azure``."""
    for name, text in {
        "quantum": "raise RuntimeError('must not be imported')",
        "other": "answer = 42",
    }.items():
        folder = tmp_path / "site" / "azure" / name
        folder.mkdir(parents=True)
        (folder / "__init__.py").write_text(text)
    return tmp_path / "site"


def test_a_program_runs_unchanged(run):
    done = run(PROGRAM)
    assert done.returncode == 0, done.stderr
    assert done.stdout == "-12.0 True qiosk.client.job RangeSchedule\n"


def test_with_one_line_before_it(run):
    done = run(PROGRAM, "-W", "error", before="import qiosk.azure\n")
    assert done.returncode == 0, done.stderr


def test_where_microsofts_package_is_installed(run, microsofts_package):
    done = run("import azure.other\nprint(azure.other.answer)\n" + PROGRAM, path=microsofts_package)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("42\n-12.0")
    assert (microsofts_package / "azure" / "quantum" / "__init__.py").read_text().startswith("raise")


def test_arguments_and_the_main_module(run):
    done = run("import sys\nprint(__name__, sys.argv)\n")
    assert done.stdout == "__main__ ['program.py', 'word']\n"


def test_what_is_not_there_is_said(run):
    done = run("from azure.quantum.target import IonQ\n")
    assert done.returncode == 1
    assert "cannot import name 'IonQ'" in done.stderr
    assert "No module named 'azure.nothing'" in run("import azure.nothing\n").stderr
    assert "No module named 'azure.quantum.qiskit'" in run("import azure.quantum.qiskit\n").stderr


def test_too_late(run, microsofts_package):
    (microsofts_package / "azure" / "quantum" / "__init__.py").write_text("")
    done = run("import azure.quantum\nimport qiosk.azure\n", "-W", "error", path=microsofts_package)
    assert "import qiosk.azure first" in done.stderr


def test_without_a_program(run, tmp_path):
    done = subprocess.run([sys.executable, "-m", "qiosk.azure"], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "usage: python -m qiosk.azure" in done.stderr
