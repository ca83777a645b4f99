"""World lines against the traces of the Trotter product, and the solver's own promises."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest

import naive
from qiosk.errors import InvalidValue, NotEnoughMemory, WrongType
from qiosk.kernels.dynamics.world_lines import _exp
from qiosk.model.compile import compile_problem
from qiosk.model.flips import cost_of
from qiosk.solvers.algorithms.world_lines import WorldLines
from qiosk.solvers.solve import solve
from qiosk.solvers.targets.catalogue import target
from strategies import cost_function

pytestmark = pytest.mark.slow

QMC = "microsoft.qmc.cpu"
PROBLEMS = {
    "spins": cost_function("ising", [(0.7, [0]), (-1.0, [0, 1]), (0.6, [1, 2]), (0.8, [0, 2]), (0.5, [])]),
    "three-local spins": cost_function("ising", [(1.0, [0, 1, 2]), (-0.4, [1]), (0.3, [0, 2])]),
    "bits": cost_function("pubo", [(-1.0, [0]), (1.5, [0, 1]), (-0.8, [1, 2, 0]), (0.4, [2])]),
    "grouped spins": cost_function("ising_grouped", [(0.5, [0])], [(0.3, [(1.0, 0), (2.0, 1), (-1, 2), (0.5, None)])]),
    "grouped bits": cost_function("pubo_grouped", [(-0.6, [0, 1])], [(0.5, [(1.0, 0), (2.0, 1), (-1.5, 2)])]),
    "one spin": cost_function("ising", [(0.4, [0])]),
    "free spins": cost_function("ising", [(0.0, [0, 1])]),
}


@pytest.mark.parametrize("slices", [2, 3, 8, 70])
@pytest.mark.parametrize("name", PROBLEMS)
def test_costs_pairs_and_ties_have_the_expectations_of_the_trotter_product(name, slices):
    problem, beta, cut = compile_problem(PROBLEMS[name]), 0.5, 0.3
    lines = WorldLines(problem, slices)
    means = np.array([_averages(lines, lines.start((7, system)), beta, cut) for system in range(150)])
    error = means.std(axis=0, ddof=1) / np.sqrt(len(means))
    expected = np.concatenate(naive.trotter_averages(PROBLEMS[name], beta, cut, slices))
    npt.assert_array_less(np.abs(means.mean(axis=0) - expected), 4.5 * error + 1e-9)


def _averages(lines, group, beta, cut):
    """Mean cost of a slice, and product of every two variables of one, and how often neighbouring slices agree."""
    betas, cuts = np.full(2, beta), np.full(2, cut)
    lines.sweep(group, np.full(20, beta), np.full(20, cut))
    first, second = np.triu_indices(lines.problem.n)
    sums = 0.0
    for _ in range(40):
        lines.sweep(group, betas, cuts)
        values = group.arrays["values"]
        products = (values[first] * values[second]).mean(axis=1)
        ties = (values == np.roll(values, 1, axis=1)).mean(axis=1)
        sums = sums + np.concatenate([[lines.costs(group).mean()], products, ties])
    return sums / 40


@pytest.mark.parametrize("name", PROBLEMS)
def test_costs_of_slices_are_the_costs_of_their_configurations(name):
    problem = compile_problem(PROBLEMS[name])
    lines = WorldLines(problem, 5)
    group = lines.start((3,))
    lines.sweep(group, np.full(9, 0.4), np.linspace(1.0, 0.1, 9))
    npt.assert_allclose(
        lines.costs(group), [cost_of(problem, lines.configuration(group, k)) for k in range(5)], atol=1e-12
    )


def test_a_quench_never_raises_a_cost():
    rng = np.random.default_rng(1)
    terms = [(float(rng.normal()), rng.choice(30, 2, replace=False).tolist()) for _ in range(90)]
    lines = WorldLines(compile_problem(cost_function("ising", terms)), 66)
    group = lines.start((5,))
    costs = [lines.costs(group)]
    for _ in range(6):
        lines.sweep(group, np.array([np.inf]), np.ones(1))
        costs.append(lines.costs(group))
    assert np.all(np.diff(costs, axis=0) <= 1e-12)
    assert costs[-1].mean() < costs[0].mean()


def test_without_a_field_slices_that_agree_stay_together():
    lines = WorldLines(compile_problem(PROBLEMS["spins"]), 6)
    group = lines.start((1,), np.array([1, -1, 1], np.int8))
    seen = set()
    for _ in range(200):
        lines.sweep(group, np.array([0.1]), np.zeros(1))
        values = group.arrays["values"]
        assert np.all(values == values[:, :1])
        seen.add(tuple(values[:, 0].tolist()))
    assert len(seen) == 8


def test_systems_begin_with_fair_coins_or_as_given():
    problem = compile_problem(cost_function("pubo", [(1.0, [i, i + 1]) for i in range(99)]))
    lines = WorldLines(problem, 72)
    values = lines.start((4,)).arrays["values"]
    assert set(np.unique(values)) == {0, 1}
    assert abs(values.mean() - 0.5) < 4.5 * 0.5 / np.sqrt(values.size)
    given = (np.arange(100) % 2).astype(np.int8)
    npt.assert_array_equal(lines.start((4,), given).arrays["values"], np.repeat(given[:, None], 72, axis=1))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"sweeps": 0}, InvalidValue, "`sweeps`: must be greater than 0, found 0"),
        ({"trotter_number": 1}, InvalidValue, "`trotter_number`: must be at least 2, found 1"),
        ({"restarts": 0}, InvalidValue, "`restarts`: must be greater than 0, found 0"),
        ({"beta_start": 0}, InvalidValue, "`beta_start`: must be greater than 0, found 0"),
        ({"transverse_field_start": -1}, InvalidValue, "`transverse_field_start`: must be at least 0, found -1"),
        ({"transverse_field_stop": "0"}, WrongType, "`transverse_field_stop`: must be a number, found str '0'"),
        ({"trotter_number": 7.5}, WrongType, "`trotter_number`: must be an integer, found float 7.5"),
    ],
)
def test_parameters_out_of_bounds_are_refused(params, error, message):
    with pytest.raises(error, match=message):
        solve(PROBLEMS["spins"], QMC, **params)


def test_parameters_are_reported_with_their_defaults():
    result = solve(PROBLEMS["spins"], QMC, sweeps=5, seed=1)
    found = result.parameters
    assert (found["sweeps"], found["trotter_number"], found["restarts"]) == (5, 72, 1)
    assert found["beta_start"] > 0
    assert found["transverse_field_start"] == pytest.approx(3.0 / found["beta_start"])
    assert found["transverse_field_stop"] == 0.0
    assert {p.name: p.default for p in target(QMC).parameters}["sweeps"] == 10_000
    given = {"trotter_number": 9, "restarts": 3, "beta_start": 0.5, "transverse_field_start": 2.0}
    again = solve(PROBLEMS["spins"], QMC, sweeps=5, seed=1, transverse_field_stop=0.25, **given)
    assert {**given, "transverse_field_stop": 0.25}.items() <= again.parameters.items()
    assert again.statistics["spin_updates"] == 9 * 3 * 3 * again.statistics["sweeps"]


def test_restarts_beyond_a_wave_follow_in_further_waves(monkeypatch):
    cf = cost_function(
        "ising", [(float(i % 5 - 2), [i, (i * i + 1) % 40]) for i in range(1, 40) if i != (i * i + 1) % 40]
    )
    params = {"sweeps": 20, "restarts": 7, "trotter_number": 4, "seed": 1}
    whole = solve(cf, QMC, **params)
    monkeypatch.setattr("qiosk.solvers.algorithms.quantum_monte_carlo.WAVE_SYSTEMS", 3)
    waves = solve(cf, QMC, **params)
    assert waves.statistics["sweeps"] == 3 * whole.statistics["sweeps"]
    assert waves.statistics["spin_updates"] == whole.statistics["spin_updates"]
    assert waves.cost == whole.cost


def test_more_slices_than_memory_are_refused():
    with pytest.raises(NotEnoughMemory, match="1000000000000 replicas of 3 variables need"):
        solve(PROBLEMS["spins"], QMC, trotter_number=10**12, seed=1)


def test_the_kernel_s_exponential_is_exact_to_what_it_says():
    t = np.linspace(-24.0, 24.0, 1001)
    npt.assert_allclose([_exp(float(x)) for x in t], np.exp(t), rtol=5e-9)
