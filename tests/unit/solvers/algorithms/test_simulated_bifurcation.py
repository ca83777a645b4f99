"""Oscillator networks: their dynamics, their bookkeeping and the target's parameters."""

from __future__ import annotations

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import given, settings

import naive
from problems import random_problem
from qiosk.errors import InvalidInput, InvalidValue, MissingSection, NotEnoughMemory, WrongType
from qiosk.kernels.dynamics.bifurcation import bifurcation_steps, sign_costs
from qiosk.kernels.plain import bifurcation as plain
from qiosk.model.compile import compile_problem
from qiosk.model.flips import cost_of
from qiosk.solvers.algorithms import network as networks
from qiosk.solvers.algorithms.network import Network
from qiosk.solvers.algorithms.simulated_bifurcation import CANDIDATES, LOOP_LANES, Dynamics, SimulatedBifurcation
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.samplers.planner import plan
from qiosk.solvers.search import context as ground_module
from qiosk.solvers.search.context import SearchContext, check_memory
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.solver import Budget
from qiosk.solvers.solve import run_target, solve
from qiosk.solvers.targets.bifurcation import TARGETS
from qiosk.solvers.targets.parameters import read_parameters
from strategies import cost_function, cost_functions

pytestmark = pytest.mark.slow

SBM = "toshiba.sbm.ising"
(TARGET,) = TARGETS
DISCRETE, BALLISTIC = Dynamics(True, 0.8), Dynamics(False, 0.8)


def glass(n, seed=0):
    rng = np.random.default_rng(seed)
    return cost_function(
        "ising", [(float(rng.choice([-1, 1])), [i, j]) for i in range(n) for j in range(i) if rng.random() < 0.3]
    )


def ground_of(cf, seed=1):
    return SearchContext(compile_problem(cf), lambda p: plan(p, replicas=64), seed)


def naive_steps(couplings, x, y, pumps, dt, strength, is_discrete):
    """Position and momentum of one trajectory after the steps of the paper, in float64."""
    for pump in pumps:
        felt = np.sign(x) if is_discrete else x
        y = y + dt * (-(1.0 - pump) * x - strength * couplings @ felt)
        x = x + dt * y
        beyond = np.abs(x) > 1.0
        x, y = np.where(beyond, np.sign(x), x), np.where(beyond, 0.0, y)
    return x, y


def dense(network):
    couplings = np.zeros((network.n, network.n))
    couplings[network.form.rows, network.form.cols] = network.form.couplings
    return couplings + couplings.T


@pytest.mark.parametrize("dynamics", [DISCRETE, BALLISTIC], ids=["discrete", "ballistic"])
def test_trajectories_follow_the_equations_of_the_paper(dynamics):
    solver = SimulatedBifurcation(ground_of(glass(12)), (dynamics,), steps=12)
    state = solver.init()
    start = {name: array.reshape(-1, LOOP_LANES).astype(float) for name, array in state.groups[0].arrays.items()}
    solver.step(state, 12, Parallel(1), Budget())
    for lane in (0, 7, LOOP_LANES - 1):
        expected = naive_steps(
            dense(solver.network),
            start["positions"][:, lane],
            start["momenta"][:, lane],
            np.arange(12) / 12,
            dynamics.dt,
            solver.network.natural_strength,
            dynamics.is_discrete,
        )
        for name, values in zip(("positions", "momenta"), expected, strict=True):
            npt.assert_allclose(state.groups[0].arrays[name][lane::LOOP_LANES], values, atol=1e-4)


@pytest.mark.parametrize("is_discrete", [True, False])
@pytest.mark.parametrize("lanes", [8, 32])
def test_the_kernel_equals_its_plain_twin_bit_for_bit(is_discrete, lanes):
    network = Network.of(random_problem("pubo", 23, locality=2, seed=1, integers=False))
    indptr, neighbors, _ = network.neighbors
    rng = np.random.default_rng(5)
    start = rng.uniform(-1, 1, (2, network.n * lanes)).astype(np.float32)
    detunings = np.linspace(-1, 0.2, 40).astype(np.float32)
    ends = []
    for family in (bifurcation_steps, plain.bifurcation_steps):
        x, y = start.copy()
        run = family(is_discrete, lanes)
        run(indptr, neighbors, network.forces(0.3), x, y, detunings, np.float32(0.7), (0, network.n))
        ends.append((x, y))
    npt.assert_array_equal(ends[0], ends[1])
    assert np.abs(ends[0][0]).max() == 1.0


