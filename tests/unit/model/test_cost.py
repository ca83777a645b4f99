from __future__ import annotations

import itertools

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given

import naive
from qiosk.errors import InvalidValue, WrongType
from qiosk.model.cost import evaluate
from qiosk.model.cost_function import CostFunction, Numbering
from strategies import cost_function, cost_functions, reals


@given(cost_functions())
def test_cost_of_integer_problems_is_exact(cf: CostFunction) -> None:
    some = list(itertools.islice(naive.configurations(cf), 30))
    rows = np.array([list(c.values()) for c in some], np.int8).reshape(len(some), -1)
    npt.assert_array_equal(evaluate(cf, rows), [float(naive.cost(cf, c)) for c in some])


@given(cost_functions(coefficients=reals))
def test_cost_of_real_terms_is_the_exact_cost_rounded_once(cf: CostFunction) -> None:
    plain = CostFunction(cf.problem_type, cf.coefficients, cf.indptr, cf.ids)
    for configuration in itertools.islice(naive.configurations(plain), 10):
        exact = float(naive.cost(plain, configuration))
        assert evaluate(plain, np.array(list(configuration.values()), np.int8)) == exact


@given(cost_functions(coefficients=reals))
def test_cost_does_not_depend_on_how_many_are_evaluated_together(cf: CostFunction) -> None:
    some = list(itertools.islice(naive.configurations(cf), 16))
    rows = np.array([list(c.values()) for c in some], np.int8).reshape(len(some), -1)
    npt.assert_array_equal(evaluate(cf, rows), [evaluate(cf, row) for row in rows])


def test_many_configurations_are_evaluated_in_blocks() -> None:
    rng = np.random.default_rng(3)
    cf = cost_function("ising", [(float(c), [i, i + 1]) for i, c in enumerate(rng.integers(-9, 9, 3000))])
    x = rng.choice(np.array([-1, 1], np.int8), (3000, 3001))
    npt.assert_array_equal(evaluate(cf, x), (x[:, :-1] * x[:, 1:]) @ cf.coefficients)


def test_long_terms_and_exact_cancellation() -> None:
    cf = cost_function("ising", [(0.1, list(range(50))), (1e16, [0]), (1.0, [1]), (-1e16, [0])])
    x = np.ones(50, np.int8)
    assert evaluate(cf, x) == 1.1
    x[7] = -1
    assert evaluate(cf, x) == 0.9


def test_problem_without_variables_has_a_cost() -> None:
    assert evaluate(cost_function("pubo", [(2.5, []), (1, [])]), np.empty(0, np.int8)) == 3.5
    assert evaluate(cost_function("ising", []), np.empty((4, 0), np.int8)).tolist() == [0.0] * 4


@pytest.mark.parametrize(
    ("values", "error", "message"),
    [
        ([1, 1], InvalidValue, r"shape \(2,\), but the problem has 3 variables"),
        ([[[1, 1, 1]]], InvalidValue, r"shape \(1, 1, 3\)"),
        ([1, 0, 1], InvalidValue, "variable 5: value must be -1 or 1, found 0"),
        ([[1, 1, 1], [1, 1, 300]], InvalidValue, "variable 9: value must be -1 or 1, found 300"),
        ([1.0, 1.0, 1.0], WrongType, "configurations must be integers, found float64"),
    ],
)
def test_configurations_that_do_not_fit_are_refused(values, error, message) -> None:
    with pytest.raises(error, match=message):
        evaluate(cost_function("ising", [(1, [0, 5, 9])]), np.array(values))


def test_cost_beyond_the_range_of_float64_is_refused() -> None:
    with pytest.raises(InvalidValue, match="the cost of a configuration is beyond the range of float64"):
        evaluate(cost_function("ising", [(1.7e308, [0]), (1.7e308, [1])]), np.array([1, 1]))


@pytest.mark.parametrize("ids", [[], [3], [0, 1, 2, 1], [2**63 - 1, 0, 2**63 - 1], [10**9, 5, 10**9]])
def test_numbering_gives_back_the_ids(ids: list[int]) -> None:
    array = np.array(ids, np.int64)
    numbering = Numbering.of(lambda: iter([array]))
    variables, positions = numbering.variables, numbering.places(array)
    assert variables.tolist() == sorted(set(ids))
    npt.assert_array_equal(variables[positions], array)
