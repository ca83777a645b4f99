"""The semidefinite program at the nodes: the kernel against NumPy, and what multipliers prove against all spins."""

from __future__ import annotations

import itertools

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.bounds.branch.proving import multipliers_of
from qiosk.bounds.branch.relaxed import Point, Relaxed
from qiosk.kernels.bounds.vectors import PAIRS, SQUARE, VALUE, Descent, descend_vectors


def weights_of(n, rng, largest=5):
    matrix = np.triu(rng.integers(-largest, largest + 1, (n, n)), 1).astype(np.float64)
    return matrix + matrix.T


def triangles_of(n, count, rng):
    every = np.array(list(itertools.combinations(range(n), 3)), np.int64).reshape(-1, 3)[:, ::-1]
    some = every[rng.permutation(len(every))[:count]]
    return np.column_stack([some, rng.choice([-1, 1], (len(some), 2))]).astype(np.int32)


def lagrangian(weights, vectors, triangles, multipliers, penalty):
    """L, the multipliers that follow, and the gradient along the spheres, by NumPy."""
    products = vectors.T @ vectors
    i, j, k, s, t = triangles.T
    lacks = -1.0 - (s * products[i, j] + t * products[i, k] + s * t * products[j, k])
    following = np.maximum(0.0, multipliers + penalty * lacks)
    value = (weights * products).sum() / 2 + (following**2 - multipliers**2).sum() / (2 * penalty)
    pulls = weights.copy()
    for u, v, sign in ((i, j, s), (i, k, t), (j, k, s * t)):
        np.subtract.at(pulls, (u, v), sign * following)
        np.subtract.at(pulls, (v, u), sign * following)
    gradient = vectors @ pulls
    return value, following, pulls, gradient - vectors * (gradient * vectors).sum(axis=0)


@pytest.mark.parametrize(("n", "d", "count"), [(2, 2, 0), (3, 1, 1), (9, 7, 20), (13, 8, 100)])
def test_the_kernel_computes_what_numpy_does(n, d, count):
    rng = np.random.default_rng(n)
    weights, vectors = weights_of(n, rng), rng.normal(size=(d, n))
    vectors /= np.linalg.norm(vectors, axis=0)
    triangles = triangles_of(n, count, rng)
    multipliers, found = rng.random(len(triangles)), np.empty(len(triangles))
    descent, last = Descent.of(weights, vectors, 3), np.inf
    for steps in (0, 1, 5):
        made = descend_vectors()(descent, triangles, multipliers, 1.5, found, steps, 1e-9)
        assert made <= steps
        value, following, pulls, gradient = lagrangian(weights, vectors, triangles, multipliers, 1.5)
        npt.assert_allclose(np.linalg.norm(vectors, axis=0), 1.0)
        npt.assert_allclose(descent.state[VALUE], value)
        npt.assert_allclose(descent.state[SQUARE], (gradient**2).sum(), atol=1e-9)
        npt.assert_allclose(found, following, atol=1e-9)
        npt.assert_allclose(descent.pulls, pulls, atol=1e-9)
        npt.assert_allclose(descent.gradient, gradient, atol=1e-9)
        assert value <= last + 1e-9
        last = value


def test_steps_in_parts_are_the_same_as_together():
    rng = np.random.default_rng(3)
    weights, triangles = weights_of(12, rng), triangles_of(12, 30, rng)
    start = rng.normal(size=(6, 12))
    start /= np.linalg.norm(start, axis=0)
    ends = []
    for parts in ([9], [4, 5], [1] * 9):
        descent = Descent.of(weights, start.copy(), 4)
        for steps in parts:
            descend_vectors()(descent, triangles, np.ones(30), 1.0, np.empty(30), steps, 0.0)
        assert descent.state[PAIRS] > 0
        ends.append(descent.vectors)
    npt.assert_array_equal(ends[0], ends[1])
    npt.assert_array_equal(ends[0], ends[2])


def run(relaxed, rounds):
    rng = np.random.default_rng(1)
    for _ in range(rounds):
        relaxed.shake(0.1, rng)
        for _ in relaxed.descend(20):
            pass
        found = relaxed.separate(0.02)
        while True:
            try:
                next(found)
            except StopIteration:
                break


