"""How soon a process has a result: with kernels compiled before, and with none."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping

from qiosk.solvers.targets.catalogue import targets

# A process as its user writes it; 40 spins are too many to be enumerated, so kernels are loaded.
PROGRAM = """
from qiosk import Problem, solve
problem = Problem("small", problem_type="ising")
for i in range({variables}):
    problem.add_term((-1) ** i, [i, (i + 7) % {variables}])
    problem.add_term((-1) ** (i // 2), [i, (i + 1) % {variables}])
result = solve(problem, {target!r}, timeout={seconds}, seed=1, threads=1)
print(result.statistics["compile_seconds"])
"""
VARIABLES, SECONDS = 40, 0.05


def seconds_of_process(target: str, environment: Mapping[str, str]) -> tuple[float, float]:
    """Wall seconds of a process that solves a small problem for 0.05 s, and those of loading or compiling kernels."""
    program = PROGRAM.format(variables=VARIABLES, target=target, seconds=SECONDS)
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-c", program], env={**os.environ, **environment}, capture_output=True, text=True, check=True
    )
    return time.perf_counter() - start, float(done.stdout)


def second_process(rounds: int) -> dict[str, float]:
    """Median wall seconds of a process, by target, once its kernels are compiled."""
    found = {}
    for target in targets():
        walls = [seconds_of_process(target.id, {})[0] for _ in range(rounds + 1)]
        found[target.id] = statistics.median(walls[1:])
    return found


def first_use() -> dict[str, float]:
    """Seconds of compiling, by target, in a process that finds no kernels."""
    found = {}
    for target in targets():
        with tempfile.TemporaryDirectory() as folder:
            found[target.id] = seconds_of_process(target.id, {"NUMBA_CACHE_DIR": folder})[1]
    return found
