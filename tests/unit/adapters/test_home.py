"""Who supervises and who serves a home, asked by many at once."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

import pytest

from qiosk.adapters.home import heartbeat
from qiosk.adapters.home import home as module
from qiosk.adapters.home.home import Home, ServerPresence, SupervisorLock


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def end_at_the_first_pause(monkeypatch: pytest.MonkeyPatch, file: int) -> list[float]:
    """Close a file when somebody waits for the first time; returns the list of pauses."""
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 1:
            os.close(file)

    monkeypatch.setattr(module.time, "sleep", sleep)
    return pauses


def opened(path: Path, mode: int) -> int:
    """A file that is locked as a probe locks it."""
    file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(file, mode)
    return file


def test_a_supervisor_is_seen_as_long_as_it_lives(home: Home) -> None:
    ours, probe = SupervisorLock(home.lock), SupervisorLock(home.lock)
    assert not probe.is_held()
    assert ours.acquire()
    assert probe.is_held()
    assert probe.holder() == os.getpid()
    ours.release()
    assert not probe.is_held()


def test_probes_of_a_supervisor_do_not_see_each_other(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    flock = fcntl.flock
    seen: list[bool] = []

    def lock_and_look(file: int, mode: int) -> None:
        flock(file, mode)
        if not seen:
            monkeypatch.setattr(module.fcntl, "flock", flock)
            seen.append(SupervisorLock(home.lock).is_held())

    monkeypatch.setattr(module.fcntl, "flock", lock_and_look)
    seen.append(SupervisorLock(home.lock).is_held())
    assert seen == [False, False]


def test_a_probe_does_not_keep_anybody_from_supervising(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = end_at_the_first_pause(monkeypatch, opened(home.lock, fcntl.LOCK_SH))
    lock = SupervisorLock(home.lock)
    assert lock.acquire()
    assert len(pauses) == 1
    lock.release()


def test_servers_are_seen_until_the_last_one_ends(home: Home) -> None:
    assert not home.is_served()
    servers = [ServerPresence(home), ServerPresence(home)]
    for server in servers:
        assert home.is_served()
        server.end()
    assert not home.is_served()


def test_a_probe_is_not_taken_for_a_server(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = end_at_the_first_pause(monkeypatch, opened(home.server_lock, fcntl.LOCK_EX))
    assert not home.is_served()
    assert len(pauses) == 1


def test_a_heart_is_still_for_as_long_as_it_was_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 100.0
    monkeypatch.setattr(heartbeat.time, "monotonic", lambda: now)
    heart = heartbeat.Heartbeat(tmp_path / "beat")
    heart.beat()
    assert heart.still_s("a") == 0.0
    now += 4.0
    assert heart.still_s("a") == 4.0
    now += 1000.0  # this process, and perhaps the other one, was stopped
    assert heart.still_s("a") == 4.0 + heartbeat.LONGEST_STEP_S
    assert heart.still_s("b") == 0.0
    now += 1.0
    heart.beat()
    assert heart.still_s("b") == 0.0
