"""Reduced problems have the minimum of the whole, and their configurations cost what they were said to."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive_presolve
from patience import HANG_S
from qiosk.errors import InvalidValue
from qiosk.kernels.presolve.blocks import label_blocks
from qiosk.kernels.presolve.graph import REMOVED, RULES
from qiosk.model.compile import compile_problem
from qiosk.model.cost_function import ProblemType
from qiosk.model.exact import spin_integers
from qiosk.model.flips import cost_of
from qiosk.presolve import blocks, reduce
from qiosk.presolve.graph import make_graph
from qiosk.presolve.reduction import reduce_compiled
from qiosk.presolve.roof import fix_persistent_spins
from qiosk.presolve.twins import merge_twins
from qiosk.problem.problem import Problem
from qiosk.solvers.exact.exhaustive import all_costs
from strategies import cost_function

pytestmark = pytest.mark.slow

WEIGHTS = {
    "units": st.integers(-1, 1),
    "few": st.integers(-3, 3),
    "many": st.integers(-(10**6), 10**6),
    "decades": st.builds(lambda k, sign: sign * 10**k, st.integers(0, 6), st.sampled_from([-1, 1])),
}


@st.composite
def quadratic(draw, kinds=("ising", "pubo"), weights=tuple(WEIGHTS), most=12):
    """Compiled problems of up to ``most`` variables, sparse and dense, with fields or none."""
    n = draw(st.integers(1, most))
    pairs = list(itertools.combinations(range(n), 2))
    chosen = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=3 * n)) if pairs else []
    if draw(st.booleans()):
        chosen = pairs[: len(pairs) if n <= 8 else 2 * n]
    fields = draw(st.booleans())
    weight = WEIGHTS[draw(st.sampled_from(weights))].map(float)
    terms = [(draw(weight), pair) for pair in chosen]
    terms += [(draw(weight) if fields else 0.0, [i]) for i in range(n)]
    return compile_problem(cost_function(draw(st.sampled_from(kinds)), [*terms, (draw(weight), [])]))


def configurations(problem):
    """All configurations, in the order of ``all_costs``."""
    bits = np.arange(1 << problem.n)[:, None] >> np.arange(problem.n) & 1
    return (1 - 2 * bits if problem.is_spin else bits).astype(np.int8)


def optima(problem):
    costs = all_costs(problem)
    return {x.tobytes() for x in configurations(problem)[costs == costs.min()]}


@given(quadratic(), st.booleans())
def test_the_minimum_is_kept_and_lifted_answers_cost_what_was_promised(problem, is_strict):
    reduced = reduce_compiled(problem, is_strict=is_strict)
    costs = all_costs(reduced.problem)
    assert costs.min() == all_costs(problem).min()
    assert reduced.problem.n + reduced.n_removed == problem.n == len(reduced.records.removed) + reduced.problem.n
    assert sum(reduced.counts.values()) == reduced.n_removed
    assert set(reduced.counts) <= set(RULES)
    for x, cost in list(zip(configurations(reduced.problem), costs, strict=True))[:64]:
        lifted = reduced.lift(x)
        assert cost_of(problem, lifted) == cost
        npt.assert_array_equal(reduced.restrict(lifted), x)


@given(quadratic(), st.booleans())
def test_no_rule_applies_to_what_is_left(problem, is_strict):
    left = reduce_compiled(problem, is_strict=is_strict).problem
    assert naive_presolve.applicable(naive_presolve.couplings(left), is_strict=is_strict) == set()


@given(quadratic(["ising"]))
def test_roof_duality_fixes_what_reaches_the_source_of_a_maximum_flow(problem):
    graph = make_graph(spin_integers(problem), lambda: None)
    count = fix_persistent_spins(graph, lambda: None)
    found = dict(zip(graph.removed[:count].tolist(), (-graph.couplings[:count, 0]).tolist(), strict=True))
    assert found == naive_presolve.persistent(problem)
    best = configurations(problem)[all_costs(problem) == all_costs(problem).min()]
    assert all(np.all(best[:, u] == s) for u, s in found.items())


@given(quadratic(most=9))
def test_strict_rules_keep_all_optima(problem):
    reduced = reduce_compiled(problem, is_strict=True)
    costs = all_costs(reduced.problem)
    found = [
        y.tobytes()
        for x in configurations(reduced.problem)[costs == costs.min()]
        for y in reduced.lift_all(x, 1 << problem.n)
    ]
    assert len(set(found)) == len(found)
    assert set(found) == optima(problem)


@given(quadratic(), st.integers(1, 5))
def test_the_first_of_all_lifted_answers_is_the_lifted_answer(problem, most):
    reduced = reduce_compiled(problem)
    x = np.ones(reduced.problem.n, np.int8)
    found = reduced.lift_all(x, most)
    assert 1 <= len(found) <= most
    npt.assert_array_equal(found[0], reduced.lift(x))
    assert len({cost_of(problem, y) for y in found}) == 1


@given(quadratic(), st.randoms(use_true_random=False))
def test_what_is_left_of_a_configuration_leads_to_none_that_costs_more(problem, random):
    x = np.array([random.choice([-1, 1] if problem.is_spin else [0, 1]) for _ in range(problem.n)], np.int8)
    reduced = reduce_compiled(problem, is_strict=True)
    if "pair" not in reduced.counts:
        assert cost_of(problem, reduced.lift(reduced.restrict(x))) <= cost_of(problem, x)


def ring_of_triangles(n):
    """Spins of four neighbours, all of them in two triangles."""
    return [(1.0, [i, (i + d) % n]) for i in range(n) for d in (1, 2)]


@pytest.mark.parametrize(
    ("terms", "rule"),
    [
        ([(0.0, [0])], "degree 0"),
        ([(2.0, [0, 1])], "degree 1"),
        ([(1.0, [0, 1]), (1.0, [1, 2]), (1.0, [0, 2])], "degree 2"),
        ([(1.0, pair) for pair in itertools.combinations(range(4), 2)], "degree 3"),
        ([*ring_of_triangles(9), (4.0, [0, 4])], "dominated"),
        ([*ring_of_triangles(9), (5.0, [0])], "fixed"),
        ([*ring_of_triangles(9), (-3.5, [0, 1])], "pair"),
    ],
)
def test_every_rule_is_reached(terms, rule):
    assert reduce_compiled(compile_problem(cost_function("ising", terms))).counts[rule] >= 1


def test_roof_duality_decides_what_no_other_rule_does():
    """A ring of spins that want to be equal, where the fields for one value outweigh those for the other."""
    terms = [(-1.0, [i, (i + d) % 12]) for i in range(12) for d in (1, 2, 3)]
    terms += [(1.5 if i % 3 else -1.0, [i]) for i in range(12)]
    problem = compile_problem(cost_function("ising", terms))
    reduced = reduce_compiled(problem, is_strict=True)
    assert reduced.counts == {"roof duality": 12}
    assert cost_of(problem, reduced.lift([])) == all_costs(problem).min()


def test_a_problem_without_anything_to_take_out_is_left_as_it_is():
    problem = compile_problem(cost_function("ising", [*ring_of_triangles(12), (0.5, [0]), (0.25, [])]))
    reduced = reduce_compiled(problem)
    assert reduced.counts == {}
    npt.assert_array_equal(reduced.problem.variables, problem.variables)
    npt.assert_array_equal(reduced.problem.pair_rows, problem.pair_rows)
    npt.assert_array_equal(reduced.problem.pair_cols, problem.pair_cols)
    npt.assert_array_equal(reduced.problem.pair_values, problem.pair_values)
    npt.assert_array_equal(reduced.problem.linear, problem.linear)
    assert reduced.problem.constant == problem.constant


def test_hubs_are_merged_with_what_dominates_them():
    terms = [(1.0, [0, i]) for i in range(1, 300)] + [(1000.0, [0, 300])]
    terms += [(1.0, [i, i + 1]) for i in range(1, 299)] + [(2.0, [i]) for i in range(1, 301)]
    problem = compile_problem(cost_function("ising", terms))
    assert reduce_compiled(problem).problem.n == 0


def test_ids_of_what_is_left_are_those_of_the_problem():
    ids = [3, 2**40, 7, 10**6, 11, 2**63 - 1, 5, 12, 13, 99]
    terms = [(c, [ids[a], ids[b]]) for c, (a, b) in ring_of_triangles(9)] + [(1.0, [ids[0], ids[9]])]
    reduced = reduce_compiled(compile_problem(cost_function("ising", terms)))
    assert set(reduced.problem.variables.tolist()) == set(ids) - {ids[9]}


def test_an_empty_problem_stays_empty():
    reduced = reduce_compiled(compile_problem(cost_function("pubo", [(2.5, [])])))
    assert (reduced.problem.n, reduced.problem.constant) == (0, 2.5)
    assert len(reduced.lift([])) == 0
    assert [len(x) for x in reduced.lift_all([], 3)] == [0]


@pytest.mark.parametrize("size", [2.0**-1070, 1e-300, 1.0, 2.0**52, 1e300])
@pytest.mark.parametrize("kind", ["ising", "pubo"])
def test_coefficients_of_any_size(kind, size):
    terms = [(size * (1 + k % 3), pair) for k, pair in enumerate(itertools.combinations(range(7), 2))]
    problem = compile_problem(cost_function(kind, [*terms, (-size, [0])]))
    reduced = reduce_compiled(problem)
    assert all_costs(reduced.problem).min() == pytest.approx(all_costs(problem).min(), rel=1e-14)
    x = configurations(reduced.problem)[int(all_costs(reduced.problem).argmin())]
    assert cost_of(problem, reduced.lift(x)) == pytest.approx(all_costs(problem).min(), rel=1e-14)


def test_integers_never_leave_int64():
    rng = np.random.default_rng(4)
    n, most = 60, 2**52  # chains of star-triangles, each of which may want all numbers doubled
    terms = [(float(rng.integers(1, most)), sorted(rng.choice(n, 2, replace=False).tolist())) for _ in range(95)]
    problem = compile_problem(cost_function("ising", terms))
    integers = spin_integers(problem)
    reduced = reduce_compiled(problem)
    assert integers.size < 2**58
    assert int(np.abs(reduced.records.couplings).max()) < 2**62
    x = np.ones(reduced.problem.n, np.int8)
    assert cost_of(problem, reduced.lift(x)) == pytest.approx(cost_of(reduced.problem, x), rel=1e-13)


@given(st.lists(st.floats(-1e3, 1e3, allow_subnormal=False), min_size=20, max_size=20))
def test_real_coefficients_are_rounded_below_the_rounding_of_costs(values):
    pairs = list(itertools.combinations(range(7), 2))[:14]
    terms = [(c, pair) for c, pair in zip(values, pairs, strict=False)] + [(c, [i]) for i, c in enumerate(values[14:])]
    problem = compile_problem(cost_function("pubo", terms))
    reduced = reduce_compiled(problem)
    scale = sum(map(abs, values)) + 1e-285  # the least unit is 1e-307
    assert abs(all_costs(reduced.problem).min() - all_costs(problem).min()) <= 1e-14 * scale


def test_decimal_fractions_are_exact_and_wide_ranges_are_not():
    assert spin_integers(compile_problem(cost_function("ising", [(0.1, [0, 1]), (0.3, [1, 2])]))).is_exact
    wide = compile_problem(cost_function("ising", [(1e-30, [0, 1]), (1.0, [1, 2])]))
    assert not spin_integers(wide).is_exact
    assert reduce_compiled(wide).problem.constant == -1.0


@pytest.mark.parametrize(
    ("kind", "terms", "groups"),
    [("ising", [(1.0, [0, 1, 2])], []), ("pubo_grouped", [], [(1.0, [(1.0, 0), (1.0, 1)])])],
)
def test_only_quadratic_problems_are_taken(kind, terms, groups):
    with pytest.raises(InvalidValue, match="must be quadratic"):
        reduce(cost_function(kind, terms, groups))


def test_one_hot_groups_are_refused():
    problem = Problem("groups", problem_type=ProblemType.pubo)
    problem.add_terms(coefficients=[1.0, 2.0], ids=[[0], [1]])
    problem.add_one_hot([0, 1])
    with pytest.raises(InvalidValue, match="one-hot"):
        reduce(problem)


def test_the_caller_is_asked_whether_to_go_on(monkeypatch):
    monkeypatch.setattr("qiosk.presolve.reduction.STEPS", 3)
    monkeypatch.setattr("qiosk.presolve.roof.STEPS", 3)
    asked = []
    terms = [(-1.0, [i, (i + d) % 12]) for i in range(12) for d in (1, 2, 3)] + [(1.5, [0]), (1.5, [1])]
    assert reduce_compiled(compile_problem(cost_function("ising", terms)), check=lambda: asked.append(1)).problem.n == 0
    assert len(asked) >= 12


PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import numpy as np
from problems import random_problem
from qiosk.presolve.reduction import reduce_compiled

for kind in ("ising", "pubo"):
    for seed, density in enumerate((0.06, 0.1, 0.15)):
        reduced = reduce_compiled(random_problem(kind, 40, locality=2, seed=seed, density=density))
        r, p = reduced.records, reduced.problem
        x = reduced.lift(np.ones(p.n, np.int8))
        for column in (r.removed, r.partners, r.couplings, p.linear, p.pair_rows, p.pair_cols, p.pair_values, x):
            print(column.ravel().tolist())
"""


