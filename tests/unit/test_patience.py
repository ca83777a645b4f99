"""Limits of time in tests: one place decides about them, and no test has one of its own."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import patience
from patience import CALIBRATION_S, HANG_S, TEST_S

TESTS = Path(__file__).parents[1]
FILES = sorted(TESTS.rglob("*.py"))
LIMITS = {"timeout", "timeout_s", "timeout_secs", "within"}
"""Names under which the functions that wait take their limit."""
WAITS = {"wait", "wait_for", "join", "result", "eventually"}
"""Functions that take it without its name, too."""
SEARCHES = {"ParallelTempering", "SimulatedAnnealing", "Tabu", "TabuSearch", "solve", "task"}
"""Their time-out is how long a search may take."""
SHORT_S = 5.0
"""A shorter time is no limit against hanging: the test is about what happens when it is over."""


def measured(processor_s: float, wall_s: float, load: float) -> float:
    wall, processor = iter([10.0, 10.0 + wall_s]), iter([1.0, 1.0 + processor_s * patience.cores()])
    return patience.measured_slowness(lambda: None, wall.__next__, processor.__next__, lambda: load * patience.cores())


@pytest.mark.parametrize(
    ("processor", "wall", "load", "expected"),
    [
        (1, 1, 0, 1),
        (0.5, 0.5, 0, 1),  # a faster machine
        (3, 3, 0, 3),  # slower cores
        (1, 4, 0, 4),  # a quarter of a core
        (1, 1, 8, 8),  # busy until a moment ago
        (2, 6, 2, 6),
    ],
)
def test_limits_grow_with_slow_cores_and_with_what_else_runs_on_them(processor, wall, load, expected):
    assert measured(processor * CALIBRATION_S, wall * CALIBRATION_S, load) == pytest.approx(expected)


def test_programs_of_tests_take_over_the_slowness_that_was_measured():
    program = "import patience; print(patience.SLOWNESS, patience.HANG_S)"
    environ = {**os.environ, "PYTHONPATH": str(TESTS)}
    for given, expected in ({}, patience.SLOWNESS), ({patience.VARIABLE: "7.5"}, 7.5):
        done = subprocess.run([sys.executable, "-c", program], env=environ | given, capture_output=True, text=True)
        assert done.stdout.split() == [str(expected), str(600 * expected)], done.stderr


def test_every_test_has_a_limit(request: pytest.FixtureRequest) -> None:
    assert request.config.getoption("timeout") == TEST_S > HANG_S


@pytest.mark.parametrize("target", patience.PROCESSOR_S)
def test_the_makefile_tells_how_long_it_takes(target):
    makefile = (TESTS.parent / "Makefile").read_text()
    assert f"tests/patience.py {target}\n" in makefile
    assert f"--maxprocesses {patience.MOST_PROCESSES}" in makefile
    assert patience.forecast(target).startswith(f"make {target} takes about ")


def own_limits(path: Path) -> Iterator[str]:
    """Literal limits of time that a file gives to functions that wait."""
    for call in ast.walk(ast.parse(path.read_text())):
        if not isinstance(call, ast.Call):
            continue
        named = [word.value for word in call.keywords if word.arg in LIMITS]
        name = ast.unparse(call.func).rpartition(".")[2]
        if name in SEARCHES:
            continue
        for value in [*named, *(call.args[-1:] if name in WAITS else [])]:
            if isinstance(value, ast.Constant) and isinstance(value.value, int | float) and value.value > SHORT_S:
                yield f"{path.relative_to(TESTS)}:{value.lineno}: {ast.unparse(call)}"


def test_no_test_has_a_limit_of_its_own():
    assert [limit for path in FILES for limit in own_limits(path)] == []


CLOCKS = {"time.monotonic", "time.perf_counter", "time.process_time", "time.time", "monotonic", "perf_counter"}


def compared_clocks(path: Path) -> Iterator[str]:
    """Assertions in a file that compare a clock, or what was measured with one before."""
    tree = ast.parse(path.read_text())
    for check in ast.walk(tree):
        if isinstance(check, ast.Assert):
            calls = {ast.unparse(node.func) for node in ast.walk(check) if isinstance(node, ast.Call)}
            differences = [node for node in ast.walk(check.test) if isinstance(node, ast.BinOp)]
            if calls & CLOCKS and any(isinstance(node.op, ast.Sub) for node in differences):
                yield f"{path.relative_to(TESTS)}:{check.lineno}: {ast.unparse(check.test)}"


def test_no_test_asserts_how_long_a_thing_takes():
    assert [check for path in FILES for check in compared_clocks(path)] == []
