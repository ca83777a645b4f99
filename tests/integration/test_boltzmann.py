"""Long runs of every kernel agree with exact Boltzmann weights."""

from __future__ import annotations

import itertools
from functools import cache, partial

import numpy as np
import pytest

import naive
from problems import random_problem, sliceable_problem
from qiosk.errors import InvalidValue
from qiosk.model.compile import compile_problem
from qiosk.solvers.samplers.arithmetic import ARITHMETICS
from qiosk.solvers.samplers.bit_packed.bitsliced import BitSlicedSampler
from qiosk.solvers.samplers.bit_packed.klocal import KLocalSampler
from qiosk.solvers.samplers.bit_packed.packed import PackedSampler
from qiosk.solvers.samplers.planner import KERNELS, plan
from strategies import cost_function

KINDS = ["ising", "pubo", "ising_grouped", "pubo_grouped"]
FAMILY = [
    random_problem(kind, n, locality=min(n, locality), seed=seed, integers=seed % 2 == 0)
    for kind in KINDS
    for n in (1, 2, 3, 4)
    for locality, seed in ((2, 0), (2, 1), (4, 2), (4, 3))
]
LARGER = [
    random_problem(kind, n, locality=locality, seed=n, density=0.4)
    for kind, n, locality in (
        ("ising", 12, 2),
        ("pubo", 10, 2),
        ("ising", 9, 4),
        ("pubo_grouped", 8, 3),
        ("ising_grouped", 8, 2),
    )
]
SLICEABLE = [
    sliceable_problem(kind, n, most=most, seed=most)
    for kind in ("ising", "pubo")
    for n in (1, 2, 4, 8)
    for most in (1, 2, 3, 4, 5, 6)
]
"""What the bit-sliced kernel represents: every number of slots, and of units a spin.

There is no frustrated triangle without fields: visited in a fixed order it is not ergodic, because of its moves that
cost nothing.
"""
HEAT = [0.5, 1.5]
"""Inverse temperatures, times the standard deviation of the cost over all configurations."""


class Exact:
    """Every configuration with its cost and weight, and what is measured of it."""

    def __init__(self, problem, heat):
        domain = (-1, 1) if problem.is_spin else (0, 1)
        self.x = np.array(list(itertools.product(domain, repeat=problem.n)), np.int8)
        self.costs = np.array([float(naive.compiled_cost(problem, row.tolist())) for row in self.x])
        self.beta = heat / (self.costs.std() or 1.0)
        weights = np.exp(-self.beta * (self.costs - self.costs.min()))
        self.weights = weights / weights.sum()
        pairs = itertools.combinations(range(problem.n), 2)
        columns = [self.costs, *self.x.T, *(self.x[:, i] * self.x[:, j] for i, j in pairs)]
        self.observables = np.array(columns, np.float64).T
        self.mean = self.weights @ self.observables
        self.variance = self.weights @ (self.observables - self.mean) ** 2
        self.places = 2 ** np.arange(problem.n)[::-1]

    def observe(self, configurations):
        """(lanes, observables)."""
        return self.observables[(configurations > 0) @ self.places]


exact_of = cache(Exact)