def test_the_sign_of_zero_is_its_sign_bit():
    indptr, neighbors = np.array([0, 1, 2]), np.array([1, 0], np.int32)
    for zero, momentum in ((0.0, 1.0), (-0.0, -1.0)):
        x, y = np.full(16, zero, np.float32), np.zeros(16, np.float32)
        run = bifurcation_steps(True, 8)
        run(indptr, neighbors, np.ones(2, np.float32), x, y, np.array([-1.0], np.float32), np.float32(0.5), (0, 2))
        npt.assert_array_equal(y, np.float32(momentum / 2))


@settings(max_examples=40, deadline=None)
@given(cf=cost_functions(max_terms=6))
def test_networks_cost_what_their_problem_costs(cf):
    problem = compile_problem(cf)
    if len(problem.term_values) or problem.n == 0:
        return
    network = Network.of(problem)
    rng = np.random.default_rng(1)
    positions = rng.uniform(-1, 1, (network.n, 4)).astype(np.float32)
    costs = np.empty(4)
    indptr, neighbors, couplings = network.neighbors
    plain.sign_costs()(indptr, neighbors, couplings, positions.ravel(), costs)
    for lane in range(4):
        configuration = network.configuration(positions[:, lane])
        assert costs[lane] + network.form.constant == pytest.approx(cost_of(problem, configuration), abs=1e-9)
        npt.assert_array_equal(network.configuration(network.spins(configuration).astype(np.float32)), configuration)


@pytest.mark.parametrize("lanes", [8, 32])
def test_costs_of_signs_are_those_of_the_reference_kernel(lanes):
    rng = np.random.default_rng(lanes)
    indptr = np.concatenate([[0], np.cumsum(rng.integers(0, 6, 20))])
    neighbors, couplings = rng.integers(0, 20, indptr[-1]).astype(np.int32), rng.normal(size=indptr[-1])
    positions = rng.uniform(-1, 1, 20 * lanes).astype(np.float32)
    found, wanted = np.empty(lanes), np.empty(lanes)
    sign_costs(lanes)(indptr, neighbors, couplings, positions, found)
    plain.sign_costs()(indptr, neighbors, couplings, positions, wanted)
    npt.assert_array_equal(found, wanted)


def test_linear_combinations_are_multiplied_out_and_merged_with_pairs():
    cf = cost_function("pubo_grouped", [(-2.0, [0, 1])], [(1.0, [(1.0, 0), (1.0, 1), (3.0, 4), (-2.0, None)])])
    flat = networks.multiplied_out(compile_problem(cf))
    assert flat.pair_values.tolist() == [6.0, 6.0]  # that of 0 and 1 cancels
    assert flat.is_quadratic
    for x in naive.configurations(cf):
        assert cost_of(flat, np.array([x[i] for i in (0, 1, 4)], np.int8)) == naive.cost(cf, x)


def test_linear_combinations_beyond_memory_are_refused(monkeypatch):
    monkeypatch.setattr(ground_module, "physical_memory", lambda: 10_000)
    cf = cost_function("ising_grouped", [], [(1.0, [(1.0, i) for i in range(50)])])
    with pytest.raises(NotEnoughMemory, match="1 squared linear combinations as pairs need 196000 bytes"):
        solve(cf, SBM)


def test_trajectories_beyond_memory_are_refused(monkeypatch):
    monkeypatch.setattr(ground_module, "physical_memory", lambda: 1000)
    with pytest.raises(NotEnoughMemory, match="32 replicas of 30 variables need 7680 bytes"):
        solve(glass(30), SBM)


def test_a_memory_of_unknown_size_refuses_nothing(monkeypatch):
    monkeypatch.setattr(ground_module, "physical_memory", lambda: 0)
    check_memory("things", 2**60)


