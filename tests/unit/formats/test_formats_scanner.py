from __future__ import annotations

import json
import re
import subprocess
import sys

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from qiosk.errors import InvalidInput
from qiosk.formats.qio import json_codec as qio_json
from qiosk.formats.qio import scanner
from qiosk.formats.qio.document import cost_function_from
from qiosk.kernels import compiler
from qiosk.kernels.scan import json_terms as qio_scan
from qiosk.model.cost_function import CostFunction
from strategies import cost_functions

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not compiler.jit_enabled(), reason="nothing is scanned without compiled kernels"),
]


def general(data: bytes) -> CostFunction:
    return cost_function_from(qio_json.parse_json(data))


def outcome(read, data: bytes):
    try:
        cf = read(data)
    except InvalidInput as e:
        return type(e), e.message
    return cf and (
        cf.problem_type,
        cf.name,
        cf.initial_configuration,
        [a.tobytes() for a in (cf.coefficients, cf.indptr, cf.ids)],
        [a.tobytes() for a in (cf.groups.coefficients, cf.groups.indptr, cf.groups.weights, cf.groups.ids)],
    )


def assert_agrees(data: bytes) -> bool:
    """The scanner gives what the general way gives, or passes; whether it did not pass."""
    scanned = outcome(scanner.read, data)
    assert scanned is None or scanned == outcome(general, data)
    return scanned is not None


def document(terms: str, more: str = "") -> bytes:
    return f'{{"cost_function": {{"version": "1.0", "type": "pubo", "terms": {terms}{more}}}}}'.encode()


SPACE = st.text(" \t\r\n", max_size=2)
DIGITS = st.one_of(st.integers(0, 99), st.integers(0, 2**64), st.integers(0, 10**30)).map(str)


@st.composite
def numbers(draw: st.DrawFn) -> str:
    if draw(st.booleans()):
        return repr(draw(st.floats(allow_nan=False, allow_infinity=False)))
    text = draw(st.sampled_from(["", "-"])) + draw(DIGITS)
    if draw(st.booleans()):
        text += "." + "0" * draw(st.integers(0, 25)) + draw(DIGITS)
    if draw(st.booleans()):
        text += draw(st.sampled_from(["e", "E"])) + draw(st.sampled_from(["", "+", "-"]))
        text += "0" * draw(st.integers(0, 2)) + str(draw(st.integers(0, 340)))
    return text


@st.composite
def documents(draw: st.DrawFn) -> bytes:
    """Valid documents in odd layouts."""
    space = lambda: draw(SPACE)  # noqa: E731
    terms = []
    for _ in range(draw(st.integers(0, 4))):
        ids = draw(st.lists(st.integers(0, 10) | st.integers(0, 2**63 - 1), max_size=4))
        inner = f",{space()}".join(f"{space()}{i}{space()}" for i in ids)
        members = [
            f'{space()}"c"{space()}:{space()}{draw(numbers())}{space()}',
            f'{space()}"ids"{space()}:{space()}[{space()}{inner}]{space()}',
        ]
        if draw(st.booleans()):
            members.reverse()
        terms.append(f"{{{','.join(members)}}}{space()}")
    more = draw(st.sampled_from(["", ', "terms_slc": []', ', "x": {"terms": [1]}', ', "terms": []']))
    return document(f"{space()}[{space()}{(',' + space()).join(terms)}]{space()}", more)


