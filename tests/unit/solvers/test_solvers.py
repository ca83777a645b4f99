"""What every target promises, on problems small enough to know the answer."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import naive
from patience import HANG_S
from qiosk.contract.jobs import JobProgress
from qiosk.errors import (
    InvalidInitialConfiguration,
    InvalidTarget,
    InvalidValue,
    NotEnoughMemory,
    TimeoutTooSmall,
    UnreadableCheckpoint,
    WrongType,
)
from qiosk.formats.qio import results as qio_results
from qiosk.kernels import announcements
from qiosk.kernels.announcements import COMPILING, announce
from qiosk.model.compile import compile_problem
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.model.flips import cost_of
from qiosk.solvers import searched
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.kept import Kept
from qiosk.solvers.run import Task
from qiosk.solvers.search import context as contexts
from qiosk.solvers.search.context import warm_up
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.moves.moves import Flips
from qiosk.solvers.search.neighbours import fill_up
from qiosk.solvers.solve import run_target, solve
from qiosk.solvers.targets import catalogue as registry
from qiosk.solvers.targets.catalogue import targets
from qiosk.solvers.targets.parameters import read_parameters
from strategies import cost_function, cost_functions

TARGETS = [found.id for found in targets()]
PARAMETERIZED = [found.id for found in targets() if not found.is_parameter_free]
PARAMETER_FREE = [found.id for found in targets() if found.is_parameter_free]
LARGEST_STEPS = 10**8
LONGEST_S = 360.0  # the longest time limit that all targets take


def is_free(target):
    """Whether the target finds its parameters itself."""
    return target in PARAMETER_FREE


def effort(target, sweeps):
    """Parameters that ask for so much work, none for a target that finds them itself."""
    if is_free(target):
        return {}
    if target.startswith("toshiba"):
        return {"steps": min(4 * sweeps, LARGEST_STEPS), "loops": 4}
    if target == "1qbit.tabu":
        return {"improvement_cutoff": sweeps}
    if target == "1qbit.pticm":
        return {"max_total_sweeps": sweeps}
    if target == "1qbit.pathrelinking":
        return {"ref_set_count": 2 + min(sweeps // 100, 10**6)}
    if target == "microsoft.substochasticmontecarlo.cpu":
        return {"step_limit": 40 * sweeps}
    return {"sweeps": sweeps}


UNHURRIED = {"timeout": 200.0}
"""For parameter-free runs that must end by themselves."""


def short(target):
    return {"seed": 1, "timeout": 20.0} if is_free(target) else {"seed": 1, **effort(target, 60)}


def takes(target, cf):
    """Whether the target takes the problem: some are for terms of at most two variables."""
    return target.startswith(("microsoft", "qiosk")) or compile_problem(cf).locality <= 2


@pytest.fixture
def never_enumerated(monkeypatch):
    """Small problems go through the algorithm itself."""
    monkeypatch.setattr(searched.Searched, "is_proof_tried", False)


def glass(n, seed=0, locality=2, terms=None, kind="ising"):
    """Random terms with coefficients -3..3."""
    rng = np.random.default_rng(seed)
    count = terms or 3 * n
    return cost_function(
        kind, [(float(rng.integers(-3, 4)), rng.choice(n, locality, replace=False).tolist()) for _ in range(count)]
    )


def optimum(cf):
    return float(min(naive.cost(cf, x) for x in naive.configurations(cf)))


FAMILY = {
    "pairs": glass(8, 1),
    "dense": cost_function("ising", [(float((i * 7 + j * 3) % 5 - 2), [i, j]) for i in range(9) for j in range(i)]),
    "three-local": glass(8, 2, 3),
    "four-local bits": glass(8, 3, 4, kind="pubo"),
    "mixed bits": cost_function(
        "pubo", [(-2.0, [0]), (3.0, [0, 1]), (-4.0, [1, 2, 3]), (1.5, []), (2.0, [3, 3, 4]), (-1.0, [5, 9])]
    ),
    "mixed spins with gaps": cost_function("ising", [(1.5, [3]), (-2.0, [3, 70]), (1.0, [70, 11, 12]), (4.0, [])]),
    "grouped spins": cost_function(
        "ising_grouped", [(1.0, [0])], [(2.0, [(w, i) for i, w in enumerate((1.0, 5.0, 9.0, 7.0, 3.0))])]
    ),
    "grouped bits": cost_function(
        "pubo_grouped", [(-3.0, [0, 1, 2])], [(1.0, [(1.0, 0), (2.0, 1), (3.0, 2), (-4.0, None)]), (-1.0, [(1.0, 5)])]
    ),
    "real coefficients": cost_function("ising", [(math.sin(7 * i + j), [i, j]) for i in range(8) for j in range(i)]),
}


@pytest.mark.slow
@pytest.mark.usefixtures("never_enumerated")
@pytest.mark.parametrize(
    ("target", "name"), [(target, name) for target in TARGETS for name in FAMILY if takes(target, FAMILY[name])]
)
def test_every_target_finds_the_optimum_of_small_problems(target, name):
    result = solve(FAMILY[name], target, **short(target))
    assert result.cost == pytest.approx(optimum(FAMILY[name]), abs=1e-12)


@pytest.mark.slow
@pytest.mark.usefixtures("never_enumerated")
@pytest.mark.parametrize("target", TARGETS)
@settings(max_examples=15, deadline=None)
@given(cf=cost_functions(max_terms=6))
def test_any_small_problem_ends_at_its_optimum_with_its_exact_cost(target, cf):
    assume(takes(target, cf))
    result = solve(cf, target, **short(target))
    assert list(result.configuration) == cf.variables.tolist()
    assert result.cost == float(naive.cost(cf, result.configuration))
    if len(cf.variables) <= 7:
        assert result.cost == optimum(cf)


@pytest.mark.slow
@pytest.mark.usefixtures("never_enumerated")
@pytest.mark.parametrize("target", TARGETS)
def test_ten_random_variables_end_at_their_optimum(target):
    locality = 4 if target.startswith(("microsoft", "qiosk")) else 2
    cf = glass(10, TARGETS.index(target), locality, kind="pubo" if TARGETS.index(target) % 2 else "ising")
    assert len(cf.variables) == 10
    assert solve(cf, target, **short(target)).cost == optimum(cf)


@settings(max_examples=40, deadline=None)
@given(cf=cost_functions(), wanted=st.integers(1, 10))
def test_small_problems_are_enumerated_and_all_solutions_are_the_best_there_are(cf, wanted):
    result = solve(cf, number_of_solutions=wanted)
    costs = [s.cost for s in result.solutions]
    assert costs == sorted(costs)
    assert len({tuple(s.values) for s in result.solutions}) == len(costs) == min(wanted, 2 ** len(cf.variables))
    assert costs == [float(naive.cost(cf, s.configuration)) for s in result.solutions]
    if len(cf.variables) <= 7:
        assert costs == sorted(float(naive.cost(cf, x)) for x in naive.configurations(cf))[:wanted]


def test_an_enumeration_is_heard_of_and_may_be_cancelled_and_resumed():
    cf, seen, saved = FAMILY["pairs"], [], []
    solve(cf, progress=lambda progress: seen.append(progress))
    assert [(p.fraction, p.best_cost) for p in seen] == [(1.0, optimum(cf))]
    cancelled = solve(cf, seed=1, progress=lambda progress: False)
    assert (cancelled.stop_reason, cancelled.cost) == ("cancelled", optimum(cf))

    def keep(report):
        saved.append(report.checkpoint())
        assert json.loads(report.best())["cost"] == optimum(cf)

    whole = run_target(registry.DEFAULT_TARGET, {"params": {}}, cf, threads=1, hooks=Hooks(on_chunk=keep))
    resumed = run_target(registry.DEFAULT_TARGET, {"params": {}}, cf, threads=1, hooks=Hooks(resume=saved[0]))
    assert outcome(resumed) == outcome(whole)


def test_what_takes_long_to_enumerate_is_searched():
    n = 18
    pairs = [(float(i % 3 - 1), [i, (i + 1) % n]) for i in range(n)]
    groups = [(1.0, [(0.5 * (1 + (g + i) % 3), i) for i in (g % n, (g + 5) % n)]) for g in range(200)]
    assert solve(cost_function("pubo_grouped", pairs, groups[:5])).statistics["kernel"] == "exhaustive"
    many = solve(cost_function("pubo_grouped", pairs, groups), timeout=2, seed=1)
    assert many.statistics["kernel"].startswith("klocal")


@pytest.mark.usefixtures("never_enumerated")
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("wanted", [1, 4, 10])
def test_the_number_of_solutions_is_honoured(target, wanted):
    cf = glass(12, 5)
    result = solve(cf, target, number_of_solutions=wanted, **short(target))
    costs = [s.cost for s in result.solutions]
    assert costs == sorted(costs)
    assert len({tuple(s.values) for s in result.solutions}) == wanted == len(costs)
    assert costs == [float(naive.cost(cf, s.configuration)) for s in result.solutions]


@pytest.mark.usefixtures("never_enumerated")
@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(("n", "wanted"), [(4, 10), (6, 10)])
def test_solutions_of_real_costs_are_distinct_however_their_sums_round(target, n, wanted):
    cf = cost_function("ising", [(math.sin(7 * i + j) / 3, [i, j]) for i in range(n) for j in range(i)])
    result = solve(cf, target, number_of_solutions=wanted, **short(target))
    assert len({tuple(s.values) for s in result.solutions}) == wanted == len(result.solutions)
    assert result.cost == pytest.approx(optimum(cf), abs=1e-12)


def test_more_solutions_than_a_search_finds_come_from_the_neighbourhood_and_no_configuration_comes_twice():
    problem = compile_problem(glass(10, 3))
    found = Incumbents(1000)
    found.offer(np.ones(10, np.int8), cost_of(problem, np.ones(10, np.int8)), 0)
    assert fill_up(problem, Flips(problem), found, lambda: True)
    assert len(found.costs) == len({x.tobytes() for x in found.configurations}) == 1000


def test_looking_for_more_solutions_ends_when_it_is_told():
    problem = compile_problem(glass(40, 3))
    found, asked = Incumbents(10_000), []
    found.offer(np.ones(40, np.int8), cost_of(problem, np.ones(40, np.int8)), 0)
    assert not fill_up(problem, Flips(problem), found, lambda: asked.append(None) or len(asked) < 20)
    assert 20 <= len(asked) <= 21
    assert 2 <= len(found.costs) <= 20


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize(
    ("cf", "configuration", "cost"),
    [
        (cost_function("ising", []), {}, 0.0),
        (cost_function("pubo", [(2.5, []), (-1.0, [])]), {}, 1.5),
        (cost_function("ising", [(3.0, [7])]), {7: -1}, -3.0),
        (cost_function("pubo", [(-3.0, [7]), (1.0, [])]), {7: 1}, -2.0),
    ],
    ids=["nothing", "constants", "one spin", "one bit"],
)
def test_degenerate_problems_are_answered(target, cf, configuration, cost):
    result = solve(cf, target, **short(target))
    assert (result.configuration, result.cost) == (configuration, cost)
    variables, values, written = qio_results.decode(result.to_json().encode()).solutions[0]
    assert (dict(zip(variables.tolist(), values.tolist(), strict=True)), written) == (configuration, cost)


@pytest.mark.parametrize("target", TARGETS)
def test_variables_whose_coefficients_cancel_are_in_the_result(target):
    cf = cost_function("ising", [(1.0, [0, 1]), (2.0, [5, 6]), (-2.0, [6, 5]), (0.0, [9])])
    result = solve(cf, target, **short(target))
    assert list(result.configuration) == [0, 1, 5, 6, 9]
    assert set(result.configuration.values()) <= {-1, 1}
    assert result.cost == -1.0


EXTREMES = {
    "large": (1e306, ()),
    "subnormal": (4e-320, ()),
    "large weights": (1.0, [(1e4, [(1e145, 0), (3e145, 1), (-2e145, 2), (1e145, None)])]),
    "small weights": (1.0, [(1e290, [(1e-145, 0), (3.1e-145, 1), (-2.3e-145, 2), (1.7e-145, None)])]),
}


@pytest.mark.slow
@pytest.mark.usefixtures("never_enumerated")
@pytest.mark.parametrize("name", EXTREMES)
@pytest.mark.parametrize("target", TARGETS)
def test_extreme_coefficients_are_taken_as_others_are(target, name):
    scale, groups = EXTREMES[name]
    terms = [(1.0, [0, 1]), (-2.0, [1, 5]), (1.5, [5, 0]), (1.0, [5]), (3.0, [5, 2]), (-1.0, [2, 1])]
    cf = cost_function("ising_grouped", [(scale * c, ids) for c, ids in terms], groups)
    params = short(target) | {"number_of_solutions": 2}
    if is_free(target):  # some of these never converge where an inverse temperature is beyond a float
        params["timeout"] = 2.0
    assert solve(cf, target, **params).cost == optimum(cf)


@pytest.mark.parametrize("target", TARGETS)
@pytest.mark.parametrize("coefficient", [5e307, 1.7e308])
def test_costs_beyond_the_range_of_a_float_are_refused(target, coefficient):
    cf = cost_function("ising", [(coefficient * (-1) ** i, [i, (i + 1) % 8]) for i in range(8)])
    with pytest.raises(InvalidValue, match="the sum of their absolute values must be in the range of a float"):
        solve(cf, target, **short(target))


def outcome(result):
    """All of a result but its times."""
    parts = [(s.cost, s.values.tobytes()) for s in result.solutions]
    found = {k: v for k, v in result.statistics.items() if "seconds" not in k and k != "threads"}
    return parts, result.parameters, [(p.sweep, p.cost) for p in result.trace], found


@pytest.mark.slow
@pytest.mark.usefixtures("never_enumerated")
@pytest.mark.parametrize("name", ["three-local", "grouped bits", "larger"])
@pytest.mark.parametrize("target", TARGETS)
def test_threads_and_chunks_do_not_change_the_result(target, name, monkeypatch):
    cf = glass(70, 3) if name == "larger" else FAMILY[name]
    if not takes(target, cf):
        cf = FAMILY["grouped spins"]
    params = {"seed": 5, **(effort(target, 333) or UNHURRIED)}
    one = solve(cf, target, threads=1, **params)
    monkeypatch.setattr("qiosk.solvers.driver.CHUNK_SECONDS", 0.0)  # chunks of a single sweep
    assert outcome(solve(cf, target, threads=3, **params)) == outcome(one)


@pytest.mark.slow
@pytest.mark.usefixtures("never_enumerated")
@pytest.mark.parametrize("target", TARGETS)
def test_a_resumed_run_equals_an_uninterrupted_one(target, monkeypatch):
    monkeypatch.setattr("qiosk.solvers.driver.CHUNK_SECONDS", 0.0)
    cf, saved, chunks, wanted = glass(40, 4), [], 0, 1
    params = {"seed": 5, **(effort(target, 60) or UNHURRIED)}
    if target.startswith(("microsoft", "qiosk")):
        params = {"params": params}

    def keep(report):
        nonlocal chunks, wanted
        chunks += 1
        if chunks == wanted:  # the last is near the end, in a later round, wave or stage
            saved.append(report.checkpoint())
            wanted = max(wanted + 13, wanted * 6 // 5)

    whole = run_target(target, params, cf, threads=1, hooks=Hooks(on_chunk=keep))
    for checkpoint in {*saved[:3], saved[-1]}:
        resumed = run_target(target, params, cf, threads=2, hooks=Hooks(resume=checkpoint))
        assert outcome(resumed) == outcome(whole)


ANNEALING = "microsoft.simulatedannealing.cpu"
CHECKPOINTED = {"sweeps": 60, "seed": 5}


@pytest.fixture(scope="module")
def checkpoint():
    """Of ``ANNEALING`` of ``SAVED``, with the parameters ``CHECKPOINTED``."""
    saved = []
    hooks = Hooks(on_chunk=lambda report: saved.append(report.checkpoint()))
    run_target(ANNEALING, {"params": CHECKPOINTED}, SAVED, threads=1, hooks=hooks)
    return saved[0]


SAVED = glass(40, 4)


@pytest.mark.parametrize(
    ("target", "cf", "params", "message"),
    [
        ("microsoft.paralleltempering.cpu", SAVED, {}, "target must be microsoft.par.*, found microsoft.sim"),
        (ANNEALING, replace(SAVED, problem_type=ProblemType.pubo), {}, "problem type must be pubo, found ising"),
        (ANNEALING, glass(60, 4), {}, "number of variables must be 60, found 39"),
        (ANNEALING, replace(SAVED, coefficients=-SAVED.coefficients), {}, "digest of the problem must be"),
        (
            ANNEALING,
            replace(SAVED, initial_configuration=dict.fromkeys(SAVED.variables.tolist(), 1)),
            {},
            "digest of the problem must be",
        ),
        (ANNEALING, SAVED, {"restarts": 200}, "digest of the parameters must be"),
    ],
    ids=["target", "domain", "size", "coefficients", "start", "parameters"],
)
def test_a_checkpoint_of_another_run_is_refused(target, cf, params, message, checkpoint):
    with pytest.raises(UnreadableCheckpoint, match=f"checkpoint: {message}"):
        run_target(target, {"params": CHECKPOINTED | params}, cf, threads=1, hooks=Hooks(resume=checkpoint))


def test_a_process_that_has_not_loaded_a_solver_resumes_its_checkpoint(tmp_path):
    saved, path = [], tmp_path / "checkpoint"
    run_target("microsoft.tabu.cpu", {"params": CHECKPOINTED}, SAVED, threads=1, hooks=Hooks(on_chunk=saved.append))
    path.write_bytes(saved[0].checkpoint())
    code = f"""
