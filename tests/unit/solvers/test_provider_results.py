"""Results as each provider wrote them: what is on the wire, and that every reader takes all three."""

from __future__ import annotations

import json

import numpy as np
import numpy.testing as npt
import pytest

from job_specs import a_spec
from qiosk.client.results import read_results
from qiosk.errors import InvalidValue, WrongType
from qiosk.formats.qio import json_codec as qio_json
from qiosk.formats.qio import results as qio_results
from qiosk.service.jobs.runs import ChunkReport
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.solve import run_target, solve
from qiosk.solvers.targets.catalogue import targets
from qiosk.supervisor.processes import solver_runner
from strategies import cost_function

IDS = np.array([0, 2, 10])
BEST = (IDS, np.array([1, 0, 1], np.int8), -5)
SECOND = (IDS, np.array([0, 0, 1], np.int8), -2.5)
TRIANGLE = [(1.0, [0, 1]), (1.0, [1, 2]), (1.0, [0, 2])]  # frustrated: else linear algebra solves it at once
GLASS = cost_function("ising", [(1.0, [i, (3 * i + 1) % 30]) for i in range(1, 30) if (3 * i + 1) % 30 != i] + TRIANGLE)
URI = "file:///home/blobs/job-1/inputData"


def test_oneqbit_writes_strings_and_nothing_at_the_root() -> None:
    parameters = {"improvement_cutoff": 0, "goal": True, "temps": np.array([0.2, 1.0]), "solver_name": "Tabu"}
    text = qio_results.encode_oneqbit([BEST, SECOND], parameters, target="1qbit.tabu", input_data_uri=URI)
    assert json.loads(text) == {
        "version": "1.0",
        "target": "1qbit.tabu",
        "input_data_uri": URI,
        "input_params": {"improvement_cutoff": "0", "goal": "True", "temps": "[0.2, 1.0]", "solver_name": "Tabu"},
        "solutions": [
            {"configuration": {"0": "1", "2": "0", "10": "1"}, "cost": -5.0},
            {"configuration": {"0": "0", "2": "0", "10": "1"}, "cost": -2.5},
        ],
    }


def test_toshiba_tells_of_the_run_with_every_solution() -> None:
    run = {"runs": 1601, "message": "finished", "time": 0.02}
    text = qio_results.encode_toshiba([BEST, SECOND], {"steps": 5}, run, target="toshiba.sbm.ising", input_data_uri=URI)
    assert json.loads(text) == {
        "version": "1.0",
        "target": "toshiba.sbm.ising",
        "input_params": {"steps": 5},
        "input_data_uri": URI,
        "solutions": [
            {"configuration": {"0": 1, "2": 0, "10": 1}, "cost": -5.0, "parameters": run},
            {"configuration": {"0": 0, "2": 0, "10": 1}, "cost": -2.5, "parameters": run},
        ],
    }


def documents() -> dict[str, bytes]:
    run = {"runs": 1, "message": "finished", "time": 0.5}
    where = {"target": "x.y", "input_data_uri": URI}
    return {
        "microsoft": qio_results.encode([BEST, SECOND], {"seed": 7}),
        "1qbit": qio_results.encode_oneqbit([BEST, SECOND], {"seed": 7}, **where),
        "toshiba": qio_results.encode_toshiba([BEST, SECOND], {"seed": 7}, run, **where),
    }


@pytest.mark.parametrize("provider", ["microsoft", "1qbit", "toshiba"])
def test_every_document_is_decoded(provider: str) -> None:
    decoded = qio_results.decode(documents()[provider])
    for (ids, values, cost), found in zip([BEST, SECOND], decoded.solutions, strict=True):
        npt.assert_array_equal(found[0], ids)
        npt.assert_array_equal(found[1], values)
        assert found[2] == cost
    assert decoded.parameters == {"seed": "7" if provider == "1qbit" else 7}
    assert decoded.extra == ({} if provider == "microsoft" else {"target": "x.y", "input_data_uri": URI})


