"""azure-quantum 0.27, the last release with the optimization SDK, unmodified."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
)
from azure.quantum import Job
from azure.quantum._client.models import JobStatus
from azure.quantum.job.base_job import ContentType
from azure.quantum.optimization import (
    GroupType,
    OnlineProblem,
    ParallelTempering,
    PopulationAnnealing,
    Problem,
    ProblemType,
    QuantumMonteCarlo,
    RangeSchedule,
    SimulatedAnnealing,
    StreamingProblem,
    SubstochasticMonteCarlo,
    Tabu,
    Term,
)
from azure.quantum.optimization.oneqbit import PathRelinkingSolver, PticmSolver, TabuSearch
from azure.quantum.optimization.toshiba import SimulatedBifurcationMachine

from patience import HANG_S, eventually
from qiosk.azure_bootstrap import environment, from_connection_string, open_workspace

SHIP_COST = -17.0


def ship(**members) -> Problem:
    terms = [Term(c=-9, indices=[0]), Term(c=-3, indices=[1, 0]), Term(c=5, indices=[2, 0])]
    return Problem(name="ship", terms=terms, **members)


def ring(variables: int = 400) -> Problem:
    terms = [
        Term(c=c, indices=[i, (i + step) % variables])
        for i in range(variables)
        for step, c in ((1, 1), (2, 1), (7, -1), (31, 1))
    ]
    return Problem(name="ring", terms=terms)


MICROSOFT = [
    (SimulatedAnnealing, {"timeout": 5, "seed": 22}),
    (SimulatedAnnealing, {"beta_start": 0.1, "beta_stop": 1, "sweeps": 20, "restarts": 8, "seed": 22}),
    (SimulatedAnnealing, {"sweeps": 20}),
    (ParallelTempering, {"timeout": 5, "seed": 22}),
    (ParallelTempering, {"sweeps": 20, "all_betas": [0.1, 0.5, 1, 2], "seed": 22}),
    (Tabu, {"timeout": 5, "seed": 22}),
    (Tabu, {"sweeps": 20, "tabu_tenure": 1, "restarts": 4, "seed": 22}),
    (PopulationAnnealing, {"timeout": 2, "seed": 22}),
    (PopulationAnnealing, {"sweeps": 20, "population": 16, "alpha": 2.0, "beta": RangeSchedule("linear", 0.1, 5)}),
    (SubstochasticMonteCarlo, {"timeout": 2, "seed": 22}),
    (
        SubstochasticMonteCarlo,
        {
            "step_limit": 500,
            "target_population": 16,
            "alpha": RangeSchedule("linear", 1, 0),
            "beta": RangeSchedule("geometric", 0.1, 5),
            "seed": 22,
        },
    ),
    (QuantumMonteCarlo, {"sweeps": 20, "trotter_number": 8, "restarts": 4, "seed": 22}),
]


def name_of(value) -> str:
    return value.__name__ if isinstance(value, type) else "-".join(value)


@pytest.mark.parametrize(("solver", "params"), MICROSOFT, ids=name_of)
def test_microsoft_solvers_find_the_best_ship(workspace, solver, params) -> None:
    job = solver(workspace, **params).submit(ship())
    assert not job.has_completed()
    results = job.get_results(timeout_secs=HANG_S)
    assert (results["version"], results["cost"]) == ("1.0", SHIP_COST)
    assert list(results["configuration"].items()) == [("0", 1), ("1", 1), ("2", -1)]
    assert results["solutions"][0]["cost"] == SHIP_COST
    assert "parameters" in results
    if "seed" in params:
        assert results["parameters"]["seed"] == 22
    details = job.details
    assert details.status == "Succeeded"
    assert details.begin_execution_time <= details.end_execution_time
    assert details.input_params == {"params": solver(workspace, **params).params["params"]}


@pytest.mark.parametrize("solver", [TabuSearch, PathRelinkingSolver, PticmSolver], ids=name_of)
def test_1qbit_solvers_answer_in_their_own_format(workspace, solver) -> None:
    bits = Problem("bits", [Term(c=-2, indices=[0]), Term(c=3, indices=[0, 1])], problem_type=ProblemType.pubo)
    results = solver(workspace, seed=1).submit(bits).get_results(timeout_secs=HANG_S)
    assert results["target"] == solver(workspace).name
    best = results["solutions"][0]
    assert best == {"configuration": {"0": "1", "1": "0"}, "cost": -2.0}
    assert "configuration" not in results


def test_toshiba_answers_in_its_own_format(workspace) -> None:
    solver = SimulatedBifurcationMachine(workspace, loops=10)
    results = solver.submit(ship()).get_results(timeout_secs=HANG_S)
    assert results["solutions"][0]["cost"] == SHIP_COST
    assert results["solutions"][0]["configuration"] == {"0": 1, "1": 1, "2": -1}


def test_parameters_found_can_be_passed_back(workspace) -> None:
    found = SimulatedAnnealing(workspace, timeout=3, seed=1).optimize(ring(60), timeout_secs=HANG_S)
    again = SimulatedAnnealing(workspace, **found["parameters"])
    assert again.name == "microsoft.simulatedannealing.cpu"
    assert again.optimize(ring(60), timeout_secs=HANG_S)["cost"] <= 0


def test_several_solutions_come_best_first(workspace) -> None:
    solver = ParallelTempering(workspace, sweeps=50, all_betas=[0.1, 0.5, 1], seed=3)
    solver.set_number_of_solutions(4)
    solutions = solver.optimize(ring(40), timeout_secs=HANG_S)["solutions"]
    costs = [solution["cost"] for solution in solutions]
    assert 1 < len(costs) <= 4
    assert costs == sorted(costs)
    assert len({json.dumps(solution["configuration"]) for solution in solutions}) == len(solutions)


def test_higher_order_grouped_terms_and_initial_configurations_are_solved(workspace) -> None:
    terms = [Term(c=1, indices=[0, 1, 2, 3]), Term(c=-2, indices=[1, 2, 4]), Term(c=3, indices=[])]
    start = {str(i): 1 for i in range(5)}
    cubic = Problem("cubic", terms, init_config=start, problem_type=ProblemType.pubo)
    assert SimulatedAnnealing(workspace, timeout=3, seed=1).optimize(cubic, timeout_secs=HANG_S)["cost"] == 1.0
    grouped = Problem("grouped", problem_type=ProblemType.pubo)
    grouped.add_slc_term([(1, 0), (2, 1), (-3, None)], c=2)
    grouped.add_terms([Term(c=1, indices=[0]), Term(c=1, indices=[1])], GroupType.combination)
    results = PopulationAnnealing(workspace, sweeps=20, population=16, seed=1).optimize(grouped, timeout_secs=HANG_S)
    assert (results["configuration"], results["cost"]) == ({"0": 1, "1": 1}, 2.0)


def test_an_uploaded_problem_serves_several_jobs_and_is_not_overwritten(workspace) -> None:
    problem = ship()
    name = f"problem-{uuid4()}"
    uri = problem.upload(workspace, blob_name=name)
    solver = SimulatedAnnealing(workspace, timeout=2, seed=1)
    for given in (problem, uri, OnlineProblem("online", uri)):
        job = solver.submit(given)
        assert job.get_results(timeout_secs=HANG_S)["cost"] == SHIP_COST
    assert job.details.name == "online"
    with pytest.raises(ResourceExistsError):
        ship().upload(workspace, blob_name=name)


def test_a_streamed_problem_is_solved_and_comes_back(workspace) -> None:
    streamed = StreamingProblem(workspace, name="streamed", problem_type=ProblemType.ising, metadata={"from": "test"})
    streamed.upload_size_threshold = 2000  # several blocks
    terms = ring(900).terms
    for start in range(0, len(terms), 500):
        streamed.add_terms(terms[start : start + 500])
    uri = streamed.upload(workspace)
    job = SimulatedAnnealing(workspace, sweeps=5, restarts=4, seed=1).submit(uri)
    results = job.get_results(timeout_secs=HANG_S)
    assert len(results["configuration"]) == 900
    assert len(streamed.download().terms) == len(terms)


@pytest.mark.parametrize("n_terms", [3, 999, 1500])
def test_protobuf_problems_are_solved(workspace, n_terms) -> None:
    terms = [Term(c=1 + i % 3, indices=[i % 40, 40 + i % 39]) for i in range(n_terms)]
    problem = Problem("binary", terms, content_type=ContentType.protobuf)
    solver = PopulationAnnealing(workspace, sweeps=20, population=16, seed=1)
    results = solver.submit(problem).get_results(timeout_secs=HANG_S)
    assert len(results["configuration"]) == len({i for term in terms for i in term.ids})
    sent = Problem.from_proto(problem.to_proto())  # beyond 1000 terms the last message holds other ones
    assert results["cost"] == sent.evaluate(results["configuration"])


def test_jobs_are_listed_filtered_and_paged(fresh) -> None:
    before = datetime.now(UTC) - timedelta(seconds=2)
    problem = ship()
    problem.upload(fresh)
    solver = SimulatedAnnealing(fresh, sweeps=2, restarts=1, seed=1)
    online = OnlineProblem("ship", problem.uploaded_blob_uri)  # a Problem would be uploaded again for every job
    ids = [solver.submit(online).id for _ in range(105)]
    failed = solver.submit(fresh_upload(fresh, b"not json"))
    with pytest.raises(RuntimeError, match="AZQ105"):
        failed.get_results(timeout_secs=HANG_S)
    assert {job.id for job in fresh.list_jobs()} == {*ids, failed.id}
    assert {job.id for job in fresh.list_jobs(name_match="^sh", created_after=before)} == set(ids)
    assert [job.id for job in fresh.list_jobs(status=JobStatus.failed)] == [failed.id]
    assert fresh.list_jobs(created_after=datetime.now(UTC) + timedelta(days=1)) == []
    for job_id in ids[-2:]:
        fresh.get_job(job_id).wait_until_completed(timeout_secs=HANG_S, print_progress=False)


def fresh_upload(workspace, content: bytes) -> str:
    uri = workspace.get_container_uri(container_name="qio-problems")
    return Job.upload_input_data(container_uri=uri, input_data=content, blob_name=str(uuid4()))


def test_running_and_waiting_jobs_are_cancelled(workspace) -> None:
    endless = SimulatedAnnealing(workspace, sweeps=10**8, restarts=8, seed=1)
    jobs = [endless.submit(ring()) for _ in range(4)]  # more than run at once
    assert eventually(lambda: workspace.get_job(jobs[0].id).details.status == "Executing")
    for job in jobs:
        workspace.cancel_job(job)
    for job in jobs:
        job.wait_until_completed(timeout_secs=HANG_S, print_progress=False)
        assert job.details.status == "Cancelled"
        assert job.details.cancellation_time is not None
        with pytest.raises(RuntimeError, match="status: Cancelled"):
            job.get_results()
    assert workspace.cancel_job(jobs[0]).details.status == "Cancelled"


@pytest.mark.parametrize(
    ("content", "number"),
    [
        (b'{"cost_function": {"version": "1.0", "type": "ising", "terms": [{"c": 1, "ids": [1, 1]}]}}', "AZQ101"),
        (b'{"cost_function": {"version": "1.0", "type": "ising"}}', "AZQ102"),
        (b'{"cost_function": {"version": "1.0", "type": "ising", "terms": [{"c": "x", "ids": [1]}]}}', "AZQ103"),
        (gzip.compress(b"{"), "AZQ105"),
        (b'{"cost_function": {"version": "7", "type": "ising", "terms": []}}', "AZQ107"),
    ],
)
def test_mistakes_in_the_problem_end_the_job_failed(workspace, content, number) -> None:
    job = SimulatedAnnealing(workspace, timeout=2).submit(fresh_upload(workspace, content))
    with pytest.raises(RuntimeError, match=number):
        job.get_results(timeout_secs=HANG_S)
    assert job.details.error_data.code == "InvalidInputData"
    assert job.details.error_data.message.startswith(f"_{number}")
    assert job.details.end_execution_time is not None


def test_mistakes_in_parameters_end_the_job_failed(workspace) -> None:
    solver = SimulatedAnnealing(workspace, sweeps=10)
    solver.set_one_param("restarts", 0)
    with pytest.raises(RuntimeError, match="AZQ107"):
        solver.submit(ship()).get_results(timeout_secs=HANG_S)


def test_mistakes_in_the_request_are_refused(workspace, server) -> None:
    with pytest.raises(ResourceNotFoundError, match="JobNotFound"):
        workspace.get_job(str(uuid4()))
    solver = SimulatedAnnealing(workspace, timeout=1)
    solver.name = "microsoft.unknown.cpu"
    with pytest.raises(HttpResponseError, match="InvalidTarget"):
        solver.submit(ship())
    solver.provider_id = "nobody"
    with pytest.raises(HttpResponseError, match="ProviderNotFound"):
        solver.submit(ship())
    stranger = open_workspace(server[0], "wrong-key")
    with pytest.raises(ClientAuthenticationError, match="Unauthorized"):
        stranger.list_jobs()


def test_a_repeated_submission_is_one_job_and_another_under_its_id_is_refused(workspace) -> None:
    job = SimulatedAnnealing(workspace, timeout=1, seed=1).submit(ship())
    uri, container = job.details.input_data_uri, job.details.container_uri
    given = {"provider_id": "Microsoft", "container_uri": container, "job_id": str(uuid4())}
    given |= {"input_data_format": "microsoft.qio.v2", "output_data_format": "microsoft.qio-results.v2"}
    target = "microsoft.tabu.cpu"
    first = Job.from_storage_uri(workspace, "a", target, uri, input_params={"params": {"sweeps": 3}}, **given)
    again = Job.from_storage_uri(workspace, "a", target, uri, input_params={"params": {"sweeps": 3}}, **given)
    assert again.id == first.id
    with pytest.raises(ResourceExistsError, match="JobAlreadyExists"):
        Job.from_storage_uri(workspace, "a", target, uri, input_params={"params": {"sweeps": 4}}, **given)


def test_targets_and_quotas_are_listed(workspace) -> None:
    classes = [type(target).__name__ for target in workspace.get_targets()]
    assert sorted(classes) == [
        "ParallelTempering",
        "PathRelinkingSolver",
        "PopulationAnnealing",
        "PticmSolver",
        "QuantumMonteCarlo",
        "SimulatedAnnealing",
        "SimulatedBifurcationMachine",
        "SubstochasticMonteCarlo",
        "Tabu",
        "TabuSearch",
    ]
    tabu = workspace.get_targets("microsoft.tabu-parameterfree.cpu")
    assert isinstance(tabu, Tabu)
    assert tabu.current_availability == "Available"
    assert {quota["dimension"] for quota in workspace.get_quotas()} >= {"combined_job_hours", "concurrent_cpu_jobs"}


def test_blobs_larger_than_a_block_and_a_range_survive(workspace) -> None:
    content = os.urandom(1 << 20) * 70  # beyond 64 MiB: in blocks; beyond 32 MiB: in several ranges
    uri = workspace.get_container_uri(container_name=f"large-{uuid4()}")
    Job.upload_input_data(container_uri=uri, input_data=content, blob_name="large", content_type="application/json")
    job = SimulatedAnnealing(workspace, timeout=1, seed=1).submit(ship())
    base, _, query = uri.partition("?")
    assert job.download_data(f"{base}/large?{query}") == content


def test_input_and_output_are_downloaded_as_they_are(workspace) -> None:
    job = SimulatedAnnealing(workspace, timeout=1, seed=1).submit(ship())
    job.get_results(timeout_secs=HANG_S)
    fetched = workspace.get_job(job.id)
    assert Problem.from_json(fetched.download_data(fetched.details.input_data_uri).decode()).name == "ship"
    assert json.loads(fetched.download_data(fetched.details.output_data_uri))["cost"] == SHIP_COST


def test_the_asyncio_client_does_the_same(server) -> None:
    asyncio.run(use_asyncio(*server))


async def use_asyncio(url: str, key: str) -> None:
    from azure.quantum.aio.optimization import OnlineProblem as AsyncOnline
    from azure.quantum.aio.optimization import Problem as AsyncProblem
    from azure.quantum.aio.optimization import SimulatedAnnealing as AsyncAnnealing
    from azure.quantum.aio.optimization import StreamingProblem as AsyncStreaming

    name = f"w-{uuid4()}"
    workspace = open_workspace(url, key, resource_group="conformance", name=name, is_async=True)
    problem = AsyncProblem("ship", ship().terms)
    solver = AsyncAnnealing(workspace, timeout=2, seed=22)
    job = await solver.submit(problem)
    results = await job.get_results(timeout_secs=HANG_S)
    assert results["cost"] == SHIP_COST
    uri = await problem.upload(workspace)
    assert len((await problem.download(workspace)).terms) == 3
    assert len((await AsyncOnline("o", uri).download(workspace)).terms) == 3
    jobs = await asyncio.gather(*(solver.submit(uri) for _ in range(8)))
    for found in await asyncio.gather(*(job.get_results(timeout_secs=HANG_S) for job in jobs)):
        assert found["cost"] == SHIP_COST
    streamed = await AsyncStreaming.create(workspace, "streamed", terms=ring(300).terms)
    stream_uri = await streamed.upload(workspace)
    job = await AsyncAnnealing(workspace, sweeps=5, restarts=2, seed=1).submit(stream_uri)
    assert len((await job.get_results(timeout_secs=HANG_S))["configuration"]) == 300
    assert len(await workspace.list_jobs()) == 10
    endless = await AsyncAnnealing(workspace, sweeps=10**8, restarts=8, seed=1).submit(AsyncProblem("r", ring().terms))
    await workspace.cancel_job(endless)
    await endless.wait_until_completed(timeout_secs=HANG_S, print_progress=False)
    assert endless.details.status == "Cancelled"
    assert (await workspace.get_targets(provider_id="toshiba")).name == "toshiba.sbm.ising"


def test_a_connection_string_leads_to_the_server(server) -> None:
    url, key = server
    text = (
        f"SubscriptionId={uuid4()};ResourceGroupName=conformance;WorkspaceName=w-1;ApiKey={key};QuantumEndpoint={url}/;"
    )
    assert from_connection_string(text).list_jobs() == []


PROGRAM = """
from azure.quantum import Workspace
from azure.quantum.optimization import Problem, SimulatedAnnealing, Term
workspace = Workspace(subscription_id="{id}", resource_group="g", name="w", location="East US")
problem = Problem("ship", [Term(c=-9, indices=[0]), Term(c=-3, indices=[1, 0]), Term(c=5, indices=[2, 0])])
print(SimulatedAnnealing(workspace, timeout=2, seed=1).optimize(problem)["cost"])
"""


def test_an_unchanged_program_finds_a_server_with_tls_by_its_environment(tmp_path) -> None:
    url, authority = os.environ.get("QIOSK_CONFORMANCE_TLS_URL"), os.environ.get("QIOSK_CONFORMANCE_CA")
    if not url or not authority:
        pytest.skip("no server with TLS: openssl is missing")
    variables = environment(url, os.environ["QIOSK_CONFORMANCE_KEY"], tmp_path / "token.json")
    variables["REQUESTS_CA_BUNDLE"] = authority
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(id=uuid4())],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert done.returncode == 0, done.stderr
    assert re.search(r"-17\.0\s*$", done.stdout)