import sys
sys.path[:] = {[str(Path(__file__).parent), *sys.path]!r}
from pathlib import Path
from test_solvers import CHECKPOINTED, SAVED, Hooks, run_target
hooks = Hooks(resume=Path({str(path)!r}).read_bytes())
print(run_target("microsoft.tabu.cpu", {{"params": CHECKPOINTED}}, SAVED, threads=1, hooks=hooks).stop_reason)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "finished\n"


def test_a_checkpoint_of_other_kernels_is_refused(checkpoint, monkeypatch):
    monkeypatch.setattr("qiosk.solvers.searched.KEPT", Kept(0, 0))  # no plan of an earlier solve
    monkeypatch.setattr("qiosk.solvers.samplers.planner.choose", lambda *problem: "packed-int16")
    with pytest.raises(UnreadableCheckpoint, match="kernel must be packed-int16x64, found packed-int8x64"):
        run_target(ANNEALING, {"params": CHECKPOINTED}, SAVED, threads=1, hooks=Hooks(resume=checkpoint))


@pytest.mark.parametrize("target", TARGETS)
def test_seeds_are_taken_from_the_clock_and_reported(target):
    cf = glass(30, 6)
    params = effort(target, 30) | {"timeout": min(HANG_S, LONGEST_S)}
    result = solve(cf, target, **params)
    again = solve(cf, target, seed=result.parameters["seed"], **params)
    assert again.cost == result.cost
    assert solve(cf, target, seed=-7, **params).parameters["seed"] == -7


