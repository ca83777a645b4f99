"""Targets without compiled kernels: slow, but neither wrong nor noisy."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from patience import HANG_S, SLOWNESS

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import naive
from qiosk.model.compile import compile_problem
from qiosk.solvers import searched
from qiosk.solvers.solve import solve
from qiosk.solvers.targets.catalogue import targets
from strategies import cost_function

searched.Searched.is_proof_tried = False
pairs = cost_function("ising", [(1.0, [0, 1]), (-2.0, [1, 5]), (1.5, [5, 0]), (1.0, [5])])
groups = cost_function("pubo_grouped", [(-3.0, [0, 1, 2]), (1.0, [])], [(1.0, [(1.0, 0), (2.0, 1), (-2.0, None)])])
little = {
    "sweeps": 10, "restarts": 2, "replicas": 4, "trotter_number": 4, "step_limit": 50, "target_population": 8,
    "steps": 20, "improvement_cutoff": 50, "num_sweeps_per_run": 10, "max_total_sweeps": 10, "ref_set_count": 2,
}
for target in targets():
    known = [parameter.name for parameter in target.parameters]
    effort = {name: value for name, value in little.items() if name in known} or {"timeout": float(sys.argv[2])}
    for problem in (pairs, groups):
        if problem is pairs or target.id.startswith(("microsoft", "qiosk")):
            best = min(naive.cost(problem, x) for x in naive.configurations(problem))
            result = solve(problem, target.id, seed=1, threads=1, **effort)
            assert result.cost == best, (target.id, result.cost)
"""


def test_every_target_runs_uncompiled_without_a_warning():
    command = [sys.executable, "-W", "error", "-c", PROGRAM, str(Path(__file__).parents[3]), str(1.0 * SLOWNESS)]
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANG_S)
    assert done.returncode == 0, done.stderr
