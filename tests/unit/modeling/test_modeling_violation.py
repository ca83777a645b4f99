"""Conditions that need not hold: their violations, as expressions that an objective prices."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qiosk.errors import InvalidValue, WrongType
from qiosk.modeling import Model, Status, total


@given(
    st.lists(st.sampled_from([-2.5, -1.0, 0.5, 1.0, 3.0]), min_size=1, max_size=3),
    st.sampled_from([-1.25, 0.0, 0.5, 2.0, 9.0]),
    st.sampled_from(["<=", ">=", "=="]),
)
@settings(max_examples=40, deadline=None)
def test_the_least_violation_is_that_of_the_condition(coefficients, bound, sense):
    model = Model()
    bits = model.bits("x", range(len(coefficients)))
    left = total(c * bit for c, bit in zip(coefficients, bits.values(), strict=True))
    condition = {"<=": left <= bound, ">=": left >= bound, "==": left == bound}[sense]
    violation = model.violation(condition, "gap")
    extra = [name for name in model.variables if name.startswith("gap")]
    encoded = [bit for name in extra for bit in model.variables[name].bits]
    for number in range(2 ** len(coefficients)):
        given = {k: number >> k & 1 for k in range(len(coefficients))}
        least = min(
            violation.value(given | chosen)
            for chosen in ({b: m >> k & 1 for k, b in enumerate(encoded)} for m in range(2 ** len(encoded)))
            if model.decode(given | chosen).is_feasible
        )
        assert least == condition.violation(given)


def test_a_soft_constraint_gives_way_to_a_better_objective():
    model = Model()
    hours = model.integer("hours", 0, 6)
    late = model.violation(hours == 3, "late")
    model.maximize(2 * hours - late**2)
    answer = model.solve(seed=1)
    assert (answer["hours"], answer.objective, answer.status) == (4, 7.0, Status.OPTIMAL)
    assert answer.value(late) == 1


def test_what_has_no_violation_is_refused():
    model = Model()
    x = model.bit("x")
    with pytest.raises(WrongType, match="violation: must be of a comparison"):
        model.violation(x, "gap")
    with pytest.raises(InvalidValue, match="constraint `gap`: coefficients must be multiples"):
        model.violation(2**0.5 * x + model.bit("y") <= 1, "gap")
    with pytest.raises(InvalidValue, match="variables of another model"):
        Model().violation(x <= 0, "gap")
