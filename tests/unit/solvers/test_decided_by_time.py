"""Results say where time has changed what was computed: there another run need not find the same."""

from __future__ import annotations

import time
from types import SimpleNamespace

import numpy as np
import pytest

import qiosk
from qiosk.formats.comparison import compare
from qiosk.model.compile import compile_problem
from qiosk.modeling.propagation import turns
from qiosk.optimization import Problem, Term
from qiosk.solvers.algorithms.simulated_bifurcation import CANDIDATES, SimulatedBifurcation
from qiosk.solvers.driver import Limits, Run, drive
from qiosk.solvers.run import Task
from qiosk.solvers.samplers.planner import plan
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.solver import Budget
from qiosk.solvers.search.stopping import Interrupted, StopReason
from qiosk.solvers.targets import catalogue
from qiosk.solvers.targets.parameters import read_parameters
from random_models import pigeons

GLASS = Problem("glass", [Term(c=c, indices=[i, (i + 7 * c) % 60]) for c in (1, -2, 3, -4) for i in range(60)])
RING = Problem("ring", [Term(c=1, indices=[i, (i + 1) % 61]) for i in range(61)])


def is_decided_by_time(result):
    document = result.to_json().encode()
    return compare(document, document).is_decided_by_time


def several(late=0.0, cancelled_after=1000):
    """The result of a search for ten solutions that has made all its sweeps. From then on the clock goes ``late`` [s]
    with each look at it, and the run is cancelled after so many questions.
    """
    target, looks, asked, reports = catalogue.target("microsoft.tabu.cpu"), [], [], []
    given = {"seed": 1, "sweeps": 1, "restarts": 1, "timeout": 1000.0, "number_of_solutions": 10}
    values = read_parameters(target.parameters, given)

    def clock():
        looks.extend(reports)
        return time.monotonic() + late * len(looks)

    def is_cancelled():
        asked.extend(reports)
        return len(asked) > cancelled_after

    task = Task(target, values, GLASS.cost_function(), threads=1, clock=clock)
    return task.run(is_cancelled=is_cancelled, on_chunk=reports.append)


def test_fewer_solutions_than_were_asked_for_because_time_was_over():
    result = several()
    assert (result.stop_reason, len(result.solutions)) == ("finished", 10)
    assert "is_paced" not in result.statistics
    assert not is_decided_by_time(result)
    for cut in (several(late=2000.0), several(cancelled_after=3)):
        assert (cut.stop_reason, len(cut.solutions) < 10) == ("finished", True)
        assert is_decided_by_time(cut)


def test_a_solution_that_a_bound_found_beside_the_search():
    params = {"sweeps": 20, "number_of_solutions": 2, "seed": 1}
    assert not is_decided_by_time(qiosk.solve(RING, "microsoft.tabu.cpu", **params))
    assert is_decided_by_time(qiosk.solve(RING, "microsoft.tabu.cpu", bound="elimination", **params))


@pytest.mark.parametrize(("updates", "is_paced"), [(None, False), (1e15, False), (1e6, True)])
def test_waves_of_bifurcation_whose_steps_the_time_limit_has_set(updates, is_paced):
    problem = compile_problem(GLASS.cost_function())
    solver = SimulatedBifurcation(SearchContext(problem, plan, 1), CANDIDATES, loops=None)
    state = solver.init()
    assert solver.statistics(state) == {"is_paced": False}
    state.scores = np.zeros(len(CANDIDATES))
    solver._next_steps(state, Budget(updates))
    assert solver.statistics(state) == {"is_paced": is_paced}


def test_automatic_bifurcation_tells_that_it_converged_by_itself():
    result = qiosk.solve(GLASS, "toshiba.sbm.ising", seed=1, auto=True, loops=1, timeout=360)
    assert (result.stop_reason, result.statistics["is_paced"]) == ("converged", False)
    assert not is_decided_by_time(result)


def test_a_turn_of_propagation_that_time_has_ended_though_another_one_came_to_its_end(monkeypatch):
    propagation = pigeons(12).propagation()
    propagation.take_turn(0.0, lambda: False)
    assert (propagation.stop_reason, propagation.report(None).is_paced) == (StopReason.TIMEOUT, True)
    monkeypatch.setattr(turns, "TURN_STEPS", 1)
    propagation.take_turn(np.inf, lambda: False)
    assert (propagation.stop_reason, propagation.report(None).is_paced) == (StopReason.FINISHED, True)


@pytest.mark.parametrize("is_paced", [False, True])
def test_an_answer_says_so_of_its_propagation(monkeypatch, is_paced):
    class Cut(turns.Propagation):
        def take_turn(self, seconds, should_stop):
            super().take_turn(seconds, should_stop)
            self.is_paced = is_paced

    monkeypatch.setattr("qiosk.modeling.model.Propagation", Cut)
    answer = pigeons(7).solve("microsoft.tabu.cpu", sweeps=5, seed=1)
    assert answer.propagated.is_paced is is_paced
    assert is_decided_by_time(answer.result) is is_paced


class Converged:
    """A solver that has converged after its first step, when the time is long over."""

    context = SimpleNamespace(problem=None)

    def step(self, state, n_sweeps, parallel, budget):
        state.sweeps_done += n_sweeps

    def outcome(self, state):
        return StopReason.CONVERGED if state.sweeps_done else None

    def fraction(self, state):
        return 0.0

    def offer_replicas(self, state):
        raise Interrupted(StopReason.TIMEOUT)


def test_a_search_that_has_no_time_left_to_be_challenged_has_not_converged(monkeypatch):
    def challenge(context, found, sweep):
        raise Interrupted(StopReason.TIMEOUT)

    monkeypatch.setattr("qiosk.solvers.exact.challenge.challenge", challenge)
    state = SimpleNamespace(incumbents=Incumbents(1), sweeps_done=0, spin_updates=0)
    run = Run(Converged(), state, Limits(), 0.0, 0.0)
    reason = drive(run, Parallel(1), clock=lambda: 0.0, is_cancelled=lambda: False, on_chunk=lambda run: None)
    assert reason is StopReason.TIMEOUT