@pytest.mark.slow
@pytest.mark.parametrize("target", PARAMETERIZED)
def test_a_time_out_ends_a_long_run_and_keeps_the_best(target):
    cf = glass(200, 7)
    result = solve(cf, target, timeout=0.3, seed=1, **effort(target, 10**9))
    assert result.stop_reason == "timeout"
    assert result.cost < 0
    assert result.cost == float(naive.cost(cf, result.configuration))


SAMPLED = ["microsoft.simulatedannealing-parameterfree.cpu", "microsoft.paralleltempering-parameterfree.cpu"]


@pytest.mark.parametrize("target", SAMPLED)
def test_compiling_does_not_count_against_the_time_limit(target, monkeypatch):
    late = 0.0

    def clock():
        return time.monotonic() + late

    def compile_for_an_hour(sampler):
        nonlocal late
        late += 3600.0
        announcements.record(3600.0)
        return warm_up(sampler)

    monkeypatch.setattr(announcements, "_spent", [])
    monkeypatch.setattr(contexts, "warm_up", compile_for_an_hour)
    found = registry.target(target)
    values = read_parameters(found.parameters, {"seed": 1, "timeout": 600.0, "bound": "none"})
    task = Task(found, values, glass(30), clock=clock)
    result = task.run(is_cancelled=lambda: False, on_chunk=lambda report: None)
    assert result.stop_reason == "converged"
    assert result.statistics["compile_seconds"] >= 3600
    assert result.statistics["prepare_seconds"] < 3600


