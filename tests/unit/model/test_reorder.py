"""Problems in another order of their variables, and samplers that visit them so."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.model.compile import compile_problem
from qiosk.model.flips import cost_of
from qiosk.model.transforms.reorder import reorder
from qiosk.solvers.samplers.plain import PlainSampler
from qiosk.solvers.samplers.shuffled import BLOCK, ShuffledSampler, shuffled_order
from qiosk.solvers.solve import solve
from strategies import cost_function, cost_functions


@given(cost_functions(), st.integers(0, 99))
def test_a_reordered_problem_costs_the_same(cf, seed):
    problem, rng = compile_problem(cf), np.random.default_rng(seed)
    order = rng.permutation(problem.n)
    other = reorder(problem, order)
    x = rng.choice(np.array([-1, 1] if problem.is_spin else [0, 1], np.int8), problem.n)
    assert cost_of(other, x[order]) == cost_of(problem, x)
    assert np.all(other.pair_rows < other.pair_cols)
    keys = other.pair_rows.astype(np.int64) * max(1, problem.n) + other.pair_cols
    assert np.all(np.diff(keys) > 0)
    for indptr, members in ((other.term_indptr, other.term_variables), (other.group_indptr, other.group_variables)):
        for a, b in itertools.pairwise(indptr):
            assert np.all(np.diff(members[a:b]) > 0)


@pytest.mark.parametrize("n", [0, 1, 5, BLOCK, 3 * BLOCK + 7])
def test_the_shuffled_order_is_a_permutation_within_blocks(n):
    order = shuffled_order(n)
    assert sorted(order) == list(range(n))
    assert np.array_equal(order // BLOCK, np.arange(n) // BLOCK)


def test_configurations_go_in_and_come_out_in_the_problem_s_own_order():
    problem = compile_problem(cost_function("ising", [(float(i), [i]) for i in range(1, 40)]))
    sampler = ShuffledSampler(problem, lambda p: PlainSampler(p, lanes=2))
    x = np.where(np.arange(39) % 3, 1, -1).astype(np.int8)
    group = sampler.start((1,), x)
    assert np.array_equal(sampler.configuration(group, 1), x)
    assert sampler.costs(group)[1] == cost_of(problem, x)
    sampler.replace(group, 0, -x)
    assert np.array_equal(sampler.configuration(group, 0), -x)
    sampler.sweep(group, np.full(2, np.inf))
    assert np.all(sampler.configuration(group, 0) == -1)


@pytest.mark.parametrize("target", ["simulatedannealing", "paralleltempering"])
def test_defects_of_a_ring_find_each_other(target):
    ring = cost_function("ising", [(1.0, [i, (i + 1) % 51]) for i in range(51)])
    result = solve(ring, f"microsoft.{target}.cpu", sweeps=500, seed=1)
    assert result.cost == -49.0
