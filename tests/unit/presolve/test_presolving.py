"""Searches on smaller problems report costs and configurations of the whole."""

from __future__ import annotations

import numpy as np
import pytest

from patience import HANG_S
from qiosk.model.compile import compile_problem
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.presolving import is_promising
from qiosk.solvers.solve import set_up, solve
from strategies import cost_function

SWEEPS = {"sweeps": 40, "restarts": 4, "seed": 3, "threads": 1}
ANNEALING = "microsoft.simulatedannealing.cpu"
FREE = "microsoft.simulatedannealing-parameterfree.cpu"


def sparse(n, pairs, seed, kind="ising"):
    """A random graph of integer couplings and fields."""
    rng = np.random.default_rng(seed)
    ids = np.array([rng.choice(n, 2, replace=False) for _ in range(pairs)])
    coefficients = np.concatenate([rng.integers(1, 9, pairs) * rng.choice([-1, 1], pairs), rng.integers(-2, 3, n)])
    indptr = np.concatenate([2 * np.arange(pairs + 1), 2 * pairs + 1 + np.arange(n)])
    return CostFunction(
        ProblemType(kind),
        coefficients.astype(float),
        indptr,
        np.concatenate([ids.ravel(), np.arange(n)]).astype(np.int64),
    )


def check(result, problem):
    assert len(result.configuration) == len(problem.variables)
    values = np.array(list(result.configuration.values()), np.int8)
    assert result.cost == evaluate(problem, values)
    assert result.trace[-1].cost == result.cost


@pytest.mark.parametrize("kind", ["ising", "pubo"])
@pytest.mark.parametrize("target", [ANNEALING, "microsoft.tabu.cpu"])
def test_costs_and_configurations_are_those_of_the_whole_problem(kind, target):
    problem = sparse(120, 220, 5, kind)
    result = solve(problem, target, presolve=True, **SWEEPS)
    check(result, problem)
    found = result.statistics["presolve"]
    assert found["is_used"]
    assert found["variables"] + found["removed"] == 120
    assert found["removed"] == sum(found["rules"].values()) > 0
    assert result.cost <= solve(problem, target, presolve=False, **SWEEPS).cost


def test_what_is_left_may_be_enumerated_or_nothing():
    chain = cost_function("ising", [(1.0 + k % 3, [k, k + 1]) for k in range(400)])
    for target in (ANNEALING, FREE):
        result = solve(chain, target, presolve=True, seed=1)
        check(result, chain)
        assert result.cost == -sum(1.0 + k % 3 for k in range(400))
        assert result.statistics["kernel"] == "exhaustive"
        assert result.statistics["presolve"]["variables"] == 0


def test_parameter_free_targets_reduce_where_it_pays():
    problem = sparse(1500, 2600, 7)
    result = solve(problem, FREE, seed=1, timeout=2)
    check(result, problem)
    assert result.statistics["presolve"]["is_used"]
    assert result.parameters["presolve"] is True
    assert "presolve" not in solve(problem, FREE, seed=1, timeout=2, presolve=False).statistics


@pytest.mark.parametrize(
    "options",
    [{"presolve": False}, {"number_of_solutions": 2, "presolve": True}, {}],
    ids=["forbidden", "two", "given"],
)
def test_a_search_with_parameters_works_on_the_whole_problem_unless_asked(options):
    assert "presolve" not in solve(sparse(300, 330, 7), ANNEALING, **SWEEPS, **options).statistics


def test_problems_that_cannot_be_reduced_are_searched_as_they_are():
    larger = cost_function("ising", [(1.0, [k, k + 1, k + 2]) for k in range(30)])
    groups = cost_function("pubo_grouped", [], [(1.0, [(1.0, 0), (1.0, 1), (-1.0, None)])])
    for problem in (larger, groups, cost_function("ising", [])):
        assert "presolve" not in solve(problem, ANNEALING, presolve=True, **SWEEPS).statistics


def test_no_result_is_worse_than_the_configuration_it_began_from():
    problem = sparse(60, 90, 9)
    best = solve(problem, "microsoft.tabu.cpu", sweeps=4000, seed=1)
    begun = CostFunction(
        problem.problem_type,
        problem.coefficients,
        problem.indptr,
        problem.ids,
        initial_configuration=best.configuration,
    )
    result = solve(begun, ANNEALING, sweeps=1, restarts=1, seed=5, presolve=True)
    assert result.cost <= best.cost


def test_a_checkpoint_is_continued_on_the_same_smaller_problem():
    problem = sparse(150, 300, 11)
    setup = set_up(
        ANNEALING, {"timeout": None, "seed": 4, "threads": 1, "kernel": None}, {"presolve": True, "sweeps": 300}
    )
    saved = []
    whole = setup.run(problem, Hooks(on_chunk=lambda report: saved.append(report.checkpoint())))
    check(whole, problem)
    assert whole.statistics["presolve"]["is_used"]
    continued = setup.run(problem, Hooks(resume=saved[0]))
    assert continued.configuration == whole.configuration
    assert continued.cost == whole.cost


def test_small_problems_dense_ones_and_short_times_are_not_tried():
    many = compile_problem(sparse(300, 330, 7))
    assert is_promising(many, 1.0)
    assert not is_promising(many, 1e-3)
    assert not is_promising(compile_problem(sparse(100, 110, 7)), 1.0)
    assert not is_promising(compile_problem(sparse(300, 9000, 7)), 1.0)


def test_narrow_problems_are_optimal_without_a_search():
    """A strip of a torus: every spin has four neighbours, so no rule of low degree begins."""
    rng = np.random.default_rng(8)
    terms = [
        (float(rng.choice([-3, -2, -1, 1, 2, 3])), sorted([4 * x + y, 4 * ((x + dx) % 60) + (y + dy) % 4]))
        for x in range(60)
        for y in range(4)
        for dx, dy in ((0, 1), (1, 0))
    ]
    problem = cost_function("ising", terms)
    found = solve(problem, FREE, timeout=HANG_S, seed=1)
    searched = solve(problem, FREE, timeout=HANG_S, seed=1, presolve=False)
    assert (found.stop_reason, found.bound, found.gap) == ("optimal", found.cost, 0.0)
    assert found.cost == searched.cost


def test_a_run_that_is_cancelled_during_the_reduction_ends_with_a_configuration():
    problem = sparse(2000, 3500, 7)
    asked = []

    def is_cancelled():
        asked.append(1)
        return len(asked) > 1

    setup = set_up(FREE, {"timeout": HANG_S, "seed": 4, "threads": 1, "kernel": None}, {})
    result = setup.run(problem, Hooks(is_cancelled=is_cancelled))
    assert result.stop_reason == "cancelled"
    assert "presolve" not in result.statistics
    check(result, problem)


@pytest.mark.parametrize(("sign", "is_worth"), [(-1.0, True), (1.0, False)])
def test_dense_problems_are_tried_where_all_spins_want_to_be_equal(sign, is_worth):
    pairs = [(sign, [i, j]) for i in range(200) for j in range(i)]
    problem = compile_problem(cost_function("ising", [*pairs, *((float(i - 90), [i]) for i in range(200))]))
    assert is_promising(problem, 1.0) == is_worth
