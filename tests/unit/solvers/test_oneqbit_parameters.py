"""Parameters as 1QBit's clients send them: flat, and every value a string."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.errors import InvalidValue, MissingSection
from qiosk.model.compile import compile_problem
from qiosk.solvers.targets.oneqbit_parameters import from_strings, require_quadratic, string_section, timeout_from_ms
from strategies import cost_function

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False)


@given(st.dictionaries(st.text(), scalars | st.lists(scalars)))
def test_what_python_writes_is_read_back(values):
    found = from_strings({name: str(value) for name, value in values.items()})
    assert found == values
    assert [type(v) for v in found.values()] == [type(v) for v in values.values()]


@pytest.mark.parametrize(
    ("text", "value"),
    [("OPTIMIZE", "OPTIMIZE"), ("", ""), (" 3 ", 3), ("true", True), ("(0.2, 1,)", [0.2, 1]), ("[", "[")],
)
def test_other_spellings(text, value):
    assert from_strings({"x": text}) == {"x": value}


@given(st.text())
def test_any_string_is_read_or_left_as_it_is(text):
    value = from_strings({"x": text})["x"]
    assert value is None or isinstance(value, (bool, int, float, str, list))


def test_numbers_out_of_range_stay_visible():
    assert from_strings({"x": "1e999"})["x"] == math.inf
    assert math.isnan(from_strings({"x": "nan"})["x"])


def test_typed_values_pass_and_nothing_is_an_empty_object():
    assert string_section({"seed": "7", "distance_scale": 0.3}) == {"seed": 7, "distance_scale": 0.3}
    assert string_section(None) == {}
    with pytest.raises(MissingSection, match="input parameters: must be an object, found list"):
        string_section([1])


def test_time_limits_are_milliseconds_and_zero_is_none():
    assert timeout_from_ms({"timeout": 1500.0}) == 1.5
    assert timeout_from_ms({"timeout": 0.0}) is None


def test_terms_of_three_variables_are_refused_and_groups_are_not():
    require_quadratic(compile_problem(cost_function("ising_grouped", [(1.0, [0, 1])], [(1.0, [(1.0, 2)])])), "t")
    with pytest.raises(InvalidValue, match="AZQ107: target t: terms may have at most 2 variables, found one of 4"):
        require_quadratic(compile_problem(cost_function("ising", [(1.0, [0, 1, 2, 5])])), "t")
