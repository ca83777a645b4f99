"""Compiled passes over large problems give the bits that NumPy gives for small ones."""

from __future__ import annotations

import math
from unittest import mock

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from problems import random_problem
from qiosk.kernels.pair_sums import pair_matrix, pair_tiles
from qiosk.kernels.terms import common_divisor
from qiosk.model import check as checks
from qiosk.model import compile as compiling
from qiosk.model import cost, flips, matrix, units
from qiosk.model.arrays import pairs
from qiosk.model.arrays.pairs import PairList
from qiosk.model.compile import compile_problem
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import CostFunction
from qiosk.model.flips import cost_of, deltas, pair_sums, term_slopes
from qiosk.model.matrix import terms_from_matrix
from qiosk.solvers.exact.dominated import _BothWays, _partners
from qiosk.solvers.samplers.incidence import index_by_variable, symmetric_rows
from strategies import cost_functions, reals

ANY = cost_functions() | cost_functions(reals)


def many(module, name):
    """Take the compiled pass whatever the size."""
    return mock.patch.object(module, name, 0)


def values_of(problem, seed):
    low = -1 if problem.is_spin else 0
    return np.random.default_rng(seed).choice(np.array([low, 1], np.int8), problem.n)


@given(ANY, st.integers(0, 99))
def test_costs_and_slopes_are_the_same(cf, seed):
    problem = compile_problem(cf)
    x = values_of(problem, seed)
    wanted = cost_of(problem, x), deltas(problem, x), term_slopes(problem, x)
    with many(flips, "MANY_PAIRS"):
        found = cost_of(problem, x), deltas(problem, x), term_slopes(problem, x)
    for ours, theirs in zip(found, wanted, strict=True):
        npt.assert_array_equal(ours, theirs)


@given(ANY, st.sampled_from([1.0, 0.25]), st.booleans())
def test_sums_by_variable_are_the_same(cf, share, is_absolute):
    problem = compile_problem(cf)
    v = np.arange(1.0, problem.n + 1.0)
    wanted = [*pair_sums(problem, v, share=share, is_absolute=is_absolute)]
    with many(flips, "MANY_PAIRS"):
        found = [*pair_sums(problem, v, share=share, is_absolute=is_absolute)]
    npt.assert_array_equal(sum(found), sum(wanted))


@given(ANY)
def test_counting_compiles_the_same_problem(cf):
    wanted = compile_problem(cf)
    with many(compiling, "MANY_TERMS"):
        found = compile_problem(cf)
    assert isinstance(found.pairs, PairList)
    for name in ("constant", "linear", "pair_rows", "pair_cols", "pair_values", "term_values", "term_variables"):
        npt.assert_array_equal(getattr(found, name), getattr(wanted, name), strict=True)


@given(st.lists(st.lists(st.integers(0, 5), max_size=10), max_size=12))
def test_the_first_term_that_repeats_an_id_is_found(terms):
    indptr = np.cumsum([0, *map(len, terms)])
    ids = np.array([i for term in terms for i in term], np.int64)
    repeats = [
        (t, min(i for i in term if term.count(i) > 1)) for t, term in enumerate(terms) if len({*term}) < len(term)
    ]
    with many(checks, "MANY_TERMS"):
        assert checks._first_repeat(indptr, ids) == (repeats[0] if repeats else None)


@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, np.float16, np.float32, np.float64])
@given(st.integers(0, 130), st.integers(0, 99), st.booleans())
@settings(max_examples=5)
def test_a_dense_matrix_gives_the_same_terms(dtype, n, seed, is_ising):
    rng = np.random.default_rng(seed)
    dense = (rng.integers(0, 3, (n, n)) * rng.integers(0, 2, (n, n))).astype(dtype)
    wanted = terms_from_matrix(dense, None, 1.0, is_ising)
    with many(matrix, "MANY_ENTRIES"):
        found = terms_from_matrix(dense, None, 1.0, is_ising)
    for ours, theirs in zip(found, wanted, strict=True):
        npt.assert_array_equal(ours, theirs, strict=True)


