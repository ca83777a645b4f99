"""Workspaces over a home folder, and over a server: real storage, real processes, real solvers."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol
from urllib.parse import urlsplit

import numpy as np
import pytest

from homes import shared_home
from patience import HANG_S
from qiosk.bounds import verify
from qiosk.client.job import Job
from qiosk.client.solvers import SOLVERS, ParallelTempering, SimulatedAnnealing, SimulatedBifurcationMachine
from qiosk.client.streaming import OnlineProblem, StreamingProblem
from qiosk.client.workspace import Workspace
from qiosk.contract.codec import encode
from qiosk.errors import (
    BlobAlreadyExists,
    BlobNotFound,
    InvalidTarget,
    InvalidValue,
    JobFailed,
    JobNotFound,
)
from qiosk.problem import Problem, ProblemType, Term
from served import served

KEY = "an-administrators-key"


class Opening(Protocol):
    """Opens a workspace; jobs of one are seen by all others of the same name."""

    def __call__(self, *named: str) -> Workspace: ...


@pytest.fixture(scope="module", params=["embedded", "http"])
def opening(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opening]:
    home = tmp_path_factory.mktemp("home")
    if request.param == "embedded":
        with shared_home(home):
            yield lambda *named: Workspace(*named, home=home)
        return
    with served(home, idle_seconds="60", admin_key=KEY) as server:
        yield lambda *named: Workspace(*named, url=server.url, api_key=KEY)


@pytest.fixture
def workspace(opening: Opening) -> Iterator[Workspace]:
    with opening() as opened:
        yield opened


def ship() -> Problem:
    problem = Problem(name="ship", problem_type=ProblemType.ising)
    problem.add_term(c=-9, indices=[0])
    problem.add_term(c=-3, indices=[1, 0])
    problem.add_term(c=5, indices=[2, 0])
    return problem


def ring(variables: int = 1500) -> Problem:
    """Frustrated enough that a search goes on improving for a while."""
    problem = Problem(name="ring", problem_type=ProblemType.ising)
    for i in range(variables):
        for step, sign in ((1, 1), (2, 1), (7, -1), (31, 1)):
            problem.add_term(c=sign, indices=[i, (i + step) % variables])
    return problem


def endless(workspace: Workspace) -> Job:
    """A job that ends only when it is told to, once it has found something."""
    job = SimulatedAnnealing(workspace, sweeps=10**8, restarts=8, seed=1).submit(ring())
    for update in workspace.watch(job, timeout_secs=HANG_S):
        if update.progress.best_cost is not None and update.progress.sweeps > 0:
            break
    return job


def test_a_job_has_its_problem_its_results_and_its_times(workspace: Workspace) -> None:
    before = datetime.now(UTC)
    job = SimulatedAnnealing(workspace, sweeps=20, restarts=4, seed=22).submit(ship())
    assert not job.has_completed()
    results = job.get_results(timeout_secs=HANG_S)
    assert (results.cost, results.configuration) == (-17.0, {"0": 1, "1": 1, "2": -1})
    assert (results.parameters["sweeps"], results.parameters["restarts"], results.parameters["seed"]) == (20, 4, 22)
    details = job.details
    assert details.status == "Succeeded"
    assert details.creation_time is not None
    assert details.begin_execution_time is not None
    assert details.end_execution_time is not None
    assert before - timedelta(seconds=1) <= details.creation_time <= details.begin_execution_time
    assert details.begin_execution_time <= details.end_execution_time
    assert Problem.deserialize(job.download_data(details.input_data_uri or "").decode()).name == "ship"
    assert job.download_data(details.output_data_uri or "").startswith(b'{"version"')


def test_the_same_seed_gives_the_same_results(workspace: Workspace) -> None:
    solver = ParallelTempering(workspace, sweeps=20, replicas=4, seed=5)
    first, second = solver.submit(ring(200)), solver.submit(ring(200))
    found = [job.get_results(timeout_secs=HANG_S) for job in (first, second)]
    assert found[0]["solutions"] == found[1]["solutions"]


def test_another_workspace_object_sees_the_job(workspace: Workspace, opening: Opening) -> None:
    job = ParallelTempering(workspace, seed=1).submit(ship(), name="seen elsewhere", tags=["t"])
    with opening() as other:
        listed = other.list_jobs(name_match="seen else", created_after=datetime.now() - timedelta(minutes=5))
        assert [found.id for found in listed] == [job.id]
        assert other.get_job(job.id).get_results(timeout_secs=HANG_S)["cost"] == -17.0
        assert list(other.get_job(job.id).details.tags) == ["t"]
        assert other.list_jobs(status="Failed", name_match="seen else") == []


def test_named_workspaces_of_one_place_are_apart(workspace: Workspace, opening: Opening) -> None:
    job = ParallelTempering(workspace, seed=1).submit(ship())
    with opening("id", "Group", "Mine") as other:
        assert other.list_jobs() == []
        with pytest.raises(JobNotFound):
            other.get_job(job.id)
        assert ParallelTempering(other, seed=1).optimize(ship(), timeout_secs=HANG_S).cost == -17.0
    with opening("ID", "group", "mine") as again:
        assert len(again.list_jobs()) == 1


def test_mistakes_in_the_problem_end_the_job_failed(workspace: Workspace) -> None:
    document = b'{"cost_function": {"version": "1.0", "type": "ising", "terms": [{"c": "x", "ids": [0]}]}}'
    job = ParallelTempering(workspace).submit(document)
    with pytest.raises(JobFailed, match="InvalidInputData: .*AZQ103"):
        job.get_results(timeout_secs=HANG_S)
    assert job.details.error_data is not None
    assert job.details.error_data.code == "InvalidInputData"
    assert job.details.end_execution_time is not None


def test_mistakes_in_the_job_are_told_at_once(workspace: Workspace) -> None:
    count = len(workspace.list_jobs())
    with pytest.raises(InvalidTarget):
        SimulatedAnnealing(workspace, name="microsoft.none.cpu", sweeps=1).submit(ship())
    assert len(workspace.list_jobs()) == count


def test_a_running_job_shows_its_progress_and_keeps_its_best_when_cancelled(workspace: Workspace) -> None:
    problem = ring()
    job = endless(workspace)
    assert job.progress.sweeps > 0
    costs = [point.cost for point in job.trace]
    assert costs == sorted(costs, reverse=True)
    assert len(costs) > 0
    best = job.best()
    job.cancel()
    job.wait_until_completed(timeout_secs=HANG_S)
    assert job.details.status == "Cancelled"
    assert job.details.cancellation_time is not None
    results = job.get_results()
    assert best is None or results.cost <= best.cost
    assert problem.evaluate(results.configuration) == results.cost


def test_get_results_gives_up_and_the_job_goes_on(workspace: Workspace) -> None:
    job = endless(workspace)
    with pytest.raises(TimeoutError, match="status is Executing"):
        job.get_results(timeout_secs=0.2)
    assert workspace.cancel_job(job.id).details.is_cancelling
    job.wait_until_completed(timeout_secs=HANG_S)
    assert job.status == "Cancelled"


def test_a_deleted_job_is_gone_with_its_data(workspace: Workspace) -> None:
    job = ParallelTempering(workspace, seed=1).submit(ship())
    job.get_results(timeout_secs=HANG_S)
    job.upload_attachment("notes", b"n")
    workspace.delete_job(job)
    with pytest.raises(JobNotFound):
        workspace.get_job(job.id)
    with pytest.raises(BlobNotFound):
        job.download_attachment("notes")


def test_an_uploaded_problem_serves_several_jobs(workspace: Workspace) -> None:
    problem = ship()
    uri = problem.upload(workspace, blob_name="folder/ship loading")
    assert problem.download(workspace).terms == OnlineProblem("o", uri).download(workspace).terms == problem.terms
    for solver in (SimulatedAnnealing(workspace, seed=1), ParallelTempering(workspace, seed=1)):
        job = solver.submit(uri)
        assert job.get_results(timeout_secs=HANG_S).cost == -17.0
        assert b"cost_function" in job.download_data(uri)
    with pytest.raises(BlobAlreadyExists):
        workspace.upload_problem(ship(), blob_name="folder/ship loading")


def test_blobs_of_any_name_are_found_by_their_uris(workspace: Workspace) -> None:
    for container, name in (("qiosk", "a/b"), ("docs", "docs/qiosk"), ("my-own", "50% of #1/ship loading")):
        uri = ship().upload(workspace, container, name)
        assert workspace.api.locate(uri) == (container, name)
        assert len(OnlineProblem("any", uri).download(workspace).terms) == len(ship().terms)


def test_a_hand_made_job_reads_its_container(workspace: Workspace) -> None:
    job = Job.from_input_data(
        workspace,
        "by hand",
        "microsoft.simulatedannealing.cpu",
        ship().to_blob(),
        container_name="my-container",
        provider_id="microsoft",
        input_params={"params": {"sweeps": 10, "restarts": 2}},
        metadata={"who": "me"},
    )
    assert job.get_results(timeout_secs=HANG_S).cost == -17.0
    assert job.container_name == "my-container"
    assert job.details.metadata == {"who": "me"}
    assert job.details.input_params == {"params": {"sweeps": 10, "restarts": 2}}


def test_targets_can_be_used_as_solvers(workspace: Workspace) -> None:
    targets = workspace.get_targets()
    assert isinstance(targets, list)
    assert {type(target) for target in targets} <= set(SOLVERS)
    assert {target.provider_id for target in targets} == {"Microsoft", "1qbit", "toshiba", "qiosk"}
    for target in targets:
        target.set_one_param("seed", 3)
        assert target.optimize(ship(), timeout_secs=HANG_S).cost == -17.0


def test_a_toshiba_job_names_its_input_and_returns_several_solutions(workspace: Workspace) -> None:
    job = SimulatedBifurcationMachine(workspace, steps=100, loops=2, maxout=3).submit(ship())
    results = job.get_results(timeout_secs=HANG_S)
    place = urlsplit(results["input_data_uri"]).path.split("/")[-2:]  # without host, folder and signature
    assert place == [job.container_name, "inputData"]
    assert results["solutions"][0]["cost"] == results.cost == -17.0
    assert len(results["solutions"]) == 3
    assert results["solutions"][0]["parameters"]["runs"] == 2
    assert list(results.configuration.values()) == list(results["solutions"][0]["configuration"].values())


def test_the_problem_without_variables_is_solved(workspace: Workspace) -> None:
    problem = Problem(name="constant", problem_type=ProblemType.pubo)
    problem.add_term(c=2.5, indices=[])
    results = ParallelTempering(workspace).optimize(problem, timeout_secs=HANG_S)
    assert (results.cost, results.configuration) == (2.5, {})


def test_problems_may_be_streamed(workspace: Workspace) -> None:
    problem = StreamingProblem(workspace, "streamed", upload_size_threshold=4e5, metadata={"by": "test"})
    rng = np.random.default_rng(1)
    for _ in range(4):
        problem.add_terms(coefficients=rng.normal(size=40_000), ids=rng.integers(0, 10**15, (40_000, 1)))
    problem.add_terms([Term(c=-2, indices=[0, 1]), Term(c=1, indices=[0])])
    uri = problem.upload()
    assert problem.download().cost_function().n_terms == 160_002
    small = StreamingProblem(workspace, "small", [Term(c=-2, indices=[0, 1]), Term(c=1, indices=[0])])
    assert SimulatedAnnealing(workspace, timeout=5).optimize(small)["cost"] == -3
    assert SimulatedAnnealing(workspace, timeout=5).optimize(OnlineProblem("again", small.upload()))["cost"] == -3
    assert uri.rpartition("/")[2] == "inputData"
    container = workspace.api.container_uri(f"once-{problem.id}") and f"once-{problem.id}"
    first, second = (workspace.api.upload_blob(container, "blob", overwrite=False) for _ in range(2))
    for upload in (first, second):
        upload.write(b"one")
    for wrong in ({"by": "Zoë"}, {"by": "a\nb"}, {"by": "€"}, {"my name": "x"}):
        with pytest.raises(InvalidValue, match="metadata"):
            first.commit(wrong)
    first.commit()
    with pytest.raises(BlobAlreadyExists):
        second.commit()
    second.abort()
    assert workspace.api.get_blob(container, "blob") == b"one"


@pytest.mark.parametrize("bound", ["auto", "cycles", "trivial"])
def test_receipts_of_jobs_prove_their_bounds(workspace: Workspace, tmp_path: Path, bound: str) -> None:
    job = SimulatedAnnealing(workspace, sweeps=20, restarts=2, seed=1).submit(ring(40))
    chosen = {**job.details.input_params, "params": {**job.details.input_params["params"], "bound": bound}}
    job = job.resubmit(input_params=chosen)
    found, receipt = job.get_results(timeout_secs=HANG_S), job.get_receipt()
    assert receipt is not None
    assert job.details.progress.bound == found["bound"]["value"] <= found["cost"]
    files = [tmp_path / name for name in ("problem.json", "results.json", "receipt.npz")]
    for file, data in zip(files, (ring(40).serialize().encode(), encode(found), receipt), strict=True):
        file.write_bytes(data)
    done = subprocess.run([sys.executable, "-I", verify.__file__, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert found["bound"]["method"] in done.stdout
