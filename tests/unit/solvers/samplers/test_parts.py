"""Kernel calls of bounded length: work in parts gives the same bits, and can end between parts."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.testing as npt
import pytest

from problems import random_problem
from qiosk.model.compile import compile_problem
from qiosk.model.compiled import CompiledProblem
from qiosk.solvers.algorithms import simulated_bifurcation, world_lines
from qiosk.solvers.algorithms.simulated_bifurcation import SimulatedBifurcation
from qiosk.solvers.algorithms.substochastic import SubstochasticMonteCarlo
from qiosk.solvers.algorithms.tabu.rules import KICK_STEPS
from qiosk.solvers.algorithms.tabu.walkers import TabuWalkers
from qiosk.solvers.algorithms.world_lines import WorldLines
from qiosk.solvers.samplers import parts
from qiosk.solvers.samplers.parts import Parts
from qiosk.solvers.samplers.planner import plan
from qiosk.solvers.samplers.shuffled import ShuffledSampler
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.interruption import offer_any
from qiosk.solvers.search.moves import descent
from qiosk.solvers.search.moves.descent import Descent
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.schedules import Schedule
from qiosk.solvers.search.solver import Budget, Solver
from qiosk.solvers.search.stopping import Interrupted, StopReason
from strategies import cost_function

Check = Callable[[], None]
QUADRATIC = {"ising": random_problem("ising", 140, locality=2, seed=3, integers=False)}
QUADRATIC["pubo"] = random_problem("pubo", 140, locality=2, seed=3, integers=False)
GROUPED = {kind: random_problem(f"{kind}_grouped", 12, locality=4, seed=3, integers=False) for kind in QUADRATIC}


class Stop(Exception):
    """What a check raises in these tests."""


def stop() -> None:
    raise Stop


def go_on() -> None:
    return None


def small_parts(monkeypatch, steps: int) -> None:
    monkeypatch.setattr(parts, "PART_STEPS", steps)
    monkeypatch.setattr(descent, "PART_STEPS", steps)


def test_parts_cover_every_variable_of_every_sweep_once():
    some = parts.PART_STEPS // 3
    for steps in (np.ones(0), np.ones(1), np.full(7, some), np.full(3, 30 * some), np.arange(9) * some):
        found = np.zeros((5, len(steps)), np.int64)
        for sweeps, (first, last) in Parts(steps).calls(5):
            work = steps[first:last].sum() * (sweeps.stop - sweeps.start)
            assert work <= 2 * parts.PART_STEPS or last - first == 1
            found[sweeps, first:last] += 1
        npt.assert_array_equal(found, 1)
    assert list(Parts(np.full(9, parts.PART_STEPS)).calls(0)) == [(slice(0, 0), (0, 1))]


def swept(problem: CompiledProblem, kernel: str, check: Check = go_on) -> list[np.ndarray]:
    checks = [go_on]
    sampler = ShuffledSampler(problem, lambda p: plan(p, replicas=3, kernel=kernel), lambda: checks[-1]())
    group = sampler.start((1, 2))
    checks.append(check)
    sampler.sweep(group, np.linspace(0.1, 2.0, 5))
    sampler.sweep_ladder(group, np.linspace(0.1, 3.0, sampler.lanes), 4)
    return list(group.arrays.values())


@pytest.mark.parametrize("kernel", ["plain", "klocal", "packed-float32", "cached", "dense"])
@pytest.mark.parametrize("kind", ["ising", "pubo"])
def test_sweeps_in_parts_equal_whole_ones_and_end_between_them(monkeypatch, kernel, kind):
    problem = (GROUPED if kernel in ("plain", "klocal") else QUADRATIC)[kind]
    whole = swept(problem, kernel)
    small_parts(monkeypatch, 300)
    for found, expected in zip(swept(problem, kernel), whole, strict=True):
        npt.assert_array_equal(found, expected)
    with pytest.raises(Stop):
        swept(problem, kernel, stop)


@pytest.mark.parametrize("kind", ["ising", "pubo"])
def test_world_lines_in_parts_equal_whole_ones_and_end_between_them(monkeypatch, kind):
    def run(check: Check = go_on) -> np.ndarray:
        checks = [go_on]
        lines = WorldLines(GROUPED[kind], 12, lambda: checks[-1]())
        group = lines.start((4,))
        checks.append(check)
        lines.sweep(group, np.full(6, 0.8), np.full(6, 0.1))
        return group.arrays["values"]

    whole = run()
    small_parts(monkeypatch, 300)
    npt.assert_array_equal(run(), whole)
    with pytest.raises(Stop):
        run(stop)


def diffusion(context: SearchContext) -> Solver:
    return SubstochasticMonteCarlo(
        context, alpha=Schedule(1.0, 0.0), beta=Schedule(0.0, 1.0), step_limit=200, population=20
    )


def bifurcation(context: SearchContext) -> Solver:
    return SimulatedBifurcation(context, steps=200, loops=2)


@pytest.mark.parametrize(("solver_of", "problem"), [(diffusion, GROUPED["pubo"]), (bifurcation, QUADRATIC["ising"])])
def test_steps_of_solvers_in_parts_equal_whole_ones_and_end_between_them(monkeypatch, solver_of, problem):
    def run(checks: list[Check]) -> Incumbents:
        context = SearchContext(problem, lambda p: plan(p, replicas=1), 1)
        solver = solver_of(context)
        state = solver.init()
        context.checks.extend(checks)
        solver.step(state, 200, Parallel(1), Budget())
        return state.incumbents

    whole = run([])
    small_parts(monkeypatch, 300)
    found = run([])
    assert whole.costs
    assert found.costs == whole.costs
    npt.assert_array_equal(found.configurations, whole.configurations)
    with pytest.raises(Stop):
        run([stop])


@pytest.mark.parametrize("problem", [*QUADRATIC.values(), *GROUPED.values()], ids=range(4))
def test_descents_pass_by_pass_equal_whole_ones_and_end_between_passes(monkeypatch, problem):
    start = np.ones(problem.n, np.int8)
    whole = Descent(problem)(start)
    small_parts(monkeypatch, 1)
    npt.assert_array_equal(Descent(problem)(start), whole)
    with pytest.raises(Stop):
        Descent(problem, stop)(start)


def test_a_search_that_was_given_up_returns_something_even_if_descents_take_too_long(monkeypatch):
    small_parts(monkeypatch, 1)
    problem = QUADRATIC["ising"]
    context = SearchContext(problem, lambda p: plan(p, replicas=1), 1, checks=[stop])
    found = context.incumbents()
    offer_any(context, found, -1.0)
    assert np.isfinite(found.best)


@pytest.mark.parametrize(("raised", "offered"), [(Interrupted(StopReason.TIMEOUT), 1), (Stop(), 0)])
def test_a_descent_that_is_interrupted_offers_its_start(monkeypatch, raised, offered):
    def fail() -> None:
        raise raised

    small_parts(monkeypatch, 1)
    problem = QUADRATIC["ising"]
    context = SearchContext(problem, lambda p: plan(p, replicas=1), 1, checks=[fail])
    found = context.incumbents()
    with pytest.raises(type(raised)):
        context.improve(np.ones(problem.n, np.int8), found, 0)
    assert len(found.costs) == offered


def test_samplers_can_be_given_up_while_they_are_set_up():
    with pytest.raises(Stop):
        ShuffledSampler(QUADRATIC["pubo"], lambda p: plan(p, replicas=3), stop)


@pytest.mark.parametrize("kind", ["ising", "pubo"])
def test_world_lines_drawn_in_blocks_equal_those_drawn_at_once(monkeypatch, kind):
    whole = WorldLines(QUADRATIC[kind], 12).start((4,)).arrays["values"]
    monkeypatch.setattr(world_lines, "DRAWN_AT_ONCE", 128)
    npt.assert_array_equal(WorldLines(QUADRATIC[kind], 12).start((4,)).arrays["values"], whole)
    with pytest.raises(Stop):
        WorldLines(QUADRATIC[kind], 12, stop).start((4,))


def test_trajectories_drawn_in_blocks_equal_those_drawn_at_once(monkeypatch):
    context = SearchContext(QUADRATIC["ising"], lambda p: plan(p, replicas=1), 1)
    solver = SimulatedBifurcation(context, loops=2)
    whole = solver.init().groups
    monkeypatch.setattr(simulated_bifurcation, "DRAWN_AT_ONCE", 1000)
    for found, expected in zip(solver.init().groups, whole, strict=True):
        for name in ("positions", "momenta"):
            npt.assert_array_equal(found.arrays[name], expected.arrays[name])
            assert np.abs(found.arrays[name]).max() < simulated_bifurcation.SPREAD
    context.checks.append(stop)
    with pytest.raises(Stop):
        solver.init()


def test_kicks_of_long_terms_are_short():
    long = compile_problem(cost_function("ising", [(-1.0, range(100_000)), (1.0, [0])]))
    rules = TabuWalkers(long).rules()[0]
    assert 2 <= rules.largest_kick <= KICK_STEPS // 100_000
    assert TabuWalkers(QUADRATIC["ising"]).rules()[0].largest_kick == 70
