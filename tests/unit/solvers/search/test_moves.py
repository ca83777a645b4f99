"""Costs and deltas of compiled problems, and the enumeration of small ones, against exact arithmetic."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.testing as npt
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
from qiosk.model.compile import compile_problem
from qiosk.model.flips import cost_of, deltas, flip
from qiosk.solvers.exact.exhaustive import all_costs, enumerate_best
from qiosk.solvers.search.incumbents import Incumbents
from strategies import cost_functions, reals


def some_configuration(problem, seed):
    values = [-1, 1] if problem.is_spin else [0, 1]
    return np.random.default_rng(seed).choice(np.array(values, np.int8), problem.n)


@given(cost_functions(reals), st.integers(0, 99))
def test_cost_equals_exact_cost(cf, seed):
    problem = compile_problem(cf)
    x = some_configuration(problem, seed)
    npt.assert_allclose(cost_of(problem, x), float(naive.compiled_cost(problem, x.tolist())), rtol=1e-9, atol=1e-6)


@given(cost_functions(), st.integers(0, 99))
def test_delta_is_the_cost_after_a_flip_less_the_cost_before(cf, seed):
    problem = compile_problem(cf)
    x = some_configuration(problem, seed)
    before = cost_of(problem, x)
    npt.assert_array_equal(
        deltas(problem, x), [cost_of(problem, flip(problem, x, i)) - before for i in range(problem.n)]
    )


@settings(max_examples=50)
@given(cost_functions())
def test_enumeration_computes_the_exact_cost_of_every_configuration(cf):
    problem = compile_problem(cf)
    costs = all_costs(problem)
    assert len(costs) == 2**problem.n
    for index in np.random.default_rng(0).integers(len(costs), size=20):
        bits = [(int(index) >> i) & 1 for i in range(problem.n)]
        x = [1 - 2 * b for b in bits] if problem.is_spin else bits
        assert costs[index] == naive.compiled_cost(problem, x)


@settings(max_examples=30)
@given(cost_functions(max_terms=4), st.integers(1, 10))
def test_enumeration_finds_the_best_distinct_solutions(cf, wanted):
    problem = compile_problem(cf)
    found = Incumbents(wanted)
    enumerate_best(problem, found)
    if problem.n > 8:
        return
    domain = [-1, 1] if problem.is_spin else [0, 1]
    exact = sorted(naive.compiled_cost(problem, x) for x in map(list, itertools.product(domain, repeat=problem.n)))
    assert found.costs == exact[:wanted]
    assert len({x.tobytes() for x in found.configurations}) == len(found.costs)
    assert found.costs == [naive.compiled_cost(problem, x.tolist()) for x in found.configurations]
