"""A solve that is divided finds what the whole finds, wherever and in whichever order its members run."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import naive
from patience import HANG_S
from qiosk.contract.jobs import BoundPoint, JobProgress, TracePoint
from qiosk.errors import InvalidValue, UnreadableCheckpoint, WrongType
from qiosk.formats.comparison import provenance_of
from qiosk.formats.qio import results as qio_results
from qiosk.modeling import Model
from qiosk.modeling.jobs import solve_job
from qiosk.solvers.checkpoint import pack
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.members.carried import result_from_bytes, result_to_bytes
from qiosk.solvers.members.divide import divide
from qiosk.solvers.members.member import KEY, Member, member_of
from qiosk.solvers.members.merge import ENOUGH, is_enough
from qiosk.solvers.members.progress import merge_bounds, merge_progress, merge_traces
from qiosk.solvers.members.run import run_all_members, run_members
from qiosk.solvers.search.incumbents import Incumbents
from qiosk.solvers.search.share import Share
from qiosk.solvers.setup import job_setup
from qiosk.solvers.solve import run_target, set_up, solve
from qiosk.solvers.targets.catalogue import target, targets
from strategies import cost_function

DIVIDED = {
    "microsoft.simulatedannealing.cpu": {"sweeps": 6, "restarts": 600},
    "microsoft.tabu.cpu": {"sweeps": 40, "restarts": 19},
    "microsoft.qmc.cpu": {"sweeps": 5, "restarts": 5, "trotter_number": 4},
    "toshiba.sbm.ising": {"steps": 20, "loops": 5},
}
REPEATED = {
    "1qbit.pathrelinking": {"ref_set_count": 3},
    "1qbit.pticm": {"max_total_sweeps": 20, "num_sweeps_per_run": 5, "num_temps": 5},
    "1qbit.tabu": {"improvement_cutoff": 20},
    "microsoft.paralleltempering.cpu": {"sweeps": 6, "replicas": 4},
    "microsoft.populationannealing.cpu": {"sweeps": 3, "population": 8},
    "microsoft.substochasticmontecarlo.cpu": {"step_limit": 50, "target_population": 8},
}
FREE = [found.id for found in targets() if found.is_parameter_free]


def glass(n, pairs, seed=3):
    """Couplings between -3 and 3 of random pairs; all costs are exact."""
    rng = np.random.default_rng(seed)
    drawn = sorted({tuple(sorted(rng.choice(n, 2, replace=False).tolist())) for _ in range(pairs)})
    return cost_function("ising", [(float(rng.integers(1, 4) * rng.choice([-1, 1])), list(pair)) for pair in drawn])


GLASS = glass(90, 300)


def found(result):
    """Costs and configurations of all solutions."""
    return [(solution.cost, solution.values.tolist()) for solution in result.solutions]


@pytest.mark.parametrize("solutions", [1, 4])
@pytest.mark.parametrize("name", DIVIDED)
def test_restarts_that_are_divided_find_what_the_whole_finds(name, solutions):
    given = {**DIVIDED[name], "seed": 5, "number_of_solutions": solutions}
    whole = solve(GLASS, name, **given)
    for nodes in (2, 3, 8):
        result = solve(GLASS, name, **given, nodes=nodes)
        assert found(result) == found(whole)
        assert result.stop_reason == whole.stop_reason == "finished"
        assert result.statistics["spin_updates"] == whole.statistics["spin_updates"]
        assert {**result.parameters, "nodes": nodes} == {**whole.parameters, "nodes": nodes}


@pytest.mark.parametrize("name", REPEATED)
def test_other_searches_are_made_by_every_member_with_a_seed_of_its_own(name):
    members = [solve(GLASS, name, **REPEATED[name], seed=Member(index, 3).seed(5)) for index in range(3)]
    result = solve(GLASS, name, **REPEATED[name], seed=5, nodes=3)
    assert result.cost == min(each.cost for each in members)
    assert [each["cost"] for each in result.statistics["members"]] == [each.cost for each in members]
    assert [each["seed"] for each in result.statistics["members"]] == [each.facts.seed for each in members]
    assert result.statistics["spin_updates"] == sum(each.statistics["spin_updates"] for each in members)
    assert result.provenance.seed == result.parameters["seed"] == 5
    assert result.cost <= solve(GLASS, name, **REPEATED[name], seed=5).cost


@pytest.mark.parametrize("name", FREE)
def test_every_target_finds_the_optimum_of_a_small_problem_over_nodes(name):
    small = glass(10, 20)
    best = min(naive.cost(small, x) for x in naive.configurations(small))
    result = solve(small, name, seed=1, timeout=HANG_S, nodes=3)
    assert (result.cost, result.stop_reason) == (best, "optimal")
    assert len(result.statistics["members"]) == 1  # a proof ends all


def test_more_members_than_restarts_leave_some_idle():
    result = solve(GLASS, "microsoft.tabu.cpu", sweeps=40, restarts=3, seed=2, nodes=7)
    whole = solve(GLASS, "microsoft.tabu.cpu", sweeps=40, restarts=3, seed=2)
    assert sum(each.get("is_idle", False) for each in result.statistics["members"]) == 4
    assert found(result) == found(whole)


def test_solutions_that_are_lacking_are_filled_up_as_in_the_whole():
    given = {"sweeps": 1, "restarts": 3, "seed": 1, "number_of_solutions": 10}
    assert found(solve(GLASS, "microsoft.tabu.cpu", **given, nodes=3)) == found(
        solve(GLASS, "microsoft.tabu.cpu", **given)
    )


MEMBERS = job_setup("microsoft.tabu.cpu", {"params": {"sweeps": 40, "restarts": 6, "seed": 3, "nodes": 6}}, 1)
RESULTS = {}


def results():
    """The results of the members, once for all tests."""
    if not RESULTS:
        RESULTS.update({k: each.run(GLASS, Hooks()) for k, each in enumerate(MEMBERS.members(3))})
    return RESULTS


@given(st.permutations(range(6)))
@settings(max_examples=20, deadline=None)
def test_the_order_in_which_members_end_does_not_matter(order):
    facts = MEMBERS.facts(GLASS)
    first = MEMBERS.merged(results(), facts)
    again = MEMBERS.merged({k: results()[k] for k in order}, facts)
    assert json.loads(again.to_json()) == json.loads(first.to_json())
    assert again.trace == first.trace


def test_members_that_ran_elsewhere_come_back_as_bytes():
    job = {"params": {"sweeps": 40, "restarts": 6, "seed": 3, "nodes": 6, "number_of_solutions": 2, "bound": "trivial"}}
    setup = job_setup("microsoft.tabu.cpu", job, 1)

    def elsewhere(setups):
        carried = {
            k: result_to_bytes(job_setup("microsoft.tabu.cpu", each, 1).run(GLASS, Hooks()))
            for k, each in enumerate(divide("microsoft.tabu.cpu", job))
        }
        assert len(carried) == len(setups)
        return {k: result_from_bytes(data, GLASS) for k, data in carried.items()}, False

    result = run_all_members(setup, GLASS, elsewhere)
    here = run_members(setup, GLASS, Hooks())
    assert found(result) == found(here)
    assert result.bound == here.bound
    assert result.receipt() is not None
    with pytest.raises(UnreadableCheckpoint, match="result of a member cannot be read"):
        result_from_bytes(pack({"target": "microsoft.tabu.cpu"}), GLASS)


def test_a_job_is_divided_into_parameters_of_its_members():
    job = {"params": {"restarts": 8, "nodes": 3}}
    members = divide("microsoft.tabu.cpu", job)
    assert [member_of(each) for each in members] == [Member(k, 3) for k in range(3)]
    assert len({each["params"]["seed"] for each in members}) == 1
    assert isinstance(members[0]["params"]["seed"], int)
    assert divide("toshiba.sbm.ising", {"seed": 4, "nodes": 1}) == [{"seed": 4, "nodes": None}]
    assert job_setup("toshiba.sbm.ising", divide("toshiba.sbm.ising", {"nodes": 2})[1], None).nodes == 1
    for nodes in (0, 1025):
        with pytest.raises(InvalidValue, match=f"parameter `nodes`: must be 1 to 1024, found {nodes}"):
            divide("1qbit.tabu", {}, nodes=nodes)


@pytest.mark.parametrize("wrong", [[2, 2], [-1, 2], [0, 2000], [0], "0 of 2", [0.0, 2], [True, 2]])
def test_members_that_cannot_be_are_refused(wrong):
    with pytest.raises(InvalidValue, match=f"`{KEY}` must be the index of a member and the number of members"):
        job_setup("microsoft.tabu.cpu", {"params": {}, KEY: wrong}, None)


@pytest.mark.parametrize("name", [found.id for found in targets()])
def test_every_target_takes_nodes_and_names_its_rule(name):
    assert "nodes" in {parameter.name for parameter in target(name).parameters}
    for nodes, error in ((0, InvalidValue), (1025, InvalidValue), ("many", WrongType), (2.5, WrongType)):
        with pytest.raises(error, match="parameter `nodes`: must be"):
            solve(GLASS, name, nodes=nodes)


def test_one_node_is_as_none():
    given = {"sweeps": 5, "restarts": 2, "seed": 1}
    one, none = (solve(GLASS, "microsoft.tabu.cpu", **given, **more) for more in ({"nodes": 1}, {}))
    assert found(one) == found(none)
    assert "members" not in one.statistics


def test_a_target_cost_ends_all():
    best = solve(GLASS, "microsoft.tabu.cpu", sweeps=2000, restarts=4, seed=1).cost
    result = solve(GLASS, "microsoft.tabu.cpu", sweeps=10**8, restarts=40, seed=1, target_cost=best, nodes=10)
    assert result.stop_reason == "target"
    assert len(result.statistics["members"]) < 10
    assert [is_enough(reason) for reason in ("target", "optimal", "gap", "timeout")] == [True, True, True, False]
    assert all(is_enough(reason) for reason in ENOUGH)


def test_a_run_that_is_cancelled_keeps_what_members_have_found():
    given = {"sweeps": 40, "restarts": 6, "seed": 3, "nodes": 3}
    setup = set_up("microsoft.tabu.cpu", {}, given)
    ended = []

    def run(each, hooks):
        result = each.run(GLASS, hooks)
        ended.append(result)
        return result

    result = run_members(setup, GLASS, Hooks(is_cancelled=lambda: len(ended) == 2), run)
    assert result.stop_reason == "cancelled"
    assert result.cost == min(each.cost for each in ended)
    assert len(result.statistics["members"]) == 2


class _Stopped(Exception):
    """Raised where a process would be gone."""


@pytest.mark.parametrize("name", ["microsoft.tabu.cpu", "microsoft.paralleltempering.cpu"])
def test_a_run_goes_on_from_its_checkpoint(name):
    job = {"params": {"sweeps": 3000, "nodes": 3, "restarts": 6, "seed": 8}}
    whole = run_target(name, job, GLASS, threads=1, hooks=Hooks())
    saved, reports = [], []

    def until_second(report):
        reports.append(report.progress)
        saved.append(report.checkpoint())
        if report.progress.fraction > 0.5:
            raise _Stopped

    with pytest.raises(_Stopped):
        run_target(name, job, GLASS, threads=1, hooks=Hooks(on_chunk=until_second))
    fractions = [progress.fraction for progress in reports]
    assert fractions == sorted(fractions)
    trace = []
    hooks = Hooks(resume=saved[-1], on_chunk=lambda report: trace.extend(report.new_trace))
    resumed = run_target(name, job, GLASS, threads=1, hooks=hooks)
    assert found(resumed) == found(whole)
    assert [point.cost for point in trace] == [point.cost for point in whole.trace][: len(trace)]
    assert len(resumed.statistics["members"]) == 3
    with pytest.raises(InvalidValue, match="`nodes`: a job over several nodes cannot be extended"):
        run_target(name, job, GLASS, threads=1, hooks=replace(hooks, is_extension=True))
    with pytest.raises(UnreadableCheckpoint, match="must be of a run on one node"):
        run_target(name, {"params": {**job["params"], "nodes": 1}}, GLASS, threads=1, hooks=hooks)
    with pytest.raises(UnreadableCheckpoint, match="must be of a run over 2 nodes"):
        run_target(name, {"params": {**job["params"], "nodes": 2}}, GLASS, threads=1, hooks=hooks)


def test_a_seed_that_was_chosen_is_named_and_kept_in_checkpoints():
    job = {"params": {"sweeps": 3000, "nodes": 2}}
    saved, seeds = [], set()

    def save(report):
        saved.append(report.checkpoint())
        seeds.add(report.provenance().seed)

    result = run_target("microsoft.paralleltempering.cpu", job, GLASS, threads=1, hooks=Hooks(on_chunk=save))
    resumed = run_target("microsoft.paralleltempering.cpu", job, GLASS, threads=1, hooks=Hooks(resume=saved[0]))
    assert seeds == {result.provenance.seed, resumed.provenance.seed}
    assert found(resumed) == found(result)
    assert result.provenance.given["nodes"] == 2
    document = provenance_of(qio_results.decode(result.to_json().encode()))
    assert document.seed == result.provenance.seed
    assert [each["index"] for each in document.statistics["members"]] == [0, 1]


def test_models_are_solved_by_members_that_go_through_rounds_of_their_own():
    model = Model("knapsack")
    take = model.bits("take", range(12))
    model.maximize(sum((k % 5 + 1) * take[k] for k in range(12)))
    model.add(sum((k % 4 + 2) * take[k] for k in range(12)) <= 9, "weight")
    problem = model.problem().cost_function()
    given = {"sweeps": 60, "restarts": 4, "seed": 1}
    one = solve_job(problem, job_setup("microsoft.tabu.cpu", {"params": given}, 1), Hooks())
    over = solve_job(problem, job_setup("microsoft.tabu.cpu", {"params": {**given, "nodes": 3}}, 1), Hooks())
    assert over.violated == []
    assert over.cost <= one.cost
    assert over.more["model"]["status"] == one.more["model"]["status"]
    with pytest.raises(InvalidValue, match="`nodes`: must be 1 where a model is solved here, found 3"):
        model.solve("microsoft.tabu.cpu", **given, nodes=3)


def test_shares_are_even_and_cover_all():
    for total in (0, 1, 5, 17):
        for count in (1, 2, 7):
            parts = [list(Share(index, count).of(total)) for index in range(count)]
            assert [number for part in parts for number in part] == list(range(total))
            assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_seeds_of_members_are_distinct_and_the_first_is_the_own():
    for seed in (0, -1, 2**63 - 1, -(2**63)):
        seeds = [Member(index, 64).seed(seed) for index in range(64)]
        assert seeds[0] == seed
        assert len(set(seeds)) == 64
        assert all(-(2**63) <= each < 2**63 for each in seeds)


@given(st.permutations([(2.0, b"a"), (1.0, b"c"), (1.0, b"b"), (3.0, b"d"), (1.0, b"b")]))
def test_incumbents_are_merged_alike_in_every_order(offers):
    merged = Incumbents(3)
    for cost, values in offers:
        other = Incumbents(3)
        other.offer(np.frombuffer(values, np.int8), cost, 1)
        merged.merge([other], 7)
    assert merged.costs == [1.0, 1.0, 2.0]
    assert [x.tobytes() for x in merged.configurations] == [b"b", b"c", b"a"]
    steps = [step.cost for step in merged.improvements]
    assert steps == sorted(set(steps), reverse=True)
    assert merged.improvements[-1].cost == 1.0


def test_progress_is_merged():
    parts = {
        0: JobProgress(fraction=1.0, sweeps=4, best_cost=-3.0, seconds=2.0, bound=-9.0, activity="compiling"),
        2: JobProgress(fraction=0.5, sweeps=6, best_cost=-4.0, seconds=1.0, bound=-7.0),
        1: JobProgress(fraction=0.1, activity="compiling"),
    }
    merged = merge_progress(parts, 4)
    assert (merged.fraction, merged.sweeps, merged.best_cost) == (pytest.approx(0.4), 10, -4.0)
    assert (merged.seconds, merged.bound, merged.activity) == (2.0, -7.0, None)
    assert merge_progress({0: parts[1]}, 4).activity == "compiling"
    assert merge_progress({}, 4) == JobProgress()


@given(st.lists(st.lists(st.tuples(st.floats(0, 9), st.integers(0, 9), st.floats(-9, 9)))))
def test_merged_traces_fall_over_time_to_the_least(rows):
    traces = [[TracePoint(*row) for row in each] for each in rows]
    merged = merge_traces(traces)
    points = [point for trace in traces for point in trace]
    assert [p.cost for p in merged] == sorted({p.cost for p in merged}, reverse=True)
    assert [p.seconds for p in merged] == sorted(p.seconds for p in merged)
    assert not points or merged[-1].cost == min(p.cost for p in points)
    assert merge_traces(reversed(traces)) == merged


def test_bounds_are_merged_by_time():
    curves = [[BoundPoint(1.0, -9.0), BoundPoint(4.0, -5.0)], [BoundPoint(2.0, -6.0), BoundPoint(5.0, -5.5)]]
    assert [p.bound for p in merge_bounds(curves)] == [-9.0, -6.0, -5.0]
