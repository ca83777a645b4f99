"""With any time limit every search has an answer that a descent would be content with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from patience import HANG_S
from qiosk import Problem, solve
from qiosk.model.compile import compile_problem
from qiosk.model.flips import deltas
from qiosk.solvers.checkpoint import unpack
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.setup import job_setup
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


FEW = {
    "microsoft.simulatedannealing.cpu": {"sweeps": 3, "restarts": 1024},
    "microsoft.tabu.cpu": {"sweeps": 20, "restarts": 16},
    "microsoft.qmc.cpu": {"sweeps": 2, "restarts": 4, "trotter_number": 4},
}
"""Targets whose restarts follow each other where time is short, with little work."""


@pytest.mark.parametrize("name", FEW)
def test_restarts_one_after_the_other_find_no_less_than_together(problem, name, monkeypatch):
    together = solve(problem, name, seed=5, threads=1, **FEW[name])
    monkeypatch.setattr(SearchContext, "at_once", lambda self, most, seconds_each: 1)
    alone = solve(problem, name, seed=5, threads=1, **FEW[name])
    assert alone.stop_reason == together.stop_reason == "finished"
    assert alone.statistics["sweeps"] > together.statistics["sweeps"]
    assert alone.cost <= together.cost  # the best of each wave is led to its local minimum


def test_as_many_walkers_begin_as_a_tenth_of_the_time_suffices_for(problem):
    context = SearchContext(compile_problem(problem.cost_function()), lambda _: None, 1)
    assert context.at_once(16, 1.0) == 16
    for seconds, wanted in ((0.1, 1), (10.0, 1), (50.0, 5), (1000.0, 16)):
        assert replace(context, seconds=seconds).at_once(16, 1.0) == wanted


def test_a_checkpoint_knows_the_time_limit_that_its_run_was_set_up_for(problem):
    name, params = "microsoft.tabu.cpu", {"sweeps": 10**7, "seed": 5, "timeout": 1000.0}
    first, after = [], []

    def go_on(timeout, reports, resume):
        hooks = Hooks(
            is_cancelled=lambda: bool(reports), on_chunk=reports.append, resume=resume, is_extension=resume is not None
        )
        job_setup(name, {"params": {**params, "timeout": timeout}}, 1).run(problem.cost_function(), hooks)
        return reports[-1].checkpoint()

    saved = go_on(1000.0, first, None)
    assert unpack(saved)["planned"] == 1000.0
    assert unpack(go_on(2000.0, after, saved))["planned"] == 1000.0
