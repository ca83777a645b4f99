"""What the documentation site has besides the pages of ``docs/``: hooks of MkDocs, named in ``mkdocs.yml``.

It adds some files of the repository outside ``docs/``, and a page of the API reference for each public module. Links to
these files are written as a code host shows them, relative to the file, and converted here. A built page that loads
anything from another host is a warning, which ends ``make site``.
"""

from __future__ import annotations

import logging
import posixpath
import re
from html.parser import HTMLParser
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[1]
OUTSIDE = {
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "CODE_OF_CONDUCT.md": "code-of-conduct.md",
    "examples/README.md": "examples.md",
}
MODULES = {
    "qiosk": "Workspaces, jobs and `solve`",
    "qiosk.optimization": "Problems and solvers",
    "qiosk.optimization.oneqbit": "1QBit's solvers",
    "qiosk.optimization.toshiba": "Toshiba's solver",
    "qiosk.modeling": "Models",
    "qiosk.interop.dimod": "dimod",
    "qiosk.interop.networkx": "NetworkX",
    "qiosk.interop.ommx": "OMMX",
    "qiosk.interop.pyqubo": "PyQUBO",
    "qiosk.interop.qiskit": "Qiskit Optimization",
    "qiosk.interop.qubovert": "qubovert",
    "qiosk.bounds": "Lower bounds",
    "qiosk.presolve": "Smaller problems",
    "qiosk.plots": "Plots",
    "qiosk.studies": "Studies",
    "qiosk.studies.plots": "Plots of studies",
    "qiosk.aio": "asyncio",
    "qiosk.aio.optimization": "Problems and solvers for asyncio",
    "qiosk.testing": "Testing programs that use Qiosk",
}
LINK = re.compile(r"(!?\[[^\]]*\])\(([^)\s#:]+)(#[^)\s]*)?\)")
LOADING = {"script": "src", "img": "src", "iframe": "src", "source": "src", "video": "src", "audio": "src"}
LOADING_RELATIONS = {"stylesheet", "preload", "modulepreload", "preconnect", "dns-prefetch", "icon", "manifest"}
log = logging.getLogger("mkdocs.hooks.site")


def on_config(config: MkDocsConfig) -> None:
    """List the records of decisions in the navigation."""
    sections = [section for entry in config.nav or [] for pages in entry.values() for section in pages]
    decisions = next(section for section in sections if isinstance(section, dict) and "Decisions" in section)
    decisions["Decisions"] = sorted(f"decisions/{path.name}" for path in (ROOT / "docs" / "decisions").glob("*.md"))


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages that are not in ``docs/``."""
    for path, uri in OUTSIDE.items():
        files.append(File.generated(config, uri, content=(ROOT / path).read_text()))
    for module, title in MODULES.items():
        options = "" if module != "qiosk.testing" else "    options:\n      show_submodules: true\n"
        text = f"# {title}\n\n`{module}`\n\n::: {module}\n{options}"
        files.append(File.generated(config, f"api/{module}.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Convert links that lead out of ``docs/``, or that come from outside."""
    uri = page.file.src_uri
    if uri.startswith("api/"):
        return markdown
    source = next((path for path, to in OUTSIDE.items() if to == uri), f"docs/{uri}")

    def converted(match: re.Match[str]) -> str:
        text, target, anchor = match[1], match[2], match[3] or ""
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if path.startswith("docs/"):
            found = path.removeprefix("docs/")
        elif path in OUTSIDE:
            found = OUTSIDE[path]
        elif (ROOT / path).exists():  # a file or folder that only the repository has
            return text.removeprefix("[").removesuffix("]")
        else:
            return match[0]  # MkDocs reports it
        return f"{text}({posixpath.relpath(found, posixpath.dirname(uri) or '.')}{anchor})"

    return LINK.sub(converted, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """Report everything that a page would load from another host."""
    site = Path(config.site_dir)
    for path in sorted(site.rglob("*.html")):
        finder = _Loaded()
        finder.feed(path.read_text())
        for url in finder.foreign:
            log.warning("%s loads %s from another host", path.relative_to(site), url)
    for path in sorted(site.rglob("*.css")):
        for url in re.findall(r"(?:url\(|@import)\s*[\"']?((?:https?:)?//[^\"')\s]+)", path.read_text()):
            log.warning("%s loads %s from another host", path.relative_to(site), url)


class _Loaded(HTMLParser):
    """The addresses of other hosts that a browser asks when it shows a page."""

    def __init__(self) -> None:
        super().__init__()
        self.foreign: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        url = values.get(LOADING.get(tag, ""))
        if tag == "link" and LOADING_RELATIONS & set((values.get("rel") or "").split()):
            url = values.get("href")
        if url and re.match(r"(https?:)?//", url):
            self.foreign.append(url)
