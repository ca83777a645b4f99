"""Tar archives in memory: names and positions of the files.

The standard library's reader follows every extension of the format, and some archives make it loop forever
(CVE-2025-8194). This reader accepts plain files with ``ustar`` headers and refuses extensions that change a file.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from qiosk.errors import UnreadableInput
from qiosk.formats.compression import compressed

_BLOCK_BYTES = 512
_MAGIC_AT, _MAGIC = 257, b"ustar"
_CHECKSUM = slice(148, 156)
_FILES, _SKIPPED = (b"0", b"\0"), (b"5", b"x", b"g")  # skipped: folders, and records of times and owners


class Member(NamedTuple):
    """A file of an archive: its name, and where its content starts and stops within the archive."""

    name: str
    start: int
    stop: int


def is_tar(data: bytes) -> bool:
    """Whether data begins like an archive."""
    return data[_MAGIC_AT : _MAGIC_AT + len(_MAGIC)] == _MAGIC


def members(data: bytes) -> Iterator[Member]:
    """The files of an archive, in its order. Raises UnreadableInput, also if the end marker is missing."""
    position = 0
    while True:
        header = data[position : position + _BLOCK_BYTES]
        if len(header) < _BLOCK_BYTES:
            raise UnreadableInput(f"tar: the archive ends too early, after {len(data)} bytes")
        if not header.strip(b"\0"):
            return
        _check_sum(header, position)
        name = header[:100].partition(b"\0")[0].decode("utf-8", "backslashreplace")
        start = position + _BLOCK_BYTES
        stop = start + _octal(header[124:136], "size", name)
        if stop > len(data):
            raise UnreadableInput(f"tar: {name!r} ends after the archive, which has {len(data)} bytes")
        kind = header[156:157]
        if kind in _FILES:
            yield Member(name, start, stop)
        elif kind not in _SKIPPED:
            raise UnreadableInput(f"tar: {name!r} must be a plain file, found type {kind!r}")
        position = -(-stop // _BLOCK_BYTES) * _BLOCK_BYTES


def pack(files: Iterable[tuple[str, bytes]]) -> bytes:
    """A gzipped archive of files (name, content); equal files give equal bytes."""
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
