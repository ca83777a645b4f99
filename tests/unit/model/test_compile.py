from __future__ import annotations

import dataclasses
import itertools

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive
from qiosk.errors import InvalidValue, RepeatedVariable
from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.model.cost_function import CostFunction
from strategies import cost_function, cost_functions, reals


def assert_well_formed(problem: CompiledProblem) -> None:
    rows, cols = problem.pair_rows, problem.pair_cols
    assert np.all(rows < cols)
    keys = rows.astype(np.int64) * max(problem.n, 1) + cols
    assert np.all(np.diff(keys) > 0)
    assert np.all(problem.pair_values != 0)
    assert np.all(problem.term_values != 0)
    terms = [tuple(problem.term_variables[a:b].tolist()) for a, b in itertools.pairwise(problem.term_indptr.tolist())]
    assert all(len(t) >= 3 and sorted(set(t)) == list(t) for t in terms)
    assert len(set(terms)) == len(terms) == len(problem.term_values)
    groups = [problem.group_variables[a:b].tolist() for a, b in itertools.pairwise(problem.group_indptr.tolist())]
    assert all(len(g) >= 2 and sorted(set(g)) == g for g in groups)
    assert len(groups) == len(problem.group_values) == len(problem.group_offsets)
    assert np.all(problem.group_values != 0)
    assert np.all(problem.group_weights != 0)
    for name, dtype in [
        ("pair_rows", "i4"),
        ("term_variables", "i4"),
        ("term_indptr", "i8"),
        ("linear", "f8"),
    ]:
        assert getattr(problem, name).dtype == dtype


@given(cost_functions())
def test_compiled_cost_equals_naive_cost_exactly_for_integers(cf: CostFunction) -> None:
    problem = compile_problem(cf)
    assert_well_formed(problem)
    assert problem.variables.tolist() == sorted(set(problem.variables.tolist()))
    for configuration in itertools.islice(naive.configurations(cf), 40):
        assert naive.compiled_cost(problem, list(configuration.values())) == naive.cost(cf, configuration)


@given(cost_functions(coefficients=reals))
def test_compiled_cost_equals_naive_cost_for_reals(cf: CostFunction) -> None:
    problem = compile_problem(cf)
    assert_well_formed(problem)
    for configuration in itertools.islice(naive.configurations(cf), 20):
        compiled = float(naive.compiled_cost(problem, list(configuration.values())))
        assert compiled == pytest.approx(float(naive.cost(cf, configuration)), rel=1e-9, abs=1e-6)


@given(cost_functions(), st.randoms(use_true_random=False))
def test_order_of_integer_terms_does_not_matter(cf: CostFunction, random) -> None:
    terms = [
        (c, cf.ids[a:b].tolist())
        for c, (a, b) in zip(cf.coefficients.tolist(), itertools.pairwise(cf.indptr.tolist()), strict=True)
    ]
    random.shuffle(terms)
    shuffled = cost_function(cf.problem_type, [(c, random.sample(i, len(i))) for c, i in terms])
    plain = CostFunction(cf.problem_type, cf.coefficients, cf.indptr, cf.ids)
    a, b = compile_problem(plain), compile_problem(shuffled)
    for name in (
        "variables",
        "linear",
        "pair_rows",
        "pair_cols",
        "pair_values",
        "term_variables",
        "term_values",
    ):
        npt.assert_array_equal(getattr(a, name), getattr(b, name))


def test_pairs_merge_in_either_order_and_cancelled_pairs_go_but_their_variables_stay() -> None:
    problem = compile_problem(cost_function("ising", [(2, [5, 3]), (3, [3, 5]), (1, [9, 8]), (-1, [8, 9])]))
    assert problem.variables.tolist() == [3, 5, 8, 9]
    assert (problem.pair_rows.tolist(), problem.pair_cols.tolist()) == ([0], [1])
    assert problem.pair_values.tolist() == [5.0]


