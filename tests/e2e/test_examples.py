"""Every example runs unchanged and finds the right answer, which it checks itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from homes import shared_home
from patience import HANG_S

EXAMPLES = Path(__file__).parents[2] / "examples"
PROGRAMS = sorted(EXAMPLES.glob("*.py"))


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    with shared_home(tmp_path_factory.mktemp("home")):
        yield


@pytest.mark.usefixtures("home")
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: p.stem)
def test_example(program, tmp_path):
    command = [sys.executable, "-W", "error", "-m", "qiosk.azure", str(program)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, done.stderr
    assert done.stdout


def test_every_example_is_listed():
    page = (EXAMPLES / "README.md").read_text()
    assert [p.name for p in PROGRAMS if f"`{p.name}`" not in page] == []
