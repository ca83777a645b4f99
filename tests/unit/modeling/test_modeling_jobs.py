"""Jobs of models: the weights that were submitted are raised where they are too small."""

from __future__ import annotations

import json

import pytest

from job_specs import a_spec
from patience import HANG_S
from qiosk.errors import InvalidValue
from qiosk.formats import columns
from qiosk.formats.qio import json_codec
from qiosk.modeling import Model, total
from qiosk.modeling.answer import read_answer
from qiosk.modeling.jobs import model_of
from qiosk.problem import Problem
from qiosk.solvers.checkpoint import pack, unpack
from qiosk.supervisor.processes import solver_runner

FORMATS = [(json_codec, "microsoft.qio.v2"), (columns, columns.NAME)]


def cover():
    """A model whose constraint is cheaper to violate than to keep if its weight is small."""
    model = Model("cover")
    x = model.bits("x", range(4))
    model.minimize(total(10 * bit for bit in x.values()))
    model.add(x[0] + 2 * x[1] + 3 * x[2] >= 3, "covered")
    return model


class Lost(BaseException):
    """Ends a run as the death of its process does."""


def run(
    problem,
    codec=json_codec,
    form="microsoft.qio.v2",
    *,
    target=None,
    resume=None,
    on_chunk=None,
    max_seconds=60,
    **params,
):
    spec = a_spec(
        target=target or "microsoft.paralleltempering-parameterfree.cpu",
        input_params={"params": {"seed": 1, "timeout": 5, **params}},
        input_data_format=form,
        threads=1,
        max_seconds=max_seconds,
    )
    reports = []

    def follow(report):
        reports.append(report)
        if on_chunk is not None:
            on_chunk(report)

    result = solver_runner.run(
        spec,
        codec.write(problem.cost_function()),
        is_cancelled=lambda: False,
        on_chunk=follow,
        on_activity=lambda activity: None,
        resume=resume,
        found={},
    )
    return result, reports


@pytest.mark.parametrize(("codec", "form"), FORMATS)
def test_a_job_raises_the_weights_of_violated_constraints(codec, form):
    model = cover()
    problem = model.problem(weights={"covered": 0.5})
    result, reports = run(problem, codec, form)
    found = model.decode(result)
    assert found.is_feasible
    assert found.objective == result.cost == 10
    assert json.loads(result.to_json())["cost"] == problem.evaluate(result.configuration)
    assert len(reports) > 1
    assert [r.progress.seconds for r in reports] == sorted(r.progress.seconds for r in reports)


def test_a_problem_that_was_changed_is_solved_as_it_is():
    model = cover()
    problem = model.problem(weights={"covered": 0.5})
    problem.add_term(-1.0, [3])
    assert model_of(problem.cost_function()) is None
    result, _ = run(problem)
    assert result.cost == problem.evaluate(result.configuration)
    assert not model.decode(result).is_feasible


@pytest.mark.parametrize(
    "metadata",
    [{"model": {}, "weights": {}}, {"model": [1], "weights": {"covered": "x"}}, {"weights": {}}, {"model": 3}],
    ids=str,
)
def test_metadata_that_are_no_model_are_not_used(metadata):
    problem = Problem("p")
    problem.add_term(1.0, [0, 1])
    problem.metadata = metadata
    assert model_of(problem.cost_function()) is None
    assert run(problem)[0].cost == -1


def test_weights_given_with_constraints_stay():
    model = cover()
    x = model.bit("y")
    model.maximize(5 * x)
    model.add(x == 0, "rather not", weight=1)
    result, _ = run(model.problem())
    assert model.decode(result)["y"] == 1


def seven_of(n):
    """A model that takes some rounds, which converge, if its weight is small."""
    model = Model("seven")
    x = model.bits("x", range(n))
    model.minimize(total((1 + i % 3) * bit for i, bit in x.items()))
    model.add(total(x.values()) >= 7, "seven")
    model.add(x[0] + x[1] == 1, "one")
    return model


def told(document):
    """An answer in a results document, without times."""
    rounds = [{name: value for name, value in each.items() if name != "seconds"} for each in document["rounds"]]
    return document | {"rounds": rounds}


def lost_in_round(problem, number, **params):
    """The checkpoint of a run that was lost in a round."""
    found = []

    def stop(report):
        checkpoint = report.checkpoint()
        written = unpack(checkpoint, without="state")
        if len(json.loads(written["search"].tobytes())["rounds"]) == number:
            found.append(checkpoint)
            raise Lost

    with pytest.raises(Lost):
        run(problem, on_chunk=stop, **params)
    return found[0]


