"""The portfolio: its members agree with enumeration, its course is the same every time, and it says what it did."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import naive
from benchmarks.generators import wishart
from one_hot_problems import one_hot_problem
from patience import HANG_S
from qiosk.model.compile import compile_problem
from qiosk.model.cost_function import CostFunction, ProblemType
from qiosk.solvers import searched
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.parameter_free import members as makers
from qiosk.solvers.parameter_free.entries import Entry, hopeless, worse_half
from qiosk.solvers.parameter_free.members import ANNEALING, POPULATIONS, TABU, members
from qiosk.solvers.parameter_free.portfolio import Portfolio
from qiosk.solvers.parameter_free.race import LAST_MARGIN, RACE_SHARE, WAITING, Race
from qiosk.solvers.samplers.planner import plan
from qiosk.solvers.search.context import SearchContext
from qiosk.solvers.search.parallel import Parallel
from qiosk.solvers.search.solver import Budget
from qiosk.solvers.search.stopping import StopReason
from qiosk.solvers.solve import run_target, solve
from strategies import cost_function

AUTO = "qiosk.auto"


def glass(n, terms, seed, locality=2, kind="ising"):
    """Random terms with coefficients -3..3."""
    rng = np.random.default_rng(seed)
    rows = [(float(rng.integers(-3, 4)), rng.choice(n, locality, replace=False).tolist()) for _ in range(terms)]
    return cost_function(kind, rows)


def context_of(cf: CostFunction, seed: int = 1, violates=None) -> SearchContext:
    return SearchContext(
        compile_problem(cf), lambda p: plan(p, replicas=256), seed, starts_at_random=True, violates=violates
    )


def portfolio_of(cf: CostFunction, **options) -> Portfolio:
    context = context_of(cf, **options)
    return Portfolio(context, members(context))


def run(portfolio: Portfolio, budgets, chunk: int = 50):
    """Step until the end; ``budgets`` gives each step's."""
    state = portfolio.init()
    for budget in budgets:
        if portfolio.outcome(state) is not None:
            break
        portfolio.step(state, chunk, Parallel(1), budget)
    return state


def paced(portfolio: Portfolio, seconds: float, chunk: int = 50):
    """Run against a clock on which a nanosecond of estimated work takes just that."""
    state, spent = portfolio.init(), 0.0
    while portfolio.outcome(state) is None and spent < seconds:
        before = sum(entry.work for entry in state.entries)
        portfolio.step(state, chunk, Parallel(1), Budget(1e9, seconds - spent, spent))
        spent += max(0.0, 1e-9 * (sum(entry.work for entry in state.entries) - before))
    return state, spent


@pytest.fixture
def never_enumerated(monkeypatch):
    monkeypatch.setattr(searched.Searched, "is_proof_tried", False)


@pytest.mark.usefixtures("never_enumerated")
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    ("locality", "kind", "terms"), [(2, "ising", 30), (2, "pubo", 40), (3, "ising", 25), (4, "pubo", 30)]
)
def test_small_problems_end_at_their_optimum(locality, kind, terms, seed):
    cf = glass(9, terms, seed, locality, kind)
    result = solve(cf, AUTO, seed=seed, timeout=HANG_S)
    assert result.cost == min(naive.cost(cf, x) for x in naive.configurations(cf))
    assert result.stop_reason in ("converged", "optimal")
    assert [some["member"] for some in result.statistics["portfolio"]] == [ANNEALING, TABU]


@pytest.mark.parametrize("name", ["choices and free bits", "permutation", "more columns than rows"])
def test_groups_are_kept_by_every_member(name):
    problem = one_hot_problem(name)
    context = SearchContext(problem, lambda p: plan(p, replicas=256), 1, starts_at_random=True)
    portfolio = Portfolio(context, members(context))
    state = run(portfolio, [Budget(math.inf)] * 10_000)
    assert portfolio.outcome(state) is StopReason.CONVERGED
    assert problem.one_hot is not None
    for x in [*state.incumbents.configurations, *state.pool.configurations]:
        assert np.array_equal(context.moves.nearest(x), x)


