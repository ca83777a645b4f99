"""A job of a common kind finds its kernels loaded in a fork server that imported ``warm_solvers``."""

import subprocess
import sys

import pytest

from patience import HANG_S

pytestmark = pytest.mark.slow

PROGRAM = """
import sys
import numpy as np
from numba.core.dispatcher import Dispatcher
from qiosk.supervisor.processes import warm_solvers
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.solvers import solve as api

warm_solvers.WARM_UP_S = float("inf")  # the cache on disk may be empty
warm_solvers.warm_up()

def load(self, *args, **kwargs):
    raise AssertionError(f"{self.py_func.__name__} is loaded while a job waits")

Dispatcher._compile_for_args = load
problem = CostFunction(ProblemType[sys.argv[1]], np.array([1.0, 1.0]), np.array([0, 2, 3]), np.array([0, 1, 1]))
api.solve(problem, "microsoft.simulatedannealing.cpu", seed=1, threads=1, sweeps=2, restarts=int(sys.argv[2]))
"""


@pytest.mark.parametrize("restarts", [1, 64])
@pytest.mark.parametrize("problem_type", ["ising", "pubo"])
def test_a_common_job_loads_no_kernel(problem_type: str, restarts: int) -> None:
    run = subprocess.run(
        [sys.executable, "-c", PROGRAM, problem_type, str(restarts)], capture_output=True, text=True, timeout=HANG_S
    )
    assert run.returncode == 0, run.stderr
