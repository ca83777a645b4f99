"""What a server does before its stores are open."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx
import pytest

from patience import HANG_S
from qiosk.bootstrap import ServerParts
from qiosk.errors import Conflict, QioskError, ServiceUnavailable, StorageFull
from qiosk.server import opening
from qiosk.server.app import create_app
from qiosk.server.opening import Opening
from qiosk.server.settings import ServerSettings
from servers import HOST, WORKSPACE, MemoryParts

pytestmark = pytest.mark.anyio
DOWN = ServiceUnavailable("database: connection refused")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "FIRST_PAUSE_S", 0.001)


def failing(*errors: QioskError) -> Callable[[], ServerParts]:
    """Opens parts in memory after it has raised these errors."""
    left = list(errors)

    def open_parts() -> ServerParts:
        if left:
            raise left.pop(0)
        return MemoryParts().parts

    return open_parts


def opened_by(open_parts: Callable[[], ServerParts], *, may_wait: bool = True) -> Opening:
    settings = ServerSettings(hosts=("jobs.test",))
    return Opening(open_parts, lambda parts: create_app(parts, settings), may_wait=may_wait)


async def statuses(app: Opening) -> dict[str, int]:
    """The status of the answer to each of three requests."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=HOST) as http:
        return {path: (await http.get(path)).status_code for path in ("/healthz", "/readyz", f"{WORKSPACE}/jobs")}


async def test_it_waits_until_the_stores_can_be_opened() -> None:
    app = opened_by(failing(DOWN, StorageFull("database: no room"), DOWN))
    tried: list[bool] = []
    assert list((await statuses(app)).values()) == [200, 503, 503]
    await app.open(lambda: tried.append(app.app is None))
    assert tried == [True]
    assert list((await statuses(app)).values()) == [200, 200, 200]
    await app.close()


@pytest.mark.parametrize(
    ("error", "may_wait"),
    [(Conflict("schema revision must be 6"), True), (DOWN, False)],
    ids=["no waiting helps", "no server"],
)
async def test_it_raises_what_waiting_does_not_mend(error: QioskError, may_wait: bool) -> None:
    app = opened_by(failing(error), may_wait=may_wait)
    with pytest.raises(type(error)):
        await app.open(lambda: None)
    assert app.parts is None


async def test_parts_that_are_opened_too_late_are_closed() -> None:
    begun, goes_on, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()
    parts = MemoryParts().parts
    object.__setattr__(parts, "close", lambda: loop.call_soon_threadsafe(closed.set))

    def open_parts() -> ServerParts:
        loop.call_soon_threadsafe(begun.set)
        asyncio.run_coroutine_threadsafe(goes_on.wait(), loop).result(HANG_S)
        return parts

    task = asyncio.create_task(opened_by(open_parts).open(lambda: None))
    await begun.wait()
    task.cancel()
    await asyncio.wait([task])
    goes_on.set()
    await asyncio.wait_for(closed.wait(), HANG_S)
