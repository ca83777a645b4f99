"""Cluster moves keep costs and weights; 1qbit.pticm takes its parameters as it says."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.testing as npt
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

import naive
from qiosk.errors import InvalidValue, NotEnoughMemory, WrongType
from qiosk.model.compile import compile_problem
from qiosk.model.flips import cost_of
from qiosk.model.transforms.fix import fix
from qiosk.solvers.algorithms.cluster_moves import Clusters, is_symmetric
from qiosk.solvers.algorithms.consensus import SampleConsensus
from qiosk.solvers.algorithms.parallel_tempering import ParallelTempering
from qiosk.solvers.checkpoint import unpack
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.samplers.planner import plan
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.solver import Budget
from qiosk.solvers.solve import run_target, solve
from qiosk.solvers.targets.catalogue import target
from strategies import cost_function, cost_functions

pytestmark = pytest.mark.slow

PTICM = "1qbit.pticm"
CHAIN = cost_function("ising", [(-1.0 if i % 3 else 2.0, [i, i + 1]) for i in range(39)] + [(0.5, [0])])


def quadratic(cf):
    """The pairs and groups of a problem."""
    problem = compile_problem(cf)
    assume(problem.n > 0)
    none = problem.term_variables[:0]
    return replace(problem, term_indptr=problem.term_indptr[:1], term_variables=none, term_values=problem.linear[:0])


def draw_configuration(data, problem):
    low = -1 if problem.is_spin else 0
    return np.array(data.draw(st.lists(st.sampled_from([low, 1]), min_size=problem.n, max_size=problem.n)), np.int8)


@given(cf=cost_functions(max_terms=10), data=st.data())
def test_an_exchange_keeps_the_sum_of_costs_and_every_variable_s_pair_of_values(cf, data):
    problem = quadratic(cf)
    first, second = draw_configuration(data, problem), draw_configuration(data, problem)
    before = naive.compiled_cost(problem, first.tolist()) + naive.compiled_cost(problem, second.tolist())
    a, b = first.copy(), second.copy()
    size = Clusters(problem).exchange(a, b, data.draw(st.floats(0.0, 1.0)))
    assert naive.compiled_cost(problem, a.tolist()) + naive.compiled_cost(problem, b.tolist()) == before
    if not is_symmetric(problem):
        assert np.count_nonzero(a != first) == size
        npt.assert_array_equal(np.sort([a, b], axis=0), np.sort([first, second], axis=0))


def test_a_cluster_is_what_hangs_together_among_the_differing_variables():
    pairs = [(1.0, [0]), *((1.0, [i, i + 1]) for i in range(9))]
    problem = compile_problem(cost_function("ising_grouped", pairs, [(1.0, [(1.0, 5), (1.0, 8)])]))
    first = np.ones(10, np.int8)
    second = np.array([1, -1, -1, 1, 1, -1, 1, 1, -1, -1], np.int8)
    a, b = first.copy(), second.copy()
    assert Clusters(problem).exchange(a, b, 0.0) == 2  # from variable 1
    npt.assert_array_equal(np.flatnonzero(a != first), [1, 2])
    a, b = first.copy(), second.copy()
    assert Clusters(problem).exchange(a, b, 1.0) == 3  # from variable 9; 5 and 8 share a combination
    npt.assert_array_equal(np.flatnonzero(a != first), [5, 8, 9])


def test_nothing_is_exchanged_where_all_or_nothing_differs():
    clusters = Clusters(compile_problem(CHAIN))
    ones = np.ones(40, np.int8)
    assert clusters.exchange(ones, ones.copy(), 0.5) == 0
    assert clusters.exchange(ones, -ones, 0.5) == 0
    assert np.all(ones == 1)


def test_replicas_more_unlike_than_like_are_turned_where_that_costs_nothing():
    clusters = Clusters(compile_problem(cost_function("ising", [(1.0, [i, i + 1]) for i in range(9)])))
    first = np.ones(10, np.int8)
    second = -first
    second[[2, 7]] = 1
    assert clusters.exchange(first, second, 0.0) == 1
    npt.assert_array_equal(np.flatnonzero(first == -1), [2])
    npt.assert_array_equal(np.flatnonzero(second == -1), [7])


@pytest.mark.parametrize(
    "cf",
    [
        cost_function("ising", [(0.7, [0]), (-1.0, [0, 1]), (0.6, [1, 2]), (0.8, [2, 3]), (1.0, [3, 4])]),
        cost_function("ising", [(1.0, [0, 1]), (-1.0, [1, 2]), (1.0, [2, 3]), (1.0, [0, 3])]),
        cost_function("pubo_grouped", [(-1.0, [0]), (1.5, [0, 1])], [(0.5, [(1.0, 2), (-2.0, 3), (0.5, None)])]),
    ],
    ids=["spins in a field", "symmetric spins", "grouped bits"],
)
def test_clusters_between_sweeps_keep_boltzmann_weights(cf):
    problem, beta = compile_problem(cf), 0.9
    context = SearchContext(problem, lambda p: plan(p, replicas=64, kernel=None), seed=3)
    sampler, clusters = context.sampler, Clusters(problem)
    lane_at = np.arange(sampler.lanes).reshape(-1, 1)
    first, second = np.triu_indices(problem.n, 1)
    means, exchanged = [], 0
    for stream in range(40):
        groups = context.groups(stream, 1)
        sampler.sweep(groups[0], np.full(20, beta))
        sums = 0.0
        for event in range(30):
            exchanged += clusters.move(sampler, groups, lane_at, (3, stream, event))
            sampler.sweep(groups[0], np.full(1, beta))
            x = np.array([sampler.configuration(groups[0], r) for r in range(sampler.lanes)])
            means_now = np.concatenate([x.mean(axis=0), (x[:, first] * x[:, second]).mean(axis=0)])
            sums = sums + np.append(means_now, sampler.costs(groups[0]).mean())
        means.append(sums / 30)
    assert exchanged > 400
    error = np.std(means, axis=0, ddof=1) / np.sqrt(len(means))
    npt.assert_array_less(np.abs(np.mean(means, axis=0) - _boltzmann(cf, beta)), 4.5 * error)


def _boltzmann(cf, beta):
    """The mean of every variable and of every two variables' product, and the mean cost."""
    everything = list(naive.configurations(cf))
    costs = np.array([float(naive.cost(cf, x)) for x in everything])
    weights = np.exp(-beta * (costs - costs.min()))
    values = np.array([list(x.values()) for x in everything], float)
    first, second = np.triu_indices(values.shape[1], 1)
    return (
        np.append(weights @ np.hstack([values, values[:, first] * values[:, second]]), weights @ costs) / weights.sum()
    )


