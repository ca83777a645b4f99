"""Substochastic Monte Carlo: what the walkers come to be distributed as, their bookkeeping, and the parameters."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest

import naive
from patience import HANG_S
from problems import random_problem
from qiosk.errors import InvalidValue, NotEnoughMemory
from qiosk.kernels.dynamics.diffusion import diffuse
from qiosk.solvers.algorithms.substochastic import SubstochasticMonteCarlo
from qiosk.solvers.samplers.incidence import Incidence
from qiosk.solvers.samplers.planner import plan
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.schedules import Schedule
from qiosk.solvers.search.solver import Budget
from qiosk.solvers.solve import solve
from strategies import cost_function

pytestmark = pytest.mark.slow

TARGET = "microsoft.substochasticmontecarlo.cpu"
FREE = "microsoft.substochasticmontecarlo-parameterfree.cpu"
PROBLEMS = {
    "spins": random_problem("ising", 9, locality=3, seed=1),
    "bits": random_problem("pubo", 9, locality=4, seed=2),
    "groups": random_problem("ising_grouped", 8, locality=3, seed=3),
    "groups of bits": random_problem("pubo_grouped", 8, locality=3, seed=4),
}


def diffusion(problem, **more):
    context = SearchContext(problem, lambda p: plan(p, replicas=1), 5)
    given = {"step_limit": 600, "population": 20} | more
    return SubstochasticMonteCarlo(context, alpha=Schedule(1.0, 0.0), beta=Schedule(0.0, 1.0), **given)


def walkers(problem, n_walkers, seed):
    """A random population as the kernel takes it: problem, walkers, best, scratch."""
    rng = np.random.default_rng(seed)
    index = Incidence(problem)
    values = rng.choice(np.array([-1 if problem.is_spin else 0, 1], np.int8), (n_walkers, problem.n))
    return (
        (problem.constant, problem.linear, index.terms, index.groups, index.by_variable, problem.is_spin),
        (
            values,
            np.zeros((n_walkers, len(problem.group_values))),
            np.zeros(n_walkers),
            rng.integers(2**63, size=n_walkers).astype(np.uint64),
        ),
        (values[0].copy(), np.array([np.inf])),
        (np.empty(n_walkers), np.empty(n_walkers, np.int64)),
    )


@pytest.mark.parametrize("interval", [1, 3])
def test_walkers_are_distributed_as_the_largest_eigenvector(interval):
    """Constant alpha and beta, many walkers: mean cost after resampling against the power method."""
    problem, alpha, beta = random_problem("ising", 4, locality=2, seed=5), 0.4, 0.3
    states = np.array(np.meshgrid(*[[-1, 1]] * 4, indexing="ij")).reshape(4, -1).T
    costs = np.array([float(naive.compiled_cost(problem, x.tolist())) for x in states])
    hops = (np.abs(states[:, None] - states).sum(axis=2) == 2) / 4.0
    walk = np.linalg.matrix_power((1 - alpha) * np.eye(16) + alpha * hops, interval)
    share = np.ones(16) / 16
    for _ in range(500):
        share = np.exp(-beta * (costs - costs.min())) * (walk @ share)
        share /= share.sum()
    problem_, population, best, scratch = walkers(problem, 4096, 6)
    means = []
    for block in range(60):
        steps = 10 * interval
        diffuse()(
            problem_,
            population,
            best,
            scratch,
            block * steps,
            np.full(steps, alpha),
            np.full(steps, beta),
            interval,
            4096,
            (0, 4096),
        )
        means.append(population[2].mean())
    found = np.array(means[10:])
    assert abs(found.mean() - share @ costs) <= 5 * found.std() / np.sqrt(len(found)) + 1e-3


@pytest.mark.parametrize("name", PROBLEMS)
def test_tracked_costs_and_sums_equal_recomputed_ones(name):
    problem = PROBLEMS[name]
    solver = diffusion(problem)
    state = solver.init()
    for steps in (1, 100, 250):
        solver.step(state, steps, Parallel(1), Budget())
        for values, cost in zip(state.values[0], state.costs[0], strict=True):
            assert cost == pytest.approx(float(naive.compiled_cost(problem, values.tolist())), abs=1e-9)
        best = float(naive.compiled_cost(problem, state.best_values[0].tolist()))
        assert state.best_costs[0] == pytest.approx(best, abs=1e-9)
        assert best <= state.costs.min() + 1e-9


def test_the_kernel_does_uncompiled_what_it_does_compiled():
    problem = PROBLEMS["groups"]
    results = []
    for run in (diffuse(), getattr(diffuse(), "py_func", diffuse())):
        arguments = walkers(problem, 6, 7)
        with np.errstate(over="ignore"):
            run(*arguments, 0, np.linspace(1.0, 0.2, 40), np.linspace(0.0, 0.5, 40), 2, 16, (0, 6))
        results.append(arguments[1][0])
    npt.assert_array_equal(*results)


def test_walkers_without_hops_stay_and_without_beta_are_never_taken_anew():
    problem = PROBLEMS["spins"]
    arguments = walkers(problem, 30, 8)
    before = arguments[1][0].copy()
    diffuse()(*arguments, 0, np.zeros(50), np.zeros(50), 1, 64, (0, 30))
    npt.assert_array_equal(arguments[1][0], before)
    diffuse()(*arguments, 50, np.zeros(50), np.full(50, 1e3), 1, 64, (0, 30))
    assert np.unique(arguments[1][2]).size == 1  # the cheapest alone is left


def test_every_step_of_probability_one_changes_one_variable():
    arguments = walkers(PROBLEMS["spins"], 30, 9)
    before = arguments[1][0].copy()
    diffuse()(*arguments, 0, np.ones(1), np.zeros(1), 1, 64, (0, 30))
    npt.assert_array_equal((arguments[1][0] != before).sum(axis=1), 1)


def test_islands_are_independent_and_blocks_of_steps_count_as_sweeps():
    solver = diffusion(PROBLEMS["spins"], islands=3, steps_per_sweep=7)
    state = solver.init()
    solver.step(state, 2, Parallel(1), Budget())
    assert (state.sweeps_done, state.steps_done, state.spin_updates) == (2, 14, 14 * 3 * 20)
    assert len({v.tobytes() for v in state.values}) == 3
    solver.step(state, 10**6, Parallel(1), Budget())
    assert (state.steps_done, solver.fraction(state)) == (600, 1.0)


def test_parameters_have_defaults_from_the_problem_and_can_be_passed_back():
    cf = cost_function("ising", [(float((7 * i + 3 * j) % 5 - 2), [i, j]) for i in range(25) for j in range(i)])
    found = solve(cf, TARGET, seed=3)
    used = found.parameters
    assert (used["step_limit"], used["target_population"], used["steps_per_walker"]) == (10_000, 72, 1)
    assert used["alpha"] == {"type": "linear", "initial": 1.0, "final": 0.0}
    assert used["beta"]["initial"] == 0.0 < used["beta"]["final"]
    assert solve(cf, TARGET, **{k: v for k, v in used.items() if k != "timeout"}).cost == found.cost
    given_beta = {"type": "geometric", "initial": 0.1, "final": 5}
    assert solve(cf, TARGET, seed=3, step_limit=9, beta=given_beta).parameters["beta"] == given_beta | {"final": 5.0}


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"step_limit": 0}, "`step_limit`: must be greater than 0, found 0"),
        ({"target_population": 0}, "`target_population`: must be greater than 0, found 0"),
        ({"steps_per_walker": 0}, "`steps_per_walker`: must be greater than 0, found 0"),
        ({"alpha": {"type": "linear", "initial": 0, "final": 1}}, "`alpha.final`: must be less than initial = 0"),
        ({"beta": {"type": "linear", "initial": 2, "final": 1}}, "`beta.final`: must be greater than initial = 2"),
    ],
)
def test_bad_parameters_are_named(parameters, message):
    with pytest.raises(InvalidValue, match=message):
        solve(cost_function("ising", [(1.0, [0, 1])]), TARGET, **parameters)


def test_a_population_beyond_memory_is_refused():
    cf = cost_function("ising", [(1.0, [i, i + 1]) for i in range(30)])
    with pytest.raises(NotEnoughMemory, match="replicas of 31 variables need"):
        solve(cf, TARGET, step_limit=10, target_population=10**12, seed=1)


def test_a_single_walker_and_extreme_betas_do_no_harm():
    cf = cost_function("ising", [(1e30, [0, 1]), (-3e29, [1, 2]), (1e30, [2])])
    beta = {"type": "linear", "initial": 0, "final": 1e300}
    for population in (1, 8):
        assert solve(cf, TARGET, seed=1, target_population=population, beta=beta).cost == -2.3e30


def test_the_search_without_parameters_converges():
    cf = cost_function("ising", [(float((7 * i + 3 * j) % 5 - 2), [i, j]) for i in range(40) for j in range(i)])
    found = solve(cf, FREE, seed=2, timeout=HANG_S, bound="none")
    assert found.stop_reason == "converged"
    assert found.cost == solve(cf, seed=2, timeout=HANG_S).cost


def test_the_search_without_parameters_converges_although_few_walkers_reach_the_best():
    rng = np.random.default_rng(1)
    terms = [(float(rng.integers(-4, 5)), rng.choice(40, 2, replace=False).tolist()) for _ in range(80)]
    groups = [[(float(rng.integers(-3, 4)), int(i)) for i in rng.choice(40, 8, replace=False)] for _ in range(6)]
    cf = cost_function("ising_grouped", terms, [(0.5, [*members, (1.0, None)]) for members in groups])
    found = solve(cf, "microsoft.substochasticmontecarlo-parameterfree.cpu", timeout=HANG_S, seed=5)
    assert found.stop_reason == "converged"
    assert found.cost == solve(cf, timeout=HANG_S, seed=5).cost
