"""The columnar format gives back every problem, and names what is wrong with an archive."""

from __future__ import annotations

import io
import zipfile

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.errors import InvalidInput, InvalidValue, MissingSection, UnreadableInput, WrongType
from qiosk.formats import columns, registry
from qiosk.formats.files import by_content, by_suffix, job_input
from strategies import cost_function, cost_functions, reals

GOOD = {"format": "qiosk.columns", "version": 1, "type": "pubo", "coefficients": [1, 2], "ids": [0, 1], "degree": 1}


def archive(**members):
    buffer = io.BytesIO()
    np.savez(buffer, **{name: value for name, value in (GOOD | members).items() if value is not None})
    return buffer.getvalue()


def assert_same(a, b):
    assert a.problem_type == b.problem_type
    for member in ("coefficients", "indptr", "ids"):
        np.testing.assert_array_equal(getattr(a, member), getattr(b, member))
        assert getattr(a, member).dtype == getattr(b, member).dtype
    for member in ("coefficients", "indptr", "weights", "ids"):
        np.testing.assert_array_equal(getattr(a.groups, member), getattr(b.groups, member))
    assert a.initial_configuration == b.initial_configuration
    assert a.name == b.name


@pytest.mark.parametrize("compress", [False, True])
@given(problem=cost_functions() | cost_functions(reals))
def test_round_trips(compress, problem):
    assert_same(columns.read(columns.write(problem, compress=compress)), problem)


def test_the_rest_of_a_problem_comes_along():
    from dataclasses import replace

    problem = replace(cost_function("ising", [(0.1, [0, 3])]), initial_configuration={0: -1, 3: 1}, name="named")
    again = columns.read(columns.write(problem))
    assert_same(again, problem)
    assert again.metadata == {"name": "named"}


def test_columns_are_narrow():
    many = cost_function("ising", [(1.0, [i, i + 1]) for i in range(1000)])
    assert len(columns.write(many)) < 1000 * 5 + 2000


def test_jobs_and_files_know_it():
    data = columns.write(cost_function("pubo", [(1.0, [0])]))
    assert registry.read(data, "Qiosk.Columns.v1").variables.tolist() == [0]
    assert by_content(data) is by_suffix("a.npz")
    assert job_input("a.npz", data) == (data, columns.NAME, "columns", "")
    written, form, *_ = job_input("a.rud", b"2 1\n1 2 1\n")
    assert form == columns.NAME
    assert columns.read(written).variables.tolist() == [0, 1]


@pytest.mark.parametrize(
    ("members", "error", "message"),
    [
        ({"format": "other"}, InvalidValue, "`format` must be 'qiosk.columns'"),
        ({"version": 2}, InvalidValue, "`version` must be 1, found 2"),
        ({"type": "qubo"}, InvalidValue, "`type` must be one of"),
        ({"coefficients": None}, MissingSection, "`coefficients` is missing"),
        ({"coefficients": ["a", "b"]}, WrongType, "`coefficients` must be integers or floats"),
        ({"coefficients": [[1, 2]]}, WrongType, "must have 1 dimensions, found 2"),
        ({"ids": [0.5, 1]}, WrongType, "`ids` must be integers"),
        ({"ids": [0, -1]}, InvalidValue, "negative"),
        ({"ids": [0, 1, 2]}, InvalidValue, "do not fit 3 ids"),
        ({"ids": np.array([0, 2**63], np.uint64)}, InvalidValue, "at most 2"),
        ({"degree": None}, MissingSection, "`indptr` is missing"),
        ({"degree": None, "indptr": [0, 2, 1]}, InvalidValue, "`indptr` must be 3 values that rise from 0 to 2"),
        ({"coefficients": [1, np.nan]}, InvalidInput, "term 1"),
        ({"metadata": "{"}, UnreadableInput, "`metadata` must be JSON"),
        ({"metadata": "[]"}, WrongType, "`metadata` must be an object"),
        ({"initial_ids": [0], "initial_values": [0, 1]}, InvalidValue, "`initial_values` must be 1, found 2"),
        ({"coefficients": np.array([None, 1])}, UnreadableInput, "coefficients.npy"),
    ],
)
def test_what_is_wrong_is_named(members, error, message):
    with pytest.raises(error, match=message):
        columns.read(archive(**members))


def test_archives_that_promise_too_much():
    with pytest.raises(UnreadableInput, match="more than the limit"):
        columns.read(archive(coefficients=np.zeros(10**5)), max_size=10**5)
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": "<f8", "fortran_order": False, "shape": (10**12,)})
    bomb = io.BytesIO()
    with zipfile.ZipFile(bomb, "w") as file:
        file.writestr("coefficients.npy", header.getvalue())
    with pytest.raises(UnreadableInput, match="longer in its header"):
        columns.read(bomb.getvalue())


SAMPLE = archive(metadata='{"name": "x"}')


@given(st.data())
def test_broken_archives_give_errors_only(data):
    at = data.draw(st.integers(0, len(SAMPLE)))
    broken = SAMPLE[:at] + data.draw(st.binary(max_size=8)) + SAMPLE[at + data.draw(st.integers(0, 8)) :]
    try:
        problem = columns.read(broken)
    except InvalidInput:
        return
    assert len(problem.coefficients) == 2
