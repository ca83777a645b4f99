"""Reads who imports whom from the source, without importing anything."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import networkx as nx

SOURCE = Path(__file__).parents[1] / "src" / "qiosk"


@dataclass(frozen=True, slots=True)
class Import:
    """One import of a module of the package.

    ``is_lazy``: it stands inside a function, and runs when that is called. ``is_for_types``: only type checkers see it.
    """

    importer: str
    imported: str
    line: int
    is_lazy: bool
    is_for_types: bool


@dataclass(frozen=True, slots=True)
class Package:
    """The modules of a package by dotted name, and their imports of each other."""

    modules: dict[str, Path]
    imports: list[Import]

    def graph(self, *, lazy: bool = True) -> nx.DiGraph:
        """An arrow from each module to each one that it imports."""
        graph = nx.DiGraph()
        graph.add_nodes_from(self.modules)
        graph.add_edges_from((i.importer, i.imported) for i in self.imports if lazy or not i.is_lazy)
        return graph


def read_package(source: Path = SOURCE) -> Package:
    """All modules below the folder ``source``, whose name is the package's."""
    modules = {_dotted(path, source): path for path in sorted(source.rglob("*.py"))}
    found = [i for name, path in modules.items() for i in _imports(name, path, modules) if i.imported != name]
    return Package(modules, found)


def cycles(graph: nx.DiGraph) -> list[list[str]]:
    """The largest groups of nodes that all reach each other, sorted; none if imports point one way only."""
    return sorted(sorted(group) for group in nx.strongly_connected_components(graph) if len(group) > 1)


def folder_graph(package: Package, depth: int, *, below: str = "") -> nx.DiGraph:
    """Arrows between the parts of a package that the first ``depth`` names below ``below`` name.

    The weight of an arrow is the number of modules' imports in it.
    """
    graph = nx.DiGraph()
    for i in package.imports:
        tail, head = _part(i.importer, below, depth), _part(i.imported, below, depth)
        if tail is None or head is None or tail == head:
            continue
        weight = graph.get_edge_data(tail, head, {"weight": 0})["weight"]
        graph.add_edge(tail, head, weight=weight + 1)
    return graph


def _part(module: str, below: str, depth: int) -> str | None:
    if not module.startswith(f"{below}."):
        return None
    return ".".join(module.removeprefix(f"{below}.").split(".")[:depth])


def _dotted(path: Path, source: Path) -> str:
    parts = (source.name, *path.relative_to(source).with_suffix("").parts)
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def _imports(name: str, path: Path, modules: dict[str, Path]) -> Iterator[Import]:
    for node, is_lazy, is_for_types in _statements(ast.parse(path.read_text()), False, False):
        if isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                raise ValueError(f"{path}: relative import in line {node.lineno}")
            named = [f"{base}.{alias.name}" for alias in node.names]
            targets = [full if full in modules else base for full in named]
        else:
            targets = [alias.name for alias in node.names]
        for target in dict.fromkeys(targets):
            if target in modules:
                yield Import(name, target, node.lineno, is_lazy, is_for_types)


def _statements(
    node: ast.AST, is_lazy: bool, is_for_types: bool
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, is_lazy, is_for_types
            continue
        lazy = is_lazy or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        types = is_for_types or (isinstance(child, ast.If) and ast.unparse(child.test).endswith("TYPE_CHECKING"))
        yield from _statements(child, lazy, types)
