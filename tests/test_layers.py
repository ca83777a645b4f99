"""Imports point one way only, and what must stay light stays light."""

from __future__ import annotations

import ast
import subprocess
import sys

import pytest

from tools.imports import SOURCE, cycles, folder_graph, read_package

# A layer may import itself and every layer in an earlier row; layers of one row do not know each other.
ROWS = [
    {"errors", "kernels", "machine", "version"},
    {"cluster", "contract", "forks", "model", "settings"},
    {"bounds", "console", "formats", "plots"},
    {"presolve"},
    {"solvers"},
    {"problem"},
    {"service", "modeling"},
    {"adapters"},
    {"bootstrap"},
    {"client", "server", "supervisor"},
    {"optimization", "studies", "testing"},
    {"aio"},
    {"azure", "azure_bootstrap", "dashboard", "interop"},
    {"cli"},
]
RANK = {layer: rank for rank, row in enumerate(ROWS) for layer in row}

# Narrower than their place in the rows: package -> the layers it may name.
ONLY = {
    "kernels": {"kernels"},
    "adapters": {"adapters", "contract", "errors", "forks", "service"},
    "client": {
        "client",
        "console",
        "contract",
        "errors",
        "forks",
        "model",
        "formats",
        "problem",
        "modeling",
        "plots",
        "version",
    },
}
# Layers that only these may import.
USED_BY = {"adapters": {"adapters", "bootstrap"}}
# The one place where a client opens an embedded workspace, and the one where it reads the rules of parameters.
ALLOWED = {("qiosk.client.opening", "bootstrap"), ("qiosk.client.solvers.rules", "solvers")}

# Folders whose subfolders import in one direction only: an earlier one may import a later one.
SIBLINGS = {
    "model": ["transforms", "arrays", "constraints"],
    "modeling": ["rounds", "propagation", "penalties"],
    "solvers": ["members", "targets", "parameter_free", "exact", "algorithms", "search", "samplers"],
    "server": ["routes", "blobs", "auth", "web"],
}
# Folders whose subfolders do not import each other at all.
APART = {"adapters": ["archives", "blobs", "home", "sql"]}
# Modules of classes that hold each other: a workspace makes jobs, and a job belongs to a workspace.
HOLD_EACH_OTHER = [
    {"client.job", "client.session", "client.solvers.base", "client.workspace"},
    {"aio.job", "aio.session", "aio.solvers", "aio.workspace"},
]

PACKAGE = read_package(SOURCE)


def layer_of(module):
    return module.removeprefix("qiosk.").split(".")[0]


def test_every_module_belongs_to_a_layer():
    assert {layer_of(m) for m in PACKAGE.modules} - {"qiosk", "__main__"} == set(RANK)


@pytest.mark.parametrize("module", PACKAGE.modules)
def test_imports_point_left(module):
    layer = layer_of(module)
    if layer in ("qiosk", "__main__"):
        return
    for found in PACKAGE.imports:
        target = layer_of(found.imported)
        if found.importer != module or target in (layer, "qiosk") or (module, target) in ALLOWED:
            continue
        where = f"{module}, line {found.line}: imports {found.imported}"
        assert RANK[target] < RANK[layer], f"{where}, which is not to its left"
        assert target in ONLY.get(layer, RANK), f"{where}, which {layer} may not name"
        assert layer in USED_BY.get(target, RANK), f"{where}, which only {USED_BY[target]} may name"


@pytest.mark.parametrize("folder", SIBLINGS)
def test_siblings_import_in_one_direction(folder):
    order = SIBLINGS[folder]
    arrows = folder_graph(PACKAGE, 1, below=f"qiosk.{folder}").edges
    backward = [(a, b) for a, b in arrows if a in order and b in order and order.index(a) > order.index(b)]
    assert not backward
    found = {path.name for path in (SOURCE / folder).iterdir() if (path / "__init__.py").exists()}
    assert found == set(order)


@pytest.mark.parametrize("folder", APART)
def test_subfolders_that_are_apart_do_not_know_each_other(folder):
    arrows = folder_graph(PACKAGE, 1, below=f"qiosk.{folder}").edges
    assert [(a, b) for a, b in arrows if a != b and {a, b} <= set(APART[folder])] == []


def test_modules_do_not_import_each_other():
    groups = [{module.removeprefix("qiosk.") for module in group} for group in cycles(PACKAGE.graph())]
    assert [group for group in groups if not any(group <= allowed for allowed in HOLD_EACH_OTHER)] == []


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
        ("import qiosk.solvers.solve", {"numba", "ray", "sqlalchemy", "obstore"}),
        ("import qiosk.azure_bootstrap", {"numpy", "msgspec", "urllib3"}),
        ("import qiosk.client.remote.jobs", {"numba", "sqlalchemy", "obstore"}),
        ("from qiosk.bootstrap import open_embedded", {"numba", "obstore", "alembic", "multiprocessing"}),
        ("import qiosk.supervisor.__main__", {"numpy", "sqlalchemy", "obstore"}),
        (
            "import qiosk.supervisor.processes.job_process, qiosk.bootstrap.supervised",
            {"numba", "sqlalchemy", "obstore"},
        ),
    ],
)
def test_what_is_not_needed_is_not_imported(statement, absent):
    assert not loaded_by(statement) & absent


def test_kernels_import_numpy_and_numba_only():
    allowed = {"numpy", "numba", "llvmlite", "qiosk"} | set(sys.stdlib_module_names)
    for path in (SOURCE / "kernels").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [a.name for a in node.names] if isinstance(node, ast.Import) else []
            assert {n.split(".")[0] for n in names} <= allowed, path