def test_the_rules_do_uncompiled_what_they_do_compiled():
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(Path(__file__).parents[2])]
    results = []
    for variables in ({}, {"NUMBA_DISABLE_JIT": "1"}):
        done = subprocess.run(command, env=os.environ | variables, capture_output=True, text=True, timeout=HANG_S)
        assert done.returncode == 0, done.stderr
        results.append(done.stdout)
    assert results[0] == results[1]
    assert len(results[0].splitlines()) == 48


@given(st.sampled_from(["ising", "pubo"]).flatmap(lambda k: st.tuples(quadratic([k]), quadratic([k], most=6))))
def test_components_are_solved_apart(problems):
    """Two problems beside each other."""
    first, second = problems
    problem = compile_problem(side_by_side(first, second))
    reduced = reduce_compiled(problem, eliminates=True)
    assert reduced.problem.n == 0
    assert sum(reduced.counts.values()) == reduced.n_removed == problem.n
    lifted = reduced.lift([])
    assert cost_of(problem, lifted) == reduced.problem.constant == least_part(first) + least_part(second)


def least_part(problem):
    """The least cost of a problem, without its constant."""
    return all_costs(problem).min() - problem.constant


def side_by_side(first, second):
    """Two problems of the same kind as one, without their constants."""
    terms = []
    for problem, shift in ((first, 0), (second, first.n)):
        terms += [(c, [i + shift]) for i, c in enumerate(problem.linear.tolist())]
        pairs = zip(problem.pair_rows.tolist(), problem.pair_cols.tolist(), problem.pair_values.tolist(), strict=True)
        terms += [(c, [i + shift, j + shift]) for i, j, c in pairs]
    return cost_function("ising" if first.is_spin else "pubo", terms)


