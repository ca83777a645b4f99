from __future__ import annotations

import gzip
import io
import tarfile
from dataclasses import replace

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qiosk.errors import InvalidInitialConfiguration, InvalidInput, InvalidValue, MissingSection, UnreadableInput
from qiosk.formats import registry
from qiosk.formats.qio import protobuf_codec as qio_protobuf
from qiosk.formats.qio import protobuf_wire as wire
from qiosk.formats.qio import protobuf_writer as qio_protobuf_writer
from qiosk.formats.qio import tar
from qiosk.formats.qio.scanner import doubled
from qiosk.kernels import compiler
from qiosk.model.cost_function import CostFunction, ProblemType
from strategies import cost_function, cost_functions, integers, reals

pytestmark = pytest.mark.slow

# Written by azure-quantum 0.27: 2.5 s0 s300 + 0 s(2**40) - 1, an Ising problem called "ship é".
OF_THE_SDK = bytes.fromhex(
    "0a2c08011203312e301a0e090000000000000440120300ac021a0812068080808080201a0909000000000000f0bf"
    "12130a110a046e616d6512091a077368697020c3a9"
)


def archive(*messages: bytes) -> bytes:
    return tar.pack((f"gzipinputfile_pb_{m}.pb", message) for m, message in enumerate(messages))


def files(**named: bytes) -> bytes:
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as packed:
        for name, content in named.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            packed.addfile(info, io.BytesIO(content))
    return plain.getvalue()


def message(terms: bytes = b"", version: bytes = b"1.0", kind: int = 0) -> bytes:
    return wire.length_field(1, wire.varint_field(1, kind) + wire.length_field(2, version) + terms)


def term(c: float, *ids: int) -> bytes:
    packed = b"".join(map(wire.varint_bytes, ids))
    return wire.length_field(3, b"\x09" + np.float64(c).tobytes() + wire.length_field(2, packed))


def parts(cf: CostFunction):
    columns = [a.tobytes() for a in (cf.coefficients, cf.indptr, cf.ids)]
    return cf.problem_type, cf.name, cf.initial_configuration, columns


def test_what_the_sdk_wrote_is_read() -> None:
    cf = registry.read(archive(OF_THE_SDK))
    assert (cf.problem_type, cf.name) == (ProblemType.ising, "ship é")
    assert cf.coefficients.tolist() == [2.5, 0.0, -1.0]
    assert cf.indptr.tolist() == [0, 2, 3, 3]
    assert cf.ids.tolist() == [0, 300, 2**40]


def test_the_same_bytes_are_written() -> None:
    assert qio_protobuf_writer.messages(registry.read(archive(OF_THE_SDK))) == [OF_THE_SDK]


@given(cost_functions(st.one_of(integers, reals)).filter(lambda cf: not len(cf.groups)))
def test_reading_gives_back_what_was_written(cf: CostFunction) -> None:
    cf = replace(cf, name="p", problem_type=ProblemType.ising if cf.problem_type.is_ising else ProblemType.pubo)
    assert parts(registry.read(qio_protobuf_writer.write(cf))) == parts(cf)