@pytest.mark.parametrize("target", TARGETS)
def test_a_cancelled_run_keeps_the_best(target):
    cf, calls = glass(200, 7), []

    def follow(progress):
        calls.append(progress)
        return len(calls) < 3

    params = effort(target, 10**9)
    result = solve(cf, target, seed=1, progress=follow, **params)
    assert result.stop_reason == "cancelled"
    assert len(calls) == 3
    assert result.cost == float(naive.cost(cf, result.configuration))


@pytest.mark.slow
@pytest.mark.usefixtures("never_enumerated")
@pytest.mark.parametrize("target", TARGETS)
def test_a_target_cost_ends_the_run(target):
    cf = FAMILY["pairs"]
    params = effort(target, 10**9)
    result = solve(cf, target, seed=1, target_cost=optimum(cf), **params)
    assert result.stop_reason == "target"
    assert result.cost == optimum(cf)


@pytest.mark.usefixtures("never_enumerated")
@pytest.mark.parametrize("target", TARGETS)
def test_the_trace_falls_to_the_result_and_progress_only_grows(target):
    seen = []
    result = solve(glass(60, 8), target, progress=lambda p: seen.append(p), **short(target))
    costs = [p.cost for p in result.trace]
    assert costs == sorted(set(costs), reverse=True)
    assert costs[-1] == result.cost
    assert [p.seconds for p in result.trace] == sorted(p.seconds for p in result.trace)
    assert [p.sweep for p in result.trace] == sorted(p.sweep for p in result.trace)
    assert [p.sweeps for p in seen] == sorted({p.sweeps for p in seen})
    assert all(0.0 <= p.fraction <= 1.0 for p in seen)
    assert seen[-1].best_cost == result.cost


