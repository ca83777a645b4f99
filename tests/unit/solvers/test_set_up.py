"""Set-ups that are too large for this machine or their time: they are refused, or end with the best that is known."""

from __future__ import annotations

import threading

import numpy as np
import pytest

from problems import random_problem
from qiosk.errors import InsufficientResources, NotEnoughMemory
from qiosk.model.compile import compile_problem
from qiosk.solvers.algorithms.population_annealing import PopulationAnnealing
from qiosk.solvers.algorithms.quantum_monte_carlo import QuantumMonteCarlo
from qiosk.solvers.run import Task
from qiosk.solvers.samplers.planner import plan
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.interruption import GRACE_S
from qiosk.solvers.search.schedules import Schedule
from qiosk.solvers.solve import solve
from qiosk.solvers.targets.catalogue import target
from qiosk.solvers.targets.parameters import read_parameters
from strategies import cost_function

GLASS = cost_function("ising", [((-1.0) ** i, [i, (3 * i + 1) % 40]) for i in range(40) if (3 * i + 1) % 40 != i])


class Clock:
    """A clock that a test advances, and that a thread may read."""

    def __init__(self) -> None:
        self.now = 0.0
        self.tick = 0.0
        self.lock = threading.Lock()

    def __call__(self) -> float:
        with self.lock:
            self.now += self.tick
            return self.now


def task(name: str, clock: Clock, **params) -> Task:
    chosen = target(name)
    values = read_parameters(chosen.parameters, {"seed": 1, **params})
    return Task(chosen, values, GLASS, threads=2, clock=clock)


LARGE = [
    ("microsoft.populationannealing.cpu", {"population": 200_000}),
    ("microsoft.paralleltempering.cpu", {"replicas": 200_000}),
    ("microsoft.substochasticmontecarlo.cpu", {"target_population": 1_000_000}),
    ("microsoft.qmc.cpu", {"restarts": 32}),
    ("1qbit.pticm", {"num_replicas": 10_000, "num_temps": 20}),
]


@pytest.mark.parametrize(("name", "params"), LARGE, ids=[name for name, _ in LARGE])
@pytest.mark.parametrize("is_cancelled", [False, True], ids=["time-out", "cancelled"])
def test_a_set_up_that_takes_too_long_ends_with_a_solution(name, params, is_cancelled):
    clock = Clock()
    clock.tick = 1.0  # each look at the clock is a second later
    limits = {"timeout": 1e9 if is_cancelled else GRACE_S}
    if name.startswith("1qbit"):
        limits["timeout"] *= 1000.0
    result = task(name, clock, **params, **limits).run(is_cancelled=lambda: is_cancelled, on_chunk=lambda _: None)
    assert result.stop_reason == ("cancelled" if is_cancelled else "timeout")
    assert result.statistics["sweeps"] == 0
    flips = [result.configuration | {i: -value} for i, value in result.configuration.items()]
    assert result.cost <= min(cost_of_glass(x) for x in flips), "a local minimum"


def cost_of_glass(x: dict[int, int]) -> float:
    ids = GLASS.ids.reshape(-1, 2)
    return sum(c * x[int(i)] * x[int(j)] for c, (i, j) in zip(GLASS.coefficients, ids, strict=True))


def test_a_chunk_that_takes_too_long_is_given_up():
    clock = Clock()

    def slow_down(report) -> None:
        clock.tick = 1.0

    running = task("microsoft.populationannealing.cpu", clock, population=200_000, sweeps=10**6, timeout=10.0)
    result = running.run(is_cancelled=lambda: False, on_chunk=slow_down)
    assert result.stop_reason == "timeout"
    assert np.isfinite(result.cost)


@pytest.mark.parametrize(
    ("name", "parameter"),
    [
        ("microsoft.populationannealing.cpu", "population"),
        ("microsoft.paralleltempering.cpu", "replicas"),
        ("microsoft.substochasticmontecarlo.cpu", "target_population"),
        ("microsoft.qmc.cpu", "trotter_number"),
        ("1qbit.pticm", "num_temps"),
        ("1qbit.pticm", "num_replicas"),
    ],
)
@pytest.mark.parametrize("size", [10**12, 10**18])
def test_memory_for_replicas_is_checked_before_they_are_made(name, parameter, size):
    with pytest.raises(NotEnoughMemory, match="replicas of 40 variables need"):
        solve(GLASS, name, seed=1, **{parameter: size})


def test_a_sweep_that_nothing_can_end_is_refused():
    long = cost_function("pubo", [(-1.0, range(200_000)), (1.0, [0])])
    context = SearchContext(compile_problem(long), lambda p: plan(p, replicas=64), 1)
    with pytest.raises(InsufficientResources, match="one sweep of 64 replicas takes 4.0e\\+10 steps"):
        _ = context.sampler
    spins = compile_problem(cost_function("ising", [(-1.0, range(30_000))]))
    quantum = QuantumMonteCarlo(SearchContext(spins, lambda p: plan(p, replicas=1), 1), 1.0, Schedule(1, 0), 1, 72, 1)
    with pytest.raises(InsufficientResources, match="one sweep of 72 slices takes"):
        _ = quantum.lines


def test_resampling_takes_each_pair_of_groups_once(monkeypatch):
    problem = random_problem("ising", 12, locality=2, seed=3)
    context = SearchContext(problem, lambda p: plan(p, replicas=64), 1)
    annealing = PopulationAnnealing(context, Schedule(0.1, 1.0), 10, 640, 2.0)
    state = annealing.init()
    before = [context.sampler.configuration(group, lane) for group in state.groups for lane in range(64)]
    state.log_weights[0] = np.linspace(-8.0, 0.0, state.log_weights.shape[1])
    places = annealing._resample(state, 0)
    after = [context.sampler.configuration(group, lane) for group in state.groups for lane in range(64)]
    for place, source in enumerate(places):
        np.testing.assert_array_equal(after[place], before[source])
    assert len(set(places.tolist())) < len(places)
