"""Practical problems: their data, the checks of answers, and the models of every kind of solver."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from benchmarks.contenders import versions
from benchmarks.practical.finder import Find, doubling
from benchmarks.practical.finders import ConstraintSolver, InRounds, LinearSolver, OnModel, solvers
from benchmarks.practical.prepared import Prepared, ordinary
from benchmarks.practical.problems.assignments import QuadraticAssignment
from benchmarks.practical.problems.catalogue import FAMILIES, index, problem, problems
from benchmarks.practical.problems.colourings import Colouring, mycielski, queens
from benchmarks.practical.problems.generated import knapsacks, partitioning, subset_sums, triplets
from benchmarks.practical.problems.job_shops import JobShop
from benchmarks.practical.problems.packings import BinPacking, Selection
from benchmarks.practical.problems.tours import TravellingSalesman
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


@pytest.mark.parametrize("row", index().values(), ids=lambda row: row["name"])
def test_the_answer_in_the_index_has_the_best_known_cost(row):
    some = problem(row)
    assert some.cost(some.stored(row["best_answer"])) == some.best_known
    assert len(row["source"]) > 20


def test_every_family_of_the_comparison_has_its_published_problems():
    names = {family: {row["name"] for row in index().values() if row["family"] == family} for family in FAMILIES}
    assert names["tour"] >= {"burma14", "ulysses22", "bays29", "att48", "eil51"}
    assert names["assignment"] >= {"nug12", "nug15", "nug20", "nug25", "nug30", "tai20a", "chr12a", "chr20a"}
    assert names["colouring"] >= {"myciel3", "myciel4", "myciel5", "queen5_5", "queen6_6", "queen7_7", "queen8_8"}
    assert names["job shop"] >= {"ft06_55", "ft06_60", "la01_36", "la02_37", "la05_34"}
    assert names["bins"] >= {"u120_00", "bins_u20", "bins_t18", "bins_t60"}
    assert names["knapsacks"] >= {"mknap1_3", "mknap1_5", "mknap1_7", "mknapcb1_1"}
    assert all(names.values())
    assert set().union(*names.values()) - problems().keys() == {"la01", "la02", "la05"}  # too large by time


def test_graphs_have_as_many_vertices_and_edges_as_those_of_dimacs():
    graphs = {"myciel3": mycielski(4), "myciel4": mycielski(5), "myciel5": mycielski(6)}
    graphs |= {f"queen{side}_{side}": queens(side, side) for side in (5, 6, 7, 8)}
    assert {name: (graph["n"], len(graph["edges"])) for name, graph in graphs.items()} == {
        "myciel3": (11, 20),
        "myciel4": (23, 71),
        "myciel5": (47, 236),
        "queen5_5": (25, 160),
        "queen6_6": (36, 290),
        "queen7_7": (49, 476),
        "queen8_8": (64, 728),
    }


def test_bins_are_as_many_as_the_sizes_need():
    for row in index().values():
        if row["family"] == "bins":
            some = problem(row)
            assert some.best_known == -(-sum(some.sizes) // some.capacity)  # a bound that answers reach


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


def test_durations_are_rounded_up_to_units():
    shop = JobShop("shop", 0, jobs=[[(0, 20), (1, 21)], [(1, 1)]], deadline=4, unit=20)
    assert shop.tasks == {(0, 0): (0, 1), (0, 1): (1, 2), (1, 0): (1, 1)}
    assert shop.times((0, 1)) == range(1, 3)
    assert shop.cost(shop.stored([[0, 1], [0]])) == 0
    assert shop.cost(shop.stored([[0, 1], [2]])) is None


def test_generated_problems_have_planted_answers():
    bins = triplets(4, 3)
    assert sum(bins["sizes"]) == 4 * bins["capacity"]
    cover = partitioning(12, 30, 1)
    sets = [frozenset(np.flatnonzero(column)) for column in np.array(cover["weights"]).T]
    assert any(
        len(frozenset().union(*some)) == 12 == sum(map(len, some))
        for some in itertools.combinations([s for s in sets if len(s) == 4], 3)
    )
    assert Selection("none", 0, **knapsacks(10, 2, 1)).cost([]) == 0
    sums = Selection("sum", 0, **subset_sums(12, 3, 1))
    assert any(sums.cost(list(some)) == 0 for some in itertools.combinations(range(12), 6))
    assert sums.cost([]) is None


def test_runs_are_doubled_until_an_answer_is_good_enough():
    asked = []

    def run(seconds, seed):
        asked.append(seconds)
        return [Find(seconds / 2, 5.0 if seconds < 0.1 else 3.0)]

    assert doubling(run, 3.0, 1.0, 1) == Find(1 / 16, 3.0)
    assert asked == [1 / 64, 1 / 32, 1 / 16, 1 / 8]
    assert doubling(run, 2.0, 1.0, 1) is None


def test_targets_here_take_part():
    assert {"qiosk default", "qiosk tabu", "qiosk Model.solve", "qiosk one-flip tabu"} <= solvers().keys()