@given(quadratic())
def test_blocks_are_biconnected_components(problem):
    graph = make_graph(spin_integers(problem), lambda: None)
    search = blocks.new_search(graph)
    count = label_blocks()(graph, search)
    edges = [*zip(graph.rows.tolist(), graph.cols.tolist(), strict=True)]
    ends = [*edges, *((u, problem.n) for u in range(problem.n))]
    labels = search.labels.tolist()
    assert [k >= 0 for k in labels] == [True] * len(edges) + (graph.fields != 0).tolist()
    found = [{pair for pair, label in zip(ends, labels, strict=True) if label == k} for k in range(count)]
    expected = naive_presolve.blocks({pair for pair, label in zip(ends, labels, strict=True) if label >= 0})
    assert sorted(map(sorted, found)) == sorted(map(sorted, expected))


@st.composite
def twins(draw):
    """A problem of spins with some whose couplings are a multiple of another's, perhaps coupled to it."""
    problem = draw(quadratic(["ising"], weights=["few"], most=7))
    given = naive_presolve.couplings(problem)
    for _ in range(draw(st.integers(1, 3))):
        u, v = draw(st.integers(0, problem.n - 1)), len(given)
        ratio = draw(st.sampled_from([1, -1, 2, -3]))
        given[v] = {k: ratio * weight for k, weight in given[u].items()}
        if between := draw(st.integers(-2, 2)):
            given[u][v] = given[v][u] = between
        for k, weight in given[v].items():
            if k != naive_presolve.GHOST:
                given[k][v] = weight
    terms = [
        (float(w), [u] if v == naive_presolve.GHOST else [u, v]) for u in given for v, w in given[u].items() if v < u
    ]
    return compile_problem(cost_function("ising", [*terms, *((0.0, [u]) for u in given)]))


