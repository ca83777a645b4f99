"""How a server's parts are put together."""

from __future__ import annotations

from pathlib import Path

import pytest

from qiosk.adapters.home.launcher import SupervisorLauncher
from qiosk.bootstrap import STOP_MARGIN_S, open_server
from qiosk.server.settings import ServerSettings
from qiosk.settings import Settings


@pytest.mark.parametrize("stop_seconds", [0.0, 10.0, 45.0])
def test_a_server_waits_longer_for_the_supervisor_than_that_for_its_jobs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_seconds: float
) -> None:
    waited: list[float] = []
    monkeypatch.setattr(SupervisorLauncher, "stop", lambda _self, timeout_s: waited.append(timeout_s) or False)
    parts = open_server(Settings(home=tmp_path, stop_seconds=stop_seconds))
    assert not parts.stop()
    parts.close()
    assert waited == [stop_seconds + STOP_MARGIN_S]


def test_requests_and_jobs_have_the_same_time_to_stop() -> None:
    assert ServerSettings().stop_seconds == Settings().stop_seconds
