"""Long runs of the one-hot kernel agree with Boltzmann weights over the configurations that keep the groups."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import naive
from one_hot_problems import GROUPS, kept_configurations, one_hot_problem
from qiosk.solvers.samplers.one_hot.core import core_of
from qiosk.solvers.samplers.one_hot.layout import Layout
from qiosk.solvers.samplers.one_hot.sampler import OneHotSampler
from slack_problems import FORMS, least_costs, slack_problem

KINDS = [("pubo", 2), ("pubo_grouped", 4), ("ising_grouped", 3)]
HEAT = [0.5, 1.5]
LANES, SAMPLES, APART = 64, 40, 3


def scores(problem, heat, *, ladder, states=None):
    """Of every observable that varies: (mean - exact) / standard error, lanes being independent runs.

    ``states`` are the configurations that may be visited, and their costs; by default all that keep the groups.
    """
    x = kept_configurations(problem) if states is None else states[0]
    costs = np.array([float(naive.compiled_cost(problem, row.tolist())) for row in x])
    if states is not None:
        np.testing.assert_allclose(costs, states[1], atol=1e-9)
    beta = heat / (costs.std() or 1.0)
    weights = np.exp(-beta * (costs - costs.min()))
    weights /= weights.sum()
    pairs = itertools.combinations(range(problem.n), 2)
    observables = np.array([costs, *x.T, *(x[:, i] * x[:, j] for i, j in pairs)], np.float64).T
    mean = weights @ observables
    variance = weights @ (observables - mean) ** 2
    number = {row.tobytes(): k for k, row in enumerate(x)}

    sampler = OneHotSampler(Layout(problem), LANES)
    group = sampler.start((11, problem.n))
    sampler.sweep(group, np.full(40, beta))
    total = 0.0
    for _ in range(SAMPLES):
        if ladder:
            sampler.sweep_ladder(group, np.full(LANES, beta), APART)
        else:
            sampler.sweep(group, np.full(APART, beta))
        total = total + observables[[number[sampler.configuration(group, r).tobytes()] for r in range(LANES)]]
    by_lane = total / SAMPLES
    error = np.maximum(by_lane.std(axis=0, ddof=1), np.sqrt(variance / SAMPLES)) / np.sqrt(LANES)
    varies = variance > 1e-12
    return ((by_lane.mean(axis=0) - mean)[varies] / error[varies]).tolist()


@pytest.mark.parametrize("ladder", [False, True], ids=["uniform", "ladder"])
@pytest.mark.parametrize("integers", [True, False], ids=["float32", "float64"])
@pytest.mark.parametrize(("kind", "locality"), KINDS)
def test_every_structure(kind, locality, integers, ladder):
    found = []
    for name, heat in itertools.product(GROUPS, HEAT):
        problem = one_hot_problem(name, kind=kind, locality=locality, integers=integers)
        found += scores(problem, heat, ladder=ladder)
    assert len(found) > 500
    assert np.abs(found).max() < 5
    assert np.sqrt(np.mean(np.square(found))) < 1.15


@pytest.mark.parametrize("name", ["permutation of four", "permutation, choice and free bits"])
def test_a_matrix_and_rows_of_couplings_make_the_same_moves(name, monkeypatch):
    problem = one_hot_problem(name)
    dense = OneHotSampler(Layout(problem), 8)
    assert dense.layout.is_dense
    monkeypatch.setattr("qiosk.solvers.samplers.one_hot.layout.SMALL_PLACES", 0)
    monkeypatch.setattr("qiosk.solvers.samplers.one_hot.layout.DENSE_SHARE", 2.0)
    sparse = OneHotSampler(Layout(problem), 8)
    groups = [sampler.start((3,)) for sampler in (dense, sparse)]
    for sampler, group in zip((dense, sparse), groups, strict=True):
        sampler.sweep(group, np.linspace(0.0, 1.0, 50))
    assert not sparse.layout.is_dense
    assert np.array_equal(groups[0].arrays["taken"], groups[1].arrays["taken"])


@pytest.mark.parametrize("ladder", [False, True], ids=["uniform", "ladder"])
@pytest.mark.parametrize("integers", [True, False], ids=["whole", "fractions"])
@pytest.mark.parametrize("groups", [False, True], ids=["free bits", "a group"])
def test_rows_with_slack_cost_as_with_the_best_slack(groups, integers, ladder):
    found = []
    for form, heat, seed in itertools.product(FORMS, HEAT, range(4)):
        problem = slack_problem(form, groups=groups, integers=integers, seed=seed)
        least = least_costs(problem)
        core = core_of(problem)
        x = np.array([core.lift(np.frombuffer(key, np.int8) > 0) for key in least])
        found += scores(problem, heat, ladder=ladder, states=(x, np.array([*least.values()])))
    assert len(found) > 500
    assert np.abs(found).max() < 5
    assert np.sqrt(np.mean(np.square(found))) < 1.15
