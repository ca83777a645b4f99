"""The families of problems are what they say, and the table of regrets compares with the best single target."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks import families
from benchmarks.quality import portfolio
from benchmarks.quality.cells import Cell, Cells
from qiosk.model.compile import compile_problem
from qiosk.model.cost import evaluate


@pytest.mark.parametrize(
    ("make", "n", "locality"),
    [
        (lambda rng: families.lattice(rng, 4, 2, is_normal=False), 16, 2),
        (lambda rng: families.lattice(rng, 3, 3, is_normal=True), 27, 2),
        (lambda rng: families.sparse_cut(rng, 30, 90), 30, 2),
        (lambda rng: families.dense_cut(rng, 10), 10, 2),
        (lambda rng: families.qubo(rng, 12, 1.0), 12, 2),
        (lambda rng: families.wide(rng, 20, 60), 20, 2),
        (lambda rng: families.satisfiability(rng, 20, 4.0), 20, 3),
        (lambda rng: families.regular(rng, 20), 20, 2),
    ],
    ids=["lattice", "cube", "sparse cut", "dense cut", "qubo", "wide", "satisfiability", "regular"],
)
def test_families_have_their_size_and_are_the_same_for_a_seed(make, n, locality):
    first, second = (make(np.random.default_rng(3)) for _ in range(2))
    problem = compile_problem(first)
    assert (problem.n, problem.locality) == (n, locality)
    assert np.array_equal(first.coefficients, second.coefficients)
    assert np.array_equal(first.ids, second.ids)


def test_autocorrelations_are_those_of_the_definition():
    n = 9
    cf = families.autocorrelations(np.random.default_rng(0), n)
    constant = sum(n - k for k in range(1, n))
    for x in np.random.default_rng(1).choice(np.array([-1, 1], np.int8), (20, n)):
        energy = sum(int(x[: n - k].astype(int) @ x[k:].astype(int)) ** 2 for k in range(1, n))
        assert evaluate(cf, x) == energy - constant


def test_a_clause_costs_one_more_where_it_is_broken():
    cf = families.satisfiability(np.random.default_rng(2), 6, 0.2)  # one clause
    x = np.array(np.meshgrid(*[[-1, 1]] * 3)).reshape(3, -1).T.astype(np.int8)
    costs = np.sort(evaluate(cf, x))
    assert costs.tolist() == [-0.125] * 7 + [0.875]


def test_losses_are_against_the_best_single_target():
    medians = {portfolio.AUTO: -99.0, "tabu": -100.0, "simulatedannealing": -90.0}
    assert portfolio.losses(medians) == pytest.approx({portfolio.AUTO: 0.01, "tabu": 0.0, "simulatedannealing": 0.1})
    assert portfolio.losses({portfolio.AUTO: -1.0, "tabu": 0.0})[portfolio.AUTO] == -1.0


def test_the_table_counts_where_the_portfolio_is_as_good(tmp_path):
    cells = Cells(tmp_path / "portfolio.jsonl")
    for name, costs in {"a": (-10.0, -10.0, -9.0, -8.0, -7.0), "b": (-5.0, -10.0, -9.0, -8.0, -7.0)}.items():
        for target, cost in zip((portfolio.AUTO, *portfolio.SINGLE), costs, strict=True):
            cells.add(Cell(name, target, 1.0, 0, cost, 1.0, 1.0, load=2.0))
    cells.add(Cell("half", portfolio.AUTO, 1.0, 0, 0.0, 1.0, 1.0))
    text = portfolio.markdown(cells, ["a", "b", "half"])
    assert "At least as good as the best single target on 1 of 2, as the second best on\n1." in text
    assert "| b | -10 | 50 | 0 |" in text
    assert "half" not in text


def test_a_run_is_limited_by_the_time_of_the_processor(monkeypatch):
    portfolio.instance.cache_clear()
    monkeypatch.setattr(
        portfolio,
        "instance",
        lambda name: families.Instance(name, families.dense_cut(np.random.default_rng(1), 12), None),
    )
    assert portfolio.cost_of("small", "qiosk.auto", 5.0, 1) == portfolio.cost_of("small", "tabu", 5.0, 1)
