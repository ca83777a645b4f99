"""What the image promises, read from its Dockerfile. ``tests/e2e/test_deploy.py`` runs its steps."""

from __future__ import annotations

import re
import subprocess

import pytest

from deployed import DEPLOY, ROOT, Instruction, dockerfile, need


def arguments(name: str) -> list[str]:
    return [line.arguments for line in dockerfile() if line.name == name]


def test_hadolint_finds_nothing() -> None:
    done = subprocess.run([need("hadolint"), DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_server_is_no_root_and_its_user_is_a_number() -> None:
    assert re.fullmatch(r"[1-9]\d*:\d+", arguments("USER")[-1])
    assert dockerfile()[-1] == Instruction("CMD", '["serve"]')


def test_bases_are_pinned_and_the_same() -> None:
    images = {line.split(" AS ")[0] for line in arguments("FROM")}
    assert len(images) == 1
    assert re.fullmatch(r"python:3\.\d+-slim-\w+", images.pop())


@pytest.mark.parametrize("copied", [line for line in arguments("COPY") if not line.startswith("--from")])
def test_what_is_copied_exists_and_is_not_ignored(copied: str) -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    for name in copied.split()[:-1]:
        assert (ROOT / name).exists()
        assert name in kept
