"""One-hot groups: declared, carried, divided into choices and assignments, and kept by every search that knows them."""

from __future__ import annotations

import copy
import itertools
import pickle
from math import log

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive
import qiosk
from one_hot_problems import GROUPS, grid, kept_configurations, one_hot_problem
from qiosk.errors import InvalidValue, WrongType
from qiosk.formats import columns
from qiosk.formats.files import renumbered
from qiosk.model.compile import compile_problem
from qiosk.model.constraints.one_hot import OneHot, read_one_hot
from qiosk.model.flips import cost_of
from qiosk.modeling import Model, total
from qiosk.optimization import Problem, ProblemType
from qiosk.solvers.algorithms.tabu.one_hot_walkers import OneHotWalkers
from qiosk.solvers.run import Task
from qiosk.solvers.samplers.one_hot.layout import Layout
from qiosk.solvers.samplers.one_hot.sampler import OneHotSampler
from qiosk.solvers.samplers.one_hot.structure import structure_of
from qiosk.solvers.search.moves.one_hot import OneHotMoves
from qiosk.solvers.targets.catalogue import full_name, target
from qiosk.solvers.targets.parameters import read_parameters

pytestmark = pytest.mark.slow

NAMES = [name for name in GROUPS if name != "none"]
KINDS = [("pubo", 2), ("pubo_grouped", 4), ("ising_grouped", 3)]


def coloured(**changes):
    problem = Problem("colour", problem_type=ProblemType.pubo, **changes)
    problem.add_one_hot([0, 1, 2], penalty=4)
    problem.add_one_hot((7, 8), at_most=True, penalty=2)
    problem.add_term(-3, [0, 7])
    problem.add_term(1, [8])
    return problem


# declared and carried


@pytest.mark.parametrize("kind", ["pubo", "ising"])
@pytest.mark.parametrize("at_most", [False, True])
def test_the_penalty_is_that_of_the_excess(kind, at_most):
    problem = Problem("p", problem_type=ProblemType(kind))
    ids = [3, 9, 4, 11]
    problem.add_one_hot(ids, at_most=at_most, penalty=2)
    for values in itertools.product((-1, 1) if kind == "ising" else (0, 1), repeat=4):
        k = sum(value > 0 for value in values)
        expected = k * (k - 1) if at_most else 2 * (k - 1) ** 2
        assert problem.evaluate(dict(zip(ids, values, strict=True))) == expected


@pytest.mark.parametrize(
    "carry",
    [
        copy.copy,
        copy.deepcopy,
        lambda problem: pickle.loads(pickle.dumps(problem)),
        lambda problem: Problem.deserialize(problem.to_json()),
        lambda problem: Problem.deserialize(problem.to_blob()),
        lambda problem: Problem.from_proto(problem.to_proto()),
        lambda problem: Problem.from_cost_function(columns.read(columns.write(problem.cost_function()))),
    ],
    ids=["copy", "deepcopy", "pickle", "json", "blob", "protobuf", "columns"],
)
def test_groups_are_carried(carry):
    problem = coloured()
    carried = carry(problem)
    assert carried.one_hot == problem.one_hot == (((0, 1, 2), True), ((7, 8), False))
    assert carried.cost_function().metadata["one_hot"] == {"exactly_one": [[0, 1, 2]], "at_most_one": [[7, 8]]}
    carried.add_term(1.0, [0])
    carried.add_one_hot([0, 7])
    assert carried.cost_function().metadata["one_hot"]["exactly_one"] == [[0, 1, 2], [0, 7]]


@given(st.lists(st.integers(0, 2**63 - 1), min_size=1, max_size=4, unique=True))
def test_large_ids_are_carried_by_every_encoding(ids):
    problem = Problem("large", problem_type=ProblemType.pubo)
    problem.add_one_hot(ids, penalty=1)
    for encoded in (problem.to_json(), problem.to_proto()):
        assert Problem.deserialize(encoded).one_hot == problem.one_hot