@given(cf=cost_functions(max_terms=10), data=st.data())
def test_fixed_problems_cost_what_the_whole_ones_do(cf, data):
    problem = quadratic(cf)
    x = draw_configuration(data, problem)
    is_fixed = np.array(data.draw(st.lists(st.booleans(), min_size=problem.n, max_size=problem.n)))
    left = fix(problem, is_fixed, draw_configuration(data, problem) if is_fixed.all() else x)
    if not is_fixed.all():
        assert cost_of(left, x[~is_fixed]) == pytest.approx(cost_of(problem, x), abs=1e-9)
    assert left.n == len(left.linear) == np.count_nonzero(~is_fixed)
    assert np.all(np.diff(left.group_indptr) > 0)


def test_persistence_fixes_what_the_sample_agrees_on():
    terms = [(-5.0, [0, 1]), (-5.0, [1, 2]), (0.01, [3, 4])]  # three locked together, two free
    context = SearchContext(
        compile_problem(cost_function("ising", terms)), lambda p: plan(p, replicas=64, kernel=None), seed=1
    )
    search = ParallelTempering(context, np.linspace(0.5, 2.0, 8), 200)
    state = search.init()
    search.step(state, 200, Parallel(1), Budget())
    is_fixed, values = SampleConsensus(after=0.5, temperatures=3, per_layer=10).consensus(context, state)
    npt.assert_array_equal(is_fixed, [True, True, True, False, False])
    assert values[0] == values[1] == values[2]