@settings(max_examples=300, deadline=None)
@given(documents())
@example(document('[{"c":-0,"ids":[]},{"c":-0.0,"ids":[]},{"c":0e5,"ids":[0]}]'))
@example(document('[{"c":9007199254740993,"ids":[]},{"c":9007199254740992.5,"ids":[1]}]'))
@example(document('[{"c":1e22,"ids":[]},{"c":1e23,"ids":[]},{"c":8.5e-23,"ids":[]},{"c":5e-324,"ids":[]}]'))
@example(document('[{"c":1.7976931348623157e308,"ids":[]},{"c":2.2250738585072011e-308,"ids":[]}]'))
@example(document('[{"c":0.000000000000000000000000000000123456789012345678,"ids":[]}]'))
def test_scanner_and_general_way_agree_on_valid_documents(data: bytes) -> None:
    scanned = assert_agrees(data)
    # Passing is for what is out of the ordinary: ids of 19 digits, numbers out of range, terms given twice.
    text = data.decode()
    if not re.search(r"\d{19}|e\+?\d{3}", text, re.I) and text.count('"terms"') == 1:
        assert scanned


@settings(max_examples=500, deadline=None)
@given(documents(), st.data())
def test_scanner_and_general_way_agree_on_damaged_documents(data: bytes, draw: st.DataObject) -> None:
    damaged = bytearray(data)
    for _ in range(draw.draw(st.integers(1, 3))):
        at = draw.draw(st.integers(0, len(damaged) - 1))
        change = draw.draw(st.sampled_from(["replace", "delete", "insert", "cut"]))
        byte = draw.draw(st.sampled_from(b'0123456789.-+eE,:[]{}" \\nctrueids\x00\xff'))
        if change == "replace":
            damaged[at] = byte
        elif change == "delete" and len(damaged) > 1:
            del damaged[at]
        elif change == "insert":
            damaged.insert(at, byte)
        elif at:
            del damaged[at:]
    assert_agrees(bytes(damaged))


@settings(deadline=None)
@given(cost_functions(coefficients=st.floats(allow_nan=False, allow_infinity=False, allow_subnormal=False)))
def test_scanner_reads_whatever_is_written(cf: CostFunction) -> None:
    data = qio_json.write(cf)
    if 2**63 - 1 not in cf.variables:
        assert assert_agrees(data)


@pytest.mark.parametrize(
    "terms",
    [
        '[{"c":1,"ids":[1],"c":2}]',
        '[{"c":1}]',
        '[{"ids":[1]}]',
        '[{"c":1,"ids":[1],}]',
        '[{"c":1,"ids":[1]},]',
        '[{"c":1,"ids":[1,]}]',
        '[{"c":1,"ids":[01]}]',
        '[{"c":1,"ids":[-1]}]',
        '[{"c":1,"ids":[1.0]}]',
        '[{"c":01,"ids":[]}]',
        '[{"c":1.,"ids":[]}]',
        '[{"c":.5,"ids":[]}]',
        '[{"c":1e,"ids":[]}]',
        '[{"c":+1,"ids":[]}]',
        '[{"c":NaN,"ids":[]}]',
        '[{"c":1e400,"ids":[]}]',
        '[{"c":null,"ids":[]}]',
        '[{"c":"1","ids":[]}]',
        '[{"c":1,"ids":"0"}]',
        '[{"c":1,"ids":[],"x":{"y":[1,{}]}}]',
        '[{"\\u0063":1,"ids":[]}]',
        '[{"c":1,"ids":[]} {"c":1,"ids":[]}]',
        "[{}]",
        "[1]",
        '[{"c":1,"ids":[]}',
        "[,]",
        '[{"c":1,"ids":[9223372036854775808]}]',
    ],
)
def test_terms_of_another_shape_go_the_general_way(terms: str) -> None:
    assert scanner.read(document(terms)) is None


@pytest.mark.parametrize(
    "text",
    [
        '{"metadata": {"terms": [{"c":1,"ids":[1]}]}, "cost_function": {"version":"1.0","type":"pubo","terms":[]}}',
        '{"terms": [], "cost_function": {"version": "1.0", "type": "pubo", "terms": [{"c":1,"ids":[1]}]}}',
        '{"cost_function": {"terms": []}, "cost_function": {"version": "1.0", "type": "pubo", "terms": []}}',
        '{"cost_function": {"version": "1.0", "type": "pubo", "terms": []}, "cost_function": 1}',
        '{"cost_function": {"version": "1.0", "type": "pubo", "terms": []} ',
        '{"cost_function": [{"version": "1.0", "type": "pubo", "terms": []}]}',
        '[{"version": "1.0", "type": "pubo", "terms": []}]',
    ],
)
def test_terms_in_another_place_go_the_general_way(text: str) -> None:
    assert scanner.read(text.encode()) is None


