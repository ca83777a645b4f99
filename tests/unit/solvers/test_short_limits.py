"""With any time limit every search has an answer that a descent would be content with."""

from __future__ import annotations

import numpy as np
import pytest

from patience import HANG_S
from qiosk import Problem, solve
from qiosk.model.compile import compile_problem
from qiosk.model.flips import deltas
from qiosk.solvers.targets.catalogue import targets

N = 3000


@pytest.fixture(scope="module")
def problem():
    rng = np.random.default_rng(7)
    ids = rng.integers(0, N, (3 * N, 2))
    ids = ids[ids[:, 0] != ids[:, 1]]
    return Problem.from_arrays(rng.choice([-1.0, 1.0], len(ids)), ids, problem_type="ising")


@pytest.mark.parametrize("target", targets(), ids=lambda target: target.id)
def test_a_search_without_time_returns_a_local_minimum(problem, target, monkeypatch):
    monkeypatch.setattr("qiosk.solvers.run.LEAST_GRACE_S", HANG_S)  # so that a descent ends on the slowest machine
    result = solve(problem, target.id, timeout=1e-6, seed=1, threads=1)
    assert result.statistics["stop_reason"] == "timeout"
    compiled = compile_problem(problem.cost_function())
    x = np.array([result.configuration[i] for i in compiled.variables.tolist()], np.int8)
    assert (deltas(compiled, x) >= 0.0).all()
