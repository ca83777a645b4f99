"""Telling of up- and downloads while they go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import final

from qiosk.client.remote.transport import OnBytes

OnTransfer = Callable[[str, int, int], None]
"""Told of transfers as (what, bytes so far, all bytes); all are 0 while nobody knows them.

A transfer is over when both numbers are the same: 0 of 0 for one that failed.
"""


@final
class Transfers:
    """Tells ``tell``, if it is given."""

    def __init__(self, tell: OnTransfer | None) -> None:
        self._tell = tell

    def tell(self, what: str, size: int, total: int) -> None:
        """Say how far a transfer is."""
        if self._tell is not None:
            self._tell(what, size, total)

    def part(self, what: str, before: int = 0, total: int | None = None) -> OnBytes | None:
        """What tells of a part of a transfer, of which so many bytes were done before; without a ``total``, all bytes
        are those that the request knows of.
        """
        if self._tell is None:
            return None
        return lambda size, known: self.tell(what, before + size, known if total is None else total)

    @contextmanager
    def failing(self, what: str) -> Iterator[None]:
        """Say so if a transfer fails."""
        try:
            yield
        except BaseException:
            self.tell(what, 0, 0)
            raise
