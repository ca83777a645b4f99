"""What every sampler promises, whatever the kernel underneath."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
from problems import random_problem, sliceable_problem
from qiosk.errors import InvalidValue
from qiosk.model.compile import compile_problem
from qiosk.solvers.samplers.incidence import Incidence
from qiosk.solvers.samplers.planner import KERNELS, plan
from strategies import cost_function, cost_functions, integers, reals

pytestmark = pytest.mark.slow

SMALL = {
    "spin": random_problem("ising", 7, locality=2, seed=1),
    "bit": random_problem("pubo", 7, locality=2, seed=2),
    "one variable": random_problem("ising", 1, locality=1, seed=3),
    "no coupling": random_problem("pubo", 5, locality=1, seed=4),
    "constant": compile_problem(cost_function("ising", [(3.0, [])])),
    "isolated": compile_problem(cost_function("ising", [(1.0, [0, 9]), (0.0, [4]), (2.0, [])])),
    "more than a block": random_problem("ising", 70, locality=2, seed=5),
    "larger terms": random_problem("ising", 6, locality=4, seed=6),
    "larger terms of bits": random_problem("pubo", 6, locality=4, seed=7),
    "groups": random_problem("ising_grouped", 6, locality=4, seed=8),
    "groups of bits": random_problem("pubo_grouped", 6, locality=4, seed=9),
    "four units a spin": sliceable_problem("ising", 10, most=4, seed=10),
    "six units a bit": sliceable_problem("pubo", 12, most=6, seed=11),
}


def samplers_for(problem):
    for kernel in KERNELS:
        try:
            yield plan(problem, replicas=256, kernel=kernel)
        except InvalidValue as error:
            assert kernel in str(error)  # the kernel says that it cannot represent the problem


real_problems = cost_functions(coefficients=st.floats(-1e30, 1e30, allow_subnormal=False) | reals | integers)


@settings(max_examples=60, deadline=None)
@given(function=real_problems, replicas=st.sampled_from([1, 64, 256]), seed=st.integers(-(2**70), 2**70))
def test_any_problem_is_sampled_at_its_own_cost(function, replicas, seed):
    problem = compile_problem(function)
    sampler = plan(problem, replicas=replicas)
    group = sampler.start((seed,))
    sampler.sweep(group, np.array([0.0, 1e-300, 1.0, 1e300, np.inf]))
    sampler.sweep_ladder(group, np.linspace(0.0, 1e3, sampler.lanes), 2)
    lane = sampler.lanes - 1
    exact = float(naive.compiled_cost(problem, sampler.configuration(group, lane).tolist()))
    largest = np.abs(problem.constant) + Incidence(problem).bounds.sum()
    assert sampler.costs(group)[lane] == pytest.approx(exact, rel=1e-6, abs=1e-6 * largest)


PAIRS = [pytest.param(p, s, id=f"{name}, {s.kernel}") for name, p in SMALL.items() for s in samplers_for(p)]


def ramp(sweeps):
    return np.linspace(0.0, 2.0, sweeps)


def arrays_equal(a, b):
    return a.arrays.keys() == b.arrays.keys() and all(
        np.array_equal(a.arrays[k], b.arrays[k], equal_nan=True) for k in a.arrays
    )


@pytest.mark.parametrize(("problem", "sampler"), PAIRS)
def test_tracked_cost_equals_naive_cost(problem, sampler):
    group = sampler.start((5,))
    for _ in range(3):
        sampler.sweep(group, ramp(4))
        costs = sampler.costs(group)
        assert costs.shape == (sampler.lanes,)
        for lane in {0, 1 % sampler.lanes, sampler.lanes - 1}:
            x = sampler.configuration(group, lane)
            npt.assert_allclose(costs[lane], float(naive.compiled_cost(problem, x.tolist())), atol=1e-9)


@pytest.mark.parametrize("chunks", [[6], [1] * 6, [2, 3, 1]], ids=str)
@pytest.mark.parametrize(("problem", "sampler"), PAIRS)
def test_cutting_sweeps_into_calls_changes_nothing(problem, sampler, chunks):
    whole, cut = sampler.start((1, 2)), sampler.start((1, 2))
    sampler.sweep(whole, ramp(6))
    for part in np.split(ramp(6), np.cumsum(chunks)[:-1]):
        sampler.sweep(cut, part)
    assert arrays_equal(whole, cut)
    betas = np.linspace(0.1, 3.0, sampler.lanes)
    sampler.sweep_ladder(whole, betas, 6)
    for part in chunks:
        sampler.sweep_ladder(cut, betas, part)
    assert arrays_equal(whole, cut)


@pytest.mark.parametrize(("problem", "sampler"), PAIRS)
def test_a_ladder_of_equal_betas_and_a_sweep_sample_the_same_domain(problem, sampler):
    group = sampler.start((4,))
    sampler.sweep_ladder(group, np.full(sampler.lanes, 0.5), 3)
    values = {-1, 1} if problem.is_spin else {0, 1}
    configuration = sampler.configuration(group, sampler.lanes - 1)
    assert configuration.dtype == np.int8
    assert configuration.shape == (problem.n,)
    assert set(configuration.tolist()) <= values


@pytest.mark.parametrize(("problem", "sampler"), PAIRS)
def test_infinite_beta_reaches_local_minima(problem, sampler):
    group = sampler.start((7,))
    sampler.sweep(group, np.full(60, np.inf))
    for lane in (0, sampler.lanes - 1):
        x = sampler.configuration(group, lane).tolist()
        cost = naive.compiled_cost(problem, x)
        for i in range(problem.n):
            y = list(x)
            y[i] = -x[i] if problem.is_spin else 1 - x[i]
            assert naive.compiled_cost(problem, y) >= cost - 1e-9


@pytest.mark.parametrize(("problem", "sampler"), PAIRS)
def test_zero_beta_accepts_every_move(problem, sampler):
    group = sampler.start((8,))
    before = sampler.configuration(group, 0)
    sampler.sweep(group, np.zeros(1))
    other = -before if problem.is_spin else 1 - before
    npt.assert_array_equal(sampler.configuration(group, 0), other)


@pytest.mark.parametrize(("problem", "sampler"), PAIRS)
def test_start_replace_and_read_agree(problem, sampler):
    rng = np.random.default_rng(3)
    low = -1 if problem.is_spin else 0
    first, second = (rng.choice(np.array([low, 1], np.int8), problem.n) for _ in range(2))
    group = sampler.start((9,), first)
    for lane in (0, sampler.lanes - 1):
        npt.assert_array_equal(sampler.configuration(group, lane), first)
    sampler.replace(group, sampler.lanes - 1, second)
    npt.assert_array_equal(sampler.configuration(group, sampler.lanes - 1), second)
    if sampler.lanes > 1:
        npt.assert_array_equal(sampler.configuration(group, 0), first)
    npt.assert_allclose(sampler.costs(group)[-1], float(naive.compiled_cost(problem, second.tolist())), atol=1e-9)


@pytest.mark.parametrize(("problem", "sampler"), PAIRS)
def test_copied_replicas_are_as_their_sources_and_the_others_as_before(problem, sampler):
    here, there = sampler.start((11,)), sampler.start((12,))
    before = [sampler.configuration(here, r) for r in range(sampler.lanes)]
    rng = np.random.default_rng(4)
    picked = rng.permutation(sampler.lanes)
    to, lanes = np.split(picked[: len(picked) // 2 * 2], 2)
    sampler.copy(here, to, here, lanes)  # within a group, then from another
    expected = dict(enumerate(before)) | {int(t): before[r] for t, r in zip(to, lanes, strict=True)}
    many, anywhere = lanes[::-1], rng.integers(sampler.lanes, size=len(lanes))
    sampler.copy(here, many, there, anywhere)
    expected |= {int(t): sampler.configuration(there, int(r)) for t, r in zip(many, anywhere, strict=True)}
    costs = sampler.costs(here)
    for r, x in expected.items():
        npt.assert_array_equal(sampler.configuration(here, r), x)
        npt.assert_allclose(costs[r], float(naive.compiled_cost(problem, x.tolist())), atol=1e-9)


@pytest.mark.parametrize(("problem", "sampler"), PAIRS)
def test_seeds_decide_everything(problem, sampler):
    a, b, c = sampler.start((1, 2)), sampler.start((1, 2)), sampler.start((2, 1))
    assert arrays_equal(a, b)
    if problem.n > 4:
        lanes = {sampler.configuration(g, r).tobytes() for g in (a, c) for r in range(sampler.lanes)}
        assert len(lanes) > min(2**problem.n, 2 * sampler.lanes) // 2


@pytest.mark.parametrize("kernel", [kernel for kernel in KERNELS if kernel != "one-hot"])
def test_threads_may_share_a_sampler(kernel):
    wide = random_problem("ising", 90, locality=2, seed=1)
    problem = sliceable_problem("ising", 90, most=6, seed=1) if kernel == "bit-sliced" else wide
    sampler = plan(problem, replicas=2, kernel=kernel)

    def run(seed):
        group = sampler.start((seed,))
        for _ in range(20):
            sampler.sweep(group, ramp(3))
            sampler.sweep_ladder(group, np.linspace(0.1, 1.0, sampler.lanes), 1)
        return sampler.costs(group)

    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, range(8)))
    for seed, costs in enumerate(together):
        npt.assert_array_equal(costs, run(seed))


@pytest.mark.parametrize(("problem", "sampler"), PAIRS)
def test_a_group_survives_a_copy_of_its_arrays(problem, sampler):
    group = sampler.start((3,))
    sampler.sweep(group, ramp(2))
    copy = type(group)({name: array.copy() for name, array in group.arrays.items()})
    sampler.sweep(group, ramp(3))
    sampler.sweep(copy, ramp(3))
    assert arrays_equal(group, copy)
