from __future__ import annotations

import json

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.errors import InvalidInput, InvalidValue, MissingSection, UnreadableInput, WrongType
from qiosk.formats.qio import results as qio_results

IDS = np.array([0, 2, 10, 100])


def test_document_has_the_members_of_the_format_in_numeric_order() -> None:
    best = (IDS, np.array([1, -1, 1, 1], np.int8), -17)
    other = (IDS, np.array([1, 1, 1, 1], np.int8), -2.5)
    parameters = {"beta_start": np.float64(0.1), "all_betas": np.array([1.0, 2.0]), "seed": 22}
    text = qio_results.encode([best, other], parameters, {"trace": [[0.5, 3]]}).decode()
    assert text.startswith('{"version": "1.0", "configuration": {"0": 1, "2": -1, "10": 1, "100": 1}, "cost": -17.0,')
    document = json.loads(text)
    assert list(document) == ["version", "configuration", "cost", "parameters", "solutions", "trace"]
    assert document["parameters"] == {"beta_start": 0.1, "all_betas": [1.0, 2.0], "seed": 22}
    assert [s["cost"] for s in document["solutions"]] == [-17.0, -2.5]
    assert document["solutions"][0]["configuration"] == document["configuration"]
    assert all(type(v) is int for v in document["configuration"].values())


@given(
    st.lists(st.integers(0, 10**18 - 1), unique=True).map(sorted),
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=3),
    st.randoms(use_true_random=False),
)
def test_decoding_gives_back_what_was_encoded(ids, costs, random) -> None:
    variables = np.array(ids, np.int64)
    solutions = [(variables, np.array([random.choice([-1, 1]) for _ in ids], np.int8), c) for c in costs]
    decoded = qio_results.decode(qio_results.encode(solutions, {"seed": 1}, {"statistics": {"sweeps": 3}}))
    for (i, x, c), (j, y, d) in zip(solutions, decoded.solutions, strict=True):
        npt.assert_array_equal(i, j)
        npt.assert_array_equal(x, y)
        assert c == d
    assert (decoded.parameters, decoded.extra) == ({"seed": 1}, {"statistics": {"sweeps": 3}})


@pytest.mark.parametrize(
    ("solutions", "extra", "message"),
    [
        ([], None, "at least one solution"),
        ([(IDS, np.ones(3, np.int8), 1.0)], None, "3 values for 4 variables"),
        ([(IDS[::-1], np.ones(4, np.int8), 1.0)], None, "in ascending order"),
        ([(IDS, np.ones(4, np.int8), float("inf"))], None, "must be finite, found inf"),
        ([(IDS, np.ones(4, np.int8), 1.0)], {"cost": 1}, "extra member `cost` is one of the format's own"),
    ],
)
def test_results_that_cannot_be_written_are_refused(solutions, extra, message) -> None:
    with pytest.raises(InvalidValue, match=message):
        qio_results.encode(solutions, {}, extra)


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (b"{", UnreadableInput, "json"),
        (b"3", WrongType, "the results must be an object, found an integer"),
        (b"{}", MissingSection, "`solutions` is missing"),
        (b'{"solutions": 1}', WrongType, "`solutions` must be an array"),
        (b'{"solutions": [1]}', WrongType, "solution 0: must be an object"),
        (b'{"solutions": [{"cost": 1}]}', MissingSection, "solution 0: `configuration` is missing"),
        (b'{"solutions": [{"configuration": {"0": "x"}, "cost": 1}]}', WrongType, "values must be integers"),
        (b'{"solutions": [{"configuration": {"0": 2}, "cost": 1}]}', InvalidValue, "must be -1, 0 or 1, found 2"),
        (b'{"solutions": [{"configuration": {"a": 1}, "cost": 1}]}', InvalidValue, "'a' is not a variable id"),
        (b'{"solutions": [{"configuration": {}, "cost": "1"}]}', WrongType, "`cost` must be a number"),
        (b'{"solutions": [], "parameters": []}', WrongType, "`parameters` must be an object"),
    ],
)
def test_what_is_wrong_with_results_is_named(text: bytes, error: type[InvalidInput], message: str) -> None:
    with pytest.raises(error, match=message):
        qio_results.decode(text)


@given(st.binary(max_size=100))
def test_arbitrary_bytes_raise_nothing_but_invalid_input(data: bytes) -> None:
    for prefix in (b"", b'{"solutions": [{"cost": 1, "configuration": '):
        try:
            qio_results.decode(prefix + data)
        except InvalidInput:
            continue
