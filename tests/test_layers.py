"""Imports point one way only, and what must stay light stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "qiosk"

# A layer may import itself and every layer in an earlier row; layers of one row do not know each other.
ROWS = [
    {"errors", "kernels"},
    {"contract", "model", "settings"},
    {"formats", "plots"},
    {"solvers"},
    {"problem"},
    {"service", "modeling"},
    {"adapters"},
    {"bootstrap", "testing"},
    {"client", "server", "supervisor"},
    {"optimization", "aio"},
    {"azure", "azure_bootstrap", "interop"},
    {"cli"},
]
RANK = {layer: rank for rank, row in enumerate(ROWS) for layer in row}

# Narrower than their place in the rows: package -> the layers it may name.
ONLY = {
    "kernels": {"kernels"},
    "client": {"client", "contract", "errors", "model", "formats", "problem", "modeling", "plots"},
}
# The one place where a client opens an embedded workspace.
ALLOWED = {("client/workspace.py", "bootstrap")}


def modules():
    return sorted(SOURCE.rglob("*.py"))


def layer_of(path):
    part = path.relative_to(SOURCE).parts[0]
    return part.removesuffix(".py")


def imports(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import in line {node.lineno}"
            if node.module == "qiosk":
                yield from (alias.name for alias in node.names)
            elif node.module and node.module.startswith("qiosk."):
                yield node.module.split(".")[1]
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("qiosk."))


def test_every_module_belongs_to_a_layer():
    assert {layer_of(p) for p in modules()} - {"__init__", "__main__"} == set(RANK)


@pytest.mark.parametrize("path", modules(), ids=lambda p: str(p.relative_to(SOURCE)))
def test_imports_point_left(path):
    layer = layer_of(path)
    if layer in ("__init__", "__main__"):
        return
    name = path.relative_to(SOURCE).as_posix()
    for target in imports(path):
        if target == layer or target not in RANK or (name, target) in ALLOWED:
            continue
        assert RANK[target] < RANK[layer], f"{name} imports {target}, which is not to its left"
        assert target in ONLY.get(layer, RANK), f"{name} imports {target}, which {layer} may not name"


def loaded_by(statement):
    code = f"import sys; {statement}; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import qiosk", {"numpy", "numba", "sqlalchemy", "obstore"}),
        ("import qiosk.optimization", {"numba", "sqlalchemy", "obstore", "typer"}),
        ("import qiosk.client.workspace", {"numba", "sqlalchemy", "obstore", "urllib3"}),
        ("import qiosk.solvers.targets.catalogue", {"numba", "sqlalchemy", "obstore"}),
        ("import qiosk.solvers.solve", {"numba", "sqlalchemy", "obstore"}),
        ("import qiosk.azure_bootstrap", {"numpy", "msgspec", "urllib3"}),
        ("import qiosk.client.remote.jobs", {"numba", "sqlalchemy", "obstore"}),
        ("import qiosk.bootstrap", {"numba"}),
    ],
)
def test_what_is_not_needed_is_not_imported(statement, absent):
    assert not loaded_by(statement) & absent


def test_kernels_import_numpy_and_numba_only():
    allowed = {"numpy", "numba", "llvmlite", "qiosk"} | set(sys.stdlib_module_names)
    for path in modules():
        if layer_of(path) != "kernels":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            assert {n.split(".")[0] for n in names} <= allowed, path
