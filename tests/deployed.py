"""The files of ``deploy/``, for tests, and the programs that check them: ``make validators`` installs these."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"
VALIDATORS = ROOT / ".validators"
FOLDERS = ("usr/bin", "layer/helm", "node_modules/.bin")


def text_files() -> list[Path]:
    """Every file of ``deploy/``."""
    return sorted(path for path in DEPLOY.rglob("*") if path.is_file())


def need(program: str) -> str:
    """The path of a program. Skips the test if it is missing; fails it if ``QIOSK_TEST_DEPLOY`` is ``require``."""
    places = [ROOT / ".venv/bin", *(VALIDATORS / folder for folder in FOLDERS)]
    found = shutil.which(program, path=os.pathsep.join(map(str, places))) or shutil.which(program)
    if found is None:
        missing(f"{program} is not installed: make validators")
    return str(found)


def missing(reason: str) -> None:
    """Skips the test, or fails it if ``QIOSK_TEST_DEPLOY`` is ``require``."""
    if os.environ.get("QIOSK_TEST_DEPLOY") == "require":
        pytest.fail(reason)
    pytest.skip(reason)


class Instruction(NamedTuple):
    """A line of a Dockerfile, with the lines that continue it."""

    name: str
    arguments: str


def dockerfile() -> list[Instruction]:
    """The instructions of ``deploy/Dockerfile``, without comments."""
    lines = [line for line in (DEPLOY / "Dockerfile").read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    return [Instruction(*line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]
