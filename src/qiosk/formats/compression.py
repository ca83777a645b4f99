"""Gzip and Zstandard, recognized by their first bytes."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping

from qiosk.errors import InvalidValue, UnreadableInput, extra

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
MAX_SIZE = 1 << 34
"""Default limit of decompressed content in bytes."""
MAX_WINDOW = 1 << 27
"""Memory that a Zstandard stream may ask for beside its content, in bytes: what every decoder has to grant."""
SUFFIXES: Mapping[str, str] = {".gz": "gzip", ".zst": "zstd"}
"""Endings of file names, and what they say."""

_GZIP_LEVEL, _ZSTD_LEVEL = 1, 3  # gzip 1: lists of terms get a third larger than at 9, in a tenth of the time
_PIECE = 1 << 12  # a block of 4 bytes may hold 128 KiB: so many bytes make 128 MiB at most
_SKIPPED = range(0x184D2A50, 0x184D2A60)
_Member = Callable[[bytes, int], tuple[bytes, bytes]]


def decompressed(data: bytes, max_size: int = MAX_SIZE) -> bytes:
    """Content of gzip or Zstandard data, all members or frames of it; other data as it is.

    Raises UnreadableInput if the stream is broken or holds more than ``max_size`` bytes, and if it is Zstandard and the
    extra ``qiosk[zstd]`` is not installed.
    """
    if data[:2] == GZIP_MAGIC:
        return _all_members("gzip", data, max_size)
    return _all_members("zstd", data, max_size) if data[:4] == ZSTD_MAGIC else data


def is_compressed(data: bytes) -> bool:
    """Whether data begin like a gzip or Zstandard stream."""
    return data[:2] == GZIP_MAGIC or data[:4] == ZSTD_MAGIC


def compressed(data: bytes, name: str) -> bytes:
    """Data as ``gzip``, fast and without a time, or as ``zstd``.

    Raises InvalidValue for another name, MissingExtra without ``qiosk[zstd]``.
    """
    if name == "gzip":
        return gzip.compress(data, _GZIP_LEVEL, mtime=0)
    if name != "zstd":
        raise InvalidValue(f"compression: must be gzip or zstd, found {name!r}")
    with extra("zstd", "zstd"):
        import zstandard
    return zstandard.ZstdCompressor(level=_ZSTD_LEVEL).compress(data)


def without_suffix(file: str) -> tuple[str, str | None]:
    """A file's name without the ending that says how it is compressed, and the name of that, None without one."""
    for suffix, name in SUFFIXES.items():
        if file.lower().endswith(suffix):
            return file[: -len(suffix)], name
    return file, None


def _all_members(name: str, data: bytes, max_size: int) -> bytes:
    """The content of one member after the other; zero bytes may follow the last of gzip."""
    read: _Member = _gzip_member if name == "gzip" else _zstd_frame
    magic = GZIP_MAGIC if name == "gzip" else ZSTD_MAGIC
    parts: list[bytes] = []
    size = 0
    while data.lstrip(b"\0" if name == "gzip" else b"") if parts else data:
        if name == "zstd":
            data = _after_skipped(data)
        if data[: len(magic)] != magic:
            if not data:
                break
            raise UnreadableInput(f"{name}: there are bytes after the end of the stream")
        part, data = read(data, max_size - size)
        size += len(part)
        if size > max_size:
            raise UnreadableInput(f"{name}: the content is larger than the limit of {max_size} bytes")
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _gzip_member(data: bytes, max_size: int) -> tuple[bytes, bytes]:
    """Content of the first member, or a byte more than ``max_size`` of it, and what follows."""
    stream = zlib.decompressobj(wbits=31)
    try:
        part = stream.decompress(data, max_size + 1)
    except zlib.error as e:
        raise UnreadableInput(f"gzip: {e}") from e
    if len(part) <= max_size and not stream.eof:
        raise UnreadableInput("gzip: the stream ends too early")
    return part, stream.unused_data


def _zstd_frame(data: bytes, max_size: int) -> tuple[bytes, bytes]:
    """Content of the first frame, or some more than ``max_size`` of it, and what follows."""
    with extra("zstd", "zstd"):
        import zstandard
    stream = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).decompressobj()
    parts: list[bytes] = []
    size = 0
    for start in range(0, len(data), _PIECE):
        try:
            parts.append(stream.decompress(data[start : start + _PIECE]))
        except zstandard.ZstdError as e:
            raise UnreadableInput(f"zstd: {e}") from e
        size += len(parts[-1])
        if size > max_size:
            break
        if stream.eof:
            return b"".join(parts), stream.unused_data + data[start + _PIECE :]
    if size <= max_size:
        raise UnreadableInput("zstd: the stream ends too early")
    return b"".join(parts), b""


def _after_skipped(data: bytes) -> bytes:
    """What follows the frames at the beginning that hold no content."""
    while len(data) >= 8 and int.from_bytes(data[:4], "little") in _SKIPPED:
        stop = 8 + int.from_bytes(data[4:8], "little")
        if stop > len(data):
            raise UnreadableInput("zstd: the stream ends too early")
        data = data[stop:]
    return data
