"""One sweep of every kernel is a product of single moves, each in detailed balance."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import naive
from qiosk.model.compile import compile_problem
from qiosk.solvers.samplers.planner import KERNELS, plan
from strategies import cost_function

BETA = 0.4
STARTS = 512
"""Sweeps from every configuration, at least."""


def complete(kind, n, fields):
    """All pairs, so that every kernel visits variables by their numbers; unlike fields and signs."""
    signs = [1.0 if (i + j) % 3 else -1.0 for i, j in itertools.combinations(range(n), 2)]
    unit = 1.0 if kind == "ising" else 4.0
    pairs = [(unit * s, list(ids)) for s, ids in zip(signs, itertools.combinations(range(n), 2), strict=True)]
    linear = [(float(h), [i]) for i, h in enumerate(fields)]
    if kind == "pubo":  # the same up to a constant, in bits
        ends = [
            sum(s for s, ids in zip(signs, itertools.combinations(range(n), 2), strict=True) if i in ids)
            for i in range(n)
        ]
        linear = [(-2.0 * (h + e), [i]) for i, (h, e) in enumerate(zip(fields, ends, strict=True))]
    return compile_problem(cost_function(kind, [*linear, *pairs]))


PROBLEMS = [complete("ising", 4, [0, 1, -1, 2]), complete("pubo", 3, [1, 0, -2])]


def moves(problem):
    """(n, 2**n, 2**n) probabilities of one proposal of every variable, and the Boltzmann weights."""
    domain = (-1, 1) if problem.is_spin else (0, 1)
    x = [list(c) for c in itertools.product(domain, repeat=problem.n)]
    costs = np.array([float(naive.compiled_cost(problem, c)) for c in x])
    matrices = np.zeros((problem.n, len(x), len(x)))
    for i in range(problem.n):
        for a in range(len(x)):
            b = a ^ (1 << (problem.n - 1 - i))
            matrices[i, a, b] = min(1.0, np.exp(-BETA * (costs[b] - costs[a])))
            matrices[i, a, a] = 1.0 - matrices[i, a, b]
    return np.array(x, np.int8), matrices, np.exp(-BETA * costs)


def frequencies(sampler, x, ladder):
    """(2**n, 2**n) how often one sweep led from one configuration to another, and how many began at each."""
    places = 2 ** np.arange(x.shape[1])[::-1]
    found = np.zeros((len(x), len(x)))
    groups = -(-STARTS // sampler.lanes)
    for a, k in itertools.product(range(len(x)), range(groups)):
        group = sampler.start((17, a, k), x[a])
        if ladder:
            sampler.sweep_ladder(group, np.full(sampler.lanes, BETA), 1)
        else:
            sampler.sweep(group, np.array([BETA]))
        ends = np.array([sampler.configuration(group, r) for r in range(sampler.lanes)])
        np.add.at(found[a], (ends > 0) @ places, 1)
    return found, groups * sampler.lanes


@pytest.mark.parametrize("ladder", [False, True], ids=["uniform", "ladder"])
@pytest.mark.parametrize("kernel", [k for k in KERNELS if k != "one-hot"])
@pytest.mark.parametrize("problem", PROBLEMS, ids=lambda p: f"{'spins' if p.is_spin else 'bits'} {p.n}")
def test_a_sweep_is_a_product_of_moves_in_detailed_balance(problem, kernel, ladder):
    x, matrices, weights = moves(problem)
    for matrix in matrices:
        flow = weights[:, None] * matrix
        np.testing.assert_allclose(flow, flow.T, rtol=1e-12)
    expected = np.linalg.multi_dot(list(matrices))
    found, starts = frequencies(plan(problem, replicas=64, kernel=kernel), x, ladder)
    assert np.all(found[expected < 1e-12] == 0)
    is_likely = starts * expected > 10
    error = np.sqrt(starts * np.maximum(expected * (1 - expected), 1e-12))
    scores = ((found - starts * expected) / error)[is_likely & (expected < 1 - 1e-9)]
    assert len(scores) > len(x)
    assert np.abs(scores).max() < 5
    assert np.sqrt(np.mean(scores**2)) < 1.5  # a few dozen scores, and those of a row are not independent
