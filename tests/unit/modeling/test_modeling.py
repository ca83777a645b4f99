"""Models: problems whose best configurations are the best solutions, and the way back to names."""

from __future__ import annotations

import itertools
import json
import math
import pickle

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

import naive
import qiosk
from qiosk.errors import InvalidValue, MissingValue, WrongType
from qiosk.formats import registry
from qiosk.modeling import Encoding, Model, total
from qiosk.modeling.variables import bounded_weights


def best_of(model, problem=None):
    """The decoded solution of least cost, by enumeration of the problem's bits."""
    cost_function = (problem or model.problem()).cost_function()
    best = min(naive.configurations(cost_function), key=lambda x: naive.cost(cost_function, x))
    return model.decode(best)


def test_knapsack():
    model = Model("knapsack")
    values, sizes = {"lamp": 6, "rope": 5, "tent": 9}, {"lamp": 2, "rope": 3, "tent": 4}
    take = model.bits("take", values)
    model.maximize(total(values[k] * take[k] for k in values))
    model.add(total(sizes[k] * take[k] for k in sizes) <= 6, "capacity")
    solution = best_of(model)
    assert solution["take"] == {"lamp": 1, "rope": 0, "tent": 1}
    assert solution.objective == 15
    assert solution.is_feasible
    assert solution.values["take[tent]"] == 1


@pytest.mark.parametrize("encoding", Encoding)
def test_integers_reach_their_whole_range(encoding):
    for low, high in ((0, 0), (-3, 4), (2, 7)):
        for wanted in range(low, high + 1):
            model = Model()
            k = model.integer("k", low, high, encoding)
            model.minimize((k - wanted) ** 2)
            solution = best_of(model)
            assert solution["k"] == wanted
            assert solution.objective == 0
            encoded = model.configuration({"k": wanted})
            assert model.decode(encoded)["k"] == wanted


@given(st.integers(0, 5000))
def test_bounded_weights_give_every_sum_and_no_other(span):
    weights = bounded_weights(span)
    assert sum(weights) == span
    assert len(weights) == span.bit_length()
    reachable = {0}
    for weight in weights:
        reachable |= {r + int(weight) for r in reachable}
    assert reachable == set(range(span + 1))


def test_choices_and_expressions_of_them():
    model = Model()
    color = model.choices("color", "abc", ["red", "green", "blue"])
    for x, y in ("ab", "bc", "ac"):
        for option in color[x].options:
            model.add(color[x][option] + color[y][option] <= 1, f"{x}{y} {option}")
    model.minimize(color["a"].of({"red": 1, "green": 2}))
    solution = best_of(model)
    assert solution["color"]["a"] == "blue"
    assert sorted(solution["color"].values()) == ["blue", "green", "red"]


def test_a_choice_that_is_not_made_is_no_value():
    model = Model()
    model.choice("c", ["x", "y"])
    for bits in ({0: 0, 1: 0}, {0: 1, 1: 1}):
        solution = model.decode(bits)
        assert solution["c"] is None
        assert not solution.is_feasible
        assert [v.name for v in solution.violated] == ["one of c"]


def test_spins_are_minus_one_and_one():
    model = Model()
    a, b = model.spin("a"), model.spin("b")
    model.minimize(3 * a * b + a)
    assert best_of(model).values == {"a": -1, "b": 1}


numbers = st.integers(-4, 4)
senses = st.sampled_from(["==", "<=", ">="])


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.filter_too_much])
@given(
    st.lists(numbers, min_size=4, max_size=4),
    st.lists(st.tuples(numbers, st.sampled_from(list(itertools.combinations(range(4), 2)))), max_size=3),
    st.lists(st.tuples(st.lists(numbers, min_size=4, max_size=4), senses, st.integers(-4, 4)), min_size=1, max_size=2),
)
def test_the_best_configuration_is_the_best_feasible_solution(linear, pairs, conditions):
    model = Model()
    x = [model.bit(f"x{i}") for i in range(4)]
    model.minimize(total(c * b for c, b in zip(linear, x, strict=True)) + total(c * x[i] * x[j] for c, (i, j) in pairs))
    for weights, sense, bound in conditions:
        left = total(a * b for a, b in zip(weights, x, strict=True))
        # heavy enough whatever the objective: this tests penalties, the automatic weight is a rule of thumb
        model.add({"==": left == bound, "<=": left <= bound, ">=": left >= bound}[sense], weight=100.0)
    feasible = [
        s for bits in itertools.product((0, 1), repeat=4) if (s := model.decode(dict(enumerate(bits)))).is_feasible
    ]
    assume(feasible)
    found = best_of(model)
    assert found.is_feasible
    assert found.objective == min(s.objective for s in feasible)


def test_fractions_are_counted_in_their_common_unit():
    model = Model()
    x = model.bits("x", range(3))
    model.maximize(total(x.values()))
    model.add(0.25 * x[0] + 0.5 * x[1] + 0.75 * x[2] <= 0.8, "weight")
    assert best_of(model)["x"] == {0: 1, 1: 1, 2: 0}
    model.add(math.pi * x[0] + x[1] <= 2)
    with pytest.raises(InvalidValue, match="coefficients must be multiples of one unit"):
        model.problem()


