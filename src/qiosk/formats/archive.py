"""Arrays in an ``.npz`` archive, read in place where that is possible."""

from __future__ import annotations

import io
import mmap
import struct
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

from qiosk.errors import UnreadableInput
from qiosk.model.cost_function import Column

_LOCAL_HEADER_BYTES, _NAME_SIZE_AT = 30, 26  # of a member of a ZIP archive
_PIECE_BYTES = 1 << 24


def load(content: bytes | mmap.mmap, max_size: int, in_place_from: int) -> dict[str, Column]:
    """The arrays of an archive, by name.

    Members of one dimension that are not deflated and have at least ``in_place_from`` entries are views of ``content``;
    the others are copies. Raises UnreadableInput for a broken archive, or one of more than ``max_size`` bytes when
    inflated.
    """
    try:
        with zipfile.ZipFile(io.BufferedReader(_View(content))) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
            if size > max_size:
                raise UnreadableInput(f"columns: the content has {size} bytes, more than the limit of {max_size}")
            return {
                entry.filename.removesuffix(".npy"): _array(archive, entry, content, in_place_from)
                for entry in archive.infolist()
            }
    except (zipfile.BadZipFile, ValueError, EOFError, OSError, NotImplementedError, RuntimeError, MemoryError) as e:
        if isinstance(e, UnreadableInput):
            raise
        raise UnreadableInput(f"columns: not an archive of arrays: {e}") from e


def _array(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, content: bytes | mmap.mmap, in_place_from: int) -> Column:
    """One member; its header may not announce more data than the entry contains."""
    with archive.open(entry) as stream:
        version = np.lib.format.read_magic(stream)
        read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = read_header(stream)
        header_size, count = stream.tell(), int(np.prod(shape, dtype=object))
        if dtype.hasobject or count * dtype.itemsize > entry.file_size - header_size:
            raise UnreadableInput(f"columns: `{entry.filename}` is longer in its header than in the archive")
    if entry.compress_type == zipfile.ZIP_STORED and len(shape) == 1 and count >= in_place_from:
        return np.frombuffer(_stored(entry, content), dtype, count, header_size)
    with archive.open(entry) as stream:
        array: Column = np.lib.format.read_array(stream, allow_pickle=False)
        return array


def _stored(entry: zipfile.ZipInfo, content: bytes | mmap.mmap) -> memoryview:
    """The bytes of a member that is not deflated, in place. Raises BadZipFile if their checksum is wrong."""
    name_size, extra_size = struct.unpack_from("<HH", content, entry.header_offset + _NAME_SIZE_AT)
    start = entry.header_offset + _LOCAL_HEADER_BYTES + name_size + extra_size
    view = memoryview(content)[start : start + entry.file_size]
    release, checksum = releaser(content), 0
    for piece in range(0, len(view), _PIECE_BYTES):
        checksum = zlib.crc32(view[piece : piece + _PIECE_BYTES], checksum)
        release()
    if len(view) < entry.file_size or checksum != entry.CRC:
        raise zipfile.BadZipFile(f"Bad CRC-32 for file {entry.filename!r}")
    return view


def releaser(content: bytes | mmap.mmap) -> Callable[[], None]:
    """A function that releases the memory of a mapped file's pages, which are read again when needed."""
    if isinstance(content, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
        return partial(content.madvise, mmap.MADV_DONTNEED)
    return lambda: None


class _View(io.RawIOBase):
    """Bytes or a mapping as a file, without copying them."""

    def __init__(self, content: bytes | mmap.mmap) -> None:
        self._content = content
        self._at = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: len(self._content)}[whence]
        if start + offset < 0:
            raise ValueError(f"seek to {start + offset}")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        some = self._content[self._at : self._at + len(buffer)]
        buffer[: len(some)] = some
        self._at += len(some)
        return len(some)