def test_the_natural_strength_is_half_the_bifurcation_of_a_random_network():
    cf = cost_function("ising", [(2.0, [i, j]) for i in range(10) for j in range(i)])
    norm = np.sqrt(2 * 45 * 4.0)
    assert Network.of(compile_problem(cf)).natural_strength == pytest.approx(0.5 * 3 / norm)
    huge = cost_function("ising", [(1e300, [i, i + 1]) for i in range(9)])
    assert Network.of(compile_problem(huge)).natural_strength == pytest.approx(0.5 * 3 / (1e300 * np.sqrt(18)))
    flat = cost_function("ising", [(0.0, [0, 1])])
    assert Network.of(compile_problem(flat)).natural_strength == 1.0


@pytest.mark.parametrize("strength", [1e-30, 1e300])
def test_absurd_strengths_still_end_in_a_local_minimum(strength):
    result = solve(glass(30), SBM, C=strength, steps=200, seed=1)
    assert result.cost == naive.cost(glass(30), result.configuration)
    assert result.cost < 0
    assert result.parameters["C"] == strength


@pytest.mark.parametrize("params", [{"algo": "1.5"}, {"algo": "2.0"}, {"auto": True}, {"algo": "1.5", "dt": 1.0}])
def test_all_algorithms_solve_a_planted_glass(params):
    rng = np.random.default_rng(3)
    n = 200
    hidden = rng.choice([-1, 1], n)
    pairs = [rng.choice(n, 2, replace=False).tolist() for _ in range(1000)]
    # the hidden spins satisfy nine bonds of ten
    signs = [-1.0 if k % 10 else 1.0 for k in range(len(pairs))]
    cf = cost_function("ising", [(s * hidden[i] * hidden[j], [i, j]) for s, (i, j) in zip(signs, pairs, strict=True)])
    result = solve(cf, SBM, seed=1, **params)
    assert result.cost <= naive.cost(cf, dict(enumerate(hidden.tolist())))
    assert result.parameters["algo"] in ("1.5", "2.0")


def test_fields_and_bits_are_solved_through_the_reference_spin():
    rng = np.random.default_rng(2)
    terms = [(float(rng.integers(-9, 10)), rng.choice(14, k, replace=False).tolist()) for k in [1] * 10 + [2] * 30]
    cf = cost_function("pubo", terms)
    best = min(naive.cost(cf, x) for x in naive.configurations(cf))
    assert solve(cf, SBM, seed=1, loops=4).cost == best


def test_loops_follow_in_waves_and_steps_count_all_of_them():
    result = solve(glass(40), SBM, seed=1, loops=20, steps=100)
    assert result.statistics["sweeps"] == 3 * 100  # waves of 8, 8 and 4 loops
    assert result.statistics["spin_updates"] == 20 * 100 * LOOP_LANES * 40
    assert result.stop_reason == "finished"
    assert result.statistics["kernel"] == "bifurcation-float32x32"


def test_endless_loops_end_with_the_time_and_get_longer():
    result = solve(glass(60), SBM, seed=1, loops=0, timeout=0.5)
    assert result.stop_reason == "timeout"
    constant = solve(glass(60), SBM, seed=1, loops=0, steps=50, timeout=0.3)
    assert constant.stop_reason == "timeout"
    assert constant.parameters["steps"] == 50
    assert constant.statistics["sweeps"] > 50


def test_an_automatic_search_converges_and_reports_what_it_chose():
    result = solve(glass(40), SBM, seed=1, auto=True, loops=1, maxout=3, timeout=360)
    assert result.stop_reason == "converged"
    assert result.parameters["dt"] in (0.5, 0.8, 1.0)
    again = {name: result.parameters[name] for name in ("steps", "dt", "C", "algo", "seed")}
    assert solve(glass(40), SBM, loops=8, **again).cost == result.cost


def test_an_automatic_search_tries_candidates_twice_before_it_chooses():
    solver = SimulatedBifurcation(ground_of(glass(20)), CANDIDATES, loops=None)
    scores = np.array([-5.0, -9.0, -7.0, -8.0, -10.0, -11.0])
    assert [solver._choice(scores[:k]) for k in range(7)] == [0, 1, 2, 3, 1, 3, 3]
    assert SimulatedBifurcation(ground_of(glass(20)), loops=None)._choice(np.zeros(0)) == 0


