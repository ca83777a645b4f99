"""Models are solved rightly, or refused: against the enumeration of all values, in integers and fractions."""

from __future__ import annotations

import itertools
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patience import SLOWNESS
from qiosk.errors import InvalidInitialConfiguration, InvalidValue
from qiosk.model.compile import compile_problem
from qiosk.modeling import Encoding, Model, Status, total
from qiosk.modeling.expression import Sense
from qiosk.modeling.rows import rational, row_of
from qiosk.solvers.exact.slack import proven_rows
from qiosk.solvers.samplers.one_hot.core import core_of

SIZES = [1, 9, 10**3, 10**9, 10**12]
SENSES = ["==", "<=", ">="]


@st.composite
def coefficients(draw, n):
    """n numbers of one scale, as text, so that they are known exactly: integers, or decimals of some places."""
    size, places = draw(st.sampled_from(SIZES)), draw(st.sampled_from([0, 0, 1, 2, 7, 10]))
    numbers = st.integers(-size, size) | st.integers(0, size)
    return [str(Fraction(draw(numbers)) / 10**places) for _ in range(n)], places


@st.composite
def programs(draw):
    n = draw(st.integers(1, 5))
    objective, _ = draw(coefficients(n))
    rows = []
    for _ in range(draw(st.integers(1, 3))):
        left, places = draw(coefficients(n))
        products = draw(
            st.lists(st.tuples(st.integers(-9, 9), st.integers(0, n - 1), st.integers(0, n - 1)), max_size=1)
        )
        chosen = draw(st.lists(st.booleans(), min_size=n, max_size=n))  # a bound that is reached, or nearly
        bound = sum((Fraction(c) for c, x in zip(left, chosen, strict=True) if x), Fraction(0))
        bound += Fraction(draw(st.sampled_from([0, 0, 0, 1, -1, 5])), 10**places)
        rows.append((left, products, draw(st.sampled_from(SENSES)), bound))
    return n, objective, rows, draw(st.booleans())


def value(left, products, x):
    return sum((Fraction(c) * b for c, b in zip(left, x, strict=True)), Fraction(0)) + sum(
        c * x[i] * x[j] for c, i, j in products
    )


def holds(found, sense, bound):
    return found == bound if sense == "==" else found <= bound if sense == "<=" else found >= bound


def build(n, objective, rows, is_maximized):
    model = Model()
    x = [model.bit(f"x{i}") for i in range(n)]
    wanted = total(float(Fraction(c)) * b for c, b in zip(objective, x, strict=True))
    model.maximize(wanted) if is_maximized else model.minimize(wanted)
    for left, products, sense, bound in rows:
        linear = total(float(Fraction(c)) * b for c, b in zip(left, x, strict=True))
        side = linear + total(c * x[i] * x[j] for c, i, j in products)
        limit = float(bound)
        model.add(side == limit if sense == "==" else side <= limit if sense == "<=" else side >= limit)
    return model


@settings(max_examples=60, derandomize=True)
@given(programs())
def test_the_best_feasible_solution_is_found_or_the_model_is_refused(program):
    n, objective, rows, is_maximized = program
    model = build(*program)
    try:
        answer = model.solve(seed=1, timeout=0.2)
    except InvalidValue as error:
        refusal = str(error)
        answer = None
    sign = -1 if is_maximized else 1
    costs = {
        x: sign * value(objective, [], x)
        for x in itertools.product((0, 1), repeat=n)
        if all(holds(value(left, products, x), sense, bound) for left, products, sense, bound in rows)
    }
    if answer is None:
        assert "can never hold" not in refusal or not costs
        return
    assert answer.is_feasible == (tuple(answer.values.values()) in costs)
    if costs:
        assert costs[tuple(answer.values.values())] == min(costs.values())
        assert answer.status is Status.OPTIMAL or answer.result.statistics["kernel"] != "exhaustive"
    else:
        assert answer.status in (Status.INFEASIBLE, Status.NOT_FOUND)