@given(twins(), st.booleans())
def test_twins_are_merged(problem, is_strict):
    graph = make_graph(spin_integers(problem), lambda: None)
    expected = naive_presolve.twins(naive_presolve.couplings(problem), is_strict=is_strict)
    count = merge_twins(graph, is_strict=is_strict)
    assert (count > 0) == bool(expected)
    reduced = reduce_compiled(problem, is_strict=is_strict)
    left = naive_presolve.couplings(reduced.problem)
    assert not naive_presolve.twins(left, is_strict=is_strict)
    costs = all_costs(reduced.problem)
    assert costs.min() == all_costs(problem).min()
    if is_strict:
        found = {
            y.tobytes()
            for x in configurations(reduced.problem)[costs == costs.min()]
            for y in reduced.lift_all(x, 1 << problem.n)
        }
        assert found == optima(problem)


@given(twins())
def test_merged_twins_are_so_in_an_optimum(problem):
    graph = make_graph(spin_integers(problem), lambda: None)
    merge_twins(graph, is_strict=False)
    count = int(graph.counters[REMOVED])
    best = configurations(problem)[all_costs(problem) == all_costs(problem).min()]
    partners = np.column_stack([best, np.ones(len(best), np.int8)])[:, graph.partners[:count, 0]]
    assert np.any(np.all(best[:, graph.removed[:count]] == -graph.couplings[:count, 0] * partners, axis=1))


