"""Automatic weights: heavy enough that the best configuration keeps all constraints, and not much heavier."""

from __future__ import annotations

import itertools
import math
import random
from collections import Counter
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import qiosk
from qiosk.errors import InvalidValue
from qiosk.modeling import Model, Status, total
from qiosk.modeling.expression import Condition, Expression, Sense
from qiosk.modeling.penalties.weights import _Terms, automatic_weight
from qiosk.modeling.rows import row_of
from random_models import models

pytestmark = pytest.mark.slow

RANGES = [(0, 9), (-9, 0), (-9, 9)]


def best_of(model):
    """The decoded solution of least cost among all configurations."""
    return model.decode(qiosk.solve(model.problem()))


def least(model, names):
    """The best objective of all choices that keep the constraints; None if none does."""
    options = [model.variables[name].options for name in names]
    encoded = (model.configuration(dict(zip(names, some, strict=True))) for some in itertools.product(*options))
    return min((s.objective for bits in encoded if (s := model.decode(bits)).is_feasible), default=None)


def placed(rnd, numbers):
    """Three choices among three places, with random costs of each and of every pair."""
    model = Model()
    at = model.choices("at", range(3), range(3))
    bits = [(i, a) for i in range(3) for a in range(3)]
    alone = total(rnd.randint(*numbers) * at[i][a] for i, a in bits)
    pairs = [(x, y) for x, y in itertools.combinations(bits, 2) if x[0] != y[0]]
    model.minimize(alone + total(rnd.randint(*numbers) * at[i][a] * at[j][b] for (i, a), (j, b) in pairs))
    return model, at


def permuted(model, at, rnd):
    for place in range(3):
        model.add(total(choice[place] for choice in at.values()) == 1)


def forbidden(model, at, rnd):
    i, j = rnd.sample(range(3), 2)
    model.add(at[i][rnd.randrange(3)] == 0)
    model.add(at[i][0] + at[j][rnd.randrange(3)] <= 1)


def free(model, at, rnd):
    """No constraint but those of the choices."""


@pytest.mark.parametrize("numbers", RANGES, ids=str)
@pytest.mark.parametrize("constrain", [free, permuted, forbidden], ids=lambda f: f.__name__)
@given(seed=st.integers(0, 10**9))
def test_the_best_of_three_choices_is_found_whatever_the_weights_are_at_first(constrain, numbers, seed):
    rnd = random.Random(seed)
    model, at = placed(rnd, numbers)
    constrain(model, at, rnd)
    found = model.solve()
    best = least(model, [f"at[{i}]" for i in range(3)])
    assert found.status is (Status.INFEASIBLE if best is None else Status.OPTIMAL)
    assert found.objective == best or best is None


@given(
    st.lists(st.tuples(st.integers(1, 30), st.integers(1, 9)), min_size=1, max_size=7),
    st.integers(1, 20),
    st.booleans(),
)
def test_knapsacks_are_never_overfull(things, room, is_real):
    model = Model()
    take = [model.bit(f"take{i}") for i in range(len(things))]
    unit = 0.01 if is_real else 1
    model.maximize(total(value * unit * bit for (value, _), bit in zip(things, take, strict=True)))
    model.add(total(size * unit * bit for (_, size), bit in zip(things, take, strict=True)) <= room * unit, "room")
    found = best_of(model)
    assert found.is_feasible
    best = max(
        sum(value * x for (value, _), x in zip(things, some, strict=True))
        for some in itertools.product((0, 1), repeat=len(things))
        if sum(size * x for (_, size), x in zip(things, some, strict=True)) <= room
    )
    assert found.objective == pytest.approx(best * unit)


def test_a_forced_choice_is_taken_though_the_other_is_far_better():
    model = Model()
    pick = model.choice("pick", ["dear", "cheap"])
    model.minimize(pick.of({"dear": 10, "cheap": -10}))
    model.add(pick["cheap"] == 0, "sold out")
    assert best_of(model)["pick"] == "dear"