@pytest.mark.parametrize("n", [0, 1, 999, 1000, 1001, 10_500])
def test_messages_hold_a_thousand_terms_and_are_read_in_numeric_order(n) -> None:
    cf = cost_function("pubo", [(float(t + 1), [t]) for t in range(n)])
    messages = qio_protobuf_writer.messages(cf)
    assert len(messages) == max(1, -(-n // 1000))
    npt.assert_array_equal(registry.read(archive(*messages)).coefficients, cf.coefficients)


def test_files_are_ordered_by_number_wherever_they_lie_in_the_archive() -> None:
    names = {f"x/p_{m}.pb": message(term(m, m)) for m in reversed(range(12))}
    assert registry.read(files(**names)).ids.tolist() == list(range(12))


def test_initial_configuration_and_metadata_come_back() -> None:
    start = {0: 0, 7: 1}
    metadata = {"name": "p", "list": [1, "a", None, {"deep": True}], "number": -2.5}
    cf = replace(cost_function("pubo", [(1.0, [0, 7])]), initial_configuration=start, metadata=metadata)
    read = registry.read(qio_protobuf_writer.write(cf))
    assert (read.initial_configuration, read.metadata) == (start, metadata)
    ising = replace(cost_function("ising", [(1.0, [0])]), initial_configuration={0: -1})
    assert registry.read(qio_protobuf_writer.write(ising)).initial_configuration == {0: -1}


def test_only_the_first_message_says_what_the_problem_is() -> None:
    other = wire.length_field(1, wire.varint_field(1, 0) + wire.length_field(2, b"9") + term(2, 1))
    cf = registry.read(archive(message(term(1, 0), kind=1), other))
    assert (cf.problem_type, cf.ids.tolist()) == (ProblemType.ising, [0, 1])


def test_unpacked_ids_repeated_parts_and_unknown_fields_are_understood() -> None:
    unpacked = wire.length_field(3, wire.varint_field(2, 4) + wire.varint_field(2, 5))  # no coefficient: 0
    more = wire.varint_field(9, 3) + wire.varint_bytes(10 << 3 | 5) + bytes(4)
    cf = registry.read(archive(message(unpacked + more) + wire.length_field(1, term(1, 6)) + more))
    assert (cf.coefficients.tolist(), cf.ids.tolist()) == ([0.0, 1.0], [4, 5, 6])


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (archive(), UnreadableInput, "json"),  # an empty archive is nothing but zeros
        (files(readme=b""), UnreadableInput, "must be called NAME_0.pb"),
        (files(**{"a_1.pb": b""}), UnreadableInput, "number 0 of 1 is missing"),
        (files(**{"a_0.pb": b"", "b_0.pb": b""}), UnreadableInput, "two files have the number 0"),
        (files(**{"a_0.pb": message()})[:1000], UnreadableInput, "ends too early"),
        (files(**{"a_0.pb": bytes(2000)})[:1500], UnreadableInput, "ends after the archive"),
        (archive(b""), MissingSection, "`cost_function` is missing"),
        (archive(message(version=b"")), MissingSection, "`version` is missing"),
        (archive(message(version=b"2")), InvalidValue, "`version` must be one of"),
        (archive(message(version=b"\xff")), UnreadableInput, "`version` must be UTF-8"),
        (archive(message(kind=2)), InvalidValue, "`type` must be 0 .* found 2"),
        (archive(b"\x0a\x05\x01"), UnreadableInput, "5 bytes from byte .* are not all there"),
        (archive(b"\x0a" + b"\xff" * 11), UnreadableInput, "does not end"),
        (archive(b"\x0b"), UnreadableInput, "wire type 3"),
        (archive(b"\x02\x00"), UnreadableInput, "field number 0"),
        (archive(b"\x08\x01"), UnreadableInput, "`cost_function` must have wire type 2, found 0"),
        (archive(message(wire.length_field(3, b"\x08\x01"))), UnreadableInput, "`c` must have wire type 1"),
        (archive(message(term(float("nan"), 0))), InvalidValue, "term 0: coefficient nan"),
        (archive(message(wire.length_field(3, wire.varint_field(2, -3)))), InvalidValue, "variable id -3 is negative"),
        (
            archive(message(term(1, 0) + wire.length_field(4, wire.length_field(1, b"x")))),
            InvalidInitialConfiguration,
            "'x' is not a variable id",
        ),
    ],
)
def test_what_is_wrong_is_named(data, error, text) -> None:
    with pytest.raises(error, match=text):
        registry.read(data)


