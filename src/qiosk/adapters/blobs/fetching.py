"""Reading blobs by requests for ranges: no connection is held while a slow client receives the pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import final

from qiosk.service.blobs.store import PIECE, BlobProperties

_FETCH = 4 * PIECE  # bytes read by one request


@final
class FetchedReader:
    """``BlobReader`` of the version that was opened. ``fetch`` requests a range of it: first byte, and end."""

    def __init__(self, properties: BlobProperties, fetch: Callable[[int, int], bytes]) -> None:
        self.properties = properties
        self._fetch = fetch

    def pieces(self, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes ``start`` to ``stop``. Raises BlobChanged."""
        size = self.properties.size_bytes
        end = size if stop is None else min(stop, size)
        for at in range(start, end, _FETCH):
            data = self._fetch(at, min(at + _FETCH, end))
            for first in range(0, len(data), PIECE):
                yield data[first : first + PIECE]

    def close(self) -> None:
        """Nothing to release."""