def test_squares_of_many_variables_stay_squares():
    model = Model()
    x = model.bits("x", range(80))
    model.add(total(x.values()) == 40, "half")
    assert len(model.problem().terms_slc) == 1
    result = qiosk.solve(model.problem(), seed=1, timeout=1)
    assert sum(model.decode(result)["x"].values()) == 40


def test_conditions_that_always_hold_cost_nothing_and_impossible_ones_are_refused():
    model = Model()
    x = model.bits("x", range(2))
    model.add(x[0] + x[1] <= 2)
    assert all(c == 0 for c in model.problem().cost_function().coefficients)
    model.add(x[0] + x[1] >= 3, "three")
    with pytest.raises(InvalidValue, match="constraint `three`: can never hold"):
        model.problem()


def test_products_in_constraints():
    model = Model()
    x = model.bits("x", range(3))
    model.maximize(total(x.values()))
    model.add(x[0] * x[1] == 0, "not both")
    model.add(x[0] * x[1] * x[2] + x[2] <= 0, "no third")
    assert best_of(model).objective == 1


def test_weights_make_wishes():
    model = Model()
    x = model.bit("x")
    model.maximize(10 * x)
    model.add(x == 0, "rather not", weight=1)
    solution = best_of(model)
    assert solution["x"] == 1
    assert solution.violated[0].violation == 1
    assert "rather not: violated by 1" in str(solution)


def test_documents_decode_elsewhere():
    model = Model("again")
    take = model.bits("take", [("a", 1), ("b", 2)])
    slot = model.choice("slot", [(0, 1), "late"])
    k = model.integer("k", -2, 5)
    model.maximize(take["a", 1] + k * slot["late"])
    model.add(k + 3 * take["b", 2] <= 4, "room", weight=7.5)
    problem = model.problem()
    document = registry.read(problem.to_blob()).metadata["model"]
    again = Model.from_document(json.loads(json.dumps(document)))
    assert again.to_document() == model.to_document()
    bits = {i: i % 2 for i in problem.cost_function().variables}
    assert again.decode(bits).values == model.decode(bits).values
    assert again.problem().to_json() == problem.to_json()


@pytest.mark.slow
@given(
    st.recursive(st.none() | st.integers() | st.text(max_size=3), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_no_document(document):
    with pytest.raises(InvalidValue, match="not the document"):
        Model.from_document(document)


def test_results_of_solve_are_decoded():
    model = Model()
    x = model.bits("x", range(3))
    model.minimize(total(x.values()))
    model.add(total(x.values()) == 2, "two")
    solution = model.decode(qiosk.solve(model.problem(), seed=3))
    assert sum(solution["x"].values()) == 2
    assert solution.value(x[0] + 2 * x[1]) == solution["x"][0] + 2 * solution["x"][1]


def test_mistakes_are_named():
    model = Model()
    x = model.bit("x")
    with pytest.raises(InvalidValue, match="variable `x`: the name is taken"):
        model.bit("x")
    with pytest.raises(WrongType, match="no truth value"):
        bool(0 <= x <= 1)
    with pytest.raises(WrongType, match="must be a comparison"):
        model.add(x)
    with pytest.raises(WrongType, match="can be compared to"):
        _ = x == "one"
    with pytest.raises(InvalidValue, match="another model"):
        Model().minimize(x)
    with pytest.raises(InvalidValue, match="low <= high"):
        model.integer("k", 3, 2)
    with pytest.raises(InvalidValue, match="encoding: must be one of binary"):
        model.integer("k", 0, 2, "roman")
    with pytest.raises(InvalidValue, match="at least one option"):
        model.choice("c", [])
    with pytest.raises(InvalidValue, match="must be finite"):
        model.minimize(x * float("nan"))
    with pytest.raises(InvalidValue, match="greater than 0"):
        model.add(x == 1, weight=0)
    with pytest.raises(InvalidValue, match="exponent"):
        _ = x**-1
    with pytest.raises(MissingValue, match="variable 0 has no value"):
        model.decode({})
    with pytest.raises(MissingValue, match="variable `x`: has no value"):
        model.configuration({})
    with pytest.raises(InvalidValue, match="no variable is called 'y'"):
        model.decode({0: 1})["y"]


def test_the_empty_model():
    solution = Model().decode({})
    assert solution.is_feasible
    assert solution.objective == 0


def test_sums_of_many_expressions_take_no_longer_than_their_terms():
    bits = Model().bits("b", range(50_000))
    for added in (sum(3 * bit for bit in bits.values()), total(3 * bit for bit in bits.values())):
        assert list(added.terms.items()) == [((k,), 3.0) for k in range(50_000)]
    before = 0
    for bit in bits.values():
        before = bit + before
    assert list(before.terms) == [(k,) for k in reversed(range(50_000))]
    again = pickle.loads(pickle.dumps(sum(bits.values())))
    assert again.terms == total(bits.values()).terms


def test_a_sum_does_not_change_when_others_are_made_of_it():
    x, y, z = Model().bits("b", "xyz").values()
    first = x + y
    more, less = first + z, first - y
    assert (first + x).terms == {(0,): 2.0, (1,): 1.0}
    assert (more.terms, less.terms, first.terms) == ({(0,): 1, (1,): 1, (2,): 1}, {(0,): 1}, {(0,): 1, (1,): 1})
    with pytest.raises(InvalidValue, match="must be finite, found inf"):
        _ = (1e308 * x + 1e308 * x).terms
