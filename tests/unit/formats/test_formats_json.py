from __future__ import annotations

import gzip
import json
import zlib

import numpy.testing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qiosk.errors import (
    InvalidInitialConfiguration,
    InvalidInput,
    InvalidValue,
    MissingSection,
    RepeatedVariable,
    UnreadableInput,
    WrongType,
)
from qiosk.formats import registry
from qiosk.formats.qio import json_codec as qio_json
from qiosk.model.cost_function import CostFunction, ProblemType
from strategies import cost_function, cost_functions

SHIP = {
    "metadata": {"name": "ship"},
    "cost_function": {
        "version": "1.1",
        "type": "ising_grouped",
        "terms": [{"c": 35, "ids": [0, 1]}, {"c": 2.5, "ids": []}],
        "terms_slc": [{"c": 1, "terms": [{"c": 2, "ids": [0]}, {"c": -1, "ids": []}]}],
        "initial_configuration": {"0": 1, "1": -1},
    },
}


def document(**members) -> bytes:
    return json.dumps({"cost_function": {"version": "1.0", "type": "ising", "terms": []} | members}).encode()


def assert_same(a: CostFunction, b: CostFunction) -> None:
    assert (a.problem_type, a.name, a.initial_configuration) == (b.problem_type, b.name, b.initial_configuration)
    for name in ("coefficients", "indptr", "ids"):
        npt.assert_array_equal(getattr(a, name), getattr(b, name))
    for name in ("coefficients", "indptr", "weights", "ids"):
        npt.assert_array_equal(getattr(a.groups, name), getattr(b.groups, name))


@given(cost_functions(coefficients=st.floats(allow_nan=False, allow_infinity=False)), st.text(max_size=9))
def test_reading_what_was_written_gives_the_same_cost_function(cf: CostFunction, name: str) -> None:
    values = dict.fromkeys(cf.variables.tolist(), 1) or None
    cf = CostFunction(cf.problem_type, cf.coefficients, cf.indptr, cf.ids, cf.groups, values, name)
    text = qio_json.write(cf)
    assert_same(qio_json.read(text), cf)
    assert_same(registry.read(gzip.compress(text)), cf)
    assert json.loads(text)["cost_function"]["version"] == ("1.0" if values is None else "1.1")


def test_document_is_written_as_the_json_module_writes_it() -> None:
    text = json.dumps(SHIP)
    assert qio_json.write(qio_json.read(text.encode())).decode() == text


def test_integral_coefficients_are_written_as_integers_and_others_round_trip() -> None:
    cf = cost_function("pubo", [(3.0, [1]), (0.1, [2, 2]), (-0.0, []), (2.0**60, []), (1e-320, [])])
    terms = json.loads(qio_json.write(cf))["cost_function"]["terms"]
    assert [t["c"] for t in terms] == [3, 0.1, 0, 2.0**60, 1e-320]
    assert isinstance(terms[0]["c"], int)
    assert terms[1]["ids"] == [2, 2]


def test_terms_may_be_absent_beside_groups_and_unknown_members_are_ignored() -> None:
    text = (
        b'\t{"x": [{}], "cost_function": {"terms_slc": [{"terms": [], "c": 1e0, "y": null}], "type": "pubo",'
        b' "version": "1.0", "z": {"terms": 1}}}\n'
    )
    cf = qio_json.read(text)
    assert (len(cf.coefficients), len(cf.groups), cf.problem_type) == (0, 1, ProblemType.pubo)


def test_the_last_of_repeated_members_counts() -> None:
    cf = qio_json.read(
        b'{"cost_function": {"version": "9", "version": "1.0", "type": "pubo", "terms": "x",'
        b' "terms": [{"c": 1, "ids": [1], "c": 2, "ids": [3, 4]}]}}'
    )
    assert (cf.coefficients.tolist(), cf.ids.tolist()) == ([2.0], [3, 4])


