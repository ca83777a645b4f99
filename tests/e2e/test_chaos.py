"""Everything that works on jobs killed at random, briefly; ``python -m benchmarks.service.chaos`` does it at length."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import databases
from patience import HANG_S, SLOWNESS, TEST_S

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.slow,
    pytest.mark.timeout(2 * TEST_S),
]


def assert_nothing_is_lost(*options: str) -> None:
    every = str(6 * SLOWNESS)  # a job has to get somewhere between two kills
    arguments = ["--jobs", "25", "--every", every, "--sweeps", "20000", "--within", str(HANG_S), *options]
    command = [sys.executable, "-m", "benchmarks.service.chaos", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=os.environ, timeout=TEST_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every job reached exactly one final state, and nothing is left" in done.stdout


@pytest.mark.long
def test_nothing_is_lost_on_sqlite():
    assert_nothing_is_lost()


def test_nothing_is_lost_on_postgresql():
    url = databases.postgres_url().render_as_string(hide_password=False)
    assert_nothing_is_lost("--database", url)


def test_nothing_is_lost_behind_a_server():
    pytest.importorskip("uvicorn")
    assert_nothing_is_lost("--http")
