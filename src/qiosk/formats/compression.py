"""Gzip, recognized by its first bytes."""

from __future__ import annotations

import zlib

from qiosk.errors import UnreadableInput

GZIP_MAGIC = b"\x1f\x8b"
MAX_SIZE = 1 << 34
"""Default limit of decompressed content in bytes."""


def decompressed(data: bytes, max_size: int = MAX_SIZE) -> bytes:
    """Content of gzip data, all members of it; other data as it is.

    Raises UnreadableInput if the gzip stream is broken or holds more than ``max_size`` bytes.
    """
    if data[:2] != GZIP_MAGIC:
        return data
    parts: list[bytes] = []
    size = 0
    # Padding with zero bytes after the last member is legal; anything else there is not.
    while data.lstrip(b"\0") if parts else data:
        if data[:2] != GZIP_MAGIC:
            raise UnreadableInput("gzip: there are bytes after the end of the stream")
        part, data = _member(data, max_size - size)
        size += len(part)
        parts.append(part)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _member(data: bytes, max_size: int) -> tuple[bytes, bytes]:
    """Content of the first member, and what follows it."""
    stream = zlib.decompressobj(wbits=31)
    try:
        part = stream.decompress(data, max_size + 1)
    except zlib.error as e:
        raise UnreadableInput(f"gzip: {e}") from e
    if len(part) > max_size:
        raise UnreadableInput(f"gzip: the content is larger than the limit of {max_size} bytes")
    if not stream.eof:
        raise UnreadableInput("gzip: the stream ends too early")
    return part, stream.unused_data
