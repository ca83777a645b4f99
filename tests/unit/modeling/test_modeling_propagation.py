"""Models are propagated before they are searched: what is proven is right, and what is found is where rounds begin."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given, settings

import qiosk
from patience import SLOWNESS
from qiosk.errors import InvalidValue
from qiosk.modeling import Model, Status, total
from qiosk.modeling.jobs import solve_job
from qiosk.modeling.propagation import turns
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.setup import job_setup
from random_models import feasible, models, pigeons, rows_of

TIMEOUT = 20 * SLOWNESS


def subset(n=30):
    """Numbers of a given sum, as few as possible."""
    model = Model("subset")
    take = model.bits("take", range(n))
    model.add(total((k * k + 7) * bit for k, bit in take.items()) == 1000, "sum")
    model.minimize(total(take.values()))
    return model


@settings(max_examples=100)
@given(models())
def test_a_configuration_is_completed_with_the_slack_that_fits(model):
    try:
        model.problem()
    except InvalidValue:
        return
    for bits, objective in feasible(model)[:3]:
        problem = model.problem(initial=bits)
        assert {bit: problem.init_config[bit] for bit in bits} == bits
        assert problem.evaluate(problem.init_config) == pytest.approx(-objective if model.is_maximized else objective)


@settings(max_examples=40)
@given(models())
def test_small_models_that_are_propagated_get_the_same_answer(model):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qiosk.modeling.model.MAX_VARIABLES", -1)
        patch.setattr("qiosk.modeling.model.are_kept_by_moves", lambda rows: False)
        try:
            answer = model.solve(seed=1, timeout=TIMEOUT)
        except InvalidValue:
            assert not feasible(model)
            return
    best = min((objective for _, objective in feasible(model)), default=None)
    assert answer.status is (Status.INFEASIBLE if best is None else Status.OPTIMAL)
    assert answer.propagated.stop_reason == "converged"
    if best is not None:
        assert answer.objective == best
        assert answer.rounds == ()
        assert answer.bits == answer.result.configuration


def test_the_answer_of_propagation_is_that_of_the_problem():
    model = subset()
    answer = model.solve(seed=1, timeout=TIMEOUT)
    assert (answer.status, answer.is_feasible, answer.rounds) == (Status.OPTIMAL, True, ())
    assert answer.result.statistics["kernel"] == "propagation"
    assert answer.result.cost == model.problem().evaluate(answer.result.configuration) == answer.objective
    assert answer.propagated.objective == answer.objective
    assert answer.to_json()["propagated"]["stop_reason"] == "converged"
    assert qiosk.rerun(model, answer.result).is_same
    fewest = int(answer.objective)
    sizes = [k * k + 7 for k in range(30)]
    assert not any(sum(some) == 1000 for n in range(fewest) for some in itertools.combinations(sizes, n))


def test_a_model_that_has_no_solution_is_proven_to_have_none():
    answer = pigeons(6).solve(seed=1, timeout=TIMEOUT)
    assert answer.status is Status.INFEASIBLE
    assert answer.propagated.objective is None
    assert len(answer.rounds) == 1
    assert answer.violated


def test_more_solutions_are_searched_for_from_the_best_one():
    answer = subset().solve("tabu", number_of_solutions=3, sweeps=50, seed=1)
    assert answer.status is Status.OPTIMAL
    assert answer.objective == subset().solve(seed=1, timeout=TIMEOUT).objective
    assert answer.rounds


def test_rounds_begin_where_propagation_ended(monkeypatch):
    monkeypatch.setattr(turns, "TURN_STEPS", 5000)
    model = subset(60)
    answer = model.solve("simulatedannealing", sweeps=2, restarts=1, seed=1)
    assert answer.is_feasible
    assert answer.propagated.stop_reason == "finished"
    assert answer.objective <= answer.propagated.objective
    assert answer.rounds


def test_propagation_goes_on_between_rounds_until_there_is_a_solution(monkeypatch):
    monkeypatch.setattr(turns, "TURN_STEPS", 4_000_000)
    model = pigeons(7)
    answer = model.solve("simulatedannealing", sweeps=2, restarts=1, seed=1)
    assert answer.status is Status.INFEASIBLE
    assert len(answer.rounds) > 1


def test_progress_ends_propagation(monkeypatch):
    monkeypatch.setattr("qiosk.modeling.propagation.tree.PART_STEPS", 1000)
    calls = []

    def stop(progress):
        calls.append(progress)
        return False

    answer = pigeons(9).solve(seed=1, timeout=TIMEOUT, progress=stop)
    assert calls
    assert answer.propagated.stop_reason == "cancelled"
    assert answer.status is Status.NOT_FOUND


def test_a_job_propagates_the_model_of_its_problem():
    model = subset()
    params = {"params": {"seed": 1, "timeout": TIMEOUT}}
    setup = job_setup("microsoft.paralleltempering-parameterfree.cpu", params, 1)
    result = solve_job(model.problem().cost_function(), setup, Hooks())
    assert result.statistics["kernel"] == "propagation"
    assert result.statistics["rounds"] == ["converged"]
    found = model.decode(result)
    assert found.is_feasible
    assert found.objective == result.cost == model.solve(seed=1, timeout=TIMEOUT).objective


def test_what_moves_keep_is_not_propagated():
    model = Model()
    at = model.permutation("at", range(6))
    model.minimize(total((i * 7 + j * 5) % 11 * at[i][j] for i in range(6) for j in range(6)))
    assert model.propagation() is None
    assert model.solve(seed=1, timeout=TIMEOUT).propagated is None
    model.add(at[0][1] + at[1][2] + at[2][3] <= 2)
    assert rows_of(model)
    assert model.propagation() is not None