def test_a_group_that_is_added_later_is_seen():
    problem = coloured()
    before = problem.cost_function()
    problem.add_one_hot([0, 7], at_most=True)
    assert len(problem.cost_function().metadata["one_hot"]["at_most_one"]) == 2
    assert len(before.metadata["one_hot"]["at_most_one"]) == 1
    problem.add_one_hot([99])
    with pytest.raises(InvalidValue, match="variable 99 is not in the problem"):
        problem.cost_function()


@pytest.mark.parametrize(
    ("ids", "error", "text"),
    [
        ([], InvalidValue, "must have at least one variable"),
        ([1, 2, 1], InvalidValue, "variable 1 occurs twice"),
        ([-1], InvalidValue, "must be 0 to"),
        ([True], WrongType, "must be an integer"),
        ([1.5], WrongType, "must be an integer"),
        ("12", WrongType, "must be a list"),
        (3, WrongType, "must be a list"),
    ],
)
def test_wrong_groups_are_refused(ids, error, text):
    problem = Problem("p", problem_type=ProblemType.pubo)
    with pytest.raises(error, match=text):
        problem.add_one_hot(ids)
    assert problem.one_hot == ()


@pytest.mark.parametrize(
    ("member", "error", "text"),
    [
        (3, WrongType, "must be an object"),
        ({"exactly": []}, InvalidValue, "no member `exactly`"),
        ({"exactly_one": [[]]}, InvalidValue, r"exactly_one\[0\]: must have at least one"),
        ({"exactly_one": [[0], [0, "a"]]}, WrongType, r"exactly_one\[1\]: a variable id must be an integer"),
        ({"at_most_one": 5}, WrongType, "must be a list of lists"),
        ({"none": [float("nan")]}, WrongType, "must be an integer"),
        ({"none": [12]}, InvalidValue, "variable 12 is not in the problem"),
    ],
)
def test_wrong_metadata_are_refused(member, error, text):
    problem = Problem("p", problem_type=ProblemType.pubo)
    problem.add_term(1, [0])
    problem.metadata["one_hot"] = member
    with pytest.raises(error, match=text):
        problem.cost_function()
    with pytest.raises(error, match=text):
        compile_problem(problem._frozen())


def test_fixed_variables_leave_their_groups():
    problem = coloured()
    assert problem.set_fixed_variables({0: 0}).one_hot == (((1, 2), True), ((7, 8), False))
    fixed = problem.set_fixed_variables({0: 1, 7: 0})
    assert fixed.one_hot == (((8,), False),)
    assert fixed.cost_function().metadata["one_hot"] == {"at_most_one": [[8]], "none": [1, 2]}
    assert fixed.set_fixed_variables({8: 1}).cost_function().metadata["one_hot"] == {"none": [1, 2]}


def test_a_member_that_is_no_variable_any_more_may_still_be_the_one():
    problem = Problem("p", problem_type=ProblemType.pubo)
    problem.add_terms(coefficients=[1.0, 1.0, 1.0], ids=[[0, 1], [2, 3], [3, 4]])
    problem.add_one_hot([0, 2, 4])
    assert problem.set_fixed_variables({1: 0}).one_hot == (((2, 4), False),)  # 0 costs nothing


def test_renumbered_problems_keep_their_groups():
    found = read_one_hot(renumbered(coloured().cost_function()).metadata)
    assert found.groups() == [([0, 1, 2], True), ([3, 4], False)]


def test_models_declare_what_must_hold():
    model = Model()
    colour = model.choice("colour", "rgb")
    x, y = model.bit("x"), model.bit("y")
    model.add(x + y <= 1)
    model.add(x + colour["r"] == 1, weight=1)  # soft
    model.add(2 * x + y == 1)
    model.add(x + y >= 1)
    assert model.problem().one_hot == (((0, 1, 2), True), ((3, 4), False))


def test_models_do_not_declare_the_many_pairs_that_exclude_each_other():
    model = Model()
    colour = model.choices("colour", "abc", range(2))
    for x, y in itertools.combinations("abc", 2):
        for c in range(2):
            model.add(colour[x][c] + colour[y][c] <= 1)
    assert model.problem().one_hot == (((0, 1), True), ((2, 3), True), ((4, 5), True))


