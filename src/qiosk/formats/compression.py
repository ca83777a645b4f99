"""Gzip, Zstandard and xz, recognized by their first bytes."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Callable, Mapping
from typing import Protocol

from qiosk.errors import InvalidValue, UnreadableInput, extra

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
XZ_MAGIC = b"\xfd7zXZ\x00"
MAX_CONTENT_BYTES = 1 << 34
"""Default limit of decompressed content."""
MAX_WINDOW_BYTES = 1 << 27
"""Largest window that a Zstandard stream may request: the size that every decoder has to support."""
MAX_XZ_BYTES = 1 << 27
"""Memory that an xz stream may request: twice that of the highest level."""
SUFFIXES: Mapping[str, str] = {".gz": "gzip", ".zst": "zstd", ".xz": "xz"}
"""Suffixes of file names, and the compression that each stands for."""

_MAGIC = {"gzip": GZIP_MAGIC, "zstd": ZSTD_MAGIC, "xz": XZ_MAGIC}
_GZIP_LEVEL, _ZSTD_LEVEL, _XZ_LEVEL = (
    1,
    3,
    1,
)  # gzip 1: a list of terms gets a third larger than at 9, in a tenth of the time
_PIECE_BYTES = 1 << 12  # a block of 4 bytes may hold 128 KiB, so a piece decompresses to 128 MiB at most
_FIRST_PIECE_BYTES = 1 << 9
_SKIPPED = range(0x184D2A50, 0x184D2A60)
_Member = Callable[[memoryview, int], tuple[bytes, memoryview]]


class _Stream(Protocol):
    """What decompressors of the standard library have in common."""

    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: memoryview, max_length: int, /) -> bytes: ...


def decompressed(data: bytes, max_size: int = MAX_CONTENT_BYTES) -> bytes:
    """The content of gzip, Zstandard or xz data, all members or frames of it. Other data is returned unchanged.

    This is the only place that decompresses input, and it does so once. Raises UnreadableInput if the stream is broken,
    contains more than ``max_size`` bytes, or contains compressed data again; MissingExtra for Zstandard without the
    extra ``qiosk[zstd]``.
    """
    name = _compression_of(data)
    if name is None:
        return data
    content = _all_members(name, data, max_size)
    if (inner := _compression_of(content)) is not None:
        raise UnreadableInput(f"{name}: the content is compressed again, as {inner}; compress it only once")
    return content


def is_compressed(data: bytes) -> bool:
    """Whether data begins like a gzip, Zstandard or xz stream."""
    return _compression_of(data) is not None


def compressed(data: bytes, name: str) -> bytes:
    """Data compressed as ``gzip`` (at a fast level, without a time stamp), ``zstd`` or ``xz``.

    Raises InvalidValue for another name, MissingExtra without ``qiosk[zstd]``.
    """
    if name == "gzip":
        return gzip.compress(data, _GZIP_LEVEL, mtime=0)
    if name == "xz":
        return lzma.compress(data, preset=_XZ_LEVEL)
    if name != "zstd":
        raise InvalidValue(f"compression: must be one of {', '.join(_MAGIC)}, found {name!r}")
    with extra("zstd", "zstd"):
        import zstandard
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(data)


def without_suffix(file: str) -> tuple[str, str | None]:
    """A file's name without the suffix of a compression, and the name of that compression, or None."""
    for suffix, name in SUFFIXES.items():
        if file.lower().endswith(suffix):
            return file[: -len(suffix)], name
    return file, None


def _compression_of(data: bytes) -> str | None:
    return next((name for name, magic in _MAGIC.items() if data[: len(magic)] == magic), None)


def _all_members(name: str, data: bytes, max_size: int) -> bytes:
    """The content of all members, joined; zero bytes may follow the last one of gzip and xz."""
    readers: Mapping[str, _Member] = {"gzip": _gzip_member, "zstd": _zstd_frame, "xz": _xz_stream}
    read, magic = readers[name], _MAGIC[name]
    parts: list[bytes] = []
    size = 0
    rest = memoryview(data)  # its slices are no copies: thousands of members take no longer than one
    while rest:
        if name == "zstd":
            rest = _after_skipped(rest)
        if rest[: len(magic)] != magic:
            if not rest or (name != "zstd" and not bytes(rest).strip(b"\0")):
                break
            raise UnreadableInput(f"{name}: there are bytes after the end of the stream")
        part, rest = read(rest, max_size - size)
        size += len(part)
        if size > max_size:
            raise UnreadableInput(f"{name}: the content is larger than the limit of {max_size} bytes")
        if part:
            parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _gzip_member(data: memoryview, max_size: int) -> tuple[bytes, memoryview]:
    """The content of the first member, cut one byte after ``max_size``, and the data after that member."""
    return _piecewise("gzip", zlib.decompressobj(wbits=31), data, max_size)


def _xz_stream(data: memoryview, max_size: int) -> tuple[bytes, memoryview]:
    """As :func:`_gzip_member`, of the first stream."""
    return _piecewise("xz", lzma.LZMADecompressor(lzma.FORMAT_XZ, MAX_XZ_BYTES), data, max_size)


def _piecewise(name: str, stream: _Stream, data: memoryview, max_size: int) -> tuple[bytes, memoryview]:
    parts: list[bytes] = []
    size = start = 0
    length = _FIRST_PIECE_BYTES
    while size <= max_size and not stream.eof:
        piece = data[start : start + length]
        if not piece:
            raise UnreadableInput(f"{name}: the stream ends too early")
        try:
            parts.append(stream.decompress(piece, max_size + 1 - size))
        except (zlib.error, lzma.LZMAError) as e:
            raise UnreadableInput(f"{name}: {e}") from e
        size += len(parts[-1])
        start += len(piece)
        length *= 2  # what is read of the next member, and copied, stays a share of this one
    return b"".join(parts), data[start - len(stream.unused_data) :]


def _zstd_frame(data: memoryview, max_size: int) -> tuple[bytes, memoryview]:
    """The content of the first frame, cut somewhere after ``max_size``, and the data after that frame."""
    with extra("zstd", "zstd"):
        import zstandard
    stream = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW_BYTES).decompressobj()
    parts: list[bytes] = []
    size = 0
    for start in range(0, len(data), _PIECE_BYTES):
        piece = data[start : start + _PIECE_BYTES]
        try:
            parts.append(stream.decompress(piece))
        except zstandard.ZstdError as e:
            raise UnreadableInput(f"zstd: {e}") from e
        size += len(parts[-1])
        if size > max_size:
            break
        if stream.eof:
            return b"".join(parts), data[start + len(piece) - len(stream.unused_data) :]
    if size <= max_size:
        raise UnreadableInput("zstd: the stream ends too early")
    return b"".join(parts), data[:0]


def _after_skipped(data: memoryview) -> memoryview:
    """The data after the skippable frames at its beginning, which have no content."""
    while len(data) >= 8 and int.from_bytes(data[:4], "little") in _SKIPPED:
        stop = 8 + int.from_bytes(data[4:8], "little")
        if stop > len(data):
            raise UnreadableInput("zstd: the stream ends too early")
        data = data[stop:]
    return data
