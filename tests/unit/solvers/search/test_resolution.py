"""How finely costs are told apart: by their rounding, whatever their scale and constant."""

from __future__ import annotations

import numpy as np
import pytest

import naive
from qiosk.model.compile import compile_problem
from qiosk.model.flips import cost_of
from qiosk.solvers.search.resolution import MOST_TERMS, Resolution
from qiosk.solvers.solve import solve
from strategies import cost_function

PAIRS = [(1.5, [0, 1]), (-2.5, [1, 2]), (0.5, [0]), (3.0, [0, 1, 2])]


def resolution(terms, groups=(), kind="ising"):
    return Resolution.of(compile_problem(cost_function(kind, terms, list(groups))))


@pytest.mark.parametrize("exponent", [-900, -40, 0, 40, 900])
def test_it_goes_with_the_scale_of_the_coefficients(exponent):
    scale = 2.0**exponent
    found, plain = resolution([(scale * c, ids) for c, ids in PAIRS]), resolution(PAIRS)
    assert found.rounding == scale * plain.rounding
    assert found.unit == scale * plain.unit == scale * 0.5
    assert found.of_kernel(-4.0 * scale) == scale * plain.of_kernel(-4.0)


def test_a_constant_does_not_hide_differences_that_it_leaves():
    found = resolution([*PAIRS, (1e12, [])])
    assert found.rounding < 1e-2
    assert found.of_kernel(1e12 - 4.0) < 0.5


def test_whole_costs_are_told_apart_however_large():
    found = resolution([(3e9 + i, [i, i + 1]) for i in range(1000)])
    assert found.unit == 1.0
    assert found.rounding < 1.0
    assert found.of_kernel(-3e12) <= 0.5


def test_squares_have_the_unit_of_their_members_squared():
    assert resolution([(6.0, [0])], [(2.0, [(3.0, 0), (6.0, 1), (-3.0, None)])], "ising_grouped").unit == 6.0
    assert resolution([], [(2.0, [(0.1, 0), (0.7, 1)])], "pubo_grouped").unit == pytest.approx(0.02)
    assert resolution([], [(np.pi, [(1.0, 0), (np.e, 1)])], "pubo_grouped").unit is None


def test_coefficients_that_overflow_leave_no_rounding():
    assert resolution([(1e308, [i, i + 1]) for i in range(3)]).rounding == 0.0


def test_large_problems_are_not_searched_for_a_unit(monkeypatch):
    monkeypatch.setattr("qiosk.solvers.search.resolution.MOST_TERMS", 1)
    assert MOST_TERMS > 1
    found = resolution(PAIRS)
    assert found.unit is None
    assert found.of_kernel(-1000.0) == pytest.approx(1e-6, rel=0.1)


@pytest.mark.parametrize("scale", [1.0, 1e-13, 1e13])
@pytest.mark.parametrize("kind", ["ising", "pubo_grouped"])
def test_rounding_bounds_what_float64_sums_err_by(kind, scale):
    rng = np.random.default_rng(3)
    terms = [(scale * rng.normal(), [i, int(j)]) for i in range(30) for j in 40 + rng.choice(60, 9, replace=False)]
    groups = [(scale * rng.normal(), [(rng.normal(), i) for i in range(30)])] if kind.endswith("grouped") else []
    cf = cost_function(kind, terms, groups)
    problem = compile_problem(cf)
    bound = Resolution.of(problem).rounding
    for _ in range(20):
        x = rng.choice(np.array([-1, 1] if problem.is_spin else [0, 1], np.int8), problem.n)
        exact = naive.cost(cf, dict(zip(problem.variables.tolist(), x.tolist(), strict=True)))
        assert abs(cost_of(problem, x) - exact) <= bound


@pytest.mark.parametrize("factor", [3e9, 1e-12])
def test_a_target_is_reached_and_not_only_nearly(factor):
    rng = np.random.default_rng(5)
    pairs = [[i, j] for i in range(24) for j in range(i) if rng.random() < 0.4]
    terms = [(factor * float(rng.integers(1, 50)), ids) for ids in pairs]
    cf = cost_function("ising", terms)
    best = solve(cf, "microsoft.simulatedannealing.cpu", seed=1, sweeps=2000, restarts=256).cost
    found = solve(cf, "microsoft.simulatedannealing.cpu", seed=2, sweeps=2000, restarts=256, target_cost=best)
    assert found.statistics["stop_reason"] == "target"
    assert found.cost <= best + abs(best) * 1e-15


def test_squares_of_exact_sums_do_not_hide_small_differences():
    whole = [(3.0, [(332882804.0, 0), (119036466.0, 1), (-747654155.0, None)])]
    found = resolution([(1.0, [0]), (1.0, [1])], whole, "pubo_grouped")
    assert found.rounding < 1e-9
    assert found.of_kernel(1.0) < 1e-8
    assert found.of_sum(1e18) > 1e3
    fractions = [(3.0, [(332882804.5, 0), (119036466.0, 1), (-747654155.0, None)])]
    assert resolution([(1.0, [0])], fractions, "pubo_grouped").rounding > 1


@pytest.mark.parametrize("size", [1.0, 3.0, 0.1])
def test_costs_one_unit_apart_are_told_apart_while_sums_of_them_are_exact(size):
    terms = [(size * 2.0**44, [0]), (size, [1]), (-size * 2.0**45, [0, 1])]
    found = resolution(terms, kind="pubo")
    assert found.unit == pytest.approx(size)
    assert found.of_sum(-size * 2.0**44) < found.unit / 2
    assert resolution([(2.0**60, [0]), (1.0, [1])], kind="pubo").rounding > 1.0  # where they are rounded, they are not
