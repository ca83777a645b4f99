"""Rows with slack: declared, carried, proven, taken out of a problem, and chosen at best by every search."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import numpy.testing as npt
import pytest

import qiosk
from qiosk.errors import InvalidValue, WrongType
from qiosk.formats.files import renumbered
from qiosk.model.compile import compile_problem
from qiosk.model.constraints.one_hot import OneHot
from qiosk.model.constraints.slack import SLACK, read_slack
from qiosk.model.flips import cost_of
from qiosk.model.transforms.fix_variables import fix_variables
from qiosk.modeling import Model, total
from qiosk.modeling.answer import Status
from qiosk.optimization import Problem, ProblemType
from qiosk.solvers.algorithms.tabu.one_hot_walkers import OneHotWalkers
from qiosk.solvers.exact.exhaustive import enumerate_best, is_enumerable
from qiosk.solvers.exact.slack import proven_rows
from qiosk.solvers.samplers.one_hot.core import core_of
from qiosk.solvers.samplers.one_hot.layout import Layout
from qiosk.solvers.samplers.one_hot.sampler import OneHotSampler
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.moves.one_hot import OneHotMoves
from qiosk.solvers.search.tuning import beta_range
from slack_problems import FORMS, least_costs, slack_cost_function, slack_problem

CASES = list(itertools.product(FORMS, [False, True], [True, False]))


def knapsack(n=26, seed=3, largest=99):
    rng = np.random.default_rng(seed)
    sizes, values = rng.integers(1, largest, (2, n)).tolist()
    model = Model("knapsack")
    take = model.bits("take", range(n))
    model.maximize(total(value * take[k] for k, value in enumerate(values)))
    model.add(total(size * take[k] for k, size in enumerate(sizes)) <= sum(sizes) // 3, "capacity")
    return model, sizes, values


def best_value(sizes, values):
    capacity = sum(sizes) // 3
    best = [0] * (capacity + 1)
    for size, value in zip(sizes, values, strict=True):
        for left in range(capacity, size - 1, -1):
            best[left] = max(best[left], best[left - size] + value)
    return best[capacity]


# declared and carried


@pytest.mark.parametrize(
    "carry",
    [
        lambda problem: Problem.deserialize(problem.to_json()),
        lambda problem: Problem.deserialize(problem.to_blob()),
        lambda problem: Problem.from_proto(problem.to_proto()),
    ],
    ids=["json", "blob", "protobuf"],
)
def test_rows_are_carried(carry):
    problem = knapsack(12)[0].problem()
    (row,), (carried,) = (read_slack(p.cost_function().metadata) for p in (problem, carry(problem)))
    assert carried.to_metadata() == row.to_metadata()
    assert row.n_slack == len(row.members) - 12


def row(**changes):
    return {"penalty": 1.0, "ids": [0, 1, 2], "weights": [1.0, 2.0, 1.0], "offset": -2.0, "slack": 1} | changes


@pytest.mark.parametrize(
    ("member", "error", "text"),
    [
        (3, WrongType, "must be a list of objects"),
        ({}, WrongType, "must be a list of objects"),
        ([3], WrongType, r"slack\[0\]`: must be an object"),
        ([row() | {"more": 1}], InvalidValue, "must have the members ids, offset, penalty, slack, weights"),
        ([row(ids=[0, 1, 1])], InvalidValue, "variable 1 occurs twice"),
        ([row(ids=[0, 1])], WrongType, "must be a list of 2 numbers"),
        ([row(weights="123")], WrongType, "must be a list of 3 numbers"),
        ([row(weights=[1, 2, float("inf")])], InvalidValue, "must be finite"),
        ([row(weights=[1, 2, True])], WrongType, "must be a number"),
        ([row(slack=4)], InvalidValue, "an integer from 0 to 3"),
        ([row(slack=0.5)], InvalidValue, "an integer from 0 to 3"),
        ([row(penalty=0)], InvalidValue, "must be greater than 0"),
        ([row(ids=[0, 1, 12])], InvalidValue, "variable 12 is not in the problem"),
    ],
)
def test_wrong_metadata_are_refused(member, error, text):
    problem = Problem("p", problem_type=ProblemType.pubo)
    problem.add_terms(coefficients=[1.0, 1.0], ids=[[0, 1], [1, 2]])
    problem.metadata[SLACK] = member
    with pytest.raises(error, match=text):
        problem.cost_function()
    with pytest.raises(error, match=text):
        compile_problem(problem._frozen())


@pytest.mark.parametrize("form", FORMS)
def test_fixed_variables_leave_the_rows(form):
    cost_function = slack_cost_function(form)
    declared = read_slack(cost_function.metadata)
    fixed = fix_variables(cost_function, {0: 1, 3: 0})
    problem = compile_problem(fixed)
    problem = replace(problem, one_hot=OneHot.of([]))
    problem = replace(problem, slack=proven_rows(problem, is_sought=False))
    assert len(problem.slack) == 3
    core = core_of(problem)
    for key, cost in least_costs(problem, 3).items():
        assert cost_of(problem, core.lift(np.frombuffer(key, np.int8) > 0)) == pytest.approx(cost)
    fixed = fix_variables(cost_function, {int(declared[1].slack[0]): 1})
    assert len(read_slack(fixed.metadata)) == 2


def test_renumbered_problems_keep_their_rows():
    problem = Problem("p", problem_type=ProblemType.pubo)
    problem.add_slc_term([(3, 7), (2, 20), (1, 21), (2, 40)], c=2)
    problem.metadata[SLACK] = [row(ids=[7, 20, 21, 40], weights=[3.0, 2.0, 1.0, 2.0], slack=2)]
    found = renumbered(problem.cost_function())
    assert found.metadata[SLACK] == [row(ids=[0, 1, 2, 3], weights=[3.0, 2.0, 1.0, 2.0], slack=2)]


# proven


def proven(terms=(), squares=(), *, declared=(), one_hot=(), is_sought=True):
    problem = Problem("p", problem_type=ProblemType.pubo)
    for coefficient, ids in terms:
        problem.add_term(coefficient, ids)
    for penalty, members in squares:
        problem.add_slc_term(members, c=penalty)
    problem.metadata[SLACK] = list(declared)
    for ids in one_hot:
        problem.add_one_hot(ids)
    return [
        found.slack.tolist() for found in proven_rows(compile_problem(problem.cost_function()), is_sought=is_sought)
    ]


OBJECTIVE = [(-1.0, [0]), (-1.0, [1])]


@pytest.mark.parametrize(
    ("members", "slack"),
    [
        ([(3, 0), (2, 1), (1, 2), (2, 3), (3, 4)], [[2, 3, 4]]),
        ([(3, 0), (2, 1), (1, 2), (2, 3), (9, 4)], [[2, 3]]),  # 9 leaves a gap: it is a bit like others
        ([(4, 0), (2, 1), (2, 2), (-2, 3)], [[2, 3]]),
        ([(3, 0), (2, 1), (2, 2), (4, 3)], []),  # odd values lie between the multiples of 2
        ([(3, 0), (2, 1), (1.5, 2), (1, 3)], [[3]]),
        ([(3, 0), (2, 1), (2.5, None), (1, 3)], []),
    ],
)
def test_slack_of_squares_is_what_reaches_every_multiple(members, slack):
    kept = [w for w, i in members if i == 2 and w == 1.5]
    found = proven(OBJECTIVE, [(2.0, [(w, i) for w, i in members])])
    assert found == ([] if kept else slack)


def test_slack_is_in_one_square_alone():
    square = (2.0, [(3, 0), (2, 1), (1, 2), (2, 3)])
    assert proven(OBJECTIVE, [square]) == [[2, 3]]
    assert proven([*OBJECTIVE, (0.5, [3])], [square]) == [[2]]
    assert proven([*OBJECTIVE, (0.5, [0, 3])], [square]) == [[2]]
    assert proven([*OBJECTIVE, (0.5, [0, 1, 2])], [square]) == []  # steps of 2 do not reach 1 and 3
    assert proven(OBJECTIVE, [square, (1.0, [(1, 3), (1, 4)])]) == [[2], [4]]
    assert proven(OBJECTIVE, [(-2.0, square[1])]) == []
    assert proven(OBJECTIVE, [square], one_hot=[[2, 3]]) == []
    assert proven(OBJECTIVE, [square], is_sought=False) == []


def test_declared_rows_must_be_what_the_terms_are():
    squares = {(i,): 1.0 for i in range(3)} | {(0, 1): 4.0, (0, 2): 2.0, (1, 2): 4.0, (1,): 4.0}
    terms = [
        (c - (4.0 * w if len(ids) == 1 else 0.0), list(ids))
        for ids, c in squares.items()
        for w in [{0: 1, 1: 2, 2: 1}[ids[0]]]
    ]
    terms += [(4.0, [])]  # (x0 + 2 x1 + x2 - 2)**2
    terms += [(-1.0, [0]), (0.25, [0, 1])]
    assert proven(terms, declared=[row()]) == [[2]]
    assert proven([*terms, (1.0, [2])], declared=[row()]) == []
    assert proven([*terms, (1.0, [2, 5])], declared=[row()]) == []
    assert proven([*terms, (1.0, [0, 2, 5])], declared=[row()]) == []
    assert proven(terms, [(1.0, [(1, 2), (1, 5)])], declared=[row()], is_sought=False) == []
    assert proven(terms, declared=[row(penalty=2.0)]) == []
    assert proven(terms, declared=[row(offset=-1.0)]) == []
    assert proven(terms, declared=[row(weights=[1.0, 1.0, 1.0])]) == []
    assert proven(terms, declared=[row(), row()]) == []
    assert proven(terms, declared=[row()], one_hot=[[2, 0]]) == []
    assert proven(terms) == []


def test_spins_and_large_squares_have_no_slack():
    problem = Problem("p", problem_type=ProblemType.ising)
    problem.add_slc_term([(1, 0), (1, 1), (1, 2)], c=1)
    assert proven_rows(compile_problem(problem.cost_function()), is_sought=True) == ()
    assert proven(OBJECTIVE, [(1.0, [(2.0**53, 0), (1, 1), (1, 2)])]) == []


# taken out


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize(("form", "groups", "integers"), CASES)
def test_the_core_has_the_least_costs_over_all_slack(form, groups, integers, seed):
    problem = slack_problem(form, groups=groups, integers=integers, seed=seed)
    assert sum(r.n_slack for r in problem.slack) == 8
    layout = Layout(problem)
    sampler, moves = OneHotSampler(layout, 1), OneHotMoves(layout)
    group = sampler.start((1,))
    least = least_costs(problem)
    for key, cost in least.items():
        bits = np.frombuffer(key, np.int8)
        x = layout.core.lift(bits > 0)
        npt.assert_array_equal(x[:5], bits)
        assert cost_of(problem, x) == pytest.approx(cost, abs=1e-9)
        sampler.replace(group, 0, x)
        assert sampler.costs(group)[0] == pytest.approx(cost, abs=1e-9)
        after = [cost_of(problem, neighbour) - cost for neighbour in moves.neighbours(x)]
        npt.assert_allclose(np.sort(moves.gains(x)), after, atol=1e-9)
        minimum = moves.descend(x)
        assert cost_of(problem, minimum) <= cost + 1e-9
        assert (moves.gains(minimum) >= -1e-9).all()
    found = Incumbents(3)
    enumerate_best(problem, found)
    npt.assert_allclose(found.costs, np.sort([*least.values()])[: len(found.costs)], atol=1e-9)
    assert len(found.costs) == 3
    walkers = OneHotWalkers(layout)
    rules = walkers.rules()[0]
    walker = walkers.start(moves.random(np.random.default_rng(1)), rules, (1,))
    for steps in (1, 10, 500):
        walkers.run(walker, rules, steps)
        cost, configuration = walkers.best(walker)
        assert cost == pytest.approx(cost_of(problem, configuration()), abs=1e-9)
    assert cost == pytest.approx(min(least.values()), abs=1e-9)


def test_slack_does_not_count_among_what_is_enumerated():
    model, sizes, values = knapsack(17, largest=10**6)
    problem = compile_problem(model.problem().cost_function())
    assert problem.n > 30
    assert not is_enumerable(replace(problem, slack=()))
    answer = model.solve(seed=1)
    assert answer.status is Status.OPTIMAL
    sums = np.array([0])
    worth = np.array([0])
    for size, value in zip(sizes, values, strict=True):
        sums, worth = np.concatenate([sums, sums + size]), np.concatenate([worth, worth + value])
    assert answer.objective == worth[sums <= sum(sizes) // 3].max()


def test_models_that_fit_exactly_have_no_slack():
    model = Model()
    x = model.bits("x", range(70))
    model.add(total(x.values()) == 7)
    model.minimize(total(k * x[k] for k in range(70)))
    problem = model.problem().cost_function()
    assert problem.metadata[SLACK] == []
    assert len(problem.groups) == 1


def test_temperatures_are_those_of_moves_that_keep_the_rows():
    model = knapsack(40)[0]
    ranges = []
    for scale in (1.0, 1024.0):
        problem = replace(compile_problem(model.problem(scale=scale).cost_function()), one_hot=OneHot.of([]))
        problem = replace(problem, slack=proven_rows(problem, is_sought=False))
        ranges.append(beta_range(problem, 1, OneHotMoves(Layout(problem))))
    assert ranges[0].hot == pytest.approx(ranges[1].hot, rel=0.3)
    assert ranges[0].cold == pytest.approx(ranges[1].cold, rel=0.3)
    assert 1 / 99 < ranges[0].hot < ranges[0].cold < 10  # values are 1 to 98


# searches

SEARCHES = ["simulatedannealing", "paralleltempering", "populationannealing", "tabu"]


@pytest.mark.parametrize("wide", [False, True], ids=["multiplied out", "square"])
@pytest.mark.parametrize("search", SEARCHES)
def test_searches_find_the_best_knapsack(search, wide):
    model, sizes, values = knapsack(70 if wide else 26)
    problem = model.problem()
    assert len(problem.cost_function().groups) == wide
    result = qiosk.solve(problem, search, seed=1, timeout=1, number_of_solutions=2)
    assert "one-hot" in result.statistics["kernel"]
    solution = model.decode(result)
    assert solution.is_feasible
    assert result.cost == pytest.approx(float(problem.evaluate(result.configuration)))
    assert result.cost == -solution.objective  # the slack fits
    share = 0.99 if wide else 1.0
    assert share * best_value(sizes, values) <= solution.objective <= best_value(sizes, values)
    takes = [tuple(model.decode(some)["take"].values()) for some in result.solutions]
    assert len(set(takes)) == 2


@pytest.mark.parametrize("search", SEARCHES)
def test_equal_seeds_give_equal_results_whatever_the_threads(search):
    problem = knapsack(40)[0].problem()
    more = {"restarts": 40} if search in ("simulatedannealing", "tabu") else {}
    runs = [
        qiosk.solve(problem, search, seed=3, sweeps=60, number_of_solutions=5, threads=threads, **more)
        for threads in (1, 3)
    ]
    found = [[(s.cost, s.configuration) for s in run.solutions] for run in runs]
    assert found[0] == found[1]


def test_squares_without_declared_slack_keep_their_bits_where_several_solutions_are_wanted():
    problem = Problem("p", problem_type=ProblemType.pubo)
    problem.add_slc_term([(1, 0), (1, 1), (1, 2), (-1, None)], c=1)
    result = qiosk.solve(problem, "simulatedannealing", seed=1, number_of_solutions=3)
    assert [s.cost for s in result.solutions] == [0, 0, 0]
    assert qiosk.solve(problem, "simulatedannealing", seed=1).cost == 0


def test_other_kernels_and_targets_see_an_ordinary_problem():
    model, sizes, values = knapsack(12, largest=9)
    plain = qiosk.solve(model.problem(), "simulatedannealing", kernel="plain", seed=1, sweeps=9)
    assert plain.statistics["kernel"] == "plain"
    result = qiosk.solve(model.problem(), "substochasticmontecarlo", seed=1, timeout=1)
    assert model.decode(result).objective <= best_value(sizes, values)