@pytest.mark.usefixtures("never_enumerated")
@pytest.mark.parametrize("target", TARGETS)
def test_no_result_is_worse_than_the_initial_configuration(target):
    cf = FAMILY["pairs"]
    best = min(naive.configurations(cf), key=lambda x: naive.cost(cf, x))
    given_start = CostFunction(cf.problem_type, cf.coefficients, cf.indptr, cf.ids, initial_configuration=best)
    hot = {"beta_start": 1e-9, "beta_stop": 0.01} if target == "microsoft.simulatedannealing.cpu" else {}
    params = {"timeout": 0.05} if is_free(target) else {**hot, **effort(target, 1)}
    assert solve(given_start, target, seed=1, **params).cost == optimum(cf)


@pytest.mark.parametrize(
    ("initial", "message"),
    [
        ({0: 1}, "variable 1 has no value"),
        ({0: 1, 1: -1, 2: 1}, "variable 2 is not in the problem"),
        ({0: 1, 1: 0}, "variable 1 must be -1 or 1, found 0"),
    ],
)
def test_a_wrong_initial_configuration_is_refused(initial, message):
    cf = cost_function("ising", [(1.0, [0, 1])])
    wrong = CostFunction(cf.problem_type, cf.coefficients, cf.indptr, cf.ids, initial_configuration=initial)
    with pytest.raises(InvalidInitialConfiguration, match=message):
        solve(wrong)


