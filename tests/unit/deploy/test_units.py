"""The systemd unit and the Slurm scripts, as far as they can be checked without systemd and Slurm running."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from deployed import DEPLOY

UNIT = DEPLOY / "systemd" / "qiosk.service"
MOST_EXPOSURE = 20
"""Of 100, as ``systemd-analyze security`` counts."""


def analyze() -> str:
    """The program of systemd that checks units; the test is skipped on systems without systemd."""
    return shutil.which("systemd-analyze") or pytest.skip("systemd-analyze is not installed")


def run(*command: object) -> str:
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/qiosk/bin/qiosk serve", "/bin/true"))
    assert run(analyze(), "verify", "--man=no", unit).strip() == ""


def test_the_unit_is_hardened() -> None:
    run(analyze(), "security", "--offline=yes", "--no-pager", f"--threshold={MOST_EXPOSURE}", UNIT)


@pytest.mark.parametrize("script", sorted((DEPLOY / "slurm").iterdir()), ids=lambda path: path.name)
def test_bash_accepts_the_slurm_script(script: Path) -> None:
    run("bash", "-n", script)
    assert script.read_text().startswith("#!/usr/bin/env bash\n")