def test_further_constraints_do_not_hide_an_assignment():
    rows, columns = grid(4, 4)
    groups = [*((some, True) for some in [*rows, *columns]), ([0, 5], False), ([0, 6, 15], False)]
    assert structure_of(OneHot.of(groups), 16).sizes.tolist() == [4]
    rows, columns = grid(3, 4)
    groups = [*((some, True) for some in rows), *((some, False) for some in columns), ([0, 5], False)]
    assert structure_of(OneHot.of(groups), 12).sizes.tolist() == [4]


def test_permutations_are_assignments():
    model = Model()
    seat = model.permutation("seat", ["ann", "bob"], "xyz")
    model.minimize(total((k + 1) * seat["ann"][s] - k * seat["bob"][s] for k, s in enumerate("xyz")))
    structure = structure_of(compile_problem(model.problem().cost_function()).one_hot, 6)
    assert structure.sizes.tolist() == [3]
    solution = model.decode(qiosk.solve(model.problem(), seed=1, timeout=1))
    assert solution.is_feasible
    assert solution.objective == -1
    with pytest.raises(InvalidValue, match="3 keys need as many options, found 2"):
        model.permutation("other", "abc", "de")


# choices and assignments


@pytest.mark.parametrize("name", GROUPS)
def test_layouts_have_one_place_for_each_choice_of_a_configuration(name):
    problem = one_hot_problem(name)
    layout = Layout(problem)
    kept = {row.tobytes() for row in kept_configurations(problem)}
    rng = np.random.default_rng(1)
    seen = {OneHotMoves(layout).random(rng).tobytes() for _ in range(40 * len(kept))}
    assert seen == kept
    assert layout.structure.log_configurations == pytest.approx(log(len(kept)))
    for row in kept_configurations(problem):
        npt.assert_array_equal(layout.configuration(layout.taken(row)), row)


@pytest.mark.parametrize("name", GROUPS)
def test_any_configuration_has_a_nearest_one_that_keeps_the_groups(name):
    problem = one_hot_problem(name)
    moves = OneHotMoves(Layout(problem))
    for x in np.random.default_rng(2).integers(0, 2, (50, problem.n)).astype(np.int8):
        assert problem.one_hot.is_kept_by(moves.nearest(x) > 0)


@pytest.mark.parametrize(
    ("groups", "n", "choices"),
    [
        ([([0, 1], True), ([1, 2], True)], 3, [[0, 1], [-1, 2]]),  # a path: the second is left to penalties
        ([([0, 1, 2, 3], True), ([0, 1], False), ([2, 4, 5], False)], 6, [[0, 1, 2, 3], [-1, 4, 5]]),
        ([([0, 1], True), ([2, 3], True), ([0, 2], True)], 4, [[0, 1], [2, 3]]),
        ([([0, 1], False), ([2, 3], False), ([0, 2], False), ([1, 3], False)], 4, [[-1, 0, 1], [-1, 2, 3]]),
    ],
)
def test_groups_that_overlap_otherwise(groups, n, choices):
    structure = structure_of(OneHot.of(groups), n)
    bounds = structure.starts.tolist()
    assert [structure.variables[a:b].tolist() for a, b in itertools.pairwise(bounds)] == choices
    assert len(structure.sizes) == 0


# costs and moves


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize(("kind", "locality"), KINDS)
@pytest.mark.parametrize("integers", [True, False])
def test_costs_are_those_of_the_problem(name, kind, locality, integers):
    problem = one_hot_problem(name, kind=kind, locality=locality, integers=integers)
    sampler = OneHotSampler(Layout(problem), 4)
    group = sampler.start((5,))
    for betas in (np.zeros(3), np.full(3, 0.3), np.full(4, np.inf)):
        sampler.sweep(group, betas)
        for lane in range(4):
            x = sampler.configuration(group, lane)
            assert problem.one_hot.is_kept_by(x > 0)
            exact = float(naive.compiled_cost(problem, x.tolist()))
            assert sampler.costs(group)[lane] == pytest.approx(exact, abs=1e-9)
    other = sampler.start((6,))
    sampler.copy(other, np.array([0, 1]), group, np.array([3, 2]))
    npt.assert_array_equal(sampler.costs(other)[:2], sampler.costs(group)[[3, 2]])
    sampler.replace(other, 3, sampler.configuration(group, 0))
    assert sampler.costs(other)[3] == pytest.approx(sampler.costs(group)[0], abs=1e-9)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("kind", "locality"), KINDS)