def test_large_integers_do_not_round_the_objective_away():
    sizes = [332882804, 119036466, 295734885, 747654155]
    model = Model()
    x = [model.bit(f"x{i}") for i in range(4)]
    model.add(total(a * b for a, b in zip(sizes, x, strict=True)) == 747654155)
    model.minimize(total(x))
    answer = model.solve()
    assert list(answer.values.values()) == [0, 0, 0, 1]
    assert (answer.objective, answer.result.cost, answer.status) == (1, 1, Status.OPTIMAL)


def test_integers_beyond_float64_are_refused():
    model = Model()
    x, y = model.bit("x"), model.bit("y")
    with pytest.raises(InvalidValue, match=r"integers beyond 2\*\*53 must be exact in float64, found 9007199254740993"):
        model.minimize((2**53 + 1) * x)
    with pytest.raises(InvalidValue, match="must be in the range of float64"):
        model.minimize(10**400 * x)
    model.minimize(2**52 * x + (2**52 + 1) * y)
    with pytest.raises(InvalidValue, match="objective: sums of its integers must be exact"):
        model.problem()
    model.minimize(x)
    model.add(2**52 * x + (2**52 - 1) * y <= 2**52, "big")
    with pytest.raises(InvalidValue, match=r"constraint `big`: .*less than 2\*\*53 of it"):
        model.problem()


@pytest.mark.parametrize("scale", [1, 7, 0.5, 0.1, 0.1234567, 1e-3, 1e-10, 987654321, 1 / 3])
def test_the_least_violation_costs_the_weight_whatever_the_scale(scale):
    model = Model()
    x = model.bits("x", range(3))
    model.add(total(scale * bit for bit in x.values()) == scale, "one", weight=10)
    problem = model.problem()
    assert problem.evaluate({0: 0, 1: 0, 2: 0}) == 10
    assert problem.evaluate({0: 1, 1: 0, 2: 0}) == 0
    assert problem.evaluate({0: 1, 1: 1, 2: 1}) == 40
    assert not model.decode({0: 0, 1: 0, 2: 0}).is_feasible
    assert model.decode({0: 0, 1: 1, 2: 0}).is_feasible
    file = f"Minimize\n obj: 0 x\nSubject To\n c: {scale!r} x + {scale!r} y = {scale!r}\nBinary\n x y\nEnd\n"
    read = Model.from_file("a.lp", file.encode(), penalty=10)
    assert read.problem().evaluate({0: 0, 1: 0}) == 10


def test_feasibility_is_exact_in_integers_and_fractions():
    model = Model()
    n = model.integer("n", 0, 2_000_000_001)
    model.add(n <= 2_000_000_000, "most")
    found = model.decode(model.configuration({"n": 2_000_000_001}))
    assert [(r.name, r.violation) for r in found.violated] == [("most", 1.0)]
    tiny = Model()
    tiny.add(1e-10 * tiny.bit("x") + 1e-10 * tiny.bit("y") == 1e-10)
    assert not tiny.decode({0: 0, 1: 0}).is_feasible
    assert tiny.decode({0: 1, 1: 0}).is_feasible


def test_numbers_without_a_unit_are_judged_with_the_stated_tolerance():
    model = Model()
    x, y = model.bit("x"), model.bit("y")
    model.add(2**0.5 * x + 3**0.5 * y <= 2**0.5 - 1e-10, "near")
    assert row_of(model.constraints[0].condition) is None
    assert model.decode({0: 1, 1: 0}).is_feasible
    assert not model.decode({0: 0, 1: 1}).is_feasible


def test_fractions_are_the_numbers_that_were_written():
    assert rational(0.1) == rational(0.3 - 0.2) == Fraction(1, 10)
    assert rational(0.1234567 * 3) == Fraction(3703701, 10**7)
    assert rational(1 / 3) == Fraction(1, 3)
    assert rational(2.0**-30) == Fraction(1, 2**30)
    assert rational(1e-10) == Fraction(1, 10**10)
    assert rational(12345678.12345) == Fraction("12345678.12345")
    assert rational(3.141592653589793) is None


@given(st.integers(1, 10**6), st.integers(1, 10**4))
def test_simple_fractions_are_recognized(numerator, denominator):
    found = rational(numerator / denominator)
    assert found == Fraction(numerator, denominator)


