"""Gzip, Zstandard and xz: told by their first bytes, bounded, and broken streams are named."""

from __future__ import annotations

import gzip
import lzma
import sys
import zlib

import pytest
import zstandard
from hypothesis import assume, given
from hypothesis import strategies as st

from qiosk.errors import InvalidInput, InvalidValue, MissingExtra, UnreadableInput
from qiosk.formats import columns, compression, registry
from qiosk.formats.compression import compressed, decompressed, is_compressed, without_suffix
from qiosk.formats.files import by_suffix, job_input, read_file, write_file
from qiosk.formats.qio import json_codec as qio_json
from qiosk.formats.qio import protobuf_writer as qio_protobuf_writer
from qiosk.problem import Problem
from strategies import cost_function

PROBLEM = cost_function("ising", [(1.0, [0, 1]), (-2.5, [1, 7])])
SKIPPED = (0x184D2A53).to_bytes(4, "little") + (5).to_bytes(4, "little") + b"notes"


def zstd(data, **options):
    return zstandard.ZstdCompressor(**options).compress(data)


def wide():
    """A stream that asks for a window of 1 GiB, and does not say how little it holds."""
    options = zstandard.ZstdCompressionParameters(window_log=30, write_content_size=False)
    stream = zstandard.ZstdCompressor(compression_params=options).compressobj()
    return stream.compress(b" " * 900) + stream.flush()


WIDE = wide()


@pytest.mark.parametrize("name", ["gzip", "zstd", "xz"])
@given(data=st.binary(max_size=2000), more=st.binary(max_size=100))
def test_content_comes_back(name, data, more):
    assume(not is_compressed(data + more))
    packed = compressed(data, name)
    assert is_compressed(packed)
    assert decompressed(packed) == data
    assert decompressed(packed + compressed(more, name)) == data + more
    assert decompressed(packed, len(data)) == data


@pytest.mark.parametrize("data", [b"", b"{}", b"\x28\xb5\x2f", b"\x1f"])
def test_other_data_stay_as_they_are(data):
    assert not is_compressed(data)
    assert decompressed(data) is data


@pytest.mark.parametrize("outer", ["gzip", "zstd", "xz"])
@pytest.mark.parametrize("inner", ["gzip", "zstd", "xz"])
def test_content_is_compressed_once(outer, inner, tmp_path):
    once = compressed(qio_json.write(PROBLEM), inner)
    twice = compressed(once, outer)
    path = tmp_path / "problem.json.gz"
    path.write_bytes(twice)
    assert registry.read(once).ids.tolist() == [0, 1, 1, 7]
    readers = [registry.read, lambda data: read_file("a.json.gz", data), lambda data: job_input("a.json", data)]
    for read in [*readers, lambda _: registry.read_path(path), lambda data: Problem.deserialize(data)]:
        with pytest.raises(UnreadableInput, match=f"{outer}: the content is compressed again, as {inner}"):
            read(twice)


def test_frames_without_content_are_passed_over():
    assert decompressed(zstd(b"ab") + SKIPPED + zstd(b"c") + SKIPPED) == b"abc"


def test_streams_that_do_not_say_their_size_are_read():
    stream = zstandard.ZstdCompressor().compressobj()
    packed = b"".join([stream.compress(b"x" * 10**6), stream.flush()])
    assert decompressed(packed) == b"x" * 10**6


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (zstd(b"{}" * 99, write_checksum=True)[:-3], "zstd: the stream ends too early"),
        (zstd(b"{}") + b"x", "zstd: there are bytes after the end of the stream"),
        (zstd(b"{}") + SKIPPED[:-1], "zstd: the stream ends too early"),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 30, "zstd: "),
        (b"\x28\xb5\x2f\xfd", "zstd: the stream ends too early"),
        (zstd(b" " * 1001), "zstd: the content is larger than the limit of 1000 bytes"),
        (zstd(b" " * 10**8), "zstd: the content is larger than the limit of 1000 bytes"),
        (zstd(b" " * 900) + zstd(b" " * 900), "larger than the limit"),
        (WIDE, "zstd: "),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_broken_and_oversized_zstd_is_refused(data, message):
    with pytest.raises(UnreadableInput, match=message):
        decompressed(data, 1000)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lzma.compress(b"{}" * 99)[:-3], "xz: the stream ends too early"),
        (lzma.compress(b"{}") + b"x", "xz: there are bytes after the end of the stream"),
        (lzma.compress(b"{}")[:-20] + b"\0" * 20, "xz: Corrupt input data"),
        (compression.XZ_MAGIC, "xz: the stream ends too early"),
        (lzma.compress(b" " * 1001), "xz: the content is larger than the limit of 1000 bytes"),
        (lzma.compress(b" " * 10**8), "xz: the content is larger than the limit of 1000 bytes"),
        (lzma.compress(b" ", filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 28}]), "xz: Memory usage limit"),
    ],
    ids=lambda value: value if isinstance(value, str) else f"{len(value)} bytes",
)
def test_broken_and_oversized_xz_is_refused(data, message):
    with pytest.raises(UnreadableInput, match=message):
        decompressed(data, 1000)


