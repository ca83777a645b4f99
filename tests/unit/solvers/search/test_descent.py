"""Descent ends in local minima, below where it began."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.testing as npt
import pytest

import naive
from problems import random_problem
from qiosk.model.compile import compile_problem
from qiosk.model.flips import cost_of, deltas, term_slopes
from qiosk.solvers.search.moves.descent import Descent
from qiosk.solvers.search.stopping import Interrupted, StopReason
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


def large(seed, n=3000, pairs=9000):
    """A sparse problem of whole coefficients whose passes are compiled."""
    rng = np.random.default_rng(seed)
    ids = np.sort(rng.choice(n, (pairs, 2)), axis=1)
    ids = ids[ids[:, 0] < ids[:, 1]]
    terms = [(float(c), pair) for c, pair in zip(rng.integers(-3, 4, len(ids)), ids.tolist(), strict=True)]
    return compile_problem(cost_function("ising", [*terms, *((float(i % 3), [i]) for i in range(n))]))


def in_parts(descent, parts):
    """The same descent, whose passes are as many parts."""
    places = np.linspace(0, descent.problem.n, parts + 1).astype(int).tolist()
    vars(descent)["_ranges"] = list(pairwise(places))
    return descent


def plain_descent(problem, x):
    """Passes with every slope computed when its variable comes up."""
    x, n_flips = x.copy(), 1
    arrays = naive_rows(problem)
    while n_flips:
        n_flips = 0
        for i in range(problem.n):
            slope = problem.linear[i] + sum(value * x[j] for j, value in arrays[i])
            if -2.0 * x[i] * slope < 0.0:
                x[i], n_flips = -x[i], n_flips + 1
    return x


def naive_rows(problem):
    """Of each variable: its neighbours and couplings."""
    rows = [[] for _ in range(problem.n)]
    for i, j, value in zip(problem.pair_rows, problem.pair_cols, problem.pair_values, strict=True):
        rows[i].append((j, value))
        rows[j].append((i, value))
    return rows


@pytest.mark.parametrize("parts", [1, 7])
def test_the_first_pass_adds_up_the_slopes(parts):
    problem = large(seed=parts)
    start = np.random.default_rng(1).choice(np.array([-1, 1], np.int8), problem.n)
    found = in_parts(Descent(problem), parts).minimum(start)
    npt.assert_array_equal(found.values, plain_descent(problem, start))
    npt.assert_array_equal(found.slopes, term_slopes(problem, found.values))
    assert found.cost == cost_of(problem, found.values)
    for every in (1, 7):
        npt.assert_array_equal(found.gains(every), deltas(problem, found.values)[::every])


def test_a_descent_that_is_given_up_tells_how_far_it_came():
    problem = large(seed=3)
    calls = iter([None, None, Interrupted(StopReason.TIMEOUT)])

    def check():
        if (given_up := next(calls)) is not None:
            raise given_up

    start = np.ones(problem.n, np.int8)
    with pytest.raises(Interrupted) as given_up:
        in_parts(Descent(problem, check), 10)(start)
    reached = given_up.value.reached
    assert cost_of(problem, reached) < cost_of(problem, start)
    npt.assert_array_equal(reached[problem.n // 2 :], start[problem.n // 2 :])  # it came to a third of a pass