@pytest.mark.usefixtures("never_enumerated")
@pytest.mark.parametrize("target", PARAMETER_FREE)
def test_easy_problems_converge_long_before_the_time_is_over(target):
    result = solve(glass(60, 9), target, timeout=HANG_S, seed=1, bound="none")
    assert result.stop_reason == "converged"
    back = target.replace("-parameterfree", "")
    left_out = {"timeout", "number_of_solutions", "target_cost", "presolve", "bound", "gap", "nodes"}
    names = {p.name for p in registry.target(back).parameters} - left_out
    assert names | {"timeout"} <= set(result.parameters)
    given_back = {k: v for k, v in result.parameters.items() if k in names}
    assert solve(glass(60, 9), back, **given_back).cost == result.cost


@pytest.mark.parametrize("target", PARAMETER_FREE)
def test_enumerated_problems_come_with_parameters_to_pass_back(target):
    result = solve(FAMILY["pairs"], target, seed=1)
    assert result.statistics["kernel"] == "exhaustive"
    accepted = {p.name for p in registry.target(target.replace("-parameterfree", "")).parameters}
    given_back = {k: v for k, v in result.parameters.items() if k in accepted}
    assert {"seed"} < set(given_back)
    wanted = effort(target.replace("-parameterfree", ""), 1).keys()
    assert given_back.keys() & wanted or not wanted
    assert solve(FAMILY["pairs"], target.replace("-parameterfree", ""), **given_back).cost == result.cost


