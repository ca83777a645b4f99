"""Programs of the retired SDK, unchanged, with and without Microsoft's package beside Qiosk."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from homes import shared_home
from patience import HANG_S

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


EVERY_FORM = """
from datetime import date, datetime, timedelta, timezone
from azure.quantum import Job, JobStatus, Workspace
from azure.quantum._client.models import ErrorData, JobDetails, Quota, TargetStatus
from azure.quantum.job.base_job import BaseJob, ContentType
from azure.quantum.job.filtered_job import FilteredJob
from azure.quantum.optimization import (
    GroupType, OnlineProblem, ParallelTempering, PopulationAnnealing, Problem, ProblemType, QuantumMonteCarlo,
    RangeSchedule, SimulatedAnnealing, SlcTerm, StreamingProblem, SubstochasticMonteCarlo, Term,
)
from azure.quantum.optimization.problem import Term as ProblemTerm
from azure.quantum.optimization.streaming_problem import Problem as StreamedProblem
from azure.quantum.job.job import JobDetails as DetailsOfJob
from azure.quantum.target.target import Target

assert (ProblemTerm, StreamedProblem, DetailsOfJob) == (Term, Problem, JobDetails)

PLACE = "/subscriptions/0/resourceGroups/rg/providers/Microsoft.Quantum/Workspaces/ws"
workspace = Workspace(resource_id=PLACE, location="West US", credential="secret")
assert (workspace.name, workspace.location, workspace.login()) == ("ws", "westus", "secret")
workspace.append_user_agent("notebook")
assert workspace.user_agent == "notebook"
assert all(isinstance(target, Target) for target in workspace.get_targets(provider_id="Microsoft"))
assert isinstance(workspace.get_targets(name="microsoft.paralleltempering.cpu"), ParallelTempering)
assert set(workspace.get_quotas()[0]) >= {"dimension", "scope", "utilization", "holds", "limit", "period"}

problem = Problem(name="ship", problem_type=ProblemType.ising, terms=[Term(c=1.0, indices=[0, 1])])
problem.add_term(c=2, indices=[1, 2])
problem.add_terms([Term(c=-1, indices=[0]), Term(w=2, indices=[2])])
assert [term.c for term in problem.get_terms(1)] == [1, 2]
assert problem.evaluate({"0": 1, "1": -1, "2": 1}) == problem.evaluate({0: 1, 1: -1, 2: 1}) == -2
fixed = problem.set_fixed_variables({"0": 1})
assert fixed.evaluate({"1": -1, "2": 1}) == -2
assert problem.evaluate(configuration=SimulatedAnnealing(workspace).optimize(problem)["configuration"]) == -4

squares = Problem(name="squares", problem_type=ProblemType.pubo)
squares.add_slc_term(terms=[(1, 0), (2, 1), (-3, None)], c=2)
assert squares.evaluate({0: 1, 1: 1}) == 0 and isinstance(squares.terms_slc[0], SlcTerm)

solver = SimulatedAnnealing(workspace, timeout=5)
job = solver.submit(problem)
assert isinstance(job, BaseJob) and isinstance(job, FilteredJob) and job.details.status == "Waiting"
job.refresh()
job.wait_until_completed(max_poll_wait_secs=3, timeout_secs=3600)
results = job.get_results(timeout_secs=3600)
assert results["cost"] == results["solutions"][0]["cost"] == -4 and set(results["configuration"]) == {"0", "1", "2"}
details = job.details
assert job.has_completed() and details.status == JobStatus.SUCCEEDED and isinstance(details, JobDetails)
assert details.creation_time <= details.begin_execution_time <= details.end_execution_time
assert details.input_params == {"params": {"timeout": 5}} and details.error_data is None
assert details.provider_id == "Microsoft" and details.target == "microsoft.simulatedannealing-parameterfree.cpu"
yesterday = datetime.now(timezone.utc) - timedelta(days=1)
listed = workspace.list_jobs(name_match="sh.*", status=JobStatus.SUCCEEDED, created_after=yesterday)
assert job.id in [found.id for found in listed]
assert workspace.get_job(job.id).details.name == "ship"
assert job.matches_filter(name_match="ship", created_after=date(2020, 1, 1)) and not job.matches_filter(status="Failed")
assert job.download_data(details.input_data_uri).startswith(b'{')
job.upload_attachment("notes.txt", b"hello")
assert job.download_attachment("notes.txt") == b"hello"

uri = problem.upload(workspace, container_name="shared", blob_name="ship.json")
assert solver.submit(uri).get_results()["cost"] == -4
online = OnlineProblem(name="online", blob_uri=uri)
assert solver.optimize(online)["cost"] == -4 and len(online.download(workspace).terms) == 4
solver.set_number_of_solutions(2)
assert len(solver.optimize(problem, timeout_secs=3600)["solutions"]) == 2
line = RangeSchedule("linear", 0.1, 3)
for made in (
    ParallelTempering(workspace, sweeps=100, replicas=2, all_betas=[0.5, 3.5], seed=3),
    PopulationAnnealing(workspace, seed=1, population=8, sweeps=50, beta=line),
    SubstochasticMonteCarlo(workspace, step_limit=200, target_population=8, beta=line, seed=1),
    QuantumMonteCarlo(workspace, sweeps=20, trotter_number=4, restarts=2, beta_start=0.1, seed=1),
):
    assert made.optimize(problem)["cost"] == -4
streamed = StreamingProblem(workspace=workspace, name="streamed", problem_type=ProblemType.ising)
streamed.add_terms([Term(c=1, indices=[0, 1]), Term(c=-1, indices=[1, 2])])
assert solver.optimize(streamed)["cost"] == -2
raw = Job.from_input_data(
    workspace, name="raw", target="microsoft.tabu-parameterfree.cpu", input_data=problem.serialize().encode(),
    provider_id="Microsoft", input_data_format="microsoft.qio.v2", output_data_format="microsoft.qio-results.v2",
    input_params={"params": {"timeout": 2}},
)
assert raw.get_results()["cost"] == -4
endless = SimulatedAnnealing(workspace, sweeps=10**8, restarts=72).submit(problem)
workspace.cancel_job(endless)
endless.wait_until_completed()
assert endless.details.status == "Cancelled" and endless.details.cancellation_time is not None
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with shared_home(tmp_path_factory.mktemp("home")):
        yield


@pytest.fixture
def run(home, tmp_path):
    def run_program(text, *command, before="", path=None):
        (tmp_path / "program.py").write_text(before + text)
        env = os.environ | ({"PYTHONPATH": str(path)} if path else {})
        words = [sys.executable, "-W", "error", *(command or ("-m", "qiosk.azure")), "program.py", "word"]
        return subprocess.run(words, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=HANG_S)

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


def test_every_form_of_the_old_documentation_works(run):
    done = run(EVERY_FORM)
    assert done.returncode == 0, done.stderr


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
