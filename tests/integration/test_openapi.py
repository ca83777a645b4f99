"""The server answers as its description says, whatever it is sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from patience import HANG_S

ROOT = Path(__file__).parents[2]


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [("schema", "--examples", "2", "--phases", "fuzzing"), ("fuzz", "--requests", "600", "--seed", "7")],
    ids=lambda arguments: arguments[0],
)
def test_nothing_is_found(arguments: tuple[str, ...]) -> None:
    name, *options = arguments
    command = [sys.executable, "-m", f"benchmarks.service.{name}", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
