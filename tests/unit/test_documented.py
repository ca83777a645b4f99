"""What users can name is written down."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from dataclasses import fields
from pathlib import Path

import pytest
import typer.main

from qiosk import errors
from qiosk.cli.app import app
from qiosk.settings import Settings
from qiosk.solvers.targets.catalogue import targets
from qiosk.solvers.targets.parameters import COMMON
from tools import picture
from tools.imports import read_package

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SOURCE = ROOT / "src" / "qiosk"
PUBLIC = [
    "__init__.py",
    *(f"optimization/{name}.py" for name in ("__init__", "oneqbit", "toshiba")),
    "modeling/__init__.py",
    "interop/dimod/__init__.py",
    *(f"interop/{name}.py" for name in ("networkx", "ommx", "pyqubo", "qiskit", "qubovert")),
    "bounds/__init__.py",
    "presolve/__init__.py",
    "plots.py",
    "studies/__init__.py",
    "studies/plots.py",
    "testing/__init__.py",
    *(f"aio/{name}.py" for name in ("__init__", "optimization")),
    "azure_bootstrap.py",
]
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


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_on_a_page(module):
    pages = "\n".join(page.read_text() for page in [ROOT / "README.md", *DOCS.rglob("*.md")])
    assert not [name for name in public_names(SOURCE / module) if not re.search(rf"\b{name}\b", pages)]


def public_names(module):
    """What a module lists in ``__all__``, else its functions and classes. It is not imported: some need extras."""
    body = ast.parse(module.read_text()).body
    for node in body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return [name for name in ast.literal_eval(node.value) if name != "__version__"]
    named = [node.name for node in body if isinstance(node, (ast.ClassDef, ast.FunctionDef))]
    return [name for name in named if not name.startswith("_")]


def test_every_package_has_its_row_in_the_architecture():
    text = (DOCS / "architecture.md").read_text()
    packages = {path.stem for path in SOURCE.glob("[a-z]*") if path.suffix in ("", ".py")}
    assert not [name for name in packages if not re.search(rf"^\|.*`{name}`.*\|.*\|$", text, re.M)]


def test_the_architecture_names_files_that_exist():
    named = re.findall(r"`([a-z_]+/[a-z_/]*[a-z_](?:\.py|/))`", (DOCS / "architecture.md").read_text())
    assert len(named) > 30
    assert not [path for path in named if not (SOURCE / path).exists() and not (ROOT / path).exists()]


def test_the_picture_of_the_architecture_shows_what_modules_import():
    assert picture.TARGET.read_text() == picture.draw(read_package(), "qiosk"), "run make picture"


def test_every_extra_is_described():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    text = (ROOT / "README.md").read_text()
    ours = ("bench", "deploy", "dev", "docs", "release")
    assert not [name for name in extras if not name.startswith(ours) and f"`{name}`" not in text]


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


def test_fragments_of_the_changelog_have_a_type_and_are_paragraphs():
    fragments = [path for path in (ROOT / "changelog.d").iterdir() if path.name != "_template.jinja"]
    assert not [
        path.name for path in fragments if not re.fullmatch(r"[\w-]+\.(added|changed|fixed|removed)\.md", path.name)
    ]
    assert not [path.name for path in fragments if path.read_text().startswith("- ")]  # towncrier adds the bullet


def test_the_next_section_of_the_changelog_has_links_from_where_it_will_be():
    command = [sys.executable, "-m", "towncrier", "build", "--draft", "--version", "next"]
    section = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    texts = [path.read_text() for path in (ROOT / "changelog.d").glob("*.md")]
    assert section.count("\n- ") >= len(texts)
    links = re.findall(r"\]\((?!https?:)([^)#]+)", section)
    assert len(links) == sum(len(re.findall(r"\]\((?!https?:)[^)#]+", text)) for text in texts)
    assert [link for link in links if not (ROOT / link).is_file()] == []
