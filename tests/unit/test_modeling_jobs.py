"""Jobs of models: the weights that were submitted are raised where they are too small."""

from __future__ import annotations

import json

import pytest

from qiosk.formats import columns
from qiosk.formats.qio import json_codec
from qiosk.modeling import Model, total
from qiosk.modeling.jobs import model_of
from qiosk.problem import Problem
from qiosk.service.jobs.job import BlobRef
from qiosk.service.jobs.runs import JobSpec
from qiosk.supervisor import solver_runner

FORMATS = [(json_codec, "microsoft.qio.v2"), (columns, columns.NAME)]


def cover():
    """A model whose constraint is cheaper to violate than to keep if its weight is small."""
    model = Model("cover")
    x = model.bits("x", range(4))
    model.minimize(total(10 * bit for bit in x.values()))
    model.add(x[0] + 2 * x[1] + 3 * x[2] >= 3, "covered")
    return model


def run(problem, codec=json_codec, form="microsoft.qio.v2", **params):
    spec = JobSpec(
        workspace="default",
        id="j",
        fence=1,
        container="job-j",
        input=BlobRef("job-j", "inputData"),
        target="microsoft.paralleltempering-parameterfree.cpu",
        input_params={"params": {"seed": 1, "timeout": 5, **params}},
        input_data_format=form,
        output_data_format="microsoft.qio-results.v2",
        threads=1,
        max_seconds=60,
    )
    reports = []
    result = solver_runner.run(
        spec,
        codec.write(problem.cost_function()),
        is_cancelled=lambda: False,
        on_chunk=reports.append,
        on_activity=lambda activity: None,
        resume=None,
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
