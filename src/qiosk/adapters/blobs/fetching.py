"""Reading blobs by requests for ranges: no connection is held while a slow client receives the pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from qiosk.service.blobs import PIECE

_FETCH = 4 * PIECE  # bytes read by one request


def fetched_pieces(fetch: Callable[[int, int], bytes], size: int, start: int, stop: int | None) -> Iterator[bytes]:
    """Bytes ``start`` to ``stop`` of a blob of ``size`` bytes; ``fetch`` returns a range: first byte, and end."""
    end = size if stop is None else min(stop, size)
    for at in range(start, end, _FETCH):
        data = fetch(at, min(at + _FETCH, end))
        for first in range(0, len(data), PIECE):
            yield data[first : first + PIECE]
