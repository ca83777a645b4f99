"""Rounds of a search: what they may take of a time limit, by a clock that only moves when a test says so."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

import numpy as np
import pytest

import qiosk
from qiosk.kernels import announcements
from qiosk.kernels.compiler import kernel
from qiosk.modeling import Model, Status, total
from qiosk.modeling.propagation.turns import Turns
from qiosk.modeling.rounds.adaptive import begin, solve_in_rounds
from qiosk.modeling.rounds.seeded import SeededRuns
from qiosk.problem import Problem
from qiosk.solvers.hooks import Hooks
from qiosk.solvers.result import Solution
from qiosk.solvers.search.stopping import StopReason
from qiosk.solvers.solve import set_up


def cover(weight=None):
    model = Model("cover")
    x = model.bits("x", range(4))
    model.minimize(total(10 * bit for bit in x.values()) + 1)
    model.add(x[0] + 2 * x[1] + 3 * x[2] >= 3, "covered", weight=weight)
    return model


@dataclass
class Script:
    """A clock, and runs that take what they may take, and ``setup`` and ``compiling`` seconds more."""

    setup: float = 0.0
    compiling: float = 0.0
    reason: StopReason = StopReason.TIMEOUT
    is_feasible: bool = True
    now: float = 0.0
    compiled: float = 0.0
    allowed: list[float] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def clock(self):
        return self.now

    def run(self, problem: Problem, seconds: float, number: int):
        self.allowed.append(seconds)
        self.numbers.append(number)
        result = qiosk.solve(problem, "microsoft.tabu.cpu", sweeps=1, seed=1)
        values = np.zeros(len(result.configuration), np.int8)
        values[2] = self.is_feasible
        solution = Solution(result.solutions[0].variables, values, float(problem.evaluate(dict(enumerate(values)))))
        result = replace(result, solutions=[solution])
        searched = 1.0 if math.isinf(seconds) else max(0.0, seconds - self.setup)
        self.now += self.setup + searched + self.compiling
        self.compiled += self.compiling
        result.statistics.update(
            seconds=searched, stop_reason=str(self.reason), compile_seconds=self.compiling, kernel="scripted"
        )
        self.compiling = 0.0
        return result

    def answer(self, model, limit, **more):
        return solve_in_rounds(model, self.run, limit, clock=self.clock, compiling=lambda: self.compiled, **more)


@pytest.mark.parametrize("limit", [0.1, 1.0, 10.0])
def test_rounds_take_the_whole_limit_and_no_more(limit):
    script = Script()
    script.answer(cover(), limit)
    assert script.now == pytest.approx(limit)
    assert len(script.allowed) > 4
    assert script.allowed == sorted(script.allowed)


@pytest.mark.parametrize("setup", [0.05, 0.3, 0.45, 0.6])
def test_a_round_whose_set_up_would_pass_the_limit_is_not_begun(setup):
    script = Script(setup=setup)
    script.answer(cover(), 1.0)
    assert script.now <= max(1.0, setup) + 1e-9


def test_the_first_round_is_the_only_one_if_its_set_up_takes_all():
    script = Script(setup=3.0)
    assert len(script.answer(cover(), 1.0).rounds) == 1


def test_compiling_does_not_count_and_is_part_of_the_round():
    script = Script(compiling=100.0)
    answer = script.answer(cover(), 1.0)
    assert script.now == pytest.approx(101.0)
    assert answer.rounds[0].seconds > 100
    assert len(answer.rounds) > 4


def test_a_model_with_weights_of_its_own_is_searched_once_for_all_the_time():
    script = Script()
    script.answer(cover(weight=50.0), 1.0)
    assert script.allowed == [1.0]


def test_searches_that_violate_nothing_have_all_the_time_at_once():
    script = Script()
    answer = script.answer(cover(), 1.0, is_kept=True)
    assert script.allowed == [1.0]
    assert answer.status is Status.FEASIBLE


def assignment():
    model = Model()
    at = model.permutation("at", range(8), range(8))
    model.minimize(total((i * k % 5 - 3) * at[i][k] for i in range(8) for k in range(8)) + 100)
    return model


@pytest.mark.parametrize(("solver", "is_kept"), [("tabu", True), ("toshiba.sbm.ising", False)])
def test_assignments_need_one_round_where_moves_keep_them(solver, is_kept, monkeypatch):
    given = []

    def share(self, limit, built, *, is_kept):
        given.append(is_kept)
        return 0.3

    monkeypatch.setattr("qiosk.modeling.rounds.standing.Standing.share", share)
    answer = assignment().solve(solver, timeout=0.3, seed=1)
    assert given[0] is is_kept
    assert len(answer.rounds) == 1 or not is_kept
    assert answer.is_feasible or not is_kept


def test_models_whose_constraints_have_weights_are_not_kept_by_moves():
    model = Model()
    x = model.bits("x", range(3))
    model.add(total(x.values()) == 1, "one")
    assert model.is_kept_by_moves
    model.add(x[0] + x[1] == 1, "two", weight=3.0)
    assert not model.is_kept_by_moves


@dataclass
class Prover:
    """What propagates: a solution at once, then nothing better."""

    script: Script
    solution: dict[int, int] | None = None
    turns: list[float] = field(default_factory=list)
    is_over: bool = False
    is_proof: bool = False
    stop_reason: StopReason = StopReason.TIMEOUT
    seconds: float = 0.0

    def load(self):
        return 0.0

    def take_turn(self, seconds, should_stop):
        self.solution = {0: 0, 1: 0, 2: 1, 3: 0}
        self.turns.append(seconds)
        self.script.now += seconds

    def report(self, objective):
        return None


@pytest.mark.parametrize("is_feasible", [False, True])
def test_propagation_goes_on_while_rounds_find_nothing_as_good_and_leaves_them_time(is_feasible):
    script = Script(is_feasible=is_feasible)
    prover = Prover(script)
    runs = SeededRuns(set_up("tabu", {"timeout": 1.0, "seed": 1, "threads": 1, "kernel": None}, {}))

    def known(problem, reason, seconds):
        return runs.known(problem, None, Hooks(), reason, seconds)

    answer = script.answer(cover(), 16.0, turns=Turns(prover, known))
    assert answer.is_feasible
    assert answer.objective == 11
    assert answer.result.statistics["kernel"] == "propagation"
    assert script.now == pytest.approx(16.0)
    assert prover.turns[0] == 2.0
    assert len(prover.turns) == len(answer.rounds) > 2


def test_a_search_that_goes_on_has_the_rest_of_its_time():
    model, script = cover(), Script()
    standing = begin(model)
    standing.elapsed = 0.75
    script.answer(model, 1.0, standing=standing)
    assert script.now == pytest.approx(0.25)


def test_no_limit_ends_after_some_rounds():
    script = Script(is_feasible=False, reason=StopReason.FINISHED)
    answer = script.answer(cover(), math.inf)
    assert answer.status is Status.NOT_FOUND
    assert len(answer.rounds) == 16


def test_a_round_that_agrees_on_a_violation_has_not_converged():
    model = Model()
    x = model.bits("x", range(30))
    model.minimize(total(x.values()) + 1)
    model.add(total(x.values()) >= 7, "seven")
    standing = begin(model, {"seven": 0.01})
    runs = []

    def run(problem, seconds, number):
        runs.append(number)
        return qiosk.solve(problem, "tabu", timeout=20, seed=1)

    answer = solve_in_rounds(model, run, 20.0, standing=standing)
    assert answer.rounds[0].stop_reason == "violated"
    assert answer.rounds[0].violated == ("seven",)
    assert answer.is_feasible
    assert answer.result.violated == []
    assert runs == list(range(len(answer.rounds)))


def test_the_answer_is_the_first_solution_of_its_result():
    model = Model()
    x = model.bits("x", range(24))
    model.maximize(total((i + 1) * bit for i, bit in x.items()))
    model.add(total(x.values()) <= 5, "few", weight=3.0)
    answer = model.solve(timeout=1, seed=1, number_of_solutions=5)
    assert model.decode(answer.result).values == answer.values
    assert [v.name for v in answer.result.violated] == [report.name for report in answer.violated]


def test_the_time_of_compiling_is_recorded_once():
    @kernel
    def doubled(values):
        values *= 2

    before = announcements.compiling_seconds()
    values = np.ones(3)
    doubled(values)
    after = announcements.compiling_seconds()
    doubled(values)
    assert values.tolist() == [4, 4, 4]
    assert before <= after == announcements.compiling_seconds()