@pytest.mark.parametrize("provider", ["microsoft", "1qbit", "toshiba"])
def test_results_of_every_provider_have_the_same_attributes(provider: str) -> None:
    results = read_results(documents()[provider])
    assert results.cost == -5.0
    assert results.configuration == {"0": 1, "2": 0, "10": 1}
    assert str(results.parameters["seed"]) == "7"
    assert "-5.0" in results._repr_html_()
    assert ("cost" in results) is (provider == "microsoft")


def test_results_without_solutions_have_no_cost() -> None:
    with pytest.raises(AttributeError, match="no member 'cost': they have solutions"):
        _ = read_results(b'{"solutions": []}').cost


@pytest.mark.parametrize(("value", "error"), [('"2"', WrongType), ('"x"', WrongType), ("2", InvalidValue)])
def test_other_values_are_refused(value: str, error: type[Exception]) -> None:
    with pytest.raises(error, match="solution 0: values must be"):
        qio_results.decode(f'{{"solutions": [{{"configuration": {{"0": {value}}}, "cost": 1}}]}}'.encode())


def test_costs_must_be_finite_for_every_provider() -> None:
    wrong = [(IDS, BEST[1], float("nan"))]
    for encode in (qio_results.encode_oneqbit, lambda *a, **k: qio_results.encode_toshiba(*a, {}, **k)):
        with pytest.raises(InvalidValue, match="must be finite"):
            encode(wrong, {}, target="", input_data_uri="")


@pytest.mark.parametrize("target", [found.id for found in targets()])
def test_every_target_answers_in_the_format_of_its_provider(target: str) -> None:
    seen: list[bytes] = []

    def keep(report: ChunkReport) -> None:
        if report.progress.best_cost is not None:
            seen.append(report.best())

    hooks = Hooks(on_chunk=keep, input_data_uri=URI)
    params = {"seed": 1, "timeout": 20_000 if target.startswith("1qbit") else 20}
    microsoft = target.startswith(("microsoft", "qiosk"))
    result = run_target(target, {"params": params} if microsoft else params, GLASS, threads=1, hooks=hooks)
    for text in (seen[-1], result.to_json().encode()):
        document = json.loads(text)
        assert document["solutions"][0]["cost"] == result.cost
        if microsoft:
            assert document["cost"] == result.cost
            assert document["parameters"]["seed"] == 1
        else:
            assert not {"cost", "configuration", "parameters"} & set(document)
            assert (document["target"], document["input_data_uri"]) == (target, URI)
            assert document["input_params"]["seed"] == ("1" if target.startswith("1qbit") else 1)
        if target.startswith("1qbit"):
            assert set(document["solutions"][0]["configuration"].values()) == {"-1", "1"}
            assert document["input_params"]["solver_name"]


def test_toshiba_says_how_many_loops_and_why_they_ended() -> None:
    best = solve(GLASS, "toshiba.sbm.ising", seed=1, loops=3, steps=100, maxout=2)
    solutions = json.loads(best.to_json())["solutions"]
    assert len(solutions) == 2
    run = solutions[0]["parameters"]
    assert (run["runs"], run["message"]) == (3, "finished")
    assert run["time"] == best.statistics["seconds"]
    cut = solve(GLASS, "toshiba.sbm.ising", seed=1, loops=0, steps=100, timeout=0.2)
    run = json.loads(cut.to_json())["solutions"][0]["parameters"]
    assert run["message"] == "timeout"
    assert run["runs"] == cut.parameters["loops"] > 1


def test_jobs_name_their_input() -> None:
    params = {"steps": 50, "seed": 3}
    spec = a_spec(target="toshiba.sbm.ising", input_params=params, threads=1, input_data_uri=URI)
    result = solver_runner.run(
        spec,
        qio_json.write(GLASS),
        is_cancelled=lambda: False,
        on_chunk=lambda report: None,
        on_activity=lambda activity: None,
        resume=None,
        found={},
    )
    assert json.loads(result.to_json())["input_data_uri"] == URI