def test_a_tour_weighs_little_more_than_its_longest_leg():
    rng = np.random.default_rng(1)
    places = rng.uniform(0, 100, (8, 2)).tolist()
    model = Model()
    at = model.choices("at", range(8), range(8))
    for city in range(8):
        model.add(total(stop[city] for stop in at.values()) == 1)
    longest = max(math.dist(a, b) for a in places for b in places)
    model.minimize(
        total(
            math.dist(places[a], places[b]) * at[i][a] * at[(i + 1) % 8][b]
            for i in range(8)
            for a in range(8)
            for b in range(8)
        )
    )
    weight = automatic_weight(model.objective, map(model._exact_row, model.constraints))
    assert longest < weight < 1.5 * longest


def plain_gains(terms, home, factor):
    """The same by a sum over all terms of each bit."""
    found = {}
    for bit in {bit for bits in terms for bit in bits}:
        own = {bits: c for bits, c in terms.items() if bit in bits and c > 0}
        by_other = Counter()
        for bits, c in own.items():
            by_other[next((k for k in bits if k != bit), None)] += c
        largest = {}
        for other, c in by_other.items():
            group = home.get(other, ("none", other))
            largest[group] = max(largest.get(group, 0), c)
        if own:
            found[bit] = min(sum(own.values()), factor * sum(largest.values()))
    return found


@given(
    st.dictionaries(st.sets(st.integers(0, 7), max_size=4).map(lambda some: tuple(sorted(some))), st.integers(-9, 9)),
    st.dictionaries(st.integers(0, 9), st.integers(0, 2)),
)
def test_gains_are_those_of_a_sum_over_all_terms(terms, home):
    terms = {bits: float(c) for bits, c in terms.items() if c}
    whole = _Terms.of(Expression(terms), home)
    for sign, factor in itertools.product([1.0, -1.0], [1.0, 1.5]):
        signed = {bits: sign * c for bits, c in terms.items()}
        assert whole.gains(sign, factor) == plain_gains(signed, home, factor)


def test_common_factors_are_divided_out():
    model = Model()
    x = model.bits("x", range(3))
    model.maximize(total(x.values()))
    model.add(6 * x[0] + 9 * x[1] + 12 * x[2] <= 23, "room")  # 2, 3 and 4 of at most 7: three bits of slack
    assert len(model.problem().cost_function().variables) == 6
    assert best_of(model).objective == 2
    model.add(4 * x[0] - 2 * x[1] == 3, "odd")
    with pytest.raises(InvalidValue, match="constraint `odd`: can never hold, its values are multiples of 2"):
        model.problem()


def test_negative_coefficients_and_bounds():
    model = Model()
    k = model.integer("k", -5, 5)
    x = model.bit("x")
    model.minimize(k + 3 * x)
    model.add(-2 * k - 4 * x <= 3, "floor")
    model.add(k >= -4.5, "fraction")
    found = best_of(model)
    assert (found["k"], found["x"]) in {(-1, 0), (-3, 1)}
    assert found.objective == -1


@given(models())
def test_sums_of_bits_compared_to_one_become_the_same_terms_as_any_other_row(model):
    x = [f"y{k}" for k in range(3)]
    bits = [model.bit(name) for name in x]
    for some in ([0, 1], [2, 1], [0, 1, 2], [2]):
        model.add(total(bits[k] for k in some) <= 1)
    model.add(total(bits) == 1)
    try:
        direct = model.problem().cost_function()
    except InvalidValue:
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("qiosk.modeling.penalties.assembly.Assembly._is_plain", lambda self, row, weight: False)
        general = model.problem().cost_function()
    for name in ("coefficients", "indptr", "ids"):
        np.testing.assert_array_equal(getattr(direct, name), getattr(general, name))


@given(st.lists(st.tuples(st.integers(0, 9), st.sampled_from([1.0, -1.0, 2.0, 0.5])), max_size=5), st.integers(-1, 2))
def test_whole_rows_are_what_fractions_make_of_them(terms, bound):
    for sense in Sense:
        condition = Condition(Expression({(bit,): c for bit, c in terms}), sense, float(bound))
        row = row_of(condition)
        assert Fraction(bound) / row.unit >= row.bound if sense is Sense.AT_MOST else row.bound is not None
        assert {bits: float(c * row.unit) for bits, c in row.terms.items()} == condition.expression.terms
        is_sum = bool(row.terms) and set(row.terms.values()) == {1}
        assert row.is_one_of == (is_sum and row.bound == 1)
