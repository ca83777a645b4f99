"""Every public class and function has an example in its docstring, which runs and prints what it shows."""

from __future__ import annotations

import doctest
import inspect
from importlib import import_module, util
from types import ModuleType

import pytest

from homes import shared_home
from qiosk.client.workspace import Workspace

pytestmark = pytest.mark.slow

LIBRARIES = {
    "qiosk.plots": "matplotlib",
    "qiosk.studies.plots": "matplotlib",
    "qiosk.interop.dimod": "dimod",
    "qiosk.interop.networkx": "networkx",
    "qiosk.interop.ommx": "ommx",
    "qiosk.interop.pyqubo": "pyqubo",
    "qiosk.interop.qiskit": "qiskit_optimization",
    "qiosk.interop.qubovert": "qubovert",
}
"""Public modules that need a library, and that library."""
MODULES = [
    "qiosk",
    "qiosk.optimization",
    "qiosk.optimization.oneqbit",
    "qiosk.optimization.toshiba",
    "qiosk.modeling",
    "qiosk.bounds",
    "qiosk.presolve",
    "qiosk.studies",
    "qiosk.testing",
    *LIBRARIES,
]


def public_names(module: ModuleType) -> list[str]:
    """What a module lists in ``__all__``, else the classes and functions that it defines; no constants."""
    names = getattr(module, "__all__", [name for name in vars(module) if not name.startswith("_")])
    has_list = hasattr(module, "__all__")
    found = {name: getattr(module, name) for name in names}
    return [
        name
        for name, value in found.items()
        if (inspect.isclass(value) or inspect.isfunction(value)) and (has_list or value.__module__ == module.__name__)
    ]


def parameters() -> list[tuple[str, str]]:
    available = [module for module in MODULES if module not in LIBRARIES or util.find_spec(LIBRARIES[module])]
    returned = [("qiosk.interop.labels", "Encoded")] if "qiosk.interop.networkx" in available else []
    return [(module, name) for module in available for name in public_names(import_module(module))] + returned


@pytest.fixture(scope="module", autouse=True)
def home(tmp_path_factory):
    """A home for the examples that open a workspace, without processes when they are done."""
    with shared_home(tmp_path_factory.mktemp("examples") / "home"):
        yield


@pytest.fixture(autouse=True)
def closed_workspaces(monkeypatch):
    """Closes the workspaces of an example at its end; examples may open one within an expression."""
    opened = []
    initialize = Workspace.__init__

    def recorded(self, *args, **kwargs):
        initialize(self, *args, **kwargs)
        opened.append(self)

    monkeypatch.setattr(Workspace, "__init__", recorded)
    yield
    for workspace in opened:
        workspace.close()


@pytest.mark.parametrize(("module", "name"), parameters())
def test_the_example_of_a_public_name_runs(module, name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    if util.find_spec("matplotlib"):
        import matplotlib

        matplotlib.use("agg")
    value = getattr(import_module(module), name)
    tests = doctest.DocTestFinder(exclude_empty=False).find(value, name, globs={})
    assert next(test for test in tests if test.name == name).examples, f"{module}.{name}: has no example"
    runner = doctest.DocTestRunner(optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE)
    for test in tests:
        printed: list[str] = []
        assert runner.run(test, out=printed.append).failed == 0, "".join(printed)
