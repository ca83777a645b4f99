"""What the files of ``deploy/`` set exists, and the examples are accepted."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from deployed import DEPLOY, text_files
from qiosk.server.settings import ServerSettings
from qiosk.settings import Settings, read_environment, variable

ELSEWHERE = {"QIOSK_CACHE_DIR"}  # read by qiosk.kernels.compiler, before there are settings
KNOWN = {variable(member.name) for kind in (Settings, ServerSettings) for member in fields(kind)} | ELSEWHERE
EXAMPLES = sorted(DEPLOY.rglob("*.example"))


@pytest.mark.parametrize("path", text_files(), ids=lambda path: str(path.relative_to(DEPLOY)))
def test_every_variable_is_a_setting(path: Path) -> None:
    assert set(re.findall(r"\bQIOSK_[A-Z_]*[A-Z]\b", path.read_text())) <= KNOWN


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_examples_are_accepted_with_all_that_they_leave_out(path: Path) -> None:
    environ = dict(re.findall(r"^#?([A-Z_]+)=(.*)$", path.read_text(), re.M))
    assert any(name in KNOWN for name in environ)
    read_environment(Settings, environ, {})
    read_environment(ServerSettings, environ, {})