def z_scores(sampler, exact, *, samples, apart, ladder):
    """Of every observable that varies: (mean - exact) / standard error, from lanes as independent runs."""
    group = sampler.start((11, sampler.n))
    betas = np.full(sampler.lanes if ladder else apart, exact.beta)
    sampler.sweep(group, np.full(60, exact.beta))
    total = 0.0
    lanes = range(0, sampler.lanes, max(1, sampler.lanes // 64))
    for _ in range(samples):
        if ladder:
            sampler.sweep_ladder(group, betas, apart)
        else:
            sampler.sweep(group, betas)
        total = total + exact.observe(np.array([sampler.configuration(group, r) for r in lanes]))
    by_lane = total / samples
    error = np.maximum(by_lane.std(axis=0, ddof=1), np.sqrt(exact.variance / samples)) / np.sqrt(len(lanes))
    varies = exact.variance > 1e-12
    return ((by_lane.mean(axis=0) - exact.mean)[varies] / error[varies]).tolist()


def scores_of(kernel, problems, *, ladder, **effort):
    scores = []
    for problem, heat in itertools.product(problems, HEAT):
        try:
            sampler = plan(problem, replicas=64, kernel=kernel)
        except InvalidValue:
            continue  # the kernel cannot represent this one, and says so
        scores += z_scores(sampler, exact_of(problem, heat), ladder=ladder, **effort)
    return np.array(scores)


@pytest.mark.parametrize("ladder", [False, True], ids=["uniform", "ladder"])
@pytest.mark.parametrize("kernel", [k for k in KERNELS if k not in ("bit-sliced", "one-hot")])
def test_all_problems_of_up_to_four_variables(kernel, ladder):
    effort = {"samples": 200, "apart": 2} if kernel == "plain" else {"samples": 25, "apart": 2}
    scores = scores_of(kernel, FAMILY, ladder=ladder, **effort)
    assert len(scores) > 100
    assert np.abs(scores).max() < 5
    assert np.sqrt(np.mean(scores**2)) < 1.15


@pytest.mark.parametrize("ladder", [False, True], ids=["uniform", "ladder"])
@pytest.mark.parametrize(("lanes", "fresh"), [(64, True), (512, False)])
def test_bit_sliced_couplings(lanes, fresh, ladder):
    scores = []
    for problem, heat in itertools.product(SLICEABLE, HEAT):
        sampler = BitSlicedSampler(problem, lanes=lanes, fresh=fresh)
        scores += z_scores(sampler, exact_of(problem, heat), samples=40, apart=3, ladder=ladder)
    assert len(scores) > 500
    assert np.abs(scores).max() < 5
    assert np.sqrt(np.mean(np.square(scores))) < 1.1


@pytest.mark.parametrize("kernel", [k for k in KERNELS if k not in ("bit-sliced", "one-hot")])
def test_larger_problems_over_long_runs(kernel):
    scores = scores_of(kernel, LARGER, ladder=False, samples=150, apart=5)
    assert len(scores) > 100
    assert np.abs(scores).max() < 5
    assert np.sqrt(np.mean(scores**2)) < 1.15


POOLED = [
    *(partial(PackedSampler, arithmetic="int8", lanes=lanes, fresh=False) for lanes in (64, 256)),
    *(partial(PackedSampler, arithmetic=name, fresh=False) for name in ("int16", "float32", "float64")),
    *(partial(KLocalSampler, arithmetic=name, fresh=False) for name in ARITHMETICS),
]


@pytest.mark.parametrize("ladder", [False, True], ids=["uniform", "ladder"])
@pytest.mark.parametrize("build", POOLED, ids=lambda build: str(build.keywords))
def test_pooled_thresholds(build, ladder):
    scores = []
    for problem, heat in itertools.product(LARGER[:2], HEAT):
        scores += z_scores(build(problem), exact_of(problem, heat), samples=150, apart=3, ladder=ladder)
    assert np.abs(scores).max() < 5
    assert np.sqrt(np.mean(np.square(scores))) < 1.2


def inflation(sampler, beta):
    """Variance of the mean cost of all lanes, over what it would be if they were independent."""
    group = sampler.start((5,))
    sampler.sweep(group, np.full(50, beta))
    costs = []
    for _ in range(400):
        sampler.sweep(group, np.full(4, beta))
        costs.append(sampler.costs(group))
    return np.var(np.mean(costs, axis=1)) / (np.var(costs) / sampler.lanes)


@pytest.mark.parametrize("kernel", [k for k in KERNELS if k != "one-hot"])
def test_replicas_are_independent(kernel):
    problem = random_problem("ising", 16, locality=2, seed=1, density=0.5)
    if kernel == "bit-sliced":
        problem = sliceable_problem("ising", 16, most=6, seed=1)
    assert 0.7 < inflation(plan(problem, replicas=64, kernel=kernel), 0.15) < 1.4


@pytest.mark.parametrize(
    "build",
    [
        *(partial(PackedSampler, arithmetic="int8", lanes=lanes) for lanes in (64, 256)),
        *(partial(BitSlicedSampler, lanes=lanes) for lanes in (64, 512)),
    ],
    ids=lambda build: f"{build.func.__name__} {build.keywords['lanes']}",
)
def test_replicas_that_share_a_pool_are_nearly_independent(build):
    side = 20
    place = np.arange(side * side).reshape(side, side)
    ids = np.concatenate([np.stack([place, np.roll(place, -1, axis)], axis=-1).reshape(-1, 2) for axis in (0, 1)])
    signs = np.random.default_rng(1).choice([-1.0, 1.0], len(ids))
    lattice = compile_problem(cost_function("ising", list(zip(signs.tolist(), ids.tolist(), strict=True))))
    sampler = build(lattice, fresh=False)
    correlation = (inflation(sampler, 0.5) - 1) / sampler.lanes
    assert abs(correlation) < 0.03
