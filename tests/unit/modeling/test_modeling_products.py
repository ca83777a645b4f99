"""Constraints with products of bits are kept as rightly as linear ones, whatever the size of their coefficients."""

from __future__ import annotations

import itertools
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
from qiosk.errors import InvalidValue
from qiosk.modeling import Model, Status, total
from qiosk.modeling.penalties.assembly import MAX_EXPANDED_TERMS

N = 4
PAIRS = list(itertools.combinations(range(N), 2))


@st.composite
def rows(draw, places):
    """A row over products as text, and a bound that some configuration reaches, or nearly."""
    size = draw(st.sampled_from([9, 10**6, 10**9]))
    parts = draw(
        st.lists(st.sampled_from([(i,) for i in range(N)] + PAIRS + [(0, 1, 2)]), min_size=2, max_size=5, unique=True)
    )
    terms = {part: Fraction(draw(st.integers(-size, size)), 10**places) for part in parts}
    x = draw(st.lists(st.booleans(), min_size=N, max_size=N))
    bound = value(terms, x) + Fraction(draw(st.sampled_from([0, 0, 1, -1])), 10**places)
    return terms, draw(st.sampled_from(["==", "<=", ">="])), bound


@st.composite
def programs(draw):
    places = draw(st.sampled_from([0, 0, 3]))
    cost = [Fraction(draw(st.integers(-(10**9), 10**9)), 10**places) for _ in range(N)]
    return cost, draw(st.lists(rows(places), min_size=1, max_size=2))


def value(terms, x):
    return sum((c for part, c in terms.items() if all(x[i] for i in part)), Fraction(0))


def holds(row, x):
    terms, sense, bound = row
    found = value(terms, x)
    return found == bound if sense == "==" else found <= bound if sense == "<=" else found >= bound


def build(cost, constraints):
    model = Model()
    x = [model.bit(f"x{i}") for i in range(N)]
    model.minimize(total(float(c) * b for c, b in zip(cost, x, strict=True)))
    for terms, sense, bound in constraints:
        side = total(float(c) * np.prod([x[i] for i in part]) for part, c in terms.items())
        limit = float(bound)
        model.add(side == limit if sense == "==" else side <= limit if sense == "<=" else side >= limit)
    return model


@settings(max_examples=40, derandomize=True)
@given(programs())
def test_the_best_feasible_solution_is_found(program):
    cost, constraints = program
    feasible = {
        x: sum((c for c, b in zip(cost, x, strict=True) if b), Fraction(0))
        for x in itertools.product((0, 1), repeat=N)
        if all(holds(row, x) for row in constraints)
    }
    try:
        answer = build(cost, constraints).solve(seed=1, timeout=0.3)
    except InvalidValue as error:
        assert "can never hold" in str(error)
        assert not feasible
        return
    x = tuple(answer.values.values())
    assert answer.is_feasible == (x in feasible)
    assert (answer.status is Status.INFEASIBLE) <= (not feasible)
    if answer.status is Status.OPTIMAL:
        assert feasible[x] == min(feasible.values())


def test_products_whose_square_is_not_exact_get_bits_that_they_share():
    model = Model()
    x = [model.bit(f"x{i}") for i in range(5)]
    products = [x[0] * x[1], x[1] * x[2], x[2] * x[3] * x[4]]
    sizes = [987654321, 876543210, 765432109]
    row = total(size * product for size, product in zip(sizes, products, strict=True))
    model.add(row + 12345 * x[4] == sizes[0] + sizes[1], "first")
    model.add(row - 54321 * x[3] == sizes[0] + sizes[1], "second")
    model.minimize(999999937 * total(x))
    function = model.problem(weights={"first": 2.0**30, "second": 2.0**31}).cost_function()
    assert len(function.variables) == 5 + len(products)
    for configuration in naive.configurations(function):
        solution = model.decode(configuration)
        weights = [w for w, report in zip((2**30, 2**31), solution.constraints, strict=True) if not report.holds]
        assert naive.cost(function, configuration) >= solution.objective + sum(weights)
    best = min(naive.configurations(function), key=lambda c: naive.cost(function, c))
    assert [best[i] for i in range(5)] == [1, 1, 1, 0, 0]
    assert naive.cost(function, best) == 3 * 999999937


def test_long_rows_of_products_are_not_multiplied_out():
    n = MAX_EXPANDED_TERMS + 1
    model = Model()
    x, y = ([model.bit(f"{name}{i}") for i in range(n)] for name in "xy")
    model.add(total((i + 1) * a * b for i, (a, b) in enumerate(zip(x, y, strict=True))) == 7)
    function = model.problem().cost_function()
    assert max(np.diff(function.indptr)) == 2
    assert len(function.variables) == 3 * n
    answer = model.solve(seed=1, timeout=2)
    assert answer.is_feasible


@pytest.mark.parametrize("sense", ["==", "<=", ">="])
def test_rows_at_the_end_of_their_range_need_small_coefficients_only(sense):
    model = Model()
    x = [model.bit(f"x{i}") for i in range(4)]
    large = [2.0**40 + 1, 2.0**41 + 1, -(2.0**40) - 3, 1.0]
    row = total(c * b for c, b in zip(large, x, strict=True))
    low, high = row.bounds
    model.add(row == low if sense == "==" else row <= low if sense == "<=" else row >= high, "end")
    model.minimize(total((2.0**20 - 1) * b for b in x))
    answer = model.solve(seed=1, timeout=1)
    expected = [1, 1, 0, 1] if sense == ">=" else [0, 0, 1, 0]
    assert (list(answer.values.values()), answer.status) == (expected, Status.OPTIMAL)
    function = model.problem(weights={"end": 2.0**40}).cost_function()
    for configuration in naive.configurations(function):
        solution = model.decode(configuration)
        assert naive.cost(function, configuration) >= solution.objective + 2**40 * (not solution.is_feasible)
