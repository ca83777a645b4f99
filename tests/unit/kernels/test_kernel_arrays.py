"""Arrays that kernels allocate live as long as their addresses are used."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import qiosk.kernels

FILES = [
    path for path in Path(qiosk.kernels.__file__).parent.rglob("*.py") if path.name not in ("simd.py", "addresses.py")
]
ALLOCATIONS = ("np.empty", "np.zeros", "np.empty_like", "np.zeros_like")


def calls(node, names):
    """(name, argument) of calls of functions with these names, whose first argument is a bare name."""
    for call in ast.walk(node):
        if isinstance(call, ast.Call) and ast.unparse(call.func) in names and call.args:
            yield ast.unparse(call.func), ast.unparse(call.args[0])


def allocated(function):
    """Names that a function gives to arrays that it allocates."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and any(True for _ in calls(node.value, ALLOCATIONS)):
            targets = node.targets[0]
            yield from (ast.unparse(name) for name in (targets.elts if isinstance(targets, ast.Tuple) else [targets]))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_arrays_whose_addresses_are_kept_are_kept_too(path):
    for function in ast.walk(ast.parse(path.read_text())):
        if not isinstance(function, ast.FunctionDef):
            continue
        own = set(allocated(function))
        named = [node for node in ast.walk(function) if isinstance(node, ast.Assign)]
        addressed = {name for node in named for _, name in calls(node.value, ("address", "pointer"))}
        kept = {name for _, name in calls(function, ("kept",))}
        assert own & addressed <= kept, f"{function.name}: add kept(...) after the last use of the address"
