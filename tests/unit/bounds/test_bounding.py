"""Bounds beside a search: what a result says about them, and that they end a run only where they prove something."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from patience import HANG_S
from qiosk.bounds.choice import Bounder
from qiosk.errors import InvalidValue
from qiosk.formats.qio.results import decode
from qiosk.model.compile import compile_problem
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.model.flips import cost_of
from qiosk.solvers.allotment import Wanted, seconds_afterwards, seconds_beside, seconds_left, share_of
from qiosk.solvers.bounding import DEFAULT_EFFORT, Bounding, relative_gap
from qiosk.solvers.checkpoint import pack, unpack
from qiosk.solvers.run import Task
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.solve import solve
from qiosk.solvers.targets.catalogue import target
from qiosk.solvers.targets.parameters import read_parameters
from strategies import cost_function


def torus(size, seed=1):
    rng = np.random.default_rng(seed)
    terms = [
        (float(rng.choice([-1, 1])), sorted([size * x + y, size * ((x + dx) % size) + (y + dy) % size]))
        for x in range(size)
        for y in range(size)
        for dx, dy in ((0, 1), (1, 0))
    ]
    return cost_function("ising", terms)


def xorsat(n=30, seed=2):
    """Three-spin terms of which all can be at their least."""
    rng = np.random.default_rng(seed)
    planted = rng.choice([-1, 1], n)
    sets = [np.sort(rng.choice(n, 3, replace=False)) for _ in range(n)]
    return cost_function("ising", [(-float(planted[ids].prod()), ids.tolist()) for ids in sets])


@pytest.mark.parametrize("method", ["auto", "elimination"])
def test_a_run_ends_as_optimal_when_its_cost_is_the_bound(method):
    result = solve(torus(8), timeout=HANG_S, seed=1, bound=method)
    assert result.stop_reason == "optimal"
    assert result.cost == result.bound
    assert (result.gap, result.gap_absolute, result.bound_method) == (0.0, 0.0, "elimination")


def test_an_answer_of_elimination_is_the_answer_of_the_run():
    """One sweep of one replica would hardly find it."""
    result = solve(torus(6), "microsoft.simulatedannealing.cpu", sweeps=1, restarts=1, seed=1, bound="elimination")
    best = solve(torus(6), timeout=HANG_S, seed=2)
    assert (result.cost, result.stop_reason) == (best.cost, "optimal")


def test_a_gap_that_is_small_enough_ends_a_run():
    result = solve(torus(30), timeout=HANG_S, seed=1, gap=0.2, threads=1)
    assert result.stop_reason == "gap"
    assert 0.0 < result.gap <= 0.2
    assert result.gap_absolute == result.cost - result.bound > 0.0
    assert result.bound_method in ("cycles", "cycles-lp")


def test_the_trivial_bound_is_there_without_being_asked_for_and_ends_what_attains_it():
    result = solve(xorsat(), timeout=HANG_S, seed=1, bound="none")  # else its least cost is found before a search
    assert (result.cost, result.bound, result.bound_method) == (-30.0, -30.0, "trivial")
    assert result.stop_reason == "optimal"
    planned = solve(xorsat(), "microsoft.simulatedannealing.cpu", sweeps=200, restarts=8, seed=1)
    assert planned.stop_reason == "finished"
    assert planned.bound == -30.0


def test_enumeration_is_a_bound():
    result = solve(cost_function("ising", [(1.0, [0, 1]), (1.0, [1, 2]), (1.0, [0, 2])]), seed=1)
    assert (result.cost, result.bound, result.gap, result.bound_method) == (-1.0, -1.0, 0.0, "enumeration")


@pytest.mark.parametrize("method", ["trivial", "cycles", "sdp", "none"])
def test_any_method_bounds_what_any_search_finds(method):
    function = torus(6, seed=4)
    least = solve(function, timeout=HANG_S, bound="elimination", seed=1).cost
    result = solve(function, timeout=0.3, bound=method, seed=1)
    assert result.bound <= least <= result.cost
    assert result.gap == relative_gap(result.cost, result.bound)


def test_a_bound_on_the_whole_problem_serves_a_search_on_a_smaller_one():
    """Most spins of this graph have at most three neighbours."""
    rng = np.random.default_rng(5)
    pairs = {tuple(sorted(rng.choice(400, 2, replace=False).tolist())) for _ in range(340)}
    function = cost_function("ising", [(float(rng.choice([-1, 1])), list(ids)) for ids in sorted(pairs)])
    result = solve(function, timeout=HANG_S, seed=1, bound="elimination", presolve=True)
    assert result.statistics["presolve"]["is_used"]
    assert result.bound == result.cost


@pytest.fixture
def early(monkeypatch):
    """Bounds that were not asked for begin with the search."""
    monkeypatch.setattr("qiosk.solvers.allotment.DEFAULT_BEGIN_S", 0.0)


def test_bounds_begin_when_enough_time_has_come_together():
    assert seconds_beside(0.1, 0.15, has_begun=False) == 0.0
    assert seconds_beside(0.1, 0.15, has_begun=True) == pytest.approx(0.1 * 0.15 / 0.85)
    assert seconds_beside(1.0, 0.15, has_begun=False) == seconds_beside(1.0, 0.15, has_begun=True)
    assert seconds_beside(1.0, 0.0, has_begun=True) == 0.0


def test_many_larger_terms_get_bounds_only_where_there_is_time_to_put_them_into_tables():
    rng = np.random.default_rng(1)
    ids = np.unique(np.sort(np.argsort(rng.random((60_000, 60)), axis=1)[:, :4], axis=1), axis=0)
    indptr = np.arange(0, 4 * len(ids) + 1, 4)
    problem = compile_problem(CostFunction(ProblemType.ising, np.ones(len(ids)), indptr, ids.ravel()))
    assert share_of(problem, Wanted(), 1.0) == 0.0
    assert share_of(problem, Wanted(), 30.0) > 0.0


def test_a_second_is_enough_for_cycles_where_the_semidefinite_bound_takes_longer():
    rng = np.random.default_rng(1)
    pairs = {tuple(sorted(rng.choice(2000, 2, replace=False).tolist())) for _ in range(9000)}
    problem = compile_problem(cost_function("ising", [(1.0, list(pair)) for pair in sorted(pairs)]))
    assert share_of(problem, Wanted(), 1.0) > 0.0
    assert share_of(problem, Wanted(), 0.5) == 0.0
    bounder = Bounder(problem, "auto", 1, DEFAULT_EFFORT)
    while bounder.best.method == "trivial":
        bounder.step()
    assert bounder.best.method == "cycles"


def test_bounds_after_a_search_take_as_long_again_unless_they_have_an_aim():
    assert seconds_afterwards(1.0, Wanted(method="auto")) == 5.0
    assert seconds_afterwards(9.0, Wanted(method="auto")) == 9.0
    assert seconds_afterwards(1.0, Wanted(gap=0.1)) == math.inf
    assert seconds_afterwards(1.0, Wanted(method="branch")) == math.inf


def test_every_answer_has_a_bound_that_costs_nothing(early, monkeypatch):
    monkeypatch.setattr("qiosk.solvers.allotment.DEFAULT_TERMS", 100)
    result = solve(torus(9), timeout=0.2, seed=1)
    assert (result.bound, result.bound_method) == (-162.0, "trivial")
    assert result.receipt()[:2] == b"PK"
    assert solve(torus(9), timeout=0.2, seed=1, bound="none").bound == -162.0


@pytest.mark.parametrize(
    ("target", "sweeps"), [("microsoft.simulatedannealing.cpu", 200_000), ("microsoft.tabu.cpu", 2_000_000)]
)
def test_bounds_that_were_not_asked_for_change_no_answer(early, target, sweeps):
    some = {"restarts": 4, "sweeps": sweeps, "seed": 3, "threads": 1}
    found = solve(torus(6), target, **some)
    plain = solve(torus(6), target, bound="none", **some)
    assert (found.bound_method, plain.bound_method) == ("elimination", "trivial")
    assert (found.configuration, found.stop_reason) == (plain.configuration, plain.stop_reason)
    assert found.bound == found.cost


def test_bounds_that_were_not_asked_for_wait_until_the_search_has_run_for_a_while():
    result = solve(torus(6), "microsoft.simulatedannealing.cpu", restarts=1, sweeps=2, seed=3)
    assert result.bound_method == "trivial"


def test_an_answer_of_elimination_is_used_where_a_time_limit_ends_the_search(early):
    worst = dict.fromkeys(range(64), 1)
    problem = replace(torus(8), initial_configuration=worst)
    some = {"restarts": 1, "sweeps": 10**7, "beta_start": 1e-9, "beta_stop": 2e-9, "seed": 1, "timeout": 2.0}
    result = solve(problem, "microsoft.simulatedannealing.cpu", **some)
    assert (result.gap, result.bound_method, result.stop_reason) == (0.0, "elimination", "timeout")


def test_a_run_goes_on_with_the_bound_of_its_checkpoint():
    problem = compile_problem(torus(30))
    first = Bounding(problem, Wanted(method="cycles"), 1)
    found = Incumbents(1)
    x = np.ones(900, np.int8)
    found.offer(x, cost_of(problem, x), 0)
    first.advance(found, problem, 5.0, lambda: False)
    assert first.best.method == "cycles"
    later = Bounding(problem, Wanted(method="cycles"), 1)
    later.resume(unpack(pack({"bound": first.saved()}))["bound"])
    assert (later.best.exact, later.best.value) == (first.best.exact, first.best.value)
    assert later.best.receipt() == first.best.receipt()


def test_bounds_end_when_they_gain_little():
    problem = compile_problem(torus(30))
    found = Incumbents(1)
    x = np.ones(900, np.int8)
    found.offer(x, cost_of(problem, x), 0)
    plain, aimed = Bounding(problem, Wanted(method="cycles"), 1), Bounding(problem, Wanted(gap=0.0), 1)
    assert plain.share == 0.15
    assert aimed.share == 0.3
    plain.advance(found, problem, 1000.0, lambda: False)
    assert plain.share == 0.0


@pytest.mark.parametrize(
    ("left", "search", "bounds", "expected"),
    [
        (1.0, 0.0, 0.0, 0.8),  # nothing has begun
        (0.5, 0.4, 0.1, 0.4),  # both have had their shares
        (0.5, 0.3, 0.2, 0.5),  # bounds have had all of theirs
        (0.5, 0.35, 0.15, 0.45),  # and most of it
        (0.1, 0.9, 0.0, 0.0),  # none yet, and now there is too little time
        (0.0, 0.8, 0.2, 0.0),
    ],
)
def test_a_search_is_told_of_the_time_that_bounds_leave_to_it(left, search, bounds, expected):
    assert seconds_left(left, search, bounds, 0.2) == pytest.approx(expected)
    assert seconds_left(left, search, bounds, 0.0) == left


def test_results_documents_have_the_bound_as_a_member_of_their_own():
    result = solve(torus(8), timeout=HANG_S, seed=1, bound="auto")
    found = decode(result.to_json().encode())
    assert found.extra["bound"] == {"value": result.bound, "gap": 0.0, "method": "elimination"}
    assert json.loads(result.to_json())["cost"] == result.cost


def test_progress_tells_the_bound():
    seen = []
    solve(torus(6), timeout=HANG_S, seed=1, bound="auto", progress=lambda progress: seen.append(progress.bound))
    assert seen[-1] is not None
    assert all(later >= earlier for earlier, later in pairwise(seen) if earlier is not None)


def test_a_run_tells_how_its_bound_became_better():
    seen = []
    result = solve(
        torus(30),
        "microsoft.tabu.cpu",
        sweeps=300,
        seed=1,
        gap=0.01,
        bound="cycles",
        timeout=HANG_S,
        progress=seen.append,
    )
    bounds = [point.bound for point in result.bounds]
    assert len(bounds) > 1
    assert bounds == sorted(set(bounds))
    assert bounds[0] == -1800.0, "the trivial one"
    assert bounds[-1] == result.bound
    assert all(a.seconds <= b.seconds for a, b in pairwise(result.bounds))
    assert [point.bound for point in seen[-1].bounds] == bounds


def test_a_resumed_run_keeps_the_bounds_of_the_earlier_one():
    function, reports = torus(30), []
    first = task(function, reports)
    again = task(function, [], resume=reports[-1].checkpoint())
    assert again.bounds[: len(first.bounds)] == first.bounds


def task(function, reports, **more):
    tabu = target("microsoft.tabu.cpu")
    values = read_parameters(tabu.parameters, {"sweeps": 100, "seed": 1, "bound": "cycles"})
    run = Task(tabu, values, function, threads=1, **more)
    return run.run(is_cancelled=lambda: False, on_chunk=reports.append)


@pytest.mark.parametrize("bound", ["auto", "none"])
def test_what_is_proved_before_a_search_has_one_bound(bound):
    result = solve(cost_function("ising", [(1.0, [0, 1])]), seed=1, bound=bound)
    assert [point.bound for point in result.bounds] == [result.bound] == [-1.0]


def test_unknown_methods_and_gaps_are_refused():
    with pytest.raises(InvalidValue, match="parameter `bound`: must be 'auto' or 'none'"):
        solve(torus(9), bound="guess")
    with pytest.raises(InvalidValue, match="parameter `gap`: must be at least 0, found -1"):
        solve(torus(9), gap=-1.0)
    with pytest.raises(InvalidValue, match="is for quadratic problems"):
        solve(xorsat(), bound="sdp", seed=1)


@given(st.floats(-1e9, 1e9), st.floats(0.0, 1e9))
def test_gaps(cost, more):
    bound = cost - more
    gap = relative_gap(cost, bound)
    assert gap >= 0.0
    assert (gap == 0.0) == (cost == bound)
    assert math.isinf(gap) == (cost == 0.0 and bound < 0.0) or abs(cost) < 1e-290


def test_the_compiled_problem_of_a_torus_is_what_it_seems():
    assert compile_problem(torus(9)).n_pairs == 162


def test_branch_and_bound_proves_the_best_of_a_search():
    pytest.importorskip("highspy")
    result = solve(torus(16), timeout=HANG_S, seed=1, threads=1, bound="branch")
    assert (result.stop_reason, result.bound_method, result.gap) == ("optimal", "branch", 0.0)
    assert result.cost == solve(torus(16), timeout=HANG_S, seed=2).cost
    with pytest.raises(InvalidValue, match="receipt: a bound by branch has none"):
        result.lower_bound.receipt()
