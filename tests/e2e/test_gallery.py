"""The gallery's program draws every picture of its page."""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from patience import HANG_S, SLOWNESS

DOCS = Path(__file__).parents[2] / "docs"
PICTURES = re.findall(r"\]\(gallery/(\w+)\.png\)", (DOCS / "gallery.md").read_text())
PNG = b"\x89PNG\r\n\x1a\n"


def draw(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", str(DOCS / "gallery" / "draw.py"), *words]
    env = os.environ | {"QIOSK_IDLE_SECONDS": "2"}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=HANG_S)


@pytest.mark.long
def test_every_picture_is_drawn_and_shown(tmp_path: Path) -> None:
    done = draw("--output", str(tmp_path), "--seconds", str(math.ceil(SLOWNESS)), "--runs", "1")
    assert done.returncode == 0, done.stderr
    drawn = sorted(tmp_path.iterdir())
    assert [path.stem for path in drawn] == sorted(PICTURES)
    for path in drawn:
        assert path.read_bytes().startswith(PNG)
        assert path.stat().st_size > 5_000


def test_pictures_that_do_not_exist_are_told() -> None:
    done = draw("sunset")
    assert done.returncode == 2
    assert "NAME: must be one of search, compare, replicas, ladder, solutions, tour, schedule" in done.stderr