def test_problems_of_equal_costs_end_at_once():
    flat = cost_function("ising", [(0.0, [i, i + 1]) for i in range(50)])
    assert solve(flat, timeout=HANG_S, seed=1).stop_reason == "optimal"


def test_statistics_say_how_it_was_done():
    result = solve(glass(100, 1), "microsoft.simulatedannealing.cpu", sweeps=50, restarts=64, seed=1, threads=1)
    found = result.statistics
    assert found["spin_updates"] == found["sweeps"] * 64 * 100
    assert found["kernel"].startswith("packed-int8")
    assert found["stop_reason"] == "finished"
    assert found["threads"] == 1
    assert min(found[k] for k in ("seconds", "compile_seconds", "prepare_seconds")) >= 0.0


def test_a_run_uses_all_cpus_also_where_the_system_does_not_bind_processes_to_them(monkeypatch):
    monkeypatch.delattr("os.sched_getaffinity", raising=False)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    result = solve(glass(100, 1), "microsoft.simulatedannealing.cpu", sweeps=5, restarts=2, seed=1)
    assert result.statistics["threads"] == 3


def test_results_documents_hold_what_was_found():
    result = solve(glass(8, 1), number_of_solutions=3, seed=4)
    document = json.loads(result.to_json())
    assert document["version"] == "1.0"
    assert document["cost"] == result.cost == document["solutions"][0]["cost"]
    assert [s["cost"] for s in document["solutions"]] == [s.cost for s in result.solutions]
    assert document["parameters"]["seed"] == 4
    assert list(document["configuration"]) == [str(k) for k in sorted(result.configuration)]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: solve(glass(4), sweep=3),
            InvalidValue,
            "`sweep`: qiosk.auto has no such parameter; it takes",
        ),
        (lambda: solve(glass(4), "microsoft.qmc.cpu", sweep=3), InvalidValue, "did you mean `sweeps`?"),
        (
            lambda: solve([[1, 2], [2, 1]]),
            WrongType,
            "must be a Problem, or have a cost_function.., found list",
        ),
        (lambda: solve(glass(4), timeout="10"), WrongType, "parameter `timeout`: must be a number, found str '10'"),
        (lambda: solve(glass(4), timeout=True), WrongType, "parameter `timeout`: must be a number, found bool True"),
        (lambda: solve(glass(4), threads="4"), WrongType, "parameter `threads`: must be an integer, found str '4'"),
        (lambda: solve(glass(4), threads=2.5), WrongType, "parameter `threads`: must be an integer, found float 2.5"),
        (lambda: solve(glass(4), threads=-3), InvalidValue, "parameter `threads`: must be greater than 0, found -3"),
        (lambda: solve(glass(4), kernel="fastest"), InvalidValue, "kernel 'fastest' is none of packed-int8"),
    ],
    ids=["unknown", "misspelt", "matrix", "text", "flag", "threads as text", "half threads", "no threads", "kernel"],
)
def test_slips_of_newcomers_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_features_that_the_old_service_could_disable_are_ignored():
    result = solve(glass(5), disabled_features=[1, 2], seed=1)
    assert result.cost == optimum(glass(5))
    assert "disabled_features" not in result.parameters