def test_repeated_ids_of_pubo_terms_reduce_to_lower_locality() -> None:
    problem = compile_problem(cost_function("pubo", [(2, [1, 1]), (3, [0, 1, 0, 1]), (4, [2, 0, 1, 1]), (1, [1])]))
    assert problem.linear.tolist() == [0, 3, 0]
    assert problem.pair_values.tolist() == [3]
    assert problem.term_variables.tolist() == [0, 1, 2]
    assert problem.locality == 3


def test_repeated_id_of_an_ising_term_is_refused_by_term_and_variable() -> None:
    with pytest.raises(RepeatedVariable, match="term 1: variable 70 occurs twice in an Ising term"):
        compile_problem(cost_function("ising", [(2, [1, 2, 70]), (3, [70, 1, 70])]))


def test_empty_problem_and_constants_only() -> None:
    empty = compile_problem(cost_function("ising", []))
    assert (empty.n, empty.constant, empty.locality, empty.is_quadratic) == (0, 0.0, 0, True)
    constants = compile_problem(cost_function("pubo_grouped", [(2, []), (3.5, [])], [(2, [(3, None)])]))
    assert (constants.n, constants.constant) == (0, 5.5 + 18)


def test_group_of_one_variable_becomes_linear_and_members_of_one_variable_add_up() -> None:
    ising = compile_problem(cost_function("ising_grouped", [], [(2, [(3, 7), (1, None)])]))
    assert (ising.constant, ising.linear.tolist(), ising.is_quadratic) == (20.0, [12.0], True)
    pubo = compile_problem(cost_function("pubo_grouped", [], [(2, [(3, 7), (1, None)])]))
    assert (pubo.constant, pubo.linear.tolist()) == (2.0, [30.0])
    merged = compile_problem(cost_function("pubo_grouped", [], [(1, [(1, 4), (1, 5), (2, 4), (0, 6)])]))
    assert merged.group_variables.tolist() == [0, 1]
    assert merged.group_weights.tolist() == [3.0, 1.0]
    assert merged.n == 3


@pytest.mark.parametrize("d", [3, 20, 64, 65, 300])
def test_long_terms_merge(d: int) -> None:
    rng = np.random.default_rng(d)
    base = rng.choice(10**6, d, replace=False).tolist()
    other = [*base[:-1], 10**6]
    terms = [(1.0, base), (4.0, other), (2.0, rng.permutation(base).tolist()), (-4.0, other[::-1])]
    problem = compile_problem(cost_function("ising", terms))
    assert problem.term_values.tolist() == [3.0]
    assert problem.variables[problem.term_variables].tolist() == sorted(base)
    assert problem.n == d + 1


def test_terms_that_add_up_beyond_float64_are_refused() -> None:
    with pytest.raises(InvalidValue, match="pair values: like terms add up to a value beyond the range of float64"):
        compile_problem(cost_function("ising", [(1.7e308, [0, 1]), (1.7e308, [1, 0])]))


def test_a_million_raw_terms_merge_to_the_same_sums_as_a_table() -> None:
    rng = np.random.default_rng(1)
    n, m = 300, 1_000_000
    ids = rng.integers(0, n, (m, 2))
    c = rng.integers(-5, 6, m).astype(np.float64)
    cf = CostFunction(cost_function("pubo", []).problem_type, c, np.arange(m + 1) * 2, ids.ravel())
    table = np.zeros((n, n))
    np.add.at(table, (ids.min(axis=1), ids.max(axis=1)), c)
    problem = compile_problem(cf)
    npt.assert_array_equal(problem.linear, np.diag(table))
    dense = np.zeros((n, n))
    dense[problem.pair_rows, problem.pair_cols] = problem.pair_values
    npt.assert_array_equal(dense, np.triu(table, 1))


@given(cost_functions())
def test_arrays_have_the_types_that_kernels_are_compiled_for(cf):
    problem = compile_problem(cf)
    integers = {"variables", "term_indptr", "group_indptr"}
    indices = {"pair_rows", "pair_cols", "term_variables", "group_variables"}
    for name in (f.name for f in dataclasses.fields(problem)):
        found = getattr(problem, name)
        if isinstance(found, np.ndarray):
            wanted = np.int64 if name in integers else np.int32 if name in indices else np.float64
            assert found.dtype == wanted, name