def test_gains_are_differences_of_costs(name, kind, locality):
    problem = one_hot_problem(name, kind=kind, locality=locality, integers=False)
    moves = OneHotMoves(Layout(problem))
    x = moves.random(np.random.default_rng(3))
    here = cost_of(problem, x)
    after = [cost_of(problem, neighbour) - here for neighbour in moves.neighbours(x)]
    npt.assert_allclose(np.sort(moves.gains(x)), after, atol=1e-9)
    assert all(problem.one_hot.is_kept_by(neighbour > 0) for neighbour in moves.neighbours(x))
    minimum = moves.descend(x)
    assert cost_of(problem, minimum) <= here + 1e-9
    assert (moves.gains(minimum) >= -1e-9).all()


def test_sweeps_do_not_depend_on_how_they_are_called():
    problem = one_hot_problem("permutation, choice and free bits", kind="pubo_grouped", locality=3, integers=False)
    sampler = OneHotSampler(Layout(problem), 4)
    once, twice = sampler.start((1,)), sampler.start((1,))
    betas = np.linspace(0.0, 1.0, 600)
    sampler.sweep(once, betas)
    sampler.sweep(twice, betas[:77])
    sampler.sweep(twice, betas[77:])
    for name, array in once.arrays.items():
        npt.assert_array_equal(array, twice.arrays[name])


def test_a_long_tenure_counts_as_the_number_of_variables():
    walkers = OneHotWalkers(Layout(one_hot_problem("permutation")))
    assert [(rules.tenure, rules.spread) for rules in walkers.rules(tenure=2**60, spread=2**60)] == [(9, 9)] * 2


# searches

SEARCHES = ["simulatedannealing", "paralleltempering", "populationannealing", "tabu"]


def assignment(n, seed=1):
    """Quadratic assignment of n by n whose penalty is far too small to keep the groups."""
    rng = np.random.default_rng(seed)
    problem = Problem("assignment", problem_type=ProblemType.pubo)
    for row in range(n):
        problem.add_one_hot([row * n + column for column in range(n)])
    for column in range(n):
        problem.add_one_hot([row * n + column for row in range(n)])
    for i, j in itertools.combinations(range(n * n), 2):
        problem.add_term(int(rng.integers(-9, 10)), [i, j])
    return problem


def least(problem, n):
    found = []
    for columns_ in itertools.permutations(range(n)):
        x = dict.fromkeys(range(n * n), 0) | {row * n + column: 1 for row, column in enumerate(columns_)}
        found.append(float(problem.evaluate(x)))
    return min(found)


@pytest.mark.parametrize("search", SEARCHES)
@pytest.mark.parametrize("parameters", [{}, {"sweeps": 50}], ids=["parameter-free", "parameters"])
def test_searches_keep_groups_that_no_penalty_keeps(search, parameters):
    problem = assignment(6)
    if parameters and search == "populationannealing":
        parameters = {"sweeps": 50, "population": 32}
    result = qiosk.solve(problem, search, seed=1, timeout=2, number_of_solutions=3, **parameters)
    assert "one-hot-float32" in result.statistics["kernel"]
    assert result.cost == least(problem, 6)
    one_hot = read_one_hot(problem.cost_function().metadata)
    for solution in result.solutions:
        x = np.array([solution.configuration[i] for i in range(36)])
        assert one_hot.is_kept_by(x > 0)