def test_the_course_of_a_race_does_not_depend_on_chunks_or_threads():
    cf, found = glass(120, 400, 5), []
    for chunk, threads in ((1, 1), (64, 2), (10**6, 1)):
        portfolio = portfolio_of(cf)
        state, parallel = portfolio.init(), Parallel(threads)
        while state.heats < 7 and portfolio.outcome(state) is None:
            portfolio.step(state, chunk, parallel, Budget(math.inf))
        parallel.close()
        parts = [(entry.best, entry.found_at) for entry in state.entries]
        found.append((parts, [(some.sweep, some.cost) for some in state.incumbents.improvements]))
    assert found[0] == found[1] == found[2]


def test_a_race_is_resumed_where_it_was(monkeypatch):
    monkeypatch.setattr("qiosk.solvers.driver.CHUNK_SECONDS", 0.0)
    cf, saved = glass(120, 400, 5), []
    given = {"params": {"seed": 5, "timeout": 200.0}}
    hooks = Hooks(on_chunk=lambda report: saved.append(report.checkpoint()))
    whole = run_target(AUTO, given, cf, threads=1, hooks=hooks)
    for checkpoint in {saved[0], saved[len(saved) // 2], saved[-1]}:
        resumed = run_target(AUTO, given, cf, threads=2, hooks=Hooks(resume=checkpoint))
        assert resumed.configuration == whole.configuration
        assert resumed.statistics["portfolio"] == whole.statistics["portfolio"]
        assert [(p.sweep, p.cost) for p in resumed.trace] == [(p.sweep, p.cost) for p in whole.trace]


@pytest.mark.parametrize("seed", range(3))
def test_the_time_is_used_and_the_winner_gets_most_of_it(seed):
    portfolio = portfolio_of(glass(400, 1600, seed), violates=lambda x: True)  # which never converges
    state, spent = paced(portfolio, 2.0)
    assert state.stage != "racing"
    assert portfolio.statistics(state)["is_paced"]
    assert 0.85 * 2.0 <= spent <= 1.1 * 2.0
    fates = [entry.fate for entry in state.entries]
    assert sum(not fate for fate in fates) == 1 or any("yielded" in fate for fate in fates)
    shares = [some["share"] for some in portfolio.statistics(state)["portfolio"]]
    assert math.isclose(sum(shares), 1.0)
    assert max(shares) > 0.5


def test_the_race_takes_its_share_of_the_time():
    portfolio = portfolio_of(glass(300, 1200, 7), violates=lambda x: True)
    state, spent, began = portfolio.init(), 0.0, None
    while portfolio.outcome(state) is None and began is None:
        before = sum(entry.work for entry in state.entries)
        portfolio.step(state, 20, Parallel(1), Budget(1e9, 4.0 - spent, spent))
        spent += 1e-9 * (sum(entry.work for entry in state.entries) - before)
        began = spent if state.stage == "last" else None
    assert began is not None
    assert 0.4 * RACE_SHARE * 4.0 <= began <= 1.3 * RACE_SHARE * 4.0
    assert 0.9 < LAST_MARGIN < 1.0


def test_members_know_the_best_of_the_others_and_an_old_agreement_does_not_count():
    portfolio = portfolio_of(glass(60, 200, 2))
    state = run(portfolio, [Budget(math.inf)] * 3)
    search, member = state.entries[1].search, portfolio.members[1].search
    assert search is not None
    search.rounds_agreed, search.searches_agreed = 2, 9
    best = search.incumbents.best
    state.incumbents.offer(-state.incumbents.configurations[0], best - 5.0, state.sweeps_done)
    member.learn(search, state.incumbents)
    assert search.incumbents.best == best - 5.0
    assert (search.rounds_agreed, search.searches_agreed) == (0, 0)


def test_what_violates_a_constraint_does_not_converge():
    portfolio = portfolio_of(glass(12, 40, 1), violates=lambda x: True)
    state = run(portfolio, [Budget(math.inf)] * 50, chunk=1000)
    assert portfolio.outcome(state) is None
    assert state.heats > 3
    assert not portfolio.statistics(state)["is_paced"]


@pytest.mark.parametrize("m", [0, 1])
def test_a_search_in_rounds_tells_whether_the_time_set_their_length(m):
    search = portfolio_of(glass(60, 200, 2), violates=lambda x: True).members[m].search
    for updates, is_paced in ((math.inf, False), (1e12, False), (1e6, True), (1.0, True)):
        state = search.init()
        while state.round == 0 and not state.is_out_of_time:
            search.step(state, 100, Parallel(1), Budget(updates))
        assert search.statistics(state)["is_paced"] is is_paced


def test_members_that_are_expected_to_end_higher_are_dropped():
    pair = portfolio_of(glass(300, 600, 1)).members[1::-1]
    three = [*pair, pair[1]]
    steady, rising, late = (
        Entry(best=-10.0, found_at=5.0),
        Entry(best=-8.0, before=-4.0),
        Entry(best=-10.0, found_at=9.0),
    )
    assert worse_half(pair, [steady, rising], [0, 1], 0.0) == [0]
    assert worse_half(pair, [steady, late], [0, 1], 0.0) == [1]
    assert worse_half(three, [steady, late, rising], [0, 1, 2], 0.0) == [1]
    rising.doublings = 20.0
    assert worse_half(pair, [steady, rising], [0, 1], 0.0) == [1]


def test_a_member_that_is_not_expected_to_reach_what_another_has_is_hopeless():
    pair = portfolio_of(glass(300, 600, 1)).members[1::-1]
    ahead, behind = Entry(best=-10.0, begun=2), Entry(best=-8.0, before=-7.5, begun=2)
    assert hopeless(pair, [ahead, behind], [0, 1], 0.0) == [1]
    assert hopeless(pair, [ahead, behind], [0, 1], 1.0) == []  # what it expects is within the tolerance
    assert hopeless(pair, [behind, ahead], [0, 1], 0.0) == [0]
    assert hopeless(pair, [ahead, Entry(best=-8.0, begun=1)], [0, 1], 0.0) == []  # nothing is known of its gains


def test_gains_of_a_round_that_is_hardly_longer_are_added_to_those_before_it():
    entry = Entry()
    for sweeps, costs in ((100, (-5.0, -6.0)), (200, (-8.0,)), (150, (-9.0,)), (800, (-9.5,))):
        entry.begin(sweeps)
        for cost in costs:
            entry.improve(cost, 1.0)
        found = entry.gain, entry.doublings
        assert found == {100: (0.0, 1.0), 200: (2.0, 1.0), 150: (3.0, 1.0), 800: (0.5 / 3.0, 2.0)}[sweeps]


def test_population_annealing_takes_the_place_of_annealing_once_rounds_are_long():
    portfolio = portfolio_of(glass(1200, 4800, 3), violates=lambda x: True)
    state, _ = paced(portfolio, 4.0)
    found = portfolio.statistics(state)["portfolio"]
    assert [some["member"] for some in found] == [ANNEALING, TABU, POPULATIONS]
    assert found[0]["fate"].startswith("populationannealing took its place")
    assert found[2]["share"] > 0.5
    portfolio = portfolio_of(glass(1200, 4800, 3), violates=lambda x: True)
    state, _ = paced(portfolio, 0.05)
    assert portfolio.statistics(state)["portfolio"][2]["fate"] == WAITING


def test_population_annealing_takes_the_place_of_annealing_at_last_where_no_heat_was_long_enough():
    fates = []
    for seconds in (0.02, 2.0):
        portfolio = portfolio_of(glass(1200, 4800, 3), violates=lambda x: True)
        race, state = Race(portfolio.members, portfolio.context.resolution), portfolio.init()
        state.spent, state.heats, state.entries[0].past = seconds, 2, [[1e6, 1e5, 1.2e-2], [1e6, 1e6, 1.4e-2]]
        state.entries[1].fate = "behind"
        race.plan(state, Budget(1e9, seconds, seconds))
        fates.append((state.queue, state.entries[2].fate))
        assert state.stage == "last"
    assert fates == [([0], WAITING), ([2], "")]
    assert state.entries[0].fate == "populationannealing took its place after 2 heats"


def test_exactly_one_member_looks_for_a_proof():
    portfolio = portfolio_of(wishart(80, 0.75, 1).cost_function)
    state, handed = portfolio.init(), False
    for _ in range(40):
        if portfolio.outcome(state) is not None:
            break
        portfolio.step(state, 3, Parallel(1), Budget(math.inf))
        searches = [entry.search for entry in state.entries if entry.search is not None]
        open_ = [search for search in searches if not search.eigenspace.is_over]
        assert len(open_) <= 1
        assert not open_ or open_[0] is state.entries[state.turn].search
        handed |= bool(open_) and state.turn > 0
    assert handed


def test_a_pace_tells_the_beginning_of_rounds_from_updates():
    entry = Entry(past=[[1e6, 1e6, 0.005], [1e6, 3e6, 0.009]])
    assert entry.pace == pytest.approx((3e-9, 2e-9))
    assert Entry(past=[[1e6, 3e6, 0.008]]).pace == pytest.approx((2e-9, 2e-9))
    assert Entry(past=[[1e6, 1e6, 0.009], [1e6, 3e6, 0.005]]).pace == pytest.approx((1.25e-9, 1.25e-9))


def test_updates_are_not_taken_to_be_much_faster_than_whole_rounds():
    found = Entry(past=[[1e6, 1e6, 0.019], [1e6, 2e6, 0.02]]).pace
    assert found == pytest.approx((18e-9, 0.7 * 20 / 3 * 1e-9))


def test_a_pace_is_of_rounds_of_two_lengths():
    entry = Entry()
    for updates, seconds in ((1e6, 0.003), (4e6, 0.006), (5e6, 0.008), (8e6, 0.011)):
        entry.seconds = seconds
        entry.end((1e6, updates))
    assert entry.past == [[1e6, 4.5e6, 0.007], [1e6, 8e6, 0.011]]


def test_sweeps_that_keep_groups_are_known_to_take_longer():
    problem = one_hot_problem("permutation")
    context = SearchContext(problem, lambda p: plan(p, replicas=256), 1, starts_at_random=True)
    assert context.sampler.kernel.startswith("one-hot-float32")
    assert members(context)[0].update > 3.0


def test_population_annealing_resamples_less_often_in_long_rounds():
    populations = portfolio_of(glass(1200, 4800, 3)).members[2]
    assert [populations.search.temperatures(sweeps) for sweeps in (16, 128, 1024)] == [16, 16, 128]
    rest = [populations.parts(sweeps)[0] for sweeps in (128, 1024, 8192)]
    assert rest[0] < rest[1] < rest[2]
    assert rest[2] / rest[1] < 0.8 * 8192 / 1024


def test_a_tabu_move_over_a_matrix_takes_as_long_whatever_its_density():
    some = [portfolio_of(glass(200, terms, 3)).members[1] for terms in (2400, 9000, 400, 800)]
    assert [member.search.walkers.kernel for member in some] == ["tabu-dense-int32"] * 2 + ["tabu-sparse-int32"] * 2
    assert some[0].update == some[1].update
    assert some[2].update < some[3].update


@pytest.mark.parametrize("seconds", [1e-4, 1e-3, 1e-2, 1.0])
def test_rounds_are_as_long_as_was_asked_for(seconds):
    for member in portfolio_of(glass(200, 800, 3)).members:
        sweeps, pace = member.sweeps(seconds, (1e-9, 2e-9)), (1e-9, 2e-9)
        takes = [sum(p * w for p, w in zip(pace, member.parts(s), strict=True)) for s in (sweeps, sweeps + 1)]
        assert sweeps == 1 or takes[0] <= seconds
        assert takes[1] > seconds


def test_tabu_search_begins_half_of_its_walkers_at_what_was_found(monkeypatch):
    portfolio = portfolio_of(glass(100, 300, 3))
    member = portfolio.members[1].search
    state = member.init_led(300, is_prover=False)
    while not state.is_waiting:
        member.step(state, 100, Parallel(1), Budget())
    begun = []
    start = type(member.walkers).start
    monkeypatch.setattr(type(member.walkers), "start", lambda self, x, *more: begun.append(x) or start(self, x, *more))
    seed = np.ones(100, np.int8)
    member.go_on(state, 300, [seed])
    assert sum(np.array_equal(x, seed) for x in begun) == len(state.inner.walkers) // 2
    assert state.is_seeded
    agreed = state.rounds_agreed
    while not state.is_waiting:
        member.step(state, 100, Parallel(1), Budget())
    assert state.rounds_agreed == agreed


def test_a_large_problem_has_one_member_that_plans_by_itself(monkeypatch):
    monkeypatch.setattr(makers, "LARGE_VARIABLES", 50)
    result = solve(glass(150, 450, 1), AUTO, seed=3, timeout=HANG_S)
    alone = solve(glass(150, 450, 1), "microsoft.simulatedannealing-parameterfree.cpu", seed=3, timeout=HANG_S)
    assert result.cost == alone.cost
    assert [some["fate"] for some in result.statistics["portfolio"]] == ["alone"]


def test_a_time_too_short_for_two_searches_is_given_to_one_which_may_go_on_longer(monkeypatch):
    monkeypatch.setattr(makers, "PREPARATION_S", 0.1)
    cf, saved = glass(200, 800, 1), []
    hooks = Hooks(on_chunk=lambda report: saved.append(report.checkpoint()))
    short = run_target(AUTO, {"params": {"seed": 2, "timeout": 0.3}}, cf, threads=1, hooks=hooks)
    assert [some["member"] for some in short.statistics["portfolio"]] == [ANNEALING]
    monkeypatch.setattr(makers, "PREPARATION_S", 0.0)
    longer = Hooks(resume=saved[0], is_extension=True)
    result = run_target(AUTO, {"params": {"seed": 2, "timeout": 0.5}}, cf, threads=1, hooks=longer)
    assert [some["fate"] for some in result.statistics["portfolio"]] == ["alone"]


@pytest.mark.parametrize(("terms", "member"), [(1000, ANNEALING), (12_000, TABU)])
def test_with_little_time_tabu_search_is_alone_on_a_dense_problem(monkeypatch, terms, member):
    monkeypatch.setattr(makers, "PREPARATION_S", 1e6)
    cf, saved = glass(200, terms, 1), []
    hooks = Hooks(on_chunk=lambda report: saved.append(report.checkpoint()))
    found = run_target(AUTO, {"params": {"seed": 2, "timeout": 1.0}}, cf, threads=1, hooks=hooks)
    assert [(some["member"], some["fate"]) for some in found.statistics["portfolio"]] == [(member, "alone")]
    assert found.statistics["portfolio"][0]["best"] == found.cost
    monkeypatch.setattr(makers, "PREPARATION_S", 0.0)
    longer = Hooks(resume=saved[-1], is_extension=True)
    more = run_target(AUTO, {"params": {"seed": 2, "timeout": 1.5}}, cf, threads=1, hooks=longer)
    assert [(some["member"], some["fate"]) for some in more.statistics["portfolio"]] == [(member, "alone")]
    assert more.cost <= found.cost


def test_several_solutions_are_those_of_all_members():
    result = solve(glass(40, 120, 4), AUTO, seed=1, timeout=HANG_S, number_of_solutions=5)
    costs = [solution.cost for solution in result.solutions]
    assert costs == sorted(costs)
    assert len({solution.values.tobytes() for solution in result.solutions}) == 5


def test_statistics_are_json_and_tell_the_whole_work():
    result = solve(glass(150, 450, 6), AUTO, seed=1, timeout=0.3)
    found = result.statistics["portfolio"]
    assert json.loads(json.dumps(found)) == found
    assert min(some["best"] for some in found if some["best"] is not None) >= result.cost
    assert all(some["fate"] for some in found)


def test_an_empty_and_a_constant_problem_are_answered():
    empty = CostFunction(ProblemType.ising, np.empty(0), np.zeros(1, np.int64), np.empty(0, np.int64))
    assert solve(empty, AUTO).cost == 0.0
    flat = cost_function("ising", [(0.0, [i, i + 1]) for i in range(50)])
    assert solve(flat, AUTO, seed=1, timeout=HANG_S).cost == 0.0
    assert solve(cost_function("pubo", [(-3.0, [7])]), AUTO).configuration == {7: 1}
