"""Reading and writing blobs in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import final

from qiosk.service.blobs.store import PIECE, BlobProperties


@final
class MemoryBlobReader:
    """``BlobReader`` of bytes in memory."""

    def __init__(self, data: bytes, properties: BlobProperties) -> None:
        self._data = data
        self.properties = properties

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes ``start`` to ``stop``."""
        end = len(self._data) if stop is None else min(stop, len(self._data))
        for at in range(start, end, PIECE):
            yield self._data[at : min(at + PIECE, end)]

    def close(self) -> None:
        """Nothing to release."""


@final
class MemoryBlobWriter:
    """``BlobWriter`` that collects pieces, and stores them together at the commit."""

    def __init__(self, store: Callable[[bytes], BlobProperties]) -> None:
        self._store = store
        self._pieces: list[bytes] = []

    def write(self, data: bytes) -> None:
        """Append."""
        self._pieces.append(bytes(data))

    def commit(self) -> BlobProperties:
        """Store the content."""
        data, self._pieces = b"".join(self._pieces), []
        return self._store(data)

    def abort(self) -> None:
        """Discard what was written."""
        self._pieces = []
