"""Every Python snippet of the documentation runs, page by page, and prints what its page says it prints."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from homes import shared_home
from patience import HANG_S
from qiosk import Problem, Workspace
from qiosk.optimization import Tabu, Term

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FRAGMENTS = sorted((ROOT / "changelog.d").glob("*.md"))
TEXTS = [*PAGES, ROOT / "CHANGELOG.md", ROOT / "CONTRIBUTING.md", ROOT / "examples" / "README.md", *FRAGMENTS]
BLOCK = re.compile(r"^```python\n(.*?)^```", re.S | re.M)


def snippets(page):
    return BLOCK.findall(page.read_text())


@pytest.fixture(scope="module")
def home(tmp_path_factory):
    """One home for all pages, as their readers have it: there are jobs already, and one supervisor runs them all."""
    with shared_home(tmp_path_factory.mktemp("docs") / "home"):
        with Workspace() as workspace:
            Tabu(workspace, sweeps=10, seed=1).submit(Problem("earlier", [Term(c=1, indices=[0, 1])])).get_results()
        yield


@pytest.mark.parametrize(
    "page", [p for p in PAGES if snippets(p)], ids=lambda p: str(p.relative_to(ROOT)).replace("/", "-")
)
@pytest.mark.usefixtures("home")
def test_snippets_run(page, tmp_path):
    program = tmp_path / "page.py"
    # job processes are forked from a server that imports the main module: snippets stay behind the usual guard
    program.write_text("\n".join(snippets(page)))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(program)],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=HANG_S,
    )
    assert done.returncode == 0, f"{page.name}:\n{done.stdout}\n{done.stderr}"


@pytest.mark.parametrize("page", TEXTS, ids=lambda p: str(p.relative_to(ROOT)).replace("/", "-"))
def test_relative_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text()):
        assert (page.parent / target).exists(), f"{page.name}: {target}"
