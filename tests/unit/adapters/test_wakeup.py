"""The pipe wakes the supervisor that reads from it; without one nothing happens."""

import os
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from patience import HANG_S
from qiosk.adapters.home.wakeup import WakeupPipe, wake


def is_woken(pipe: WakeupPipe, within: float = 0.0) -> bool:
    return bool(wait([pipe], timeout=within))


def test_a_wakeup_stays_until_the_pipe_is_drained(tmp_path: Path) -> None:
    path = tmp_path / "bell"
    with WakeupPipe(path) as pipe:
        assert not is_woken(pipe)
        wake(path)
        wake(path)
        assert is_woken(pipe, within=HANG_S)
        pipe.drain()
        assert not is_woken(pipe)
        pipe.drain()


def test_a_full_pipe_can_be_drained_and_used_again(tmp_path: Path) -> None:
    path = tmp_path / "bell"
    with WakeupPipe(path) as pipe:
        for _ in range(70_000):  # more than a pipe holds
            wake(path)
        pipe.drain()
        wake(path)
        assert is_woken(pipe, within=HANG_S)


def test_without_a_reader_nothing_happens(tmp_path: Path) -> None:
    path = tmp_path / "bell"
    wake(path)
    assert not path.exists()
    with WakeupPipe(path):
        pass
    wake(path)
    assert not path.exists()


def test_a_pipe_that_was_left_behind_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "bell"
    os.mkfifo(path)
    wake(path)
    with WakeupPipe(path) as pipe:
        wake(path)
        assert is_woken(pipe, within=HANG_S)


def test_a_file_in_its_place_gives_way(tmp_path: Path) -> None:
    path = tmp_path / "bell"
    path.write_text("what is this")
    with WakeupPipe(path) as pipe:
        wake(path)
        assert is_woken(pipe, within=HANG_S)


def test_a_file_system_without_pipes_has_no_wakeups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError("no pipes here")

    monkeypatch.setattr(os, "mkfifo", refuse)
    with WakeupPipe(tmp_path / "bell") as pipe:
        assert not pipe.is_open
        wake(tmp_path / "bell")
        pipe.drain()