@pytest.mark.parametrize("number", [0, 1, 2])
@pytest.mark.usefixtures("unpropagated")
def test_a_job_that_was_lost_in_a_round_goes_on_there(number):
    model = seven_of(26)
    problem = model.problem(weights={"seven": 0.01, "one": 0.01})
    params = {"target": "microsoft.tabu-parameterfree.cpu", "timeout": 3000, "max_seconds": None}
    whole, _ = run(problem, **params)
    rounds = json.loads(whole.to_json())["model"]["rounds"]
    assert len(rounds) > 2
    assert {each["stop_reason"] for each in rounds} <= {"violated", "converged"}
    resumed, reports = run(problem, resume=lost_in_round(problem, number, **params), **params)
    assert resumed.configuration == whole.configuration
    assert told(json.loads(resumed.to_json())["model"]) == told(json.loads(whole.to_json())["model"])
    assert resumed.facts.seed == whole.facts.seed
    assert [p.cost for p in resumed.trace] == [p.cost for p in whole.trace]
    assert [p.cost for r in reports for p in r.new_trace] == [p.cost for p in resumed.trace]


@pytest.mark.usefixtures("unpropagated")
def test_a_damaged_checkpoint_and_one_of_another_model_begin_again():
    model = seven_of(26)
    problem = model.problem(weights={"seven": 0.01, "one": 0.01})
    params = {"target": "microsoft.tabu-parameterfree.cpu", "timeout": 3000, "max_seconds": None}
    checkpoint = lost_in_round(problem, 1, **params)
    other = cover()
    result, _ = run(other.problem(), resume=checkpoint, **params)
    assert other.decode(result).is_feasible
    parts = unpack(checkpoint)
    broken = pack({**parts, "search": parts["search"][:-5]})
    result, _ = run(problem, resume=broken, **params)
    assert model.decode(result).is_feasible


def test_results_have_the_answer_of_the_model():
    model = seven_of(12)
    result, _ = run(model.problem())
    found = json.loads(result.to_json())
    answer = model.solve(seed=1, timeout=5, threads=1)
    assert told(found["model"]) == told(answer.to_json())
    assert read_answer(model.decode(result), found["model"]).rounds[0].weights == answer.rounds[0].weights
    assert found["violated"] == []
    assert found["provenance"]["statistics"]["status"] == "optimal"
    assert list(found)[:4] == ["version", "configuration", "cost", "parameters"]


def test_results_tell_what_an_infeasible_answer_violates():
    model = Model()
    x = model.bits("x", range(3))
    model.minimize(total(x.values()))
    model.add(x[0] + x[1] == 1, "one")
    model.add(x[0] + x[1] + x[2] == 0, "none")
    result, _ = run(model.problem())
    found = json.loads(result.to_json())
    assert found["model"]["status"] == "infeasible"
    assert [each["name"] for each in found["violated"]] == [each["name"] for each in found["model"]["violated"]]
    assert len(found["violated"]) == 1


@pytest.mark.parametrize("document", [3, {}, {"status": "good", "rounds": []}, {"status": "optimal", "rounds": [1]}])
def test_answers_that_are_none_are_refused(document):
    model = cover()
    with pytest.raises(InvalidValue, match="`model` is not the answer of a model"):
        read_answer(model.decode(dict.fromkeys(range(4), 0)), document)


@pytest.mark.usefixtures("unpropagated")
def test_the_best_solution_so_far_is_one_that_satisfies_all_constraints_whatever_the_weights():
    model = seven_of(26)
    problem = model.problem(weights={"seven": 0.01, "one": 0.01})
    found = []

    def look(report):
        if report.progress.best_cost is None:
            return
        document = json.loads(report.best())
        assert document["cost"] == report.progress.best_cost == problem.evaluate(document["configuration"])
        assert [v["name"] for v in document["violated"]] == [
            r.name for r in model.decode(document["configuration"]).violated
        ]
        found.append(len(document["violated"]))

    result, _ = run(
        problem, on_chunk=look, target="microsoft.tabu-parameterfree.cpu", timeout=int(HANG_S), max_seconds=None
    )
    assert found[0] > 0
    assert found[-1] == 0
    assert found == sorted(found, reverse=True)
    assert model.decode(result).is_feasible
