"""Practical problems: their data, the checks of answers, and the models of every kind of solver."""

from __future__ import annotations

import itertools
import json
import math

import numpy as np
import pytest

from benchmarks.contenders import versions
from benchmarks.practical.__main__ import Comparison
from benchmarks.practical.assignments import QuadraticAssignment
from benchmarks.practical.catalogue import problems, published
from benchmarks.practical.colourings import Colouring, mycielski, queens
from benchmarks.practical.finders import (
    ConstraintSolver,
    Find,
    InRounds,
    LinearSolver,
    OnModel,
    Prepared,
    doubling,
    ordinary,
    solvers,
)
from benchmarks.practical.job_shops import JobShop
from benchmarks.practical.packings import BinPacking, Selection, knapsacks, partitioning, triplets
from benchmarks.practical.table import Measured, equal_cost, gaps, markdown, times
from benchmarks.practical.tours import TravellingSalesman
from benchmarks.quality.cells import Cell
from patience import SLOWNESS
from qiosk.model.compile import compile_problem
from qiosk.model.cost import evaluate
from qiosk.modeling import Model, total
from qiosk.solvers.targets.catalogue import DEFAULT_TARGET

ASYMMETRIC = [[0, 2, 9, 5], [1, 0, 6, 4], [7, 3, 0, 8], [5, 9, 2, 0]]
FLOWS = [[0, 3, 0, 2], [3, 0, 1, 0], [0, 1, 0, 4], [2, 0, 4, 0]]
GRID = [[0, 1, 1, 2], [1, 0, 2, 1], [1, 2, 0, 1], [2, 1, 1, 0]]
SMALL = [
    TravellingSalesman("tour", 11, distances=ASYMMETRIC),
    QuadraticAssignment("assignment", 20, flows=FLOWS, distances=GRID),
    Colouring("wheel", 0, n=4, edges=[(0, 1), (1, 2), (2, 0), (0, 3), (1, 3)], colours=3),
    JobShop("shop", 0, jobs=[[(0, 2), (1, 1)], [(1, 2), (0, 1)]], deadline=3),
    BinPacking("bins", 2, sizes=[5, 4, 3, 2, 2], capacity=8, bins=3),
    Selection(
        "cover",
        7,
        costs=[4, 3, 6, 9],
        weights=[[1, 0, 1, 1], [1, 0, 0, 1], [0, 1, 1, 1]],
        limits=[1] * 3,
        is_equal=True,
    ),
    Selection("knapsack", -9, costs=[-5, -4, -3], weights=[[2, 3, 1], [3, 1, 2]], limits=[5, 4], is_equal=False),
]


def names(problem):
    return problem.name


def test_published_answers_have_their_published_costs():
    known = problems()
    answers = {name: row["best_answer"] for name, row in published().items() if "best_answer" in row}
    assert len(answers) == 11
    for name, answer in answers.items():
        assert known[name].cost(answer) == known[name].best_known


def test_graphs_have_as_many_vertices_and_edges_as_those_of_dimacs():
    sizes = {g.name: (g.n, len(g.edges)) for g in [*map(mycielski, (4, 5, 6)), queens(5, 5), queens(8, 9)]}
    assert sizes == {
        "myciel3": (11, 20),
        "myciel4": (23, 71),
        "myciel5": (47, 236),
        "queen5_5": (25, 160),
        "queen8_8": (64, 728),
    }


@pytest.mark.parametrize(
    ("problem", "answers"),
    [
        (SMALL[0], [[0, 1, 2], [0, 1, 2, 2], [0, 1, 2, -1]]),
        (SMALL[1], [[0, 1, 2, 2], [0, 1, 2]]),
        (SMALL[2], [[0, 0, 1, 2], [0, 1, 2, 3], [0, 1, 2]]),
        (
            SMALL[3],
            [
                {(0, 0): 0, (0, 1): 2, (1, 0): 0},
                {(0, 0): 0, (0, 1): 1, (1, 0): 0, (1, 1): 2},  # before its job's first task ends
                {(0, 0): 0, (0, 1): 2, (1, 0): 1, (1, 1): 3},  # both on machine 1, and too late
                {(0, 0): -1, (0, 1): 2, (1, 0): 0, (1, 1): 2},
            ],
        ),
        (SMALL[4], [[0, 0, 0, 1, 1], [0, 1, 1, 0], [0, 1, 1, 3, 0]]),
        (SMALL[5], [[0], [0, 2], [3, 3], [4]]),
        (SMALL[6], [[0, 1, 2]]),
    ],
    ids=lambda value: names(value) if hasattr(value, "name") else "",
)
def test_answers_that_break_a_rule_have_no_cost(problem, answers):
    assert [problem.cost(answer) for answer in answers] == [None] * len(answers)


@pytest.mark.parametrize("problem", SMALL[:2], ids=names)
def test_small_permutations_have_the_best_costs_that_are_asked_for(problem):
    assert min(problem.cost(list(some)) for some in itertools.permutations(range(4))) == problem.best_known


@pytest.mark.parametrize("problem", SMALL, ids=names)
def test_targets_here_find_the_best_answer(problem):
    finder = OnModel(Prepared(problem), DEFAULT_TARGET)
    assert finder.until(problem.best_known, 1.0 * SLOWNESS, 1).cost == problem.best_known


def test_rounds_find_the_best_answer():
    knapsack = Prepared(SMALL[-1])
    assert InRounds(knapsack).run(1.0 * SLOWNESS, 1)[-1].cost == knapsack.problem.best_known