def test_bounds_that_were_computed_count_as_what_was_meant():
    model = Model()
    x = model.bits("x", range(10))
    model.add(total(0.1 * bit for bit in x.values()) == 1 - 0.3 - 0.4, "three")
    model.maximize(total(x.values()))
    row = row_of(model.constraints[0].condition)
    assert (row.bound, row.unit, row.sense) == (3, Fraction(1, 10), Sense.EQUAL)
    assert model.solve().objective == 3


@pytest.mark.parametrize("encoding", Encoding)
def test_integers_have_the_integers_between_fractional_bounds(encoding):
    for sign, best in ((1, 1), (-1, 3)):
        model = Model()
        n = model.integer("n", 0.5, 3.7, encoding)
        model.minimize(sign * n)
        assert model.solve()["n"] == best
    with pytest.raises(InvalidValue, match="variable `n`: must have integers low <= high, found 0.2 and 0.8"):
        Model().integer("n", 0.2, 0.8, encoding)
    with pytest.raises(InvalidValue, match="must have finite bounds"):
        Model().integer("n", 0, float("inf"), encoding)


def test_a_domain_wall_has_one_encoding_for_each_value():
    model = Model()
    model.integer("n", 0, 3, "domain_wall")
    feasible = [x for x in itertools.product((0, 1), repeat=3) if model.decode(dict(enumerate(x))).is_feasible]
    assert feasible == [(0, 0, 0), (1, 0, 0), (1, 1, 0), (1, 1, 1)]
    assert len(model.problem().cost_function().variables) == 3
    for wanted in range(4):
        assert model.decode(model.configuration({"n": wanted})).is_feasible


def test_keys_that_look_alike_are_distinct_members():
    model = Model()
    x = model.bits("x", [1, "1", ("a", "b"), "a,b"])
    assert len(model.variables) == 4
    model.minimize(total(k * bit for k, bit in enumerate(x.values(), start=-1)))
    model.add(x["1"] == 1)
    again = Model.from_document(model.to_document())
    assert again.decode(model.solve(seed=1).bits)["x"] == {1: 1, "1": 1, ("a", "b"): 0, "a,b": 0}


def test_a_variable_that_is_given_twice_is_refused():
    model = Model()
    model.bit("x")
    problem = model.problem()
    for use in (model.decode, problem.evaluate, problem.set_fixed_variables):
        with pytest.raises(InvalidValue, match="variable 0 is given twice"):
            use({0: 1, "0": 0})
    problem.init_config = {0: 1, "0": 0}
    with pytest.raises(InvalidInitialConfiguration, match="variable 0 is given twice"):
        problem.cost_function()


@pytest.mark.parametrize("solver", ["tabu", "paralleltempering", "simulatedannealing"])
@pytest.mark.parametrize("weight", [None, 3.0])
@pytest.mark.usefixtures("unpropagated")
def test_a_search_ends_when_the_objective_can_be_no_better(solver, weight):
    model = Model("ring")
    colour = model.choices("colour", range(14), "rgb")
    for k in range(14):
        for c in "rgb":
            model.add(colour[k][c] + colour[(k + 1) % 14][c] <= 1, weight=weight)
    if weight:
        model.minimize(5 + total(colour[k]["r"] for k in range(14)))
    answer = model.solve(solver, timeout=60 * SLOWNESS, seed=1)
    assert (answer.status, answer.objective) == (Status.OPTIMAL, 5 if weight else 0)
    assert [found.stop_reason for found in answer.rounds] == ["target"]


def test_what_is_left_without_slack_is_exact_where_sums_of_integers_are():
    model = Model()
    x = [model.bit(f"x{i}") for i in range(18)]
    cost = total((-1) ** i * (i + 1) * bit for i, bit in enumerate(x)) - 3 * x[0] * x[1]
    model.minimize(cost)
    model.add(total((300 + 7 * i) * bit for i, bit in enumerate(x)) <= 2000, "row")
    compiled = compile_problem(model.problem(weights={"row": 2.0**25}).cost_function())
    core = core_of(replace(compiled, slack=proven_rows(compiled, is_sought=True))).problem
    assert core.n == 18
    assert core.linear.tolist() == [cost.terms[(i,)] for i in range(18)]
    assert core.pair_values[core.pair_values != 0].tolist() == [-3.0]
