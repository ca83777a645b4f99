"""A home on a file system that is mounted read-only, which not even root can write to."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from homes import close_home
from patience import HANG_S
from qiosk.bootstrap import open_embedded

MOUNT = 'mount --bind "$1" "$1" && mount -o remount,ro,bind "$1" "$1" && shift && exec "$@"'


def run_read_only(home: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that sees ``home`` mounted read-only, in a mount namespace of its own."""
    unshare = shutil.which("unshare")
    begin = [str(unshare), "--mount", "sh", "-c", MOUNT, "sh", str(home)]
    if unshare is None or subprocess.run([*begin, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    environ = {**os.environ, "QIOSK_HOME": str(home)}
    return subprocess.run([*begin, *command], env=environ, capture_output=True, text=True, timeout=HANG_S, check=False)


@pytest.mark.parametrize("command", [("serve", "--port", "0"), ("jobs", "list")], ids=["server", "command"])
@pytest.mark.parametrize("is_used", [False, True], ids=["empty", "used"])
def test_the_reason_is_named(tmp_path: Path, command: tuple[str, ...], is_used: bool) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    if is_used:
        open_embedded(home).close()
    done = run_read_only(home, sys.executable, "-m", "qiosk", *command)
    assert done.returncode == 1
    assert f"error: {home}" in done.stderr
    assert "read-only file system" in done.stderr
    assert "Traceback" not in done.stderr
    close_home(home)
