"""The program of the job-management guide, with only its import line changed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from patience import HANG_S

PROGRAM = """\
from qiosk import Workspace
from qiosk.optimization import Problem, ProblemType, Term, ParallelTempering, SimulatedAnnealing
workspace = Workspace()
problem = Problem(name="MyOptimizationJob", problem_type=ProblemType.ising)
problem.add_term(c=-9, indices=[0]); problem.add_term(c=-3, indices=[1,0]); problem.add_term(c=5, indices=[2,0])
job = SimulatedAnnealing(workspace).submit(problem)
print(job.id, [j.id for j in workspace.list_jobs()]); print(workspace.get_job(job.id).get_results())  # cost -17.0, {'0': 1, '1': 1, '2': -1}
workspace.cancel_job(job); print(job.details)
"""  # noqa: E501 (unchanged from the guide)


def run(program: str, home: Path) -> list[str]:
    environment = {**os.environ, "QIOSK_HOME": str(home), "QIOSK_IDLE_SECONDS": "1"}
    command = [sys.executable, "-W", "error", "-c", program]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=HANG_S, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_the_guide_program_runs_unchanged(tmp_path: Path) -> None:
    ids, results, *details = run(PROGRAM, tmp_path)
    job_id = ids.split()[0]
    assert ids == f"{job_id} ['{job_id}']"
    assert "'cost': -17.0" in results
    assert "'configuration': {'0': 1, '1': 1, '2': -1}" in results
    shown = dict(line.split(maxsplit=1) for line in details)
    assert (shown["id"], shown["name"], shown["status"]) == (job_id, "MyOptimizationJob", "Succeeded")
    assert shown["target"] == "microsoft.simulatedannealing-parameterfree.cpu"


def test_a_submitting_program_loads_no_solver(tmp_path: Path) -> None:
    program = PROGRAM + "import sys; print('numba' in sys.modules)\n"
    assert run(program, tmp_path)[-1] == "False"


def test_importing_the_sdk_loads_neither_numba_nor_a_database() -> None:
    program = (
        "from qiosk.optimization import Problem, ProblemType, Term, ParallelTempering, SimulatedAnnealing\n"
        "from qiosk import Workspace\n"
        "import sys; print({'numba', 'sqlalchemy', 'obstore', 'rich'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