def test_zero_bytes_may_follow_a_stream_of_xz():
    assert decompressed(lzma.compress(b"ab") + lzma.compress(b"c") + b"\0" * 8) == b"abc"


@given(st.data())
def test_mutated_streams_give_an_error_or_some_content(data):
    plain = qio_json.write(PROBLEM)
    is_xz = data.draw(st.booleans())
    packed = bytearray(lzma.compress(plain) if is_xz else zstd(plain, write_checksum=data.draw(st.booleans())))
    for _ in range(data.draw(st.integers(1, 4))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    try:
        registry.read(bytes(packed[: data.draw(st.integers(6, len(packed)))]), max_size=10**6)
    except InvalidInput:
        return


@given(st.binary(max_size=300))
def test_arbitrary_bytes_behind_the_magic_raise_nothing_else(data):
    try:
        decompressed(b"\x28\xb5\x2f\xfd" + data, 10**6)
    except UnreadableInput as error:
        assert error.message.startswith("zstd: ")


def test_without_the_package_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "zstandard", None)
    with pytest.raises(MissingExtra, match=r"zstd: .* pip install 'qiosk\[zstd\]'"):
        decompressed(b"\x28\xb5\x2f\xfd....")
    with pytest.raises(MissingExtra, match=r"zstd: .* pip install 'qiosk\[zstd\]'"):
        compressed(b"", "zstd")
    assert decompressed(gzip.compress(b"a")) == b"a"


def test_an_unknown_compression_is_named():
    with pytest.raises(InvalidValue, match="compression: must be one of gzip, zstd, xz, found 'lz4'"):
        compressed(b"", "lz4")


def test_endings_of_names():
    assert without_suffix("A.json.ZST") == ("A.json", "zstd")
    assert without_suffix("a.rud.gz") == ("a.rud", "gzip")
    assert without_suffix("a.rud") == ("a.rud", None)
    assert by_suffix("b.qubo.zst").name == "qubo"


@pytest.mark.parametrize("name", ["a.json", "a.npz"])
@pytest.mark.parametrize("ending", [".gz", ".zst", ".xz"])
def test_files_are_written_and_read(name, ending):
    packed = write_file(name + ending, PROBLEM)
    assert is_compressed(packed)
    assert read_file(name + ending, packed).ids.tolist() == [0, 1, 1, 7]
    assert read_file("-", packed).ids.tolist() == [0, 1, 1, 7]
    data, form, *_ = job_input(name + ending, packed)
    assert registry.read(data, form).ids.tolist() == [0, 1, 1, 7]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstd], ids=["raw", "gzip", "zstd"])
@pytest.mark.parametrize(
    "write", [qio_json.write, columns.write, qio_protobuf_writer.write], ids=["json", "columns", "protobuf"]
)
def test_an_uploaded_problem_is_read_however_it_was_written(write, pack):
    packed = pack(decompressed(write(PROBLEM)))
    assert registry.read(packed).ids.tolist() == [0, 1, 1, 7]


def test_such_a_file_is_mapped_or_unpacked(tmp_path):
    path = tmp_path / "problem"
    messages = qio_protobuf_writer.write(PROBLEM)
    plain = (columns.write(PROBLEM), qio_json.write(PROBLEM), decompressed(messages))
    for data in (*plain, zstd(plain[0]), gzip.compress(plain[1]), messages):
        path.write_bytes(data)
        assert registry.read_path(path).ids.tolist() == [0, 1, 1, 7]


class _CountingStream:
    """A zlib stream that counts the bytes that it is given."""

    fed = 0

    def __init__(self, make, **options):
        self._stream = make(**options)

    def decompress(self, piece, limit):
        type(self).fed += len(piece)
        return self._stream.decompress(piece, limit)

    def __getattr__(self, name):
        return getattr(self._stream, name)


def test_many_small_members_take_no_longer_than_one(monkeypatch):
    make = zlib.decompressobj
    monkeypatch.setattr(compression.zlib, "decompressobj", lambda **options: _CountingStream(make, **options))
    data = 5000 * gzip.compress(b"", mtime=0) + gzip.compress(b"{}", mtime=0) + 1000 * b"\0"
    assert decompressed(data) == b"{}"
    assert _CountingStream.fed <= 100 * len(data)  # 2500 times, if each member were given all that is left
