"""Branch and bound finds the least cost of every small problem, with either relaxation, and proves nothing else."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from qiosk.bounds.branch.choice import relaxation_of
from qiosk.bounds.branch.cycles import CycleRelaxation
from qiosk.bounds.branch.merging import Merging
from qiosk.bounds.branch.tree import branched
from qiosk.bounds.branch.triangles import TriangleRelaxation, part_of
from qiosk.bounds.choice import Bounder
from qiosk.bounds.graph import rounded_graph, spin_graph
from qiosk.errors import InvalidValue
from qiosk.kernels.bounds.rounding import descend_graph, round_products
from qiosk.model.compile import compile_problem
from small_problems import least_cost, problems
from strategies import cost_function

RELAXATIONS = (CycleRelaxation, TriangleRelaxation)


def graph_of(kind, terms):
    return spin_graph(compile_problem(cost_function(kind, terms)))


def dense(n, seed, largest=1):
    rng = np.random.default_rng(seed)
    weights = [w for w in range(-largest, largest + 1) if w]
    return graph_of("ising", [(float(rng.choice(weights)), [i, j]) for i in range(n) for j in range(i)])


def torus(size, seed):
    rng = np.random.default_rng(seed)
    return graph_of(
        "ising",
        [
            (float(rng.choice([-1, 1])), sorted([size * x + y, size * ((x + dx) % size) + (y + dy) % size]))
            for x in range(size)
            for y in range(size)
            for dx, dy in ((0, 1), (1, 0))
        ],
    )


def proofs_of(relaxation, known=lambda: None):
    return [proof for proof in branched(relaxation, known) if proof is not None]


@pytest.mark.parametrize("kind", RELAXATIONS)
@given(problems())
@example(cost_function("ising", []))
@example(cost_function("pubo", [(3.0, [0])]))
@example(cost_function("ising", [(2.0**60, [0, 1]), (2.0**60, [2, 3]), (1.0, [1, 2]), (2.0**-9, [3])]))
def test_the_last_proof_is_the_least_cost(kind, function):
    pytest.importorskip("highspy")
    problem, least = compile_problem(function), least_cost(function)
    graph = spin_graph(problem)
    if kind is TriangleRelaxation:
        graph = rounded_graph(problem, graph)
    if not len(graph.weights):
        return
    proofs = proofs_of(kind(graph, 1))
    levels = [proof.level for proof in proofs]
    assert levels == sorted(levels)
    assert proofs[-1].least == least
    spins = proofs[-1].configuration
    whole = np.append(spins, np.ones(int(graph.has_ghost), np.int8))
    assert graph.exact_level(whole) == proofs[-1].level


LARGE_BITS = cost_function(
    "pubo",
    [
        *((2.0**52, pair) for pair in itertools.combinations(range(7), 2) if pair[0] < 4),
        (-(2.0**52), [4, 5]),
        (-(2.0**52), [4, 6]),
        (2.0**52 - 1, [5, 6]),
        (2.0**52, []),
    ],
)
"""Their sum in quarters is beyond the range of most integer problems."""
LOST = cost_function("ising", [(2.0**60, [0, 1]), (2.0**60, [2, 3]), (1.0, [1, 2]), (2.0**-9, [3])])
"""The last two are rounded to 0 where the others are not."""


@given(problems(most=8))
@example(LARGE_BITS)
@example(LOST)
def test_a_bounder_gives_a_configuration_of_the_problem(function):
    pytest.importorskip("highspy")
    bounder = Bounder(compile_problem(function), "branch", 1)
    while not bounder.is_done:
        bounder.step()
    assert bounder.best.exact == least_cost(function)
    if bounder.best.configuration is not None:
        assert bounder.is_attained(bounder.best.configuration)


@given(problems(most=7))
def test_levels_are_attainable(function):
    graph = spin_graph(compile_problem(function))
    for spins in itertools.product((-1, 1), repeat=graph.vertices):
        level = graph.level(np.array(spins, np.int8))
        assert graph.attainable(level) == level
        assert graph.attainable(level - Fraction(1, 3)) == level


def test_levels_of_even_degrees_are_four_apart():
    assert (torus(4, 1).apart, dense(6, 1).apart, dense(7, 1).apart) == (4, 2, 4)


@given(st.integers(2, 8), st.data())
def test_what_is_left_after_merging_costs_the_same(n, data):
    graph = dense(n, data.draw(st.integers(0, 9)), 5)
    merging = Merging.none(n)
    for _ in range(data.draw(st.integers(0, n))):
        u, v = data.draw(st.integers(0, n - 1)), data.draw(st.integers(0, n - 1))
        if merging.roots[u] != merging.roots[v]:
            merging = merging.with_product(u, v, data.draw(st.sampled_from([-1, 1])))
    part = part_of(graph, merging)
    for some in itertools.product((-1, 1), repeat=len(part.roots)):
        s = np.array(some)
        spins = (merging.signs * s[np.searchsorted(part.roots, merging.roots)]).astype(np.int8)
        assert part.constant + s @ part.weights @ s / 2 == graph.level(spins)
        is_fixed, is_one = merging.fixed(graph)
        at_least = graph.weights * spins[graph.rows] * spins[graph.cols] < 0
        assert (at_least[is_fixed] != is_one[is_fixed]).all()


@pytest.mark.parametrize("kind", RELAXATIONS)
def test_the_same_seed_makes_the_same_tree(kind):
    pytest.importorskip("highspy")
    graph = dense(14, 2, 3) if kind is CycleRelaxation else dense(40, 4)
    trees = [[(p.level, int(p.arrays["nodes"])) for p in proofs_of(kind(graph, 5))] for _ in range(2)]
    assert trees[0] == trees[1]


def test_dense_problems_of_thirty_spins_are_proved():
    graph = dense(30, 1)
    last = proofs_of(TriangleRelaxation(graph, 1))[-1]
    best = min(graph.level(spins) for seed in range(200) for spins in [descended(graph, np.random.default_rng(seed))])
    assert last.level == best


def descended(graph, rng):
    spins = rng.choice(np.array([-1, 1], np.int8), graph.vertices)
    indptr, others, edges = graph.adjacency
    descend_graph()(indptr, others, graph.weights[edges], np.empty(graph.vertices, np.int64), spins)
    return spins


def test_a_descent_ends_where_no_flip_is_better():
    graph = torus(6, 3)
    spins = descended(graph, np.random.default_rng(1))
    for v in range(graph.vertices):
        flipped = spins.copy()
        flipped[v] *= -1
        assert graph.level(flipped) >= graph.level(spins)


def test_products_of_a_forest_are_kept():
    """The third edge of a triangle contradicts the first two, and is the least certain."""
    rows, cols = np.array([0, 0, 1]), np.array([1, 2, 2])
    spins = np.ones(3, np.int8)
    products = np.array([-1, 1, 1], np.int8)
    round_products()(np.arange(3), rows, cols, products, np.arange(3), np.ones(3, np.int8), spins)
    assert (spins[0] * spins[1], spins[0] * spins[2]) == (-1, 1)


def test_what_others_found_is_the_first_best():
    pytest.importorskip("highspy")
    graph = torus(12, 1)
    best = proofs_of(CycleRelaxation(graph, 1))[-1]
    known = proofs_of(CycleRelaxation(graph, 1), lambda: best.configuration)
    assert (known[-1].level, known[-1].configuration.tolist()) == (best.level, best.configuration.tolist())


def test_problems_that_are_too_large_are_refused(monkeypatch):
    monkeypatch.setattr("qiosk.bounds.branch.choice.MOST_VERTICES", 10)
    monkeypatch.setattr("qiosk.bounds.branch.triangles.MOST_VERTICES", 10)
    monkeypatch.setattr("qiosk.bounds.covering.MOST_EDGES", 10)
    with pytest.raises(InvalidValue, match="bound 'branch': is for at most 10 variables"):
        relaxation_of(dense(20, 1), 1, lambda: dense(20, 1))


def test_bounds_are_told_before_a_node_is_done():
    graph = dense(70, 6)
    for proof in branched(TriangleRelaxation(graph, 1), lambda: None):
        if proof is not None and proof.level > 0.8 * graph.least:
            break
    assert (int(proof.arrays["nodes"]), proof.configuration) == (1, None)
    assert proof.level <= graph.level(descended(graph, np.random.default_rng(1)))


def random_terms(kind, n, rng):
    """A dense problem: couplings, or those of bits, with linear terms."""
    pairs = list(itertools.combinations(range(n), 2))
    draw = {
        "units": lambda: float(rng.choice([-1, 1])),
        "sparse": lambda: float(rng.choice([0, 0, -1, 1])),
        "equal": lambda: 1.0,
        "integers": lambda: float(rng.integers(-(10**6), 10**6)),
        "decades": lambda: float(rng.choice([-1, 1]) * 10 ** rng.integers(0, 7)),
    }[kind]
    return [(draw(), list(pair)) for pair in pairs] + [(draw(), [i]) for i in range(n)]


@pytest.mark.parametrize("kind", ["units", "sparse", "equal", "integers", "decades"])
@pytest.mark.parametrize(
    ("n", "form", "relaxation"),
    [
        (10, "ising", CycleRelaxation),
        (10, "pubo", CycleRelaxation),
        (13, "ising", TriangleRelaxation),
        (16, "ising", TriangleRelaxation),
        (16, "pubo", TriangleRelaxation),
    ],
)
def test_the_minimum_is_that_of_all_configurations(n, form, relaxation, kind):
    pytest.importorskip("highspy")
    graph = graph_of(form, random_terms(kind, n, np.random.default_rng(n)))
    whole = np.where(np.arange(1 << (graph.vertices - 1))[:, None] >> np.arange(graph.vertices) & 1, -1, 1)
    levels = np.full(len(whole), graph.constant)
    for u, v, w in zip(graph.rows, graph.cols, graph.weights, strict=True):
        levels += w * whole[:, u] * whole[:, v]
    last = proofs_of(relaxation(graph, 1))[-1]
    assert last.level == levels.min()
    assert graph.level(np.append(last.configuration, np.ones(int(graph.has_ghost), np.int8))) == levels.min()


def test_nodes_without_what_their_parents_leave_prove_the_same(monkeypatch):
    graph = dense(50, 1, 30)
    warm = proofs_of(TriangleRelaxation(graph, 1))[-1]
    monkeypatch.setattr("qiosk.bounds.branch.tree.MOST_WARM", 0)
    cold = proofs_of(TriangleRelaxation(graph, 1))[-1]
    assert warm.level == cold.level
    assert int(cold.arrays["nodes"]) > 1
