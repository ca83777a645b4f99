"""The bell wakes who listens, and disturbs nobody else."""

import os
from multiprocessing.connection import wait
from pathlib import Path

import pytest

from qiosk.adapters.home.bell import BellListener, ring


def hears(bell: BellListener, within: float = 0.0) -> bool:
    return bool(wait([bell], timeout=within))


def test_a_ring_is_heard_until_it_is_hushed(tmp_path: Path) -> None:
    path = tmp_path / "bell"
    with BellListener(path) as bell:
        assert not hears(bell)
        ring(path)
        ring(path)
        assert hears(bell, within=10)
        bell.hush()
        assert not hears(bell)
        bell.hush()


def test_a_bell_rings_again_after_any_number_of_rings(tmp_path: Path) -> None:
    path = tmp_path / "bell"
    with BellListener(path) as bell:
        for _ in range(70_000):  # more than a pipe holds
            ring(path)
        bell.hush()
        ring(path)
        assert hears(bell, within=10)


def test_nobody_has_to_listen(tmp_path: Path) -> None:
    path = tmp_path / "bell"
    ring(path)
    assert not path.exists()
    with BellListener(path):
        pass
    ring(path)
    assert not path.exists()


def test_a_pipe_that_was_left_behind_is_used_again(tmp_path: Path) -> None:
    path = tmp_path / "bell"
    os.mkfifo(path)
    ring(path)
    with BellListener(path) as bell:
        ring(path)
        assert hears(bell, within=10)


def test_a_file_in_its_place_gives_way(tmp_path: Path) -> None:
    path = tmp_path / "bell"
    path.write_text("what is this")
    with BellListener(path) as bell:
        ring(path)
        assert hears(bell, within=10)


def test_where_there_are_no_pipes_there_is_no_bell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_arguments: object) -> None:
        raise PermissionError("no pipes here")

    monkeypatch.setattr(os, "mkfifo", refuse)
    with BellListener(tmp_path / "bell") as bell:
        assert not bell.is_open
        ring(tmp_path / "bell")
        bell.hush()
