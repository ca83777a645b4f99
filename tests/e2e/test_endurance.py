"""Everything fails that servers need, briefly; ``make endurance`` does it at length."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from endurance.faults import FAULTS
from endurance.postgres import programs
from patience import HANG_S, TEST_S

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
    pytest.mark.slow,
    pytest.mark.timeout(2 * TEST_S),
]


@pytest.mark.parametrize("storage", ["s3", pytest.param("folder", marks=pytest.mark.long)])
def test_no_job_is_lost(storage: str) -> None:
    try:
        programs()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    environ = {**os.environ, "PYTHONPATH": str(ROOT / "tests")}
    arguments = ["--short", "--jobs", "30", "--storage", storage, "--within", str(TEST_S - HANG_S)]
    if storage == "folder":  # the faults of an object store are those of the other run
        arguments += ["--fault", "disk of the storage full", "--fault", "job processes killed"]
    command = [sys.executable, "-m", "endurance", *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environ, capture_output=True, text=True, timeout=TEST_S)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "every job reached exactly one final state, and no results are lost" in done.stdout
    if storage == "s3":
        unseen = [kind.name for kind in FAULTS.values() if kind.is_short and f"{kind.name}" not in done.stdout]
        assert unseen == [], "each was brought about, or the reason is given"