@pytest.mark.parametrize("kind", ["PERSISTENCY", "SPVAR"])
def test_with_fixing_the_optimum_is_found_in_the_smaller_problem(kind):
    best = -39.0 - 13.0 - 0.5  # every coupling of an open chain can be satisfied
    params = {"var_fixing_type": kind, "frac_sweeps_fixing": 0.5, "num_sweeps_per_run": 400, "num_elite_temps": 1}
    result = solve(CHAIN, PTICM, max_total_sweeps=1600, seed=2, **params)
    assert result.cost == best
    assert result.statistics["spin_updates"] < 1600 * 40 * 64


def test_parameters_may_be_strings_and_are_reported():
    given_ = {"num_temps": "12", "auto_set_temperatures": "False", "high_temp": "3", "low_temp": "0.5", "seed": "4"}
    result = run_target(PTICM, {**given_, "max_total_sweeps": "50"}, CHAIN, threads=1, hooks=Hooks())
    found = result.parameters
    assert (found["num_temps"], found["high_temp"], found["low_temp"], found["seed"]) == (12, 3.0, 0.5, 4)
    assert (found["max_total_sweeps"], found["num_sweeps_per_run"], found["num_replicas"]) == (50, 100, 2)
    assert (found["scaling_type"], found["var_fixing_type"], found["goal"]) == ("MEDIAN", "NO_FIXING", "OPTIMIZE")


def test_reported_temperatures_lead_to_the_same_run():
    free = solve(CHAIN, PTICM, max_total_sweeps=60, seed=1)
    names = ("high_temp", "low_temp", "num_temps")
    back = solve(
        CHAIN, PTICM, max_total_sweeps=60, seed=1, auto_set_temperatures=False, **{k: free.parameters[k] for k in names}
    )
    assert [p.cost for p in back.trace] == [p.cost for p in free.trace]
    assert free.parameters["high_temp"] > free.parameters["low_temp"]


def test_manual_temperatures_are_those_of_the_ladder_in_the_unit_asked_for():
    cf = cost_function("ising", [(4.0, [i, i + 1]) for i in range(5)])
    context = SearchContext(compile_problem(cf), lambda p: plan(p, replicas=8, kernel=None), seed=1)
    values = {p.name: p.default for p in target(PTICM).parameters}
    values |= {"auto_set_temperatures": False, "manual_temperatures": [0.5, 2.0, 1.0]}
    npt.assert_allclose(target(PTICM).build(context, values).ladder, [1 / 8, 1 / 4, 1 / 2])
    npt.assert_allclose(target(PTICM).build(context, {**values, "scaling_type": "NO_SCALING"}).ladder, [0.5, 1.0, 2.0])


def test_stagnation_ends_runs_and_idleness_ends_all():
    params = {"num_sweeps_per_run": 1000, "max_total_sweeps": 4000, "seed": 1}
    result = solve(CHAIN, PTICM, frac_sweeps_idle=0.25, **params)
    assert result.stop_reason == "converged"
    assert 1000 < result.statistics["sweeps"] < 3000
    sampled = solve(CHAIN, PTICM, frac_sweeps_idle=0.25, goal="SAMPLE", **params)
    assert (sampled.stop_reason, sampled.statistics["sweeps"]) == ("finished", 4000)
    assert len(sampled.solutions) == 10
    restless = solve(CHAIN, PTICM, frac_sweeps_stagnation=0.05, **params)
    assert restless.statistics["sweeps"] == 4000


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"num_temps": 1}, InvalidValue, "`num_temps`: must be at least 2, found 1"),
        ({"elite_threshold": 1.5}, InvalidValue, "`elite_threshold`: must be at least 0 and at most 1, found 1.5"),
        ({"goal": "WIN"}, InvalidValue, "`goal`: must be 'OPTIMIZE' or 'SAMPLE', found str 'WIN'"),
        ({"auto_set_temperatures": 1}, WrongType, "`auto_set_temperatures`: must be true or false, found int 1"),
        (
            {"auto_set_temperatures": False, "high_temp": 0.1},
            InvalidValue,
            "`high_temp`: must be greater than low_temp = 0.2, found 0.1",
        ),
        (
            {"auto_set_temperatures": False, "num_temps": 3, "manual_temperatures": [1.0, 2.0]},
            InvalidValue,
            "`manual_temperatures`: must have as many entries as num_temps = 3, found 2",
        ),
        (
            {"auto_set_temperatures": False, "manual_temperatures": [1.0, 0.0]},
            InvalidValue,
            r"`manual_temperatures\[1\]`: must be greater than 0, found 0.0",
        ),
    ],
    ids=str,
)
def test_wrong_parameters_are_refused(params, error, message):
    with pytest.raises(error, match=message):
        solve(CHAIN, PTICM, max_total_sweeps=20, **params)


