"""Of several processes that need the same machine code, one compiles it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from patience import HANG_S
from qiosk.kernels import claims

pytest.importorskip("fcntl")

# Claims a file, says so, and writes it when its input ends.
SCRIPT = """
import pathlib, sys
from qiosk.kernels import claims
path = pathlib.Path(sys.argv[1])
assert not claims.is_compiled_elsewhere(path)
print("mine", flush=True)
sys.stdin.read()
path.write_bytes(b"code")
claims.release(path)
"""


@contextmanager
def claimed(path: Path) -> Iterator[subprocess.Popen[str]]:
    """Another process that has claimed ``path``."""
    command = [sys.executable, "-c", SCRIPT, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "mine\n"
        try:
            yield process
        finally:
            process.kill()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "kernel.bin"


@contextmanager
def waiting(path: Path) -> Iterator[Future[bool]]:
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(claims.is_compiled_elsewhere, path)


def test_a_process_waits_for_the_file_of_another_one(path: Path) -> None:
    with claimed(path) as other, waiting(path) as found:
        assert not found.done()
        assert other.stdin is not None
        other.stdin.close()
        assert found.result(HANG_S)
        assert other.wait(HANG_S) == 0
    assert list(path.parent.iterdir()) == [path], "no lock is left"


def test_a_process_compiles_what_a_dead_one_had_claimed(path: Path) -> None:
    with claimed(path) as other, waiting(path) as found:
        other.kill()
        assert not found.result(HANG_S)
    assert not claims.is_compiled_elsewhere(path), "this process does"
    claims.release(path)
    assert list(path.parent.iterdir()) == []


def test_a_process_does_not_wait_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "WAIT_S", 0.05)
    with claimed(path):
        assert not claims.is_compiled_elsewhere(path)
        claims.release(path)
        assert claims._lock_of(path).exists(), "it is the other one's"


def test_what_is_there_is_not_waited_for(path: Path) -> None:
    with claimed(path):
        path.write_bytes(b"code")
        assert claims.is_compiled_elsewhere(path)


def test_a_claim_of_what_is_there_leaves_no_lock(path: Path) -> None:
    path.write_bytes(b"code")
    assert claims.is_compiled_elsewhere(path)
    assert list(path.parent.iterdir()) == [path]


def test_without_a_folder_no_process_waits(tmp_path: Path) -> None:
    assert not claims.is_compiled_elsewhere(tmp_path / "nothing" / "kernel.bin")
