"""The best configurations of small problems, against the costs of all configurations in exact numbers."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
from qiosk.bounds.elimination import Effort, elimination, planned
from qiosk.bounds.order import front_order, min_fill
from qiosk.bounds.polynomial import polynomial
from qiosk.kernels.exact.tree import LOW, NODES, begin_minima, begin_tree, search_tree, suffix_minima
from qiosk.model.compile import compile_problem
from qiosk.modeling import Model, total
from qiosk.solvers.exact import minimum
from qiosk.solvers.exact.exhaustive import enumerated
from qiosk.solvers.exact.minimum import _in_gray_order, all_levels, exact_minimum
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.setup import job_setup
from qiosk.solvers.solve import solve
from strategies import cost_function, cost_functions, reals


def random_problem(n, seed, *, kind, locality, terms, values):
    """Random terms of up to so many variables, each coefficient one of ``values``."""
    rng = np.random.default_rng(seed)
    ids = [rng.choice(n, rng.integers(1, min(n, locality) + 1), replace=False).tolist() for _ in range(terms)]
    return compile_problem(cost_function(kind, [(float(rng.choice(values)), i) for i in ids] + [(0.0, [n - 1])]))


def slow_costs(problem):
    """(2^n,) exact costs, the bits of an index as ``all_levels`` has them; fast enough for some ten variables."""
    found = []
    for bits in itertools.product((0, 1), repeat=problem.n):
        x = bits[::-1]
        found.append(naive.compiled_cost(problem, [1 - 2 * b for b in x] if problem.is_spin else list(x)))
    return found


WHOLE, TENTHS, NORMAL = [-3, -2, -1, 1, 2, 3], [-0.3, -0.1, 0.1, 0.7], np.random.default_rng(5).normal(size=50)


@pytest.mark.parametrize("kind", ["ising", "pubo"])
@pytest.mark.parametrize("values", [WHOLE, TENTHS, NORMAL], ids=["whole", "tenths", "normal"])
@pytest.mark.parametrize(("locality", "kernel"), [(2, "tree"), (4, "exhaustive")])
@pytest.mark.parametrize("wanted", [1, 5])
def test_kernels_find_the_best_configurations(monkeypatch, kind, values, locality, kernel, wanted):
    monkeypatch.setattr(minimum, "FEW", 0)
    for seed in range(3):
        problem = random_problem(9, seed, kind=kind, locality=locality, terms=25, values=values)
        found = exact_minimum(problem, wanted, 10.0)
        assert (found.kernel, found.is_proved) == (kernel, True)
        costs = [naive.compiled_cost(problem, x.tolist()) for x in found.configurations]
        npt.assert_allclose(
            [float(c) for c in costs], [float(c) for c in sorted(slow_costs(problem))[:wanted]], rtol=1e-12
        )
        assert len({x.tobytes() for x in found.configurations}) == wanted
        assert float(costs[0]) == pytest.approx(found.bound.value)


@pytest.mark.parametrize("kind", ["ising", "pubo"])
def test_more_than_the_table_holds_agrees_with_numpy(kind):
    """Sixteen variables: the last two are decided before the table is made."""
    problem = random_problem(16, 3, kind=kind, locality=5, terms=60, values=WHOLE)
    levels = np.sort(all_levels(polynomial(problem)))
    found = exact_minimum(problem, 4, 10.0)
    assert [polynomial(problem).level(x) for x in found.configurations] == levels[:4].tolist()


@pytest.mark.parametrize("kind", ["ising", "pubo"])
@pytest.mark.parametrize("locality", [3, 4])
@pytest.mark.parametrize(("n", "wanted"), [(13, 1), (13, 40), (16, 1), (17, 6)])
def test_costs_in_gray_order_are_all_costs(kind, locality, n, wanted):
    for seed in range(3):
        problem = random_problem(n, seed, kind=kind, locality=locality, terms=60, values=WHOLE)
        terms = polynomial(problem)
        found = _in_gray_order(problem, terms, wanted)
        levels = np.sort(all_levels(terms))[:wanted]
        assert [terms.level(x) for x in found.configurations] == levels.tolist()
        assert len({x.tobytes() for x in found.configurations}) == wanted


def test_of_a_configuration_and_its_opposite_one_is_tried_in_gray_order():
    rng = np.random.default_rng(4)
    terms = [(float(rng.choice(WHOLE)), rng.choice(15, 4, replace=False).tolist()) for _ in range(90)]
    problem = compile_problem(cost_function("ising", terms))
    found = exact_minimum(problem, 1, 10.0)
    assert polynomial(problem).level(found.configurations[0]) == all_levels(polynomial(problem)).min()


@pytest.mark.parametrize(("n", "limit", "is_found"), [(22, 10.0, True), (22, 0.01, False), (27, 0.1, False)])
def test_terms_of_four_are_enumerated_where_that_takes_a_moment(n, limit, is_found):
    problem = random_problem(n, 1, kind="ising", locality=4, terms=400, values=WHOLE)
    found = exact_minimum(problem, 1, limit)
    assert (found is not None) == is_found
    if found is not None:
        assert found.kernel == "exhaustive"
        assert polynomial(problem).level(found.configurations[0]) == all_levels(polynomial(problem)).min()


@settings(max_examples=30)
@given(cost_functions(), st.integers(1, 5))
def test_the_smallest_are_enumerated_without_compiled_kernels(cf, wanted):
    problem = compile_problem(cf)
    if len(problem.group_values) or problem.n > 8:
        return
    found = exact_minimum(problem, wanted, 10.0)
    costs = [naive.compiled_cost(problem, x.tolist()) for x in found.configurations]
    assert costs == sorted(slow_costs(problem))[:wanted]
    assert found.is_proved


@settings(max_examples=30)
@given(cost_functions(reals), st.integers(1, 3))
def test_what_rounding_leaves_undecided_is_not_called_proved(cf, wanted):
    problem = compile_problem(cf)
    if len(problem.group_values) or problem.n > 7:
        return
    found, costs = exact_minimum(problem, wanted, 10.0), sorted(slow_costs(problem))
    if found.is_proved and polynomial(problem).scale.error > 0:
        assert naive.compiled_cost(problem, found.configurations[0].tolist()) == costs[0]
    else:
        assert Fraction(found.bound.value) <= costs[0] + Fraction(1, 10**9) * (1 + abs(costs[0]))


def test_exact_numbers_decide_between_costs_that_rounding_makes_equal():
    tiny = 2.0**-70
    problem = compile_problem(
        cost_function("pubo", [(1.0, [0]), (1.0, [1]), (-1.0, [2]), (-1.0 - 2**-52, [2, 3]), (tiny, [3]), (-tiny, [4])])
    )
    found = exact_minimum(problem, 1, 10.0)
    assert found.is_proved
    assert found.configurations[0].tolist() == [0, 0, 1, 1, 1]


def test_many_ties_within_rounding_are_converged_and_have_a_bound_below():
    values = np.random.default_rng(1).normal(size=3)
    terms = [(float(values[0]), [0, 1]), (float(values[1]) * 1e-12, [1, 2]), (float(values[2]) * 1e-25, [0])]
    problem = cost_function("ising", [*terms, *((0.0, [i]) for i in range(3, 11))])
    result = solve(problem, seed=1)
    assert result.stop_reason == "converged"
    assert result.bound < result.cost


@pytest.mark.parametrize(("seed", "chunk"), [(0, 1), (1, 3), (2, 10**6)])
def test_a_search_tree_agrees_with_all_configurations(seed, chunk):
    rng = np.random.default_rng(seed)
    n = 11
    couplings = np.triu(rng.integers(-4, 5, (n, n)), 1)
    couplings, fields = couplings + couplings.T, rng.integers(-3, 4, n)
    rest, high, walk = (
        np.zeros(n - LOW + 1, np.int64),
        np.ascontiguousarray(couplings[:-LOW, :-LOW]),
        begin_minima(n - LOW),
    )
    steps = itertools.count(0, chunk)
    while not suffix_minima()(high, next(steps), rest, walk):
        pass
    for first in range(n - LOW):
        part = couplings[first:-LOW, first:-LOW]
        spins = np.array(list(itertools.product((-1, 1), repeat=len(part))))
        assert rest[first] == ((spins @ part) * spins).sum(axis=1).min() // 2
    spins = 1 - 2 * ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1)
    costs = spins @ fields + ((spins @ couplings) * spins).sum(axis=1) // 2
    levels, found = np.full(6, 2**62), np.zeros(6, np.int64)
    walk, steps = begin_tree(n), itertools.count(0, chunk)
    while not search_tree()(couplings, fields, rest, next(steps), False, levels, found, walk):
        assert walk.counters[NODES] == next(steps) - chunk
    assert levels.tolist() == np.sort(costs)[:6].tolist() == costs[found].tolist()


def cancelled_after(calls):
    """Whether a run is cancelled, which it is from a call on."""
    count = itertools.count()
    return lambda: next(count) >= calls


def normal_pairs(n, seed=0):
    rng = np.random.default_rng(seed)
    return [(float(rng.normal()), list(pair)) for pair in itertools.combinations(range(n), 2)]


STRIP = [
    (c, [*first, *second])
    for c, first, second in [
        (float(w), [8 * x + y], [8 * (x + dx) + y + dy])
        for (x, y, dx, dy), w in zip(
            [(x, y, dx, dy) for x in range(99) for y in range(8) for dx, dy in ((1, 0), (0, 1), (1, 1)) if y + dy < 8],
            itertools.cycle([1, -2, 3, -1, 2, -3, -1]),
        )
    ]
]
"""A strip, eight wide."""


@pytest.mark.parametrize("terms", [normal_pairs(36), STRIP], ids=["tree", "elimination"])
def test_what_comes_before_a_search_can_be_cancelled(terms, monkeypatch):
    """Work is done in small parts here; without a cancellation the minimum would be found."""
    monkeypatch.setattr("qiosk.kernels.exact.best.NODES_BETWEEN", 100)
    monkeypatch.setattr("qiosk.bounds.elimination.CHUNK", 1 << 10)
    function, setup = (
        cost_function("ising", terms),
        job_setup("qiosk.auto", {"params": {"timeout": 10.0, "seed": 1}}, 1),
    )
    assert setup.run(function, Hooks()).stop_reason == "optimal"
    stopped = setup.run(function, Hooks(is_cancelled=cancelled_after(3)))
    assert (stopped.stop_reason, stopped.statistics["kernel"]) == ("cancelled", "descent")
    assert np.isfinite(stopped.cost)


def test_a_tree_that_would_take_long_is_left_to_the_search():
    rng = np.random.default_rng(0)
    pairs = list(itertools.combinations(range(60), 2))
    dense = compile_problem(cost_function("ising", [(float(rng.integers(1, 9)), list(pair)) for pair in pairs]))
    assert exact_minimum(dense, 1, 1.0) is None


@pytest.mark.parametrize("kind", ["ising", "pubo"])
@pytest.mark.parametrize("locality", [2, 4])
@pytest.mark.parametrize("n", [1, 2, 6, 10])
def test_elimination_finds_the_minimum(kind, locality, n):
    for seed in range(4):
        terms = polynomial(random_problem(n, seed, kind=kind, locality=locality, terms=2 * n, values=WHOLE))
        *_, proof = elimination(terms)
        assert proof.level == all_levels(terms).min() == terms.level(proof.configuration)


def drained(steps):
    try:
        while True:
            next(steps)
    except StopIteration as end:
        return end.value


def test_the_compiled_order_is_as_narrow_as_the_plain_one():
    rng = np.random.default_rng(2)
    for n in (20, 60):
        pairs = {tuple(sorted(rng.choice(n, 2, replace=False).tolist())) for _ in range(n + n // 4)}
        terms = polynomial(compile_problem(cost_function("ising", [(1.0, list(pair)) for pair in pairs])))
        plan, order = drained(planned(terms)), drained(min_fill(terms.n, terms.scopes(), 22))
        assert sorted(plan.order.tolist()) == sorted(order) == list(range(terms.n))
        widths = [len(scope) for scope in scopes_of(terms, order)]
        assert np.diff(plan.indptr).max() <= max(widths) + 1
        for turn, scope in enumerate(scopes_of(terms, plan.order.tolist())):
            assert plan.scopes[plan.indptr[turn] : plan.indptr[turn + 1]].tolist() == scope


def scopes_of(terms, order):
    """What each variable depends on at its turn."""
    rank, sets, found = {u: k for k, u in enumerate(order)}, [set(ids) for ids in terms.scopes()], []
    for u in order:
        joined = set().union(*(some for some in sets if u in some)) - {u}
        sets = [some for some in sets if u not in some] + [joined]
        found.append(sorted(joined, key=rank.get))
    return found


def test_a_grid_is_as_narrow_as_its_shorter_side():
    rows, cols = 30, 9
    pairs = [(cols * r + c, cols * r + c + 1) for r in range(rows) for c in range(cols - 1)]
    pairs += [(cols * r + c, cols * (r + 1) + c) for r in range(rows - 1) for c in range(cols)]
    terms = polynomial(compile_problem(cost_function("ising", [(1.0, list(pair)) for pair in pairs])))
    plan = drained(planned(terms, Effort(width=cols)))
    assert np.diff(plan.indptr).max() == cols
    assert sorted(drained(front_order(terms.n, terms.scopes()))) == list(range(terms.n))


@pytest.mark.parametrize("target", ["qiosk.auto", "tabu", "simulatedannealing"])
@pytest.mark.parametrize("n", [6, 14, 24])
def test_small_problems_end_as_optimal_whatever_the_target(target, n):
    rng = np.random.default_rng(n)
    pairs = [(float(rng.integers(1, 9) * rng.choice([-1, 1])), [i, j]) for i in range(n) for j in range(i)]
    result = solve(cost_function("ising", pairs), target, seed=1)
    assert (result.stop_reason, result.bound, result.bound_method) == ("optimal", result.cost, "enumeration")
    searched = solve(cost_function("ising", pairs), "microsoft.tabu.cpu", seed=1, sweeps=2000, restarts=20)
    assert result.cost <= searched.cost


@pytest.mark.parametrize("wanted", [1, 2])
def test_squares_that_float64_rounds_are_compared_in_fractions(wanted):
    """Both subsets have the right sum; one has fewer members, which rounding hides."""
    model = Model("subset sum")
    take = model.bits("take", [332882804, 119036466, 295734885, 747654155])
    model.add(total(size * bit for size, bit in take.items()) == 747654155, "exactly")
    model.minimize(total(take.values()))
    problem = compile_problem(model.problem().cost_function())
    assert len(problem.group_values)
    found = enumerated(problem, wanted)
    assert found.is_proved
    assert [x.tolist() for x in found.configurations] == [[0, 0, 0, 1], [1, 1, 1, 0]][:wanted]