def test_wrong_calls_are_refused():
    cf = glass(5)
    with pytest.raises(InvalidTarget, match="'nope' is not offered"):
        solve(cf, "nope")
    with pytest.raises(TimeoutTooSmall, match="0 leaves no time"):
        solve(cf, timeout=0)
    with pytest.raises(InvalidValue, match="`all_betas`: must have as many entries as replicas = 3, found 2"):
        solve(cf, "microsoft.paralleltempering.cpu", replicas=3, all_betas=[1, 2])
    with pytest.raises(InvalidValue, match="`beta_stop`: must be greater than beta_start = 2, found 1"):
        solve(cf, "microsoft.simulatedannealing.cpu", beta_start=2, beta_stop=1)
    with pytest.raises(InvalidValue, match="kernel 'x' is none of"):
        solve(glass(30), kernel="x")


WITHOUT_KERNELS = [found.id for found in targets() if not found.has_kernels]


@pytest.mark.parametrize("target", TARGETS)
def test_a_kernel_is_taken_or_refused(target):
    cf, params = glass(12, 5), {"seed": 1, "timeout": 20.0, **effort(target, 60)}
    if target in WITHOUT_KERNELS:
        with pytest.raises(InvalidValue, match=f"kernel 'plain': {target} has no choice of kernels"):
            solve(cf, target, kernel="plain", **params)
    else:
        assert solve(cf, target, kernel="packed-float64", **params).statistics["kernel"].startswith("packed-float64")


def test_a_ladder_longer_than_a_lane_group_spans_several():
    betas = np.linspace(0.05, 2.0, 100).tolist()
    result = solve(glass(40, 2), "microsoft.paralleltempering.cpu", all_betas=betas, sweeps=200, seed=1)
    assert result.parameters["replicas"] == 100
    assert result.cost == solve(glass(40, 2), timeout=HANG_S, seed=1).cost


def test_restarts_beyond_a_wave_follow_in_further_waves(monkeypatch):
    monkeypatch.setattr("qiosk.solvers.algorithms.simulated_annealing.WAVE_REPLICAS", 64)
    cf, params = glass(40, 2), {"sweeps": 20, "restarts": 1000, "seed": 1}
    result = solve(cf, "microsoft.simulatedannealing.cpu", **params)
    lanes = int(result.statistics["kernel"].rpartition("x")[2])
    assert result.statistics["sweeps"] == -(-1000 // lanes) * (20 + 4)
    monkeypatch.setattr("qiosk.solvers.driver.CHUNK_SECONDS", 0.0)
    assert outcome(solve(cf, "microsoft.simulatedannealing.cpu", threads=1, **params)) == outcome(result)


def test_absurd_numbers_of_replicas_are_run_or_refused():
    cf = glass(200, 2)
    many = solve(cf, "microsoft.simulatedannealing.cpu", sweeps=10, restarts=10**12, timeout=0.2, seed=1)
    assert many.stop_reason == "timeout"
    with pytest.raises(NotEnoughMemory, match="replicas of 200 variables need"):
        solve(cf, "microsoft.paralleltempering.cpu", sweeps=10, replicas=10**10, timeout=0.2, seed=1)


def test_every_generated_problem_of_four_spins_ends_at_its_optimum():
    values = (-1.0, 1.0)
    for couplings in itertools.product(values, repeat=6):
        pairs = itertools.combinations(range(4), 2)
        cf = cost_function("ising", [(c, list(p)) for c, p in zip(couplings, pairs, strict=True)])
        result = solve(cf, "microsoft.simulatedannealing.cpu", sweeps=16, restarts=64, seed=2, threads=1)
        assert result.cost == optimum(cf)


def test_compiling_reaches_the_progress_of_a_run_in_this_process(monkeypatch):
    def announce_and_compile(cost_function):
        announce()
        return compile_problem(cost_function)

    monkeypatch.setattr(searched, "compile_problem", announce_and_compile)
    seen = []
    problem = CostFunction(ProblemType.ising, np.ones(40), 2, np.array([[i, (i + 1) % 40] for i in range(40)]).ravel())
    solve(problem, "microsoft.simulatedannealing.cpu", sweeps=20, restarts=1, seed=1, progress=seen.append)
    assert seen[0] == JobProgress(activity=COMPILING)
    assert seen[-1].activity is None
    stopped = solve(
        problem, "microsoft.simulatedannealing.cpu", sweeps=10**9, restarts=1, seed=1, progress=lambda _: False
    )
    assert stopped.stop_reason == "cancelled"