T = [{"c": 1, "ids": [0]}]


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        (b"", UnreadableInput, "json: "),
        (b"{", UnreadableInput, "json: "),
        (b'\xef\xbb\xbf{"a": 1}', UnreadableInput, "json: "),
        (b'{"a": "\xff"}', UnreadableInput, "json: "),
        (b'{"cost_function": NaN}', UnreadableInput, "json: "),
        (b"[" * 100_000, UnreadableInput, "nested too deeply"),
        (b'{"cost_function": {"terms":[]}, initial_configuration{"0":1}}', UnreadableInput, "json: "),
        (b"[]", WrongType, "the document must be an object, found an array"),
        (b"{}", MissingSection, "`cost_function` is missing"),
        (b'{"cost_function": null}', WrongType, "`cost_function` must be an object, found null"),
        (b'{"cost_function": {"type": 1, "terms": 1}}', MissingSection, "`version` is missing"),
        (b'{"cost_function": {"version": 1, "terms": 1}}', MissingSection, "`type` is missing"),
        (b'{"cost_function": {"version": 1, "type": 1}}', MissingSection, "`terms` is missing"),
        (document(version=1.0), WrongType, "`version` must be a string, found a float"),
        (document(version="2.0"), InvalidValue, "`version` must be one of 1.0, 1.1, found '2.0'"),
        (document(type=True), WrongType, "`type` must be a string, found a boolean"),
        (document(type="maxsat"), InvalidValue, "`type` must be one of pubo, ising, .*, found 'maxsat'"),
        (document(terms={}), WrongType, "`terms` must be an array, found an object"),
        (document(terms=[*T, 3]), WrongType, "term 1: must be an object, found an integer"),
        (document(terms=[{"ids": "x"}]), MissingSection, "term 0: `c` is missing"),
        (document(terms=[{"c": "x"}]), MissingSection, "term 0: `ids` is missing"),
        (
            document(terms=[*T, *T, *T, {"c": "1", "ids": []}]),
            WrongType,
            "term 3: `c` must be a number, found a string",
        ),
        (document(terms=[{"c": None, "ids": []}]), WrongType, "`c` must be a number, found null"),
        (document(terms=[{"c": True, "ids": []}]), WrongType, "`c` must be a number, found a boolean"),
        (document(terms=[{"c": 1, "ids": "0"}]), WrongType, "term 0: `ids` must be an array, found a string"),
        (document(terms=[{"c": 1, "ids": ["0"]}]), WrongType, "term 0: `ids` must be integers, found a string"),
        (document(terms=[{"c": 1, "ids": [1.0]}]), WrongType, "`ids` must be integers, found a float"),
        (document(terms=[{"c": 1, "ids": [True]}]), WrongType, "`ids` must be integers, found a boolean"),
        (document(terms=[{"c": 1, "ids": [2, -3]}]), InvalidValue, "term 0: variable id -3 is negative"),
        (document(terms=[{"c": 1, "ids": [2**63]}]), InvalidValue, "variable id 9223372036854775808 is greater"),
        (document(terms=[{"c": 10**309, "ids": []}]), InvalidValue, "term 0: .* beyond the range of float64"),
        (document(terms=[*T, {"c": 1, "ids": [5, 2, 5]}]), RepeatedVariable, "term 1: variable 5 occurs twice"),
        (document(terms_slc=[1]), WrongType, "group 0: must be an object, found an integer"),
        (document(terms_slc=[{"c": 1}]), MissingSection, "group 0: `terms` is missing"),
        (document(terms_slc=[{"terms": []}]), MissingSection, "group 0: `c` is missing"),
        (document(terms_slc=[{"c": 1, "terms": 1}]), WrongType, "group 0: `terms` must be an array"),
        (
            document(terms_slc=[{"c": 1, "terms": [*T, {"c": 1, "ids": [1, 2]}]}]),
            InvalidValue,
            "group 0, member 1: at most one id is allowed, found 2",
        ),
        (document(terms_slc=[{"c": 1, "terms": T * 2}]), RepeatedVariable, "group 0: variable 0 occurs twice"),
        (document(terms_slc=[{"c": 1, "terms": [{"c": 1, "ids": [-9223372036854775808]}]}]), InvalidValue, "negative"),
        (document(initial_configuration=[]), WrongType, "`initial_configuration` must be an object"),
        (document(terms=T, initial_configuration={}), InvalidInitialConfiguration, "variable 0 has no value"),
        (
            document(terms=T, initial_configuration={"0": 1, "7": 1}),
            InvalidInitialConfiguration,
            "variable 7 is not in the problem",
        ),
        (
            document(terms=T, initial_configuration={"0": 0}),
            InvalidInitialConfiguration,
            "variable 0 must be -1 or 1, found 0",
        ),
        (
            document(terms=T, initial_configuration={" 0": 1}),
            InvalidInitialConfiguration,
            "' 0' is not a variable id",
        ),
        (document(terms=T, initial_configuration={"0": "1"}), WrongType, "variable 0 must be an integer"),
        (b'{"metadata": 1, "cost_function": {"version": "1.0", "type": "pubo", "terms": []}}', WrongType, "`metadata`"),
    ],
)
def test_what_is_wrong_is_named(text: bytes, error: type[InvalidInput], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        qio_json.read(text)
    assert type(caught.value) is error


def test_gzip_of_several_members_and_zero_padding_is_read() -> None:
    text = document(terms=T)
    assert registry.read(gzip.compress(text[:9]) + gzip.compress(text[9:]) + b"\0" * 9).ids.tolist() == [0]


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (gzip.compress(b"{}", mtime=0)[:-3], "gzip: the stream ends too early"),
        (gzip.compress(b"{}", mtime=0) + b"x", "gzip: there are bytes after the end of the stream"),
        (b"\x1f\x8b\x07\x00", "gzip: Error"),
        (gzip.compress(b" " * 1001, mtime=0), "gzip: the content is larger than the limit of 1000 bytes"),
        (gzip.compress(b" " * 900, mtime=0) + gzip.compress(b" " * 900, mtime=0), "larger than the limit"),
    ],
)
def test_broken_and_oversized_gzip_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(UnreadableInput, match=message):
        registry.read(data, max_size=1000)


