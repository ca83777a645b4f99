"""Event streams end with the caller's access, and no caller can hold all connections with them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from datetime import timedelta

import httpx
import pytest

from patience import HANG_S
from qiosk.contract.jobs import SubmitJob
from qiosk.errors import QuotaExceeded
from qiosk.server.auth import auth
from qiosk.server.routes.streams import StreamLimits
from qiosk.service.accounts.keys import KeyService
from servers import WORKSPACE, MemoryParts, listening

KEY = "abc-1/group/mine"
EVENTS = f"{WORKSPACE}/jobs/j/events"


@pytest.fixture
def memory() -> MemoryParts:
    memory = MemoryParts()
    command = SubmitJob(id="j", name="n", provider_id="Microsoft", target="microsoft.tabu.cpu", input_data=b"{}")
    memory.jobs(KEY).submit(command)
    return memory


def key_of(memory: MemoryParts, name: str = "one", **members: object) -> tuple[str, dict[str, str]]:
    view, key = KeyService(memory.keys, memory.clock).create(name, workspace=KEY, is_read_only=True, **members)
    return view.id, {"Authorization": f"Bearer {key}"}


def revoke(memory: MemoryParts, key_id: str) -> None:
    KeyService(memory.keys, memory.clock).revoke(key_id)
    memory.clock.sleep(60.0)  # keys are cached for less


def expire(memory: MemoryParts, _key_id: str) -> None:
    memory.clock.sleep(7200.0)


@pytest.mark.parametrize("end", [revoke, expire])
def test_a_stream_ends_with_the_access(
    memory: MemoryParts, monkeypatch: pytest.MonkeyPatch, end: Callable[[MemoryParts, str], None]
) -> None:
    monkeypatch.setattr(auth, "RECALL_S", 0.05)
    key_id, headers = key_of(memory, expires_at=memory.clock.now() + timedelta(hours=1))
    with (
        listening(memory.parts) as url,
        httpx.Client(base_url=url, timeout=HANG_S) as http,
        http.stream("GET", EVENTS, headers=headers) as response,
    ):
        lines = response.iter_lines()
        assert any(line.startswith("data:") for line in iter(lambda: next(lines), None) if line)
        end(memory, key_id)
        rest = "\n".join(lines)  # to the end of the stream
    assert "event: error" in rest
    assert "Unauthorized" in rest


def test_one_caller_cannot_hold_all_connections(memory: MemoryParts) -> None:
    _, one = key_of(memory, "same name")
    _, other = key_of(memory, "same name")
    _, third = key_of(memory, "third")
    with listening(memory.parts, max_connections=8) as url, httpx.Client(base_url=url, timeout=HANG_S) as http:

        def follow(open_streams: ExitStack, headers: dict[str, str]) -> int:
            return open_streams.enter_context(http.stream("GET", EVENTS, headers=headers)).status_code

        with ExitStack() as streams:
            assert [follow(streams, one) for _ in range(2)] == [200, 200]
            refused = http.get(EVENTS, headers=one)
            assert refused.status_code == 429
            assert refused.json()["error"]["code"] == "QuotaExceeded"
            assert refused.headers["retry-after"] == "5"
            assert http.get(f"{WORKSPACE}/jobs/j", headers=one).status_code == 200
            assert [follow(streams, other) for _ in range(2)] == [200, 200]
            assert http.get(EVENTS, headers=third).status_code == 429  # the workspace has as many as it may


def test_streams_that_end_make_room() -> None:
    limits = StreamLimits(8)
    done = [limits.take("a", "w") for _ in range(2)]
    with pytest.raises(QuotaExceeded, match="this caller may have 2"):
        limits.take("a", "w")
    done.pop()()
    done.append(limits.take("a", "w"))
    done += [limits.take(name, "w") for name in "bc"]
    with pytest.raises(QuotaExceeded, match="this workspace may have 4"):
        limits.take("d", "w")
    done += [limits.take(name, "v") for name in "de"]
    with pytest.raises(QuotaExceeded, match="all callers together may have 6"):
        limits.take("f", "u")
    for give_back in done:
        give_back()
    assert not limits._open


@pytest.mark.parametrize("connections", [1, 2, 3])
def test_a_stream_is_always_possible(connections: int) -> None:
    StreamLimits(connections).take("a", "w")
