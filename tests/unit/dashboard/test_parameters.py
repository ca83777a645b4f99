"""Parameters as fields of a form, and back."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from pages import job_view
from patience import HANG_S
from qiosk import Problem, solve
from qiosk.contract.jobs import JobView
from qiosk.contract.provenance import environment
from qiosk.dashboard.new_job.parameters import entries_found_by, entries_of, entries_of_job, parameter_form
from qiosk.errors import NotFound
from qiosk.model.cost_function import ProblemType
from qiosk.solvers.targets.catalogue import target, targets

SPREAD = {
    "microsoft.simulatedannealing.cpu": {"beta_start": 0.125, "beta_stop": 3.5, "sweeps": 7, "restarts": 2, "seed": -5},
    "microsoft.paralleltempering.cpu": {"all_betas": [0.1, 1 / 3, 2e-7], "replicas": 3, "timeout": 2.5},
    "microsoft.substochasticmontecarlo.cpu": {"beta": {"type": "linear", "initial": 0.0, "final": 1e-3}},
    "1qbit.pathrelinking": {"greedy_path_relinking": True, "distance_scale": 0.25, "timeout": 1500.0},
    "toshiba.sbm.ising": {"algo": "1.5", "auto": False, "dt": 0.5, "target": -3.0, "timeout": 1.0},
    "qiosk.auto": {"bound": "none", "presolve": False, "number_of_solutions": 10, "gap": 0.01, "target_cost": -1e300},
}


def job(target_id: str, input_params: Any, **members: Any) -> JobView:
    return job_view(target=target_id, input_params=input_params, **members)


@pytest.mark.parametrize("target_id", SPREAD)
def test_parameters_of_a_job_are_those_of_the_next_one(target_id: str) -> None:
    form = parameter_form(target(target_id), entries_of(target(target_id), SPREAD[target_id]))
    assert form.is_valid
    assert dict(form.values) == SPREAD[target_id]
    again = entries_of_job(job(target_id, form.input_params))
    assert dict(parameter_form(target(target_id), again).values) == SPREAD[target_id]


@pytest.mark.parametrize(
    ("target_id", "seconds"),
    [("qiosk.auto", 30.0), ("toshiba.sbm.ising", 10.0), ("1qbit.tabu", None), ("microsoft.qmc.cpu", None)],
)
def test_the_time_limit_by_default_is_the_targets(target_id: str, seconds: float | None) -> None:
    assert parameter_form(target(target_id), {"limit": "3"}).default_limit == seconds


def test_every_provider_gets_its_own_form() -> None:
    assert parameter_form(target("qiosk.auto"), {"p.seed": "3"}).input_params == {"params": {"seed": 3}}
    relinking = parameter_form(target("1qbit.pathrelinking"), {"p.seed": "3", "limit": "2"})
    assert relinking.input_params == {"seed": "3", "timeout": "2000.0"}
    assert parameter_form(target("toshiba.sbm.ising"), {"limit": "2"}).input_params == {"timeout": 2.0}


@pytest.mark.parametrize("chosen", targets(), ids=lambda found: found.id)
def test_every_target_has_a_form_that_is_valid_when_it_is_empty(chosen) -> None:
    form = parameter_form(chosen, {"target": chosen.id})
    assert form.is_valid
    assert not form.values
    assert len(form.fields) == sum(parameter.name != "timeout" for parameter in chosen.parameters)
    assert all(field.hint for field in form.fields)
    assert chosen.summary.endswith(".")


@pytest.mark.parametrize(
    ("target_id", "name", "text", "message"),
    [
        ("qiosk.auto", "p.seed", "1.5", "parameter `seed`: must be an integer, found float 1.5"),
        ("qiosk.auto", "p.seed", "nine", "parameter `seed`: must be an integer, found str 'nine'"),
        ("qiosk.auto", "p.seed", "9" * 5000, "parameter `seed`: must be"),
        ("qiosk.auto", "p.seed", "9" * 3000, "parameter `seed`: must be a 64-bit integer"),
        ("qiosk.auto", "p.number_of_solutions", "11", "must be 1 to 10, found 11"),
        ("qiosk.auto", "p.target_cost", "nan", "must be a finite number"),
        ("qiosk.auto", "p.target_cost", "1e999", "must be a finite number"),
        ("qiosk.auto", "p.presolve", "perhaps", "must be true or false"),
        ("qiosk.auto", "p.bound", "<b>", "must be 'auto' or 'none'"),
        ("qiosk.auto", "limit", "-1", "parameter `timeout`: must be at least 0"),
        ("qiosk.auto", "limit", "soon", "parameter `timeout`: must be a number, found str 'soon'"),
        ("toshiba.sbm.ising", "limit", "361", "at most 360"),
        ("microsoft.paralleltempering.cpu", "p.all_betas", "1, x", "parameter `all_betas[1]`: must be a number"),
        ("microsoft.paralleltempering.cpu", "p.all_betas", "[]", "must have at least one entry"),
        ("microsoft.populationannealing.cpu", "p.beta.final", "3", "must have `type`"),
        ("microsoft.populationannealing.cpu", "p.beta.type", "linear", "must have `initial`"),
    ],
)
def test_what_is_wrong_is_said_at_its_field(target_id: str, name: str, text: str, message: str) -> None:
    form = parameter_form(target(target_id), {name: text})
    assert not form.is_valid
    errors = [field.error for field in form.fields] + [form.limit_error]
    assert [error for error in errors if error and message in error]
    assert len([error for error in errors if error]) == 1


def test_what_a_parameter_free_run_has_found_is_taken_with_its_target() -> None:
    given = {"params": {"seed": 4, "timeout": 20}}
    found = {"sweeps": 500, "tabu_tenure": 3, "restarts": 16, "seed": 4, "timeout": 20.0, "presolve": True}
    provenance = structs.replace(environment(), parameters=found)
    entries = entries_found_by(job("microsoft.tabu-parameterfree.cpu", given, provenance=provenance))
    assert entries["target"] == "microsoft.tabu.cpu"
    form = parameter_form(target("microsoft.tabu.cpu"), entries)
    assert dict(form.values) == {"sweeps": 500, "tabu_tenure": 3, "restarts": 16, "seed": 4, "timeout": 20.0}


def test_of_a_portfolio_the_winner_is_taken() -> None:
    members = [
        {"member": "tabu", "share": 0.7, "fate": "dropped", "parameters": {"sweeps": 1}},
        {"member": "simulatedannealing", "share": 0.3, "fate": "won", "parameters": {"sweeps": 9, "beta_stop": 2.0}},
    ]
    provenance = structs.replace(environment(), statistics={"portfolio": members}, parameters={"seed": 1})
    entries = entries_found_by(job("qiosk.auto", {"params": {}}, provenance=provenance))
    assert entries == {"target": "microsoft.simulatedannealing.cpu", "p.sweeps": "9", "p.beta_stop": "2"}


def test_a_run_without_a_search_has_found_nothing() -> None:
    provenance = structs.replace(environment(), parameters={"seed": 1})
    for found in (None, provenance):
        with pytest.raises(NotFound, match="found no parameters"):
            entries_found_by(job("qiosk.auto", {"params": {}}, provenance=found))


@pytest.mark.parametrize("free", [each for each in targets() if each.is_parameter_free], ids=lambda found: found.id)
def test_what_every_parameter_free_target_finds_is_valid_for_the_other_one(free) -> None:
    weights = np.random.default_rng(1).normal(size=435)
    problem = Problem.from_arrays(weights, list(combinations(range(30), 2)), problem_type=ProblemType.ising)
    result = solve(problem, free.id, seed=1, timeout=HANG_S, bound="none", presolve=False)
    found = entries_found_by(job(free.id, {"params": {"seed": 1, "bound": "none"}}, provenance=result.provenance))
    chosen = target(found["target"])
    form = parameter_form(chosen, found)
    assert form.is_valid
    assert not chosen.is_parameter_free
    assert {"seed", "bound"} < set(form.values)