def test_damaged_and_odd_archives_are_refused() -> None:
    good = gzip.decompress(archive(OF_THE_SDK))
    damaged = b"X" + good[1:]
    with pytest.raises(UnreadableInput, match="header at byte 0 is damaged"):
        registry.read(damaged)
    link = tarfile.TarInfo("a_0.pb")
    link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
    with pytest.raises(UnreadableInput, match="must be a plain file"):
        registry.read(link.tobuf(tarfile.USTAR_FORMAT) + bytes(1024))
    header = bytearray(good[:512])
    header[124:136] = b"\x80" + bytes(10) + b"\x01"  # a binary size
    header[148:156] = b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    with pytest.raises(UnreadableInput, match="size must be an octal number"):
        registry.read(bytes(header) + bytes(1024))


def test_deep_metadata_is_refused() -> None:
    value = b"\x08\x00"
    for _ in range(200):
        value = wire.length_field(6, wire.length_field(1, value))
    deep = wire.length_field(2, wire.length_field(1, wire.length_field(1, b"k") + wire.length_field(2, value)))
    with pytest.raises(UnreadableInput, match="nested more than 64 deep"):
        registry.read(archive(message() + deep))


def test_groups_have_no_protobuf_form() -> None:
    grouped = cost_function("pubo_grouped", [], [(1.0, [(1.0, 0)])])
    with pytest.raises(InvalidValue, match="no squared linear combinations, found 1"):
        qio_protobuf_writer.write(grouped)


def test_columns_grow_by_doubling_and_keep_their_rows() -> None:
    assert doubled(np.array([[1, 2]])).tolist() == [[1, 2], [0, 0]]


def walked(data: bytes, spans: qio_protobuf.Spans):
    (c, indptr, ids), others = qio_protobuf._walk(data, spans)
    return [a.tobytes() for a in (c, indptr, ids)], others


MESSAGES = cost_functions(reals).filter(lambda cf: not len(cf.groups)).map(qio_protobuf_writer.messages)


@pytest.mark.skipif(not compiler.jit_enabled(), reason="nothing is scanned without compiled kernels")
@settings(max_examples=300)
@given(st.lists(MESSAGES, min_size=1, max_size=3), st.data())
def test_scanner_and_general_way_agree(groups: list[list[bytes]], draw: st.DataObject) -> None:
    data = bytearray(b"".join(m for messages in groups for m in messages))
    for _ in range(draw.draw(st.integers(0, 3))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    middle = draw.draw(st.integers(0, len(data)))
    spans = [(0, middle), (middle, len(data))]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(qio_protobuf, "is_worthwhile", lambda _size: True)
        scanned = qio_protobuf._scan(bytes(data), spans)
    if scanned is not None:
        (c, indptr, ids), others = scanned
        assert ([a.tobytes() for a in (c, indptr, ids)], others) == walked(bytes(data), spans)


@pytest.mark.skipif(not compiler.jit_enabled(), reason="nothing is scanned without compiled kernels")
def test_a_large_archive_is_scanned_and_columns_grow() -> None:
    rng = np.random.default_rng(1)
    ids = rng.integers(0, 100, 300_000)
    indptr = np.arange(0, 300_001, 3)
    indptr[1:60_000] = 0  # many terms without ids and coefficients, then one with very many
    coefficients = np.where(np.arange(100_000) < 60_000, 0.0, 1.5)
    cf = CostFunction(ProblemType.pubo, coefficients, indptr, ids)
    read = registry.read(qio_protobuf_writer.write(cf))
    assert parts(read) == parts(cf)


@settings(max_examples=300)
@given(st.binary(max_size=300), st.booleans())
def test_arbitrary_bytes_raise_nothing_but_invalid_input(data: bytes, as_message: bool) -> None:
    try:
        registry.read(archive(data) if as_message else gzip.decompress(archive(OF_THE_SDK))[:262] + data)
    except InvalidInput:
        return


@settings(max_examples=300)
@given(st.data())
def test_damaged_archives_raise_nothing_but_invalid_input(draw: st.DataObject) -> None:
    data = bytearray(gzip.decompress(archive(OF_THE_SDK, message(term(1, 2)))))
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        registry.read(bytes(data))
    except InvalidInput:
        return
