"""Running again what a result was found by: the same, unless time decided."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace

import pytest
from msgspec import structs
from typer.testing import CliRunner

import qiosk
from patience import HANG_S
from qiosk import aio
from qiosk.aio.optimization import SimulatedAnnealing as AsyncAnnealing
from qiosk.cli.app import app
from qiosk.errors import Conflict, InvalidValue, JobFailed, MissingSection, WrongType
from qiosk.formats.comparison import compare
from qiosk.modeling import Model, total
from qiosk.optimization import ParallelTempering, Problem, SimulatedAnnealing, Term
from qiosk.optimization.oneqbit import TabuSearch
from qiosk.optimization.toshiba import SimulatedBifurcationMachine
from qiosk.testing import MemoryService

GLASS = Problem("glass", [Term(c=c, indices=[i, (i + 7 * c) % 60]) for c in (1, -2, 3, -4) for i in range(60)])
KNAPSACK = (
    "Maximize\n obj: 3 x + 2 y + z\nSubject To\n cap: 2 x + 3 y + 4 z <= 5\n one: x + y = 1\nBinary\n x y z\nEnd\n"
)


def diet(n=24):
    """A model whose weights have to be raised if they are small."""
    model = Model("diet")
    eat = model.bits("eat", range(n))
    model.minimize(total((18 + i * 7 % 5) * bit for i, bit in eat.items()))
    model.add(total((1 + i % 3) * bit for i, bit in eat.items()) <= 4, "most")
    model.add(total((2 + i % 5) * bit for i, bit in eat.items()) >= 4, "least")
    return model


@pytest.mark.parametrize(
    ("target", "params"),
    [
        ("microsoft.simulatedannealing.cpu", {"sweeps": 20, "restarts": 3, "threads": 2}),
        ("microsoft.tabu.cpu", {"sweeps": 20, "number_of_solutions": 3}),
        ("microsoft.simulatedannealing.cpu", {"sweeps": 5, "kernel": "plain"}),
        ("1qbit.tabu", {"timeout": 60.0}),
        ("toshiba.sbm.ising", {"loops": 1, "steps": 20}),
        ("paralleltempering", {"timeout": 60.0}),
    ],
)
def test_a_rerun_finds_the_same(target, params):
    result = qiosk.solve(GLASS, target, **params)
    again = qiosk.rerun(GLASS, result)
    assert again.is_same
    assert again.result.provenance.given == result.provenance.given
    found = again.comparison
    assert (found.is_decided_by_time, found.differences) == (False, {})
    assert found.cost_before == found.cost == result.cost
    assert qiosk.rerun(GLASS, json.loads(result.to_json()), threads=1).is_same


def test_another_problem_is_refused():
    result = qiosk.solve(GLASS, "microsoft.tabu.cpu", sweeps=1, seed=1)
    other = Problem("other", [Term(c=1, indices=[0, 1])])
    with pytest.raises(InvalidValue, match=f"problem: its digest must be {result.provenance.problem}"):
        qiosk.rerun(other, result)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"target": "qiosk.future"}, "target 'qiosk.future' is not offered"),
        ({"given": {"sweeps": 1, "flux": 2.0}}, "parameter `flux`: microsoft.tabu.cpu has no such parameter"),
    ],
)
def test_results_of_another_version_are_refused_if_this_one_cannot_find_them(change, message):
    document = json.loads(qiosk.solve(GLASS, "microsoft.tabu.cpu", sweeps=1, seed=1).to_json())
    document["provenance"] |= change
    document["provenance"]["versions"]["qiosk"] = "99.0"
    with pytest.raises(InvalidValue, match=f"the results are of Qiosk 99.0, and cannot be found by .*{message}"):
        qiosk.rerun(GLASS, document)


def test_results_of_another_version_tell_what_is_different():
    document = json.loads(qiosk.solve(GLASS, "microsoft.tabu.cpu", sweeps=9, seed=1).to_json())
    document["provenance"]["versions"] = {"qiosk": "99.0", "python": "4.0", "mlir": "1"}
    document["provenance"]["parameters"]["tabu_tenure"] = -1
    document["provenance"]["colour"] = "blue"
    found = qiosk.rerun(GLASS, document)
    assert found.is_same
    differences = found.comparison.differences
    assert list(differences) == ["qiosk", "python", "numpy", "numba", "parameter tabu_tenure"]
    assert differences["qiosk"] == ("99.0", qiosk.__version__)
    assert differences["parameter tabu_tenure"][0] == -1


def test_results_without_provenance_are_refused():
    document = json.loads(qiosk.solve(GLASS, "microsoft.tabu.cpu", sweeps=1, seed=1).to_json())
    with pytest.raises(WrongType, match="results: must be a Result or a results document, found str"):
        qiosk.rerun(GLASS, "results.json")
    damaged = {**document, "provenance": {"versions": 3}}
    with pytest.raises(WrongType, match="`provenance` cannot be read"):
        qiosk.rerun(GLASS, damaged)
    begun = {**document, "provenance": {**document["provenance"], "problem": None}}
    with pytest.raises(MissingSection, match="`problem` is missing: the run did not come to its end"):
        qiosk.rerun(GLASS, begun)
    del document["provenance"]
    with pytest.raises(MissingSection, match="`provenance` is missing"):
        qiosk.rerun(GLASS, document)


def test_a_comparison_tells_what_is_different():
    result = qiosk.solve(GLASS, "microsoft.simulatedannealing.cpu", sweeps=2, restarts=1, seed=1, threads=1)
    other = qiosk.solve(GLASS, "microsoft.simulatedannealing.cpu", sweeps=2, restarts=1, seed=2, threads=2)
    older = structs.replace(result.provenance.versions, numba="0.1")
    document = json.loads(result.to_json())
    document["provenance"]["versions"]["numba"] = older.numba
    found = compare(json.dumps(document).encode(), other.to_json().encode())
    assert not found.is_same_configuration
    assert found.differences["numba"] == ("0.1", result.provenance.versions.numba)
    assert found.differences["threads"] == (1, 2)
    assert not found.is_decided_by_time


@pytest.mark.parametrize("reason", ["timeout", "run_limit", "cancelled"])
def test_a_run_that_time_ended_need_not_be_the_same(reason):
    result = qiosk.solve(GLASS, "microsoft.tabu.cpu", sweeps=1, seed=1)
    cut = replace(result, statistics={**result.statistics, "stop_reason": reason})
    found = compare(cut.to_json().encode(), result.to_json().encode())
    assert found.is_decided_by_time
    assert (found.stop_reason_before, found.stop_reason) == (reason, "finished")


@pytest.mark.parametrize(
    ("change", "is_decided"),
    [
        ({}, False),
        ({"stopReason": None}, True),
        ({"stopReason": "target"}, True),
        ({"stopReason": "gap"}, True),
        ({"stopReason": "optimal"}, False),
        ({"stopReason": "optimal", "given": {"bound": "none"}}, False),
        ({"stopReason": "optimal", "given": {"bound": "auto"}}, True),
        ({"stopReason": "optimal", "given": {"gap": 0.1}}, True),
        ({"statistics": {"is_paced": True}}, True),
        ({"statistics": {"rounds": ["converged", "target"]}}, True),
    ],
    ids=str,
)
def test_results_may_differ_where_the_speed_of_the_machine_matters(change, is_decided):
    document = json.loads(qiosk.solve(GLASS, "microsoft.tabu.cpu", sweeps=1, seed=1).to_json())
    changed = {**document, "provenance": document["provenance"] | change}
    runs = [json.dumps(each).encode() for each in (document, changed)]
    assert compare(*runs).is_decided_by_time is is_decided
    assert compare(*reversed(runs)).is_decided_by_time is is_decided


@pytest.mark.parametrize("target", ["simulatedannealing", "tabu", "paralleltempering", "qiosk.auto"])
def test_parameter_free_targets_tell_whether_the_time_limit_set_their_rounds(target):
    found = qiosk.solve(GLASS, target, timeout=HANG_S, seed=1, bound="none")
    assert found.provenance.statistics["is_paced"] is False


def test_all_solutions_are_compared():
    found = qiosk.solve(GLASS, "microsoft.tabu.cpu", sweeps=20, seed=1, number_of_solutions=2)
    fewer = replace(found, solutions=found.solutions[:1])
    assert compare(found.to_json().encode(), found.to_json().encode()).is_same
    comparison = compare(found.to_json().encode(), fewer.to_json().encode())
    assert (comparison.is_same_cost, comparison.is_same_configuration) == (False, False)
    assert comparison.cost == comparison.cost_before


@pytest.mark.usefixtures("unpropagated")
def test_a_model_is_run_again_in_the_same_rounds():
    model = diet()
    before = model.solve("microsoft.tabu.cpu", sweeps=5, restarts=1).result
    again = qiosk.rerun(model, before)
    assert again.is_same
    assert again.result.statistics["rounds"] == before.statistics["rounds"]
    assert qiosk.rerun(model.problem(), before).is_same
    with pytest.raises(InvalidValue, match="must be a Model, or be made by one"):
        qiosk.rerun(GLASS, before)
    with pytest.raises(InvalidValue, match="its digest must be"):
        qiosk.rerun(diet(25), before)


def test_more_rounds_than_before_mean_that_time_decided():
    result = diet().solve("microsoft.tabu.cpu", sweeps=5, restarts=1, seed=1).result
    longer = replace(result, statistics={**result.statistics, "rounds": [*result.statistics["rounds"], "finished"]})
    assert compare(result.to_json().encode(), longer.to_json().encode()).is_decided_by_time
    cut = replace(result, statistics={**result.statistics, "rounds": ["run_limit"]})
    assert compare(cut.to_json().encode(), cut.to_json().encode()).is_decided_by_time


def submit(solver, problem, **params):
    job = solver(MemoryService().workspace(), **params).submit(problem)
    job.wait_until_completed()
    return job


@pytest.mark.parametrize(
    ("solver", "params"),
    [
        (SimulatedAnnealing, {"sweeps": 5, "restarts": 2}),
        (ParallelTempering, {"sweeps": 5, "all_betas": [0.1, 1.0]}),
        (TabuSearch, {"improvement_cutoff": 5}),
        (SimulatedBifurcationMachine, {"loops": 1, "steps": 10}),
    ],
)
def test_a_job_is_run_again_as_a_job_that_names_it(solver, params):
    job = submit(solver, GLASS, **params)
    again = job.rerun()
    assert again.details.metadata["rerunOf"] == job.id
    assert job.compare(again).is_same
    assert again.provenance.given == job.provenance.given
    assert qiosk.rerun(job, job.get_results()).is_same


@pytest.mark.usefixtures("unpropagated")
def test_a_job_of_a_model_is_run_again_as_a_model():
    job = submit(SimulatedAnnealing, diet().problem(weights={"most": 0.25, "least": 0.25}), sweeps=5, restarts=1)
    assert len(job.provenance.statistics["rounds"]) > 1
    assert job.compare(job.rerun()).is_same
    assert qiosk.rerun(job, job.get_results()).is_same


def test_a_job_that_cannot_be_repeated_is_refused():
    memory = MemoryService(is_deferred=True)
    job = SimulatedAnnealing(memory.workspace(), sweeps=1, restarts=1, seed=1).submit(GLASS)
    with pytest.raises(Conflict, match="has not ended, its status is Waiting"):
        job.rerun()
    memory.run_waiting()
    job.wait_until_completed()
    api = job.workspace.api
    other = Problem("other", [Term(c=1, indices=[0, 1])])
    api.put_blob(*api.locate(job.details.input_data_uri), other.to_blob())
    with pytest.raises(InvalidValue, match="the digest of its input must be"):
        job.rerun()
    failed = SimulatedAnnealing(memory.workspace(), sweeps=1).submit(b"no problem")
    memory.run_waiting()
    failed.refresh()
    with pytest.raises(Conflict, match="has no results to compare with, its status is Failed"):
        failed.rerun()
    with pytest.raises(JobFailed):
        failed.compare(failed)


def test_asyncio_programs_rerun_jobs_too():
    async def main():
        async with aio.Workspace(api=MemoryService().service) as workspace:
            job = await AsyncAnnealing(workspace, sweeps=5, restarts=1).submit(GLASS)
            await job.refresh()
            again = await job.rerun()
            assert (await job.cost_function()).n_terms == 240
            assert (await job.compare(again)).is_same

    asyncio.run(main())


def qiosk_command(*words):
    return CliRunner().invoke(app, list(map(str, words)))


def test_the_command_finds_the_problem_of_its_results(tmp_path, monkeypatch):
    path, results = tmp_path / "glass.json", tmp_path / "results.json"
    path.write_text(GLASS.to_json())
    monkeypatch.chdir(tmp_path)
    done = qiosk_command("solve", "glass.json", "-p", "sweeps=5", "--target", "tabu", "-o", results)
    assert done.exit_code == 0, done.stderr
    assert json.loads(results.read_text())["source"] == {"file": "glass.json"}
    monkeypatch.chdir("/")
    out = tmp_path / "again.json"
    done = qiosk_command("rerun", results, "--json", "-o", out)
    assert done.exit_code == 0, done.stderr
    assert json.loads(done.stdout)["is_same"] is True
    assert json.loads(out.read_text())["cost"] == json.loads(results.read_text())["cost"]
    other = tmp_path / "other.json"
    other.write_text(Problem("other", [Term(c=1, indices=[0, 1])]).to_json())
    done = qiosk_command("rerun", results, "--problem", other)
    assert done.exit_code == 2
    assert "its digest must be" in done.stderr


@pytest.mark.parametrize(("reason", "status"), [("finished", 1), ("timeout", 4)])
def test_the_exit_status_tells_whether_time_decided(tmp_path, reason, status):
    path, results = tmp_path / "glass.json", tmp_path / "results.json"
    path.write_text(GLASS.to_json())
    document = json.loads(qiosk.solve(GLASS, "microsoft.tabu.cpu", sweeps=3, restarts=1, seed=1).to_json())
    document["solutions"][0]["cost"] -= 1.0
    document["provenance"]["stopReason"] = reason
    results.write_text(json.dumps(document))
    done = qiosk_command("rerun", results)
    assert done.exit_code == 2
    assert "does not name the file of its problem; --problem does" in done.stderr
    done = qiosk_command("rerun", results, "--problem", path)
    assert done.exit_code == status, done.stderr
    assert ["same", "no"] in [line.split() for line in done.stdout.splitlines()]
    assert ("depends on how fast the machine is" in done.stdout) == (status == 4)


def test_a_file_with_constraints_is_run_again_as_a_model(tmp_path):
    path, results = tmp_path / "problem.lp", tmp_path / "results.json"
    path.write_text(KNAPSACK)
    assert qiosk_command("solve", path, "--penalty", "auto", "-o", results).exit_code == 0
    done = qiosk_command("rerun", results)
    assert done.exit_code == 0, done.stderr
    assert ["same", "yes"] in [line.split() for line in done.stdout.splitlines()]


def test_the_command_refuses_the_problem_of_a_job(tmp_path):
    done = qiosk_command("rerun", "no-such-file", "--problem", tmp_path / "p.json")
    assert done.exit_code == 2
    assert "there is no file no-such-file" in done.stderr


@pytest.mark.parametrize("words", [(), ("--local",)])
def test_the_command_runs_a_job_again(monkeypatch, words):
    job = submit(SimulatedAnnealing, GLASS, sweeps=5, restarts=2)
    monkeypatch.setattr("qiosk.cli.commands.rerun.open_workspace", lambda *named: job.workspace)
    done = qiosk_command("rerun", job.id[:8], "--json", *words)
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["is_same"] is True
    assert len(job.workspace.list_jobs()) == (1 if words else 2)
    assert ("job" in found) == (not words)