@pytest.mark.parametrize("kind", ["pubo", "ising"])
def test_small_problems_are_enumerated_over_what_keeps_the_groups(kind):
    problem = Problem("small", problem_type=ProblemType(kind))
    problem.add_one_hot([0, 1, 2])
    problem.add_terms(coefficients=[-1.0, -2.0, -3.0], ids=[[0], [1], [2]])
    result = qiosk.solve(problem, "simulatedannealing", number_of_solutions=10)
    assert result.statistics["kernel"] == "exhaustive"
    low = -1 if kind == "ising" else 0
    assert [[i for i, v in s.configuration.items() if v > 0] for s in result.solutions] == [[2], [1], [0]]
    assert set(result.configuration.values()) == {low, 1}
    problem.add_one_hot([0])
    problem.add_one_hot([1])
    assert qiosk.solve(problem, "simulatedannealing").cost == -6  # both groups and the first cannot be kept


def test_an_initial_configuration_that_breaks_a_group_is_led_to_one_that_keeps_it():
    problem = assignment(5)
    problem.init_config = dict.fromkeys(range(25), 1)
    result = qiosk.solve(problem, "simulatedannealing", seed=1, sweeps=1, restarts=1)
    x = np.array([result.configuration[i] for i in range(25)])
    assert read_one_hot(problem.cost_function().metadata).is_kept_by(x > 0)


@pytest.mark.parametrize("search", SEARCHES)
def test_equal_seeds_give_equal_results_whatever_the_threads(search):
    problem = assignment(7)
    more = {"restarts": 40} if search in ("simulatedannealing", "tabu") else {}
    runs = [
        qiosk.solve(problem, search, seed=3, sweeps=60, number_of_solutions=5, threads=threads, **more)
        for threads in (1, 3)
    ]
    found = [[(s.cost, s.configuration) for s in run.solutions] for run in runs]
    assert found[0] == found[1]
    assert [point.cost for point in runs[0].trace] == [point.cost for point in runs[1].trace]


@pytest.mark.parametrize("search", SEARCHES)
def test_a_checkpoint_continues_as_if_nothing_had_happened(search):
    chosen = target(full_name(search, ["sweeps"]))
    given = {"seed": 4, "sweeps": 300} | ({"restarts": 20} if search in ("simulatedannealing", "tabu") else {})
    values = read_parameters(chosen.parameters, given)
    cost_function = assignment(6).cost_function()
    checkpoints = []
    whole = Task(chosen, values, cost_function, threads=1).run(
        is_cancelled=lambda: False, on_chunk=lambda chunk: checkpoints.append(chunk.checkpoint())
    )
    resumed = Task(chosen, values, cost_function, threads=2, resume=checkpoints[0]).run(
        is_cancelled=lambda: False, on_chunk=lambda chunk: None
    )
    assert len(checkpoints) > 1
    assert resumed.configuration == whole.configuration
    assert resumed.statistics["spin_updates"] == whole.statistics["spin_updates"]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("kind", "locality"), KINDS)
def test_walkers_know_their_costs_and_find_the_least(name, kind, locality):
    problem = one_hot_problem(name, kind=kind, locality=locality, integers=False)
    layout = Layout(problem)
    walkers = OneHotWalkers(layout)
    rules = walkers.rules()[0]
    walker = walkers.start(OneHotMoves(layout).random(np.random.default_rng(1)), rules, (1,))
    for moves in (1, 10, 5000):
        walkers.run(walker, rules, moves)
        cost, configuration = walkers.best(walker)
        assert cost == pytest.approx(cost_of(problem, configuration()), abs=1e-9)
        assert problem.one_hot.is_kept_by(configuration() > 0)
        present = layout.reduced.constant + layout.scale * walker.arrays["costs"][0]
        assert present == pytest.approx(cost_of(problem, layout.configuration(walker.arrays["taken"][0])), abs=1e-9)
    assert cost == pytest.approx(min(cost_of(problem, x) for x in kept_configurations(problem)), abs=1e-9)


def test_other_kernels_and_targets_see_an_ordinary_problem():
    problem = coloured()
    assert qiosk.solve(problem, "simulatedannealing", kernel="plain", seed=1).statistics["kernel"] == "plain"
    assert qiosk.solve(problem, "substochasticmontecarlo", seed=1, timeout=1).cost == -3
    with pytest.raises(InvalidValue, match="has none"):
        qiosk.solve({(0, 1): 1.0}, "simulatedannealing", kernel="one-hot")