def test_a_zip_bomb_stops_at_the_limit() -> None:
    stream = zlib.compressobj(9, wbits=31)
    bomb = b"".join(stream.compress(bytes(1 << 20)) for _ in range(200)) + stream.flush()
    with pytest.raises(UnreadableInput, match="larger than the limit"):
        registry.read(bomb, max_size=1 << 16)


def test_registry_finds_the_reader_in_any_case_and_refuses_the_rest() -> None:
    assert registry.read(gzip.compress(document(terms=T)), "Microsoft.QIO.V2").ids.tolist() == [0]
    with pytest.raises(
        UnreadableInput, match="input format must be one of microsoft.qio.v2, qiosk.columns.v1, found 'x'"
    ):
        registry.read(document(), "x")


@given(st.binary(max_size=200))
def test_arbitrary_bytes_raise_nothing_but_invalid_input(data: bytes) -> None:
    for prefix in (b"", b"\x1f\x8b", b"\x1f\x8b\x08\x00"):
        try:
            registry.read(prefix + data)
        except InvalidInput:
            continue


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["c", "ids", "0", "terms"]), inner),
    max_leaves=5,
)


@settings(max_examples=300)
@given(st.data())
def test_documents_with_a_part_replaced_raise_nothing_but_invalid_input(data: st.DataObject) -> None:
    text = json.loads(json.dumps(SHIP))
    at = text
    while True:
        keys = list(at) if isinstance(at, dict) else list(range(len(at)))
        key = data.draw(st.sampled_from(keys))
        if not at[key] or not isinstance(at[key], dict | list) or data.draw(st.booleans()):
            break
        at = at[key]
    if data.draw(st.booleans()):
        del at[key]
    else:
        at[key] = data.draw(JSON_VALUES)
    try:
        cf = qio_json.read(json.dumps(text).encode())
    except InvalidInput as e:
        assert e.azq is not None
        assert e.message[0].islower() or e.message[0] == "`"
    else:
        assert_same(qio_json.read(qio_json.write(cf)), cf)
