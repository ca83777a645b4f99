"""Tar archives in memory: which file lies where.

The standard library's reader follows every extension of the format, some of which let an archive lead it in circles
(CVE-2025-8194); this one takes plain files from ``ustar`` headers and refuses what would make a file something else.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from qiosk.errors import UnreadableInput
from qiosk.formats.compression import compressed

_BLOCK = 512
_MAGIC_AT, _MAGIC = 257, b"ustar"
_CHECKSUM = slice(148, 156)
_FILES, _PASSED_OVER = (b"0", b"\0"), (b"5", b"x", b"g")  # folders, and notes on times and owners


class Member(NamedTuple):
    """A file of an archive: its name, and its first and last place (exclusive) within the archive."""

    name: str
    start: int
    stop: int


def is_tar(data: bytes) -> bool:
    """Whether these bytes begin like an archive."""
    return data[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC


def members(data: bytes) -> Iterator[Member]:
    """The files of an archive, in its order. Raises UnreadableInput; the archive must have an end."""
    position = 0
    while True:
        header = data[position : position + _BLOCK]
        if len(header) < _BLOCK:
            raise UnreadableInput(f"tar: the archive ends too early, after {len(data)} bytes")
        if not header.strip(b"\0"):
            return
        _check_sum(header, position)
        name = header[:100].partition(b"\0")[0].decode("utf-8", "backslashreplace")
        start = position + _BLOCK
        stop = start + _octal(header[124:136], "size", name)
        if stop > len(data):
            raise UnreadableInput(f"tar: {name!r} ends after the archive, which has {len(data)} bytes")
        kind = header[156:157]
        if kind in _FILES:
            yield Member(name, start, stop)
        elif kind not in _PASSED_OVER:
            raise UnreadableInput(f"tar: {name!r} must be a plain file, found type {kind!r}")
        position = -(-stop // _BLOCK) * _BLOCK


def pack(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A gzipped archive of files (name, content), the same bytes for the same files."""
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in files:
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return compressed(plain.getvalue(), "gzip")


def _check_sum(header: bytes, position: int) -> None:
    total = sum(header) - sum(header[_CHECKSUM]) + 8 * ord(" ")
    if total != _octal(header[_CHECKSUM], "checksum", f"header at byte {position}"):
        raise UnreadableInput(f"tar: the header at byte {position} is damaged, its checksum is wrong")


def _octal(digits: bytes, what: str, where: str) -> int:
    text = digits.strip(b" \0")
    if not text or text.strip(b"01234567"):
        raise UnreadableInput(f"tar: {where}: the {what} must be an octal number, found {digits!r}")
    return int(text, 8)
