"""The provenance of results that are found in this process."""

from __future__ import annotations

import json

import numpy as np
import pytest

import qiosk
from qiosk.contract.provenance import MAX_LISTED, environment
from qiosk.formats import registry
from qiosk.formats.qio import results as qio_results
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.model.digest import problem_digest
from qiosk.optimization import Problem, SimulatedAnnealing, Term
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.solve import set_up
from qiosk.testing import MemoryService

GLASS = Problem("glass", [Term(c=c, indices=[i, (i + 1) % 30]) for i, c in enumerate([1, -2, 3] * 10)])


def test_a_result_names_all_that_it_was_found_by():
    result = qiosk.solve(GLASS, "microsoft.simulatedannealing.cpu", sweeps=20, restarts=3, seed=5, threads=1)
    found = result.provenance
    assert (found.target, found.seed, found.stop_reason) == ("microsoft.simulatedannealing.cpu", 5, "finished")
    assert found.problem == problem_digest(GLASS.cost_function())
    assert found.given["sweeps"] == 20
    assert found.parameters == result.parameters
    assert found.statistics["kernel"] == result.statistics["kernel"]
    assert found.statistics["replica_costs"] == result.statistics["replica_costs"]
    assert found.machine.threads == 1
    assert found.versions == environment().versions
    assert found.versions.numpy == np.__version__
    assert found.began_at <= found.ended_at


def test_a_run_with_what_was_given_finds_the_same():
    result = qiosk.solve(GLASS, "microsoft.tabu.cpu", sweeps=20)
    given = result.provenance.given
    again = qiosk.solve(GLASS, result.provenance.target, **given)
    assert again.configuration == result.configuration
    assert again.provenance.given == given


def test_a_forced_kernel_is_given():
    result = qiosk.solve(GLASS, "microsoft.simulatedannealing.cpu", sweeps=2, seed=1, kernel="plain")
    assert result.provenance.given["kernel"] == "plain"


@pytest.mark.parametrize(("most_terms", "is_there"), [(30, True), (29, False)])
def test_reports_during_a_run_have_the_digest_of_a_problem_that_is_not_large(most_terms, is_there, monkeypatch):
    monkeypatch.setattr("qiosk.solvers.provenance.MOST_TERMS", most_terms)
    reports = []
    hooks = Hooks(on_chunk=reports.append)
    setup = set_up("microsoft.tabu.cpu", {"timeout": None, "seed": 1, "threads": 1, "kernel": None}, {"sweeps": 5})
    result = setup.run(GLASS.cost_function(), hooks)
    digest = result.provenance.problem
    assert digest == problem_digest(GLASS.cost_function())
    found = reports[0].provenance()
    assert (found.problem, found.stop_reason) == (digest if is_there else None, None)
    assert json.loads(reports[0].best())["provenance"]["problem"] == found.problem


def test_long_lists_of_statistics_are_left_out():
    many = MAX_LISTED + 1
    result = qiosk.solve(GLASS, "microsoft.simulatedannealing.cpu", sweeps=1, restarts=many, seed=1)
    assert len(result.statistics["replica_costs"]) >= many
    assert "replica_costs" not in result.provenance.statistics


@pytest.mark.parametrize(
    ("target", "params"),
    [
        ("microsoft.tabu.cpu", {"sweeps": 5}),
        ("1qbit.tabu", {}),
        ("toshiba.sbm.ising", {"loops": 1, "steps": 10}),
    ],
)
def test_documents_of_all_providers_contain_it(target, params):
    result = qiosk.solve(GLASS, target, seed=1, **params)
    document = json.loads(result.to_json())
    assert list(document)[-1] == "provenance"
    assert document["provenance"]["problem"] == problem_digest(GLASS.cost_function())
    assert document["provenance"]["stopReason"] == result.stop_reason
    read = qio_results.decode(result.to_json().encode())
    assert read.extra["provenance"] == document["provenance"]


def test_a_digest_does_not_depend_on_the_format_or_the_types_of_columns():
    cost_function = GLASS.cost_function()
    wanted = problem_digest(cost_function)
    for data in (GLASS.to_json().encode(), GLASS.to_blob()):
        assert problem_digest(registry.read(data)) == wanted
    narrow = CostFunction(
        ProblemType.ising, cost_function.coefficients.astype(np.int8), 2, cost_function.ids.astype(np.int32)
    )
    assert problem_digest(narrow) == wanted


@pytest.mark.parametrize(
    "other",
    [
        CostFunction(ProblemType.pubo, np.array([1.0, 2.0]), 1, np.array([0, 1])),
        CostFunction(ProblemType.ising, np.array([1.0, 2.5]), 1, np.array([0, 1])),
        CostFunction(ProblemType.ising, np.array([1.0, 2.0]), 1, np.array([0, 2])),
        CostFunction(ProblemType.ising, np.array([1.0, 2.0]), np.array([0, 2, 2]), np.array([0, 1])),
        CostFunction(ProblemType.ising, np.array([1.0, 2.0]), 1, np.array([0, 1]), initial_configuration={0: 1, 1: 1}),
        CostFunction(ProblemType.ising, np.empty(0), 1, np.empty(0, np.int64)),
    ],
)
def test_other_problems_have_other_digests(other):
    one = CostFunction(ProblemType.ising, np.array([1.0, 2.0]), 1, np.array([0, 1]))
    assert problem_digest(one) != problem_digest(other)


def test_a_job_and_its_results_have_the_same_provenance():
    workspace = MemoryService().workspace()
    job = SimulatedAnnealing(workspace, sweeps=5, restarts=2, seed=3).submit(GLASS)
    results = job.get_results()
    assert job.provenance.problem == problem_digest(GLASS.cost_function())
    assert job.provenance.given["seed"] == 3
    assert results.provenance == job.details.as_dict()["provenance"]