def test_a_name_that_looks_like_terms_does_not_confuse() -> None:
    assert assert_agrees(b'{"metadata": {"name": "\\"terms\\": [] "}, ' + document("[]")[1:])


def test_an_ising_term_with_a_repeated_id_is_named_by_both() -> None:
    data = document('[{"c":1,"ids":[1,2]},{"c":1,"ids":[7,3,7]}]').replace(b"pubo", b"ising")
    assert assert_agrees(data)
    with pytest.raises(InvalidInput, match="term 1: variable 7 occurs twice"):
        scanner.read(data)


def test_columns_grow_for_long_terms_and_for_many_undecided_numbers() -> None:
    long = ",".join(str(i) for i in range(5000))
    assert assert_agrees(document(f'[{{"c":1,"ids":[{long}]}},{{"ids":[],"c":2}}]'))
    short = ",".join(['{"c":1,"ids":[]}'] * 5000)
    assert assert_agrees(document(f"[{short}]"))
    odd = ",".join(f'{{"c":1.{k:025d},"ids":[{k}]}}' for k in range(3000))
    assert assert_agrees(document(f"[{odd}]"))


@settings(max_examples=500, deadline=None)
@given(st.integers(1, 2**64 - 1), st.integers(-345, 312) | st.integers(-30, 30))
@example(9007199254740993, 0)
@example(2**64 - 1, -20)
@example(75882018764894015, -1)
@example(19073486328125, -1)
def test_decimal_is_rounded_as_python_rounds_it_or_left_undecided(mantissa: int, power: int) -> None:
    bits = qio_scan.to_bits(np.uint64(mantissa), power, qio_scan.powers_of_five())
    expected = float(f"{mantissa}e{power}")
    if bits == 0:
        is_extreme = not 2.3e-308 <= expected <= 1.7e308
        assert is_extreme or power < -27 or power > 55
    else:
        assert np.uint64(bits).view(np.float64) == expected


@settings(max_examples=300, deadline=None)
@given(st.integers(2**52, 2**53 - 1), st.integers(0, 4), st.sampled_from([-1, 0, 1]))
def test_decimal_halfway_between_two_floats_is_rounded_to_even(even: int, fives: int, off: int) -> None:
    """(2 even + 1) * 5**fives * 10**-fives is halfway between two floats."""
    mantissa = (2 * even + 1) * 5**fives + off
    bits = qio_scan.to_bits(np.uint64(mantissa), -fives, qio_scan.powers_of_five())
    assert np.uint64(bits).view(np.float64) == float(f"{mantissa}e-{fives}")


def test_large_documents_are_scanned_and_give_the_same() -> None:
    rng = np.random.default_rng(5)
    m = 20_000
    ids = rng.permuted(np.tile(np.arange(100), (m, 1)), axis=1)[:, :3]
    cf = CostFunction(general(document("[]")).problem_type, rng.normal(size=m), np.arange(m + 1) * 3, ids.ravel())
    data = qio_json.write(cf)
    assert scanner.is_worthwhile(len(data))
    npt.assert_array_equal(qio_json.read(data).coefficients, cf.coefficients)
    assert assert_agrees(data)
    assert assert_agrees(json.dumps(json.loads(data), indent=1).encode())


def test_small_documents_are_read_without_numba() -> None:
    program = (
        "import sys; from qiosk.formats import registry;"
        'registry.read(b\'{"cost_function": {"version": "1.0", "type": "pubo", "terms": []}}\');'
        "assert 'numba' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", program], check=True)
