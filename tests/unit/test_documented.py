"""What users can name is written down."""

from __future__ import annotations

import re
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import typer.main

from qiosk import errors
from qiosk.cli.app import app
from qiosk.settings import Settings
from qiosk.solvers.parameters import COMMON
from qiosk.solvers.registry import targets

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOLVERS = [page.read_text() for page in sorted((DOCS / "solvers").glob("*.md")) if page.name != "README.md"]


@pytest.mark.parametrize("target", targets(), ids=lambda t: t.id)
def test_every_target_has_a_page_with_its_parameters_and_a_source(target):
    pages = [text for text in SOLVERS if f"`{target.id}`" in text]
    assert pages, f"{target.id} is on no page of docs/solvers"
    common = {parameter.name for parameter in COMMON}
    missing = [p.name for p in target.parameters if p.name not in common and f"`{p.name}`" not in pages[0]]
    assert not missing
    assert "doi.org/" in pages[0]


def test_common_parameters_are_described():
    text = (DOCS / "solving.md").read_text()
    assert not [p.name for p in COMMON if f"`{p.name}`" not in text]


def test_every_setting_is_described():
    text = (DOCS / "jobs-internals.md").read_text()
    assert not [f.name for f in fields(Settings) if f"`QIOSK_{f.name.upper()}`" not in text]


def test_every_error_is_described():
    text = (DOCS / "errors.md").read_text()
    names = [n for n, c in vars(errors).items() if isinstance(c, type) and issubclass(c, errors.QioskError)]
    assert not [name for name in names if f"`{name}`" not in text]
    codes = {c.azq for n in names if (c := getattr(errors, n)).azq}
    assert codes <= set(re.findall(r"AZQ\d{3}", text))


def test_every_package_has_its_row_in_the_architecture():
    text = (DOCS / "architecture.md").read_text()
    packages = {path.stem for path in (ROOT / "src" / "qiosk").glob("[a-z]*") if path.suffix in ("", ".py")}
    assert not [name for name in packages if not re.search(rf"^\|.*`{name}`.*\|.*\|$", text, re.M)]


def test_every_extra_is_described():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = (ROOT / "README.md").read_text()
    assert not [name for name in extras if not name.startswith(("bench", "dev")) and f"`{name}`" not in text]


def test_every_command_is_described():
    text = (DOCS / "cli.md").read_text()
    missing = [
        words for words in commands(typer.main.get_command(app), "qiosk") if not re.search(rf"^{words}\b", text, re.M)
    ]
    assert not missing


def commands(command, words):
    if not (below := getattr(command, "commands", {})):
        return [words]
    return [line for name, sub in below.items() for line in commands(sub, f"{words} {name}")]