def test_the_number_of_steps_follows_the_size_of_the_problem():
    small = SimulatedBifurcation(ground_of(glass(40)))
    large = SimulatedBifurcation(ground_of(cost_function("ising", [(1.0, [i, i + 1]) for i in range(60_000)])))
    assert small.init().steps == 10_000
    assert 500 < large.init().steps < 5000


def test_an_initial_configuration_is_where_trajectories_begin():
    context = ground_of(glass(40))
    initial = np.resize(np.array([1, 1, -1], np.int8), 40)
    begun = SimulatedBifurcation(SearchContext(context.problem, context.plan, 1, initial=initial)).init()
    for lane in (0, LOOP_LANES - 1):
        positions = begun.groups[0].arrays["positions"][lane::LOOP_LANES]
        npt.assert_array_equal(np.sign(positions), initial)


def test_up_to_maxout_solutions_are_returned():
    result = solve(glass(12), SBM, seed=1, maxout=1000)
    assert [s.cost for s in result.solutions] == sorted(s.cost for s in result.solutions)
    assert len({tuple(s.values) for s in result.solutions}) == 1000
    assert len(solve(glass(12), SBM, seed=1, maxout=2, number_of_solutions=4, steps=10).solutions) == 4


@pytest.mark.parametrize("names", [("target",), ("target_cost",), ("target", "target_cost")])
def test_a_target_stops_the_search(names):
    cost = solve(glass(20), SBM, seed=1).cost
    given_costs = dict(zip(names, (cost, cost - 100), strict=False))
    assert solve(glass(20), SBM, seed=1, loops=0, **given_costs).stop_reason == "target"


def test_terms_of_three_variables_are_refused():
    with pytest.raises(InvalidValue, match="at most 2 variables, found one of 3") as caught:
        solve(cost_function("ising", [(1.0, [0, 1, 2])]), SBM)
    assert caught.value.azq == "AZQ107"
    assert solve(cost_function("pubo", [(-1.0, [0, 1, 1])]), SBM, seed=1).cost == -1.0  # the same as 0, 1


def test_defaults_are_those_of_the_service():
    values = read_parameters(TARGET.parameters, {})
    expected = {"steps": 0, "loops": 1, "target": None, "maxout": 1, "timeout": 10.0, "C": 0.0, "algo": "2.0"}
    assert expected.items() <= values.items()
    assert values["auto"] is False
    assert 0.0 < values["dt"] <= 1.0


@pytest.mark.parametrize(
    ("name", "allowed", "refused"),
    [
        ("steps", [0, 10**8], [-1, 10**8 + 1]),
        ("loops", [0, 10**7], [-1, 10**7 + 1]),
        ("target", [-1e300, 5, 0.5], [float("inf"), float("nan")]),
        ("maxout", [1, 1000], [0, 1001]),
        ("timeout", [0, 0.5, 360], [-1, 360.1]),
        ("dt", [1e-9, 1], [0, 1.01, -0.5]),
        ("C", [0, 3.5], [-0.1]),
        ("algo", ["1.5", "2.0"], ["3.0", ""]),
        ("auto", [True, False], []),
    ],
)
def test_bounds_of_parameters(name, allowed, refused):
    for value in allowed:
        assert read_parameters(TARGET.parameters, {name: value})[name] == value
    for value in refused:
        with pytest.raises(InvalidValue, match=f"parameter `{name}`: must be"):
            read_parameters(TARGET.parameters, {name: value})


@pytest.mark.parametrize(
    ("name", "value"), [("steps", 1.5), ("loops", True), ("dt", "0.5"), ("algo", 2.0), ("auto", "true"), ("auto", 1)]
)
def test_types_of_parameters(name, value):
    with pytest.raises(WrongType, match=f"parameter `{name}`: must be"):
        read_parameters(TARGET.parameters, {name: value})


def test_parameters_are_flat():
    result = run_target(SBM, {"steps": 30, "seed": 3, "unknown": "x"}, glass(10), threads=1, hooks=Hooks())
    assert result.parameters["steps"] == 30
    assert run_target(SBM, None, glass(10), threads=1, hooks=Hooks()).parameters["loops"] == 1
    with pytest.raises(MissingSection) as caught:
        run_target(SBM, [1], glass(10), threads=1, hooks=Hooks())
    assert isinstance(caught.value, InvalidInput)