def test_terms_of_three_variables_are_refused():
    with pytest.raises(InvalidValue, match="target 1qbit.pticm: terms may have at most 2 variables, found one of 3"):
        solve(cost_function("ising", [(1.0, [0, 1, 2])]), PTICM)


@pytest.mark.parametrize("kind", ["PERSISTENCY", "SPVAR"])
def test_runs_that_fix_variables_depend_neither_on_chunks_nor_on_interruptions(kind, monkeypatch):
    rng = np.random.default_rng(2)
    terms = [(float(rng.normal()), rng.choice(40, 2, replace=False).tolist()) for _ in range(120)]
    cf, saved = cost_function("ising", [*terms, (0.3, [0])]), []
    params = {"var_fixing_type": kind, "frac_sweeps_fixing": 0.5, "num_sweeps_per_run": 64, "max_total_sweeps": 150}
    params |= {"seed": 3, "num_elite_temps": 1, "frac_sweeps_idle": 0.6, "frac_sweeps_stagnation": 0.4}
    whole = run_target(PTICM, params, cf, threads=1, hooks=Hooks())
    monkeypatch.setattr("qiosk.solvers.driver.CHUNK_SECONDS", 0.0)  # chunks of a single sweep
    hooks = Hooks(on_chunk=lambda report: saved.append(report.checkpoint()))
    assert _outcome(run_target(PTICM, params, cf, threads=3, hooks=hooks)) == _outcome(whole)
    for checkpoint in saved[10::40]:
        assert _outcome(run_target(PTICM, params, cf, threads=2, hooks=Hooks(resume=checkpoint))) == _outcome(whole)
    assert any(unpack(checkpoint)["state"].is_fixed.any() for checkpoint in saved)


def _outcome(result):
    found = {k: v for k, v in result.statistics.items() if "seconds" not in k and k != "threads"}
    return [(s.cost, s.values.tobytes()) for s in result.solutions], [(p.sweep, p.cost) for p in result.trace], found


@pytest.mark.parametrize("absurd", [{"num_temps": 10**10}, {"num_replicas": 10**12}], ids=str)
def test_absurd_numbers_of_replicas_are_refused(absurd):
    with pytest.raises(NotEnoughMemory, match="replicas of 40 variables need"):
        solve(CHAIN, PTICM, max_total_sweeps=20, seed=1, **absurd)


@pytest.mark.parametrize("auto", [True, False])
def test_only_automatic_ladders_are_spread_anew_between_the_same_ends(auto):
    cf = cost_function("ising", [(1.0 if (7 * i + j) % 3 else -1.0, [i, j]) for i in range(60) for j in range(i)])
    context = SearchContext(compile_problem(cf), lambda p: plan(p, replicas=24, kernel=None), seed=1)
    values = {p.name: p.default for p in target(PTICM).parameters}
    values |= {"num_temps": 12, "num_sweeps_per_run": 16_000, "max_total_sweeps": 48_000, "auto_set_temperatures": auto}
    solver = target(PTICM).build(context, values)
    state = solver.init()
    solver.step(state, 17_000, Parallel(1), Budget())
    assert state.run == 1
    npt.assert_allclose(state.ladder[[0, -1]], solver.ladder[[0, -1]])
    assert np.all(np.diff(state.ladder) > 0)
    assert np.allclose(state.ladder, solver.ladder) is not auto