def test_three_spins_that_cannot_all_differ():
    """Without the inequality three vectors at 120 degrees have -1.5."""
    relaxed = Relaxed(1.0 - np.eye(3), Point.random(3, np.random.default_rng(1)))
    run(relaxed, 12)
    assert relaxed.value == pytest.approx(-1.0, abs=0.02)
    assert relaxed.point.gamma.sum() == pytest.approx(1.0, abs=0.05)


def all_spins(n):
    return np.array([(1, *rest) for rest in itertools.product((-1, 1), repeat=n - 1)], np.int8)


@given(st.integers(2, 8), st.integers(0, 10**6), st.sampled_from([1, 3, 1000, 2**40]), st.integers(0, 6))
def test_multipliers_prove_no_more_than_there_is(n, seed, largest, rounds):
    rng = np.random.default_rng(seed)
    weights = weights_of(n, rng, largest)
    scale = np.abs(weights).max() or 1.0
    relaxed = Relaxed(weights / scale, Point.random(n, rng))
    run(relaxed, rounds)
    point, size = relaxed.point, int(np.abs(weights).sum()) // 2
    found = multipliers_of(weights, 7, size, point.triangles, scale * point.gamma, scale * relaxed.pulls)
    spins = all_spins(n)
    levels = 7 + np.einsum("ri,ij,rj->r", spins, weights, spins) / 2
    if found is None:
        return
    best = result_of(found.best_proved())
    assert best is not None
    assert best <= levels.min()
    first = int(levels.argmin())
    others = np.delete(levels, first)
    for share in (0.0, 0.3, 1.0, 3.0):
        needed = levels.min() + share * (others.min() - levels.min())
        but_one = result_of(found.proved_but_for(spins[first], needed))
        assert but_one is None or but_one <= others.min()


def test_all_but_the_best_spins_are_cut():
    """The best spins are the only ones as good, so no bound of all is above their level."""
    rng = np.random.default_rng(5)
    weights = weights_of(8, rng, 50)
    relaxed = Relaxed(weights / 25, Point.random(8, rng))
    run(relaxed, 30)
    spins = all_spins(8)
    levels = np.sort(np.einsum("ri,ij,rj->r", spins, weights, spins) / 2)
    best = spins[np.einsum("ri,ij,rj->r", spins, weights, spins).argmin()]
    found = multipliers_of(
        weights, 0, int(np.abs(weights).sum()), relaxed.point.triangles, 25 * relaxed.point.gamma, 25 * relaxed.pulls
    )
    proved = result_of(found.proved_but_for(best, levels[0] + 0.01))
    assert levels[0] < levels[1]
    assert levels[0] < proved <= levels[1]


def result_of(steps):
    while True:
        try:
            next(steps)
        except StopIteration as ended:
            return ended.value


def excess(triangle, spins):
    i, j, k, s, t = triangle
    return s * spins[i] * spins[j] + t * spins[i] * spins[k] + s * t * spins[j] * spins[k]


@given(st.integers(3, 7), st.integers(0, 10**6))
def test_triangles_say_the_same_of_merged_spins(n, seed):
    rng = np.random.default_rng(seed)
    places, signs = rng.integers(0, n - 1, n), rng.choice(np.array([-1, 1], np.int8), n)
    places = np.unique(places, return_inverse=True)[1]
    triangles = triangles_of(n, 1, rng)
    moved = Point(rng.normal(size=(4, n)), triangles, np.array([2.5])).merged(places, signs, rng)
    assert moved.vectors.shape == (4, places.max() + 1)
    is_dropped = len(set(places[triangles[0, :3]])) < 3
    assert moved.gamma.tolist() == ([] if is_dropped else [2.5])
    for spins in itertools.product((-1, 1), repeat=int(places.max()) + 1):
        whole = signs * np.array(spins)[places]
        if is_dropped:
            assert excess(triangles[0], whole) >= -1
        else:
            assert excess(moved.triangles[0], spins) == excess(triangles[0], whole)
            assert (np.diff(moved.triangles[0, :3]) < 0).all()


def test_triangles_that_have_become_one_add_up():
    triangles = np.array([[2, 1, 0, 1, 1], [3, 1, 0, 1, 1]], np.int32)
    point = Point(np.eye(4), triangles, np.array([1.0, 2.0]))
    moved = point.merged(np.array([0, 1, 2, 2]), np.ones(4, np.int8), np.random.default_rng(1))
    assert (moved.triangles.tolist(), moved.gamma.tolist()) == ([[2, 1, 0, 1, 1]], [3.0])
