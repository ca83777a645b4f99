"""Descent ends in local minima, below where it began."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest

import naive
from problems import random_problem
from qiosk.model.compile import compile_problem
from qiosk.model.flips import cost_of
from qiosk.solvers.search.descent import Descent
from strategies import cost_function

PROBLEMS = [
    random_problem(kind, n, locality=locality, seed=seed, integers=integers)
    for kind in ("ising", "pubo", "ising_grouped", "pubo_grouped")
    for n, locality, seed, integers in ((1, 1, 0, True), (8, 2, 1, True), (8, 4, 2, False), (0, 0, 3, True))
]


@pytest.mark.parametrize("problem", PROBLEMS, ids=range(len(PROBLEMS)))
def test_no_single_flip_improves_on_the_result(problem):
    descent = Descent(problem)
    rng = np.random.default_rng(1)
    for _ in range(5):
        start = rng.choice(np.array([-1 if problem.is_spin else 0, 1], np.int8), problem.n)
        given = start.copy()
        x = descent(start).tolist()
        npt.assert_array_equal(start, given)
        cost = naive.compiled_cost(problem, x)
        assert cost <= naive.compiled_cost(problem, start.tolist())
        for i in range(problem.n):
            y = list(x)
            y[i] = -x[i] if problem.is_spin else 1 - x[i]
            assert naive.compiled_cost(problem, y) >= cost - 1e-9


def test_a_minimum_stays():
    problem = random_problem("ising", 8, locality=3, seed=4)
    descent = Descent(problem)
    once = descent(np.ones(8, np.int8))
    npt.assert_array_equal(descent(once), once)


@pytest.mark.parametrize("kind", ["ising", "pubo"])
def test_a_term_of_a_million_variables_takes_a_million_steps(kind):
    n = 1_000_000
    function = cost_function(kind, [(1.0 if kind == "ising" else -1.0, range(n)), (0.5, [0])])
    problem = compile_problem(function)
    start = np.ones(n, np.int8)
    if kind == "pubo":
        start[1] = 0
    x = Descent(problem)(start)  # with a pass over all ids for each of them this would take an hour
    assert cost_of(problem, x) == (-1.5 if kind == "ising" else 0.0)