@pytest.mark.parametrize("problem", SMALL, ids=names)
@pytest.mark.parametrize(("solver", "module"), [(ConstraintSolver, "ortools"), (LinearSolver, "highspy")], ids=str)
def test_exact_solvers_find_the_best_answer(problem, solver, module):
    if versions((module,)) is None:
        pytest.skip(f"{module} is not installed")
    finder = solver(problem)
    assert finder.run(5.0 * SLOWNESS, 1)[-1].cost == problem.best_known  # stops when that is proven
    assert finder.until(math.inf, 5.0 * SLOWNESS, 1).cost >= problem.best_known
    assert finder.until(problem.best_known, 5.0 * SLOWNESS, 1).cost == problem.best_known
    assert finder.until(problem.best_known - 1, 5.0 * SLOWNESS, 1) is None


@pytest.mark.parametrize("problem", SMALL, ids=names)
def test_the_ordinary_qubo_costs_the_same(problem):
    whole = problem.model().problem().cost_function()
    qubo = ordinary(whole)
    assert compile_problem(qubo).is_quadratic
    assert np.diff(qubo.indptr).max() == 2
    some = np.random.default_rng(1).integers(0, 2, (50, len(whole.variables)), np.int8)
    assert np.allclose(evaluate(qubo, some), evaluate(whole, some), rtol=1e-12)


def test_long_squares_are_multiplied_out():
    model = Model("long")
    bits = model.bits("x", range(70))
    model.add(total((k + 1) * bit for k, bit in bits.items()) == 99, "sum")
    whole = model.problem().cost_function()
    assert not compile_problem(whole).is_quadratic
    some = np.random.default_rng(2).integers(0, 2, (20, 70), np.int8)
    assert np.array_equal(evaluate(ordinary(whole), some), evaluate(whole, some))


def test_planted_partitions_and_triplets_have_their_answers():
    bins = triplets(4, 3)
    assert sum(bins.sizes) == 4 * bins.capacity
    cover = partitioning(12, 30, 1, 0)
    sets = [frozenset(np.flatnonzero(column)) for column in np.array(cover.weights).T]
    assert any(
        len(frozenset().union(*some)) == 12 == sum(map(len, some))
        for some in itertools.combinations([s for s in sets if len(s) == 4], 3)
    )
    assert knapsacks(10, 2, 1, 0).cost([]) == 0


def test_runs_are_doubled_until_an_answer_is_good_enough():
    asked = []

    def run(seconds, seed):
        asked.append(seconds)
        return [Find(seconds / 2, 5.0 if seconds < 0.1 else 3.0)]

    assert doubling(run, 3.0, 1.0, 1) == Find(1 / 16, 3.0)
    assert asked == [1 / 64, 1 / 32, 1 / 16, 1 / 8]
    assert doubling(run, 2.0, 1.0, 1) is None


def test_tables_have_medians_and_equal_costs(tmp_path):
    measured = Measured.of(tmp_path)
    for seed, (ours, theirs) in enumerate([(101, 110), (100, 105), (103, None)]):
        measured.gap.add(Cell("p", "qiosk default", 1.0, seed, ours, 1.0, 1.0))
        measured.gap.add(Cell("p", "dwave-samplers tabu", 1.0, seed, theirs, 1.0, 1.0))
        measured.equal.add(Cell("p", "qiosk default", 1.0, seed, 105, 0.01 * (seed + 1), 1.0))
        measured.feasible.add(Cell("p", "qiosk default", 1.0, seed, 200, 0.2, 1.0))
        measured.feasible.add(Cell("p", "dwave-samplers tabu", 1.0, seed, None, 9.0, 1.0))
    assert equal_cost(measured.gap, "p", 1.0) == 110
    assert gaps(measured.gap, "p", 1.0, 100.0) == {"qiosk default": 0.01, "dwave-samplers tabu": 0.1}
    assert times(measured.feasible, "p") == {"qiosk default": 0.2, "dwave-samplers tabu": math.inf}
    assert times(measured.equal, "p") == {"qiosk default": 0.02}
    report = markdown(Measured.of(tmp_path), {"p": 100.0, "unmeasured": 1.0})
    assert "| p | 1 % | 10 % |" in report
    assert "| p | 0.2 s | none |" in report
    assert "unmeasured" not in report


def test_a_comparison_keeps_its_runs(tmp_path):
    looked = []

    class Fixed:
        def run(self, seconds, seed):
            looked.append(seconds)
            return [Find(0.5, 12.0), Find(0.6, 10.0)]

        def until(self, cost, limit, seed):
            looked.append(cost)
            return Find(0.1, 10.0)

    chosen = {"our one-flip tabu": lambda prepared: Fixed()}
    Comparison(SMALL[0], chosen, Measured.of(tmp_path)).run([1.0], 1)
    assert looked == [math.inf, 1.0, 10.0]
    Comparison(SMALL[0], chosen, Measured.of(tmp_path)).run([1.0], 1)
    assert len(looked) == 3
    rows = [json.loads(line) for line in (tmp_path / "practical.gap.jsonl").read_text().splitlines()]
    assert [(row["contender"], row["cost"], row["wall"]) for row in rows] == [("our one-flip tabu", 10.0, 0.6)]


def test_targets_here_take_part():
    assert {"qiosk default", "qiosk tabu", "qiosk Model.solve", "qiosk one-flip tabu"} <= solvers().keys()