@given(ANY, st.integers(0, 99))
def test_pairs_in_another_order_are_sorted_by_counting(cf, seed):
    problem = compile_problem(cf)
    order = np.random.default_rng(seed).permutation(problem.n)
    wanted = problem.pairs.reordered(order)
    with many(pairs, "MANY_PAIRS"):
        found = problem.pairs.reordered(order)
    for name in ("rows", "cols", "values"):
        npt.assert_array_equal(getattr(found, name), getattr(wanted, name), strict=True)


@given(ANY, st.integers(0, 99))
def test_costs_of_terms_as_they_were_given_are_the_same(cf, seed):
    low = -1 if cf.problem_type.is_ising else 0
    x = np.random.default_rng(seed).choice(np.array([low, 1], np.int8), (3, len(cf.variables)))
    wanted = evaluate(cf, x)
    with many(cost, "MANY_TERMS"):
        npt.assert_array_equal(evaluate(cf, x), wanted)
        npt.assert_array_equal(evaluate(cf, x[0]), wanted[0])


@given(st.lists(st.integers(0, 5), max_size=30))
def test_places_by_variable_are_those_of_a_stable_sort(variables):
    some = np.array(variables, np.int32)
    indptr, order = index_by_variable(some, 6)
    npt.assert_array_equal(order, np.argsort(some, kind="stable"))
    npt.assert_array_equal(np.diff(indptr), np.bincount(some, minlength=6))


@pytest.mark.parametrize("seed", range(4))
def test_rows_of_both_ends_are_those_of_a_matrix(seed):
    problem = random_problem("ising", 9, locality=2, seed=seed)
    rows, cols, values = problem.pair_rows, problem.pair_cols, problem.pair_values
    dense = np.zeros((9, 9))
    dense[rows, cols] = dense[cols, rows] = values
    indptr, there, out = symmetric_rows(rows, cols, values, 9)
    for i in range(9):
        own = slice(indptr[i], indptr[i + 1])
        npt.assert_array_equal(there[own], np.flatnonzero(dense[i]))
        npt.assert_array_equal(out[own], dense[i][dense[i] != 0])
    filled = np.zeros((9, 9))
    pair_matrix()(rows, cols, values, filled)
    npt.assert_array_equal(filled, dense)
    tiles = np.zeros((3, 2, 4, 8), np.float32)
    pair_tiles()(rows, cols, values, 2.0, 0.5, tiles)
    flat = tiles.transpose(0, 2, 1, 3).reshape(12, 16)
    npt.assert_array_equal(flat[:9, :9], (4.0 * dense).astype(np.float32))
    assert not flat[9:].any()
    assert not flat[:, 9:].any()


@given(st.lists(st.sampled_from([0.0, 0.5, -1.5, 3.0, 0.1, -0.3, 1e9, 2.0**-12, math.pi]), max_size=8))
def test_units_are_the_same(values):
    some = np.array(values)
    wanted = units.common_unit_of(lambda: iter([some[:2], some[2:]]))
    with many(units, "MANY_VALUES"):
        assert units.common_unit_of(lambda: iter([some[:2], some[2:]])) == wanted


def test_a_divisor_of_fractions_is_none():
    assert common_divisor()(np.array([6.0, -9.0, 0.0]), 1.0, 0) == 3
    assert common_divisor()(np.array([6.0, -9.0, 0.0]), 1.0, 2) == 1
    assert common_divisor()(np.array([6.0, 0.5]), 1.0, 1) == -1


@given(cost_functions() | cost_functions(reals))
def test_exclusive_partners_are_those_of_all_pairs(cf):
    problem = compile_problem(cf)
    both = _BothWays(problem)
    npt.assert_array_equal(_partners(problem), np.bincount(both.here[both.exclusive], minlength=problem.n))


def test_sums_of_given_terms_are_exact_only_for_integers():
    def is_exact(coefficients):
        ids = np.arange(len(coefficients))
        return CostFunction("ising", np.array(coefficients), np.arange(len(ids) + 1), ids).has_exact_sums

    assert is_exact([1.0, -5.0])
    assert is_exact([])
    assert not is_exact([0.5])
    assert not is_exact([2.0**53])