def test_narrow_blocks_of_a_wide_component_are_eliminated():
    rng = np.random.default_rng(5)
    wide = [(float(rng.choice([-1, 1])), pair) for pair in itertools.combinations(range(30), 2)]
    narrow = [(c * float(rng.choice([-1, 1])), [29 + a, 29 + b]) for c, (a, b) in ring_of_triangles(20)]
    problem = compile_problem(cost_function("ising", [*wide, *narrow, (0.5, [3]), (0.5, [4])]))
    reduced = reduce_compiled(problem, eliminates=True)
    assert set(reduced.problem.variables.tolist()) <= set(range(30))
    x = np.ones(reduced.problem.n, np.int8)
    assert cost_of(problem, reduced.lift(x)) == cost_of(reduced.problem, x)


def test_only_narrow_components_are_eliminated():
    rng = np.random.default_rng(5)
    wide = [(float(rng.choice([-1, 1])), pair) for pair in itertools.combinations(range(30), 2)]
    narrow = [(c, [30 + a, 30 + b]) for c, (a, b) in ring_of_triangles(40)]
    reduced = reduce_compiled(compile_problem(cost_function("ising", wide + narrow)), eliminates=True)
    assert reduced.problem.variables.tolist() == list(range(30))
    assert reduced.counts == {"eliminated": 39, "degree 0": 1}
    strict = reduce_compiled(compile_problem(cost_function("ising", narrow)), is_strict=True, eliminates=True)
    assert "eliminated" not in strict.counts


@pytest.mark.parametrize(("degree", "is_left"), [(6, False), (10, True)])
def test_roof_duality_is_given_up_where_it_takes_long_and_decides_little(degree, is_left, monkeypatch):
    rng = np.random.default_rng(1)
    n = 4000
    pairs = {tuple(sorted(rng.choice(n, 2, replace=False).tolist())) for _ in range(degree * n // 2)}
    terms = [(float(rng.integers(-100, 101)), list(pair)) for pair in sorted(pairs)]
    problem = compile_problem(cost_function("pubo", terms + [(float(rng.integers(-100, 101)), [i]) for i in range(n)]))
    assert "roof duality" in reduce_compiled(problem).counts
    monkeypatch.setattr("qiosk.presolve.roof.LONG", 0)
    monkeypatch.setattr("qiosk.presolve.roof.STEPS", 100)
    reduced = reduce_compiled(problem)
    assert ("roof duality" not in reduced.counts) == is_left
