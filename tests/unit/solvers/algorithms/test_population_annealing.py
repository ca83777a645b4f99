"""Population annealing: what its weights estimate, what bounds them, and its parameters."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest

import naive
from patience import HANG_S
from problems import random_problem
from qiosk.errors import InvalidValue, NotEnoughMemory
from qiosk.solvers.algorithms.population_annealing import QUENCH_SWEEPS, PopulationAnnealing
from qiosk.solvers.algorithms.resampling import spread
from qiosk.solvers.samplers.bit_packed.packed import PackedSampler
from qiosk.solvers.samplers.planner import plan
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.schedules import Schedule
from qiosk.solvers.search.solver import Budget
from qiosk.solvers.solve import solve
from strategies import cost_function

pytestmark = pytest.mark.slow

TARGET = "microsoft.populationannealing.cpu"
FREE = "microsoft.populationannealing-parameterfree.cpu"
SMALL = {
    "spins": random_problem("ising", 8, locality=2, seed=1),
    "bits": random_problem("pubo", 8, locality=3, seed=2),
    "groups": random_problem("ising_grouped", 7, locality=3, seed=3),
}


def context(problem, population, fresh=None):
    if fresh is None:
        return SearchContext(problem, lambda p: plan(p, replicas=population), 5)
    return SearchContext(problem, lambda p: PackedSampler(p, fresh=fresh), 5)


def annealing(problem, *, beta=1.0, sweeps=96, population=4096, alpha=2.0, fresh=None, **more):
    return PopulationAnnealing(
        context(problem, population, fresh), Schedule(0.0, beta), sweeps, population, alpha, **more
    )


def run(solver, sweeps=None):
    state = solver.init()
    solver.step(state, sweeps or solver.sweeps + QUENCH_SWEEPS, Parallel(1), Budget())
    return state


def all_costs(problem):
    low = -1 if problem.is_spin else 0
    states = np.array(np.meshgrid(*[[low, 1]] * problem.n)).reshape(problem.n, -1).T
    return np.array([float(naive.compiled_cost(problem, x.tolist())) for x in states])


def exact(problem, beta):
    """Mean cost and logarithm of the partition function, by enumeration."""
    costs = all_costs(problem)
    factors = np.exp(-beta * (costs - costs.min()))
    return float(costs @ factors / factors.sum()), float(np.log(factors.sum()) - beta * costs.min())


@pytest.fixture
def fine_stairs(monkeypatch):
    """A stair every sweep."""
    monkeypatch.setattr("qiosk.solvers.algorithms.population_annealing.FEWEST_TEMPERATURES", 10**6)


@pytest.mark.usefixtures("fine_stairs")
@pytest.mark.parametrize("alpha", [1.2, 2.0, 1e9], ids="alpha={}".format)
@pytest.mark.parametrize("name", SMALL)
def test_weighted_costs_and_free_energy_are_those_of_the_boltzmann_distribution(name, alpha):
    problem = SMALL[name]
    beta = 2.0 / float(all_costs(problem).std())
    solver = annealing(problem, beta=beta, alpha=alpha)
    state = run(solver, solver.sweeps)  # up to the quench
    costs = solver.context.costs(state.groups, Parallel(1))
    weights = np.exp(state.log_weights[0])
    mean, log_partition = exact(problem, beta)
    found = float(weights @ costs)
    error = np.sqrt(float(weights**2 @ (costs - found) ** 2))
    # replicas are not quite independent after resampling: twice the error of independent ones is one sigma
    assert abs(found - mean) <= 5 * 2 * error + 1e-9
    assert state.log_partition[0] == pytest.approx(log_partition, abs=0.15)


@pytest.mark.usefixtures("fine_stairs")
def test_islands_estimate_independently_and_within_their_scatter():
    solver = annealing(SMALL["spins"], beta=0.8, population=64, islands=32, fresh=True)
    found = run(solver, solver.sweeps).log_partition
    assert len(set(found.tolist())) == 32
    _, log_partition = exact(SMALL["spins"], 0.8)
    assert abs(found.mean() - log_partition) <= 4 * found.std() / np.sqrt(32) + found.var() / 2


@pytest.mark.parametrize("alpha", [1.05, 1.5, 3.0])
def test_weights_never_spread_beyond_alpha(alpha):
    solver = annealing(
        random_problem("ising", 40, locality=2, seed=4), beta=20.0, sweeps=32, population=64, alpha=alpha
    )
    state = solver.init()
    for _ in range(32):
        solver.step(state, 1, Parallel(1), Budget())
        assert spread(state.log_weights[0]) <= alpha + 1e-9


def test_populations_are_resampled_across_lane_groups():
    solver = annealing(random_problem("ising", 60, locality=2, seed=4), beta=3.0, population=256, sweeps=64)
    state = run(solver, 64)
    assert len(state.groups) == 256 // solver.context.sampler.lanes
    whole = run(annealing(random_problem("ising", 60, locality=2, seed=4), beta=3.0, population=256, sweeps=64))
    npt.assert_array_equal(whole.log_weights, state.log_weights)


def test_the_beta_schedule_comes_from_the_problem_and_can_be_passed_back():
    cf = cost_function("ising", [(float((7 * i + 3 * j) % 5 - 2), [i, j]) for i in range(20) for j in range(i)])
    found = solve(cf, TARGET, seed=3, sweeps=50)
    beta = found.parameters["beta"]
    assert (beta["type"], found.parameters["population"], found.parameters["alpha"]) == ("linear", 72, 2.0)
    assert 0.0 < beta["initial"] < beta["final"]
    again = solve(cf, TARGET, seed=3, sweeps=50, beta=beta)
    assert (again.cost, again.parameters) == (found.cost, found.parameters)
    given_beta = {"type": "geometric", "initial": 0.1, "final": 5}
    assert solve(cf, TARGET, seed=3, sweeps=50, beta=given_beta).parameters["beta"] == given_beta | {"final": 5.0}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"alpha": 1.0}, "`alpha`: must be greater than 1, found 1"),
        ({"population": 0}, "`population`: must be greater than 0, found 0"),
        ({"sweeps": 0}, "`sweeps`: must be greater than 0, found 0"),
        ({"beta": {"type": "linear", "initial": 2, "final": 1}}, "`beta.final`: must be greater than initial = 2"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(InvalidValue, match=message):
        solve(cost_function("ising", [(1.0, [0, 1])]), TARGET, **parameters)


@pytest.mark.parametrize("population", [1, 2, 65, 300])
def test_populations_of_any_size_are_run(population):
    cf = cost_function("ising", [(1.0, [i, i + 1]) for i in range(30)])
    found = solve(cf, TARGET, seed=1, sweeps=300, population=population)
    assert found.cost <= -25.0
    assert found.parameters["population"] == population


def test_a_population_beyond_memory_is_refused():
    cf = cost_function("ising", [(1.0, [i, i + 1]) for i in range(30)])
    with pytest.raises(NotEnoughMemory, match="replicas of 31 variables need"):
        solve(cf, TARGET, sweeps=10, population=10**12, timeout=0.2, seed=1)


def test_extreme_betas_do_no_harm():
    cf = cost_function("ising", [(1e30, [0, 1]), (-3e29, [1, 2]), (1e30, [2])])
    found = solve(cf, TARGET, seed=1, sweeps=40, beta={"type": "linear", "initial": 0, "final": 1e300})
    assert found.cost == -2.3e30


def test_more_sweeps_bring_larger_populations():
    cf = cost_function("ising", [(float((7 * i + 3 * j) % 5 - 2), [i, j]) for i in range(40) for j in range(i)])
    found = solve(cf, FREE, seed=2, timeout=HANG_S, bound="none")
    assert found.stop_reason == "converged"
    assert found.parameters["population"] > 4 * 64
