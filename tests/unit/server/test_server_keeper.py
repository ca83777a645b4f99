"""Whoever keeps the supervisor alive does not die of what befalls it."""

from __future__ import annotations

import asyncio
import errno

import pytest

from patience import HANG_S
from qiosk.errors import SupervisorUnavailable
from qiosk.server.routes.keeper import kept_alive


class Troubled:
    """An executor that fails at first."""

    def __init__(self, error: Exception) -> None:
        self.error = error
        self.looks = 0

    def wake(self) -> None:
        pass

    def ensure(self) -> None:
        self.looks += 1
        if self.looks < 3:
            raise self.error


@pytest.mark.parametrize(
    "error", [OSError(errno.EMFILE, "too many open files"), SupervisorUnavailable("none")], ids=str
)
def test_the_keeper_goes_on_after_errors(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr("qiosk.server.routes.keeper.INTERVAL_S", 0.001)
    executor = Troubled(error)

    async def main() -> None:
        async with kept_alive(executor):
            while executor.looks < 4:
                await asyncio.sleep(0.001)

    asyncio.run(asyncio.wait_for(main(), HANG_S))
