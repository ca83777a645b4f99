"""The quality comparison: runs are kept and taken up again, and the table says who is ahead."""

from __future__ import annotations

import json

import numpy as np
import pytest

from benchmarks.contender import Contender, LongAnneals, Race, Restarts
from benchmarks.contenders import Target
from benchmarks.instance import Instance, catalogue, load
from benchmarks.quality.__main__ import Comparison
from benchmarks.quality.cells import Cell, Cells, best_of_each
from benchmarks.quality.table import markdown, outcome, rows, tally
from qiosk.model.cost_function import CostFunction, ProblemType


def cell(contender="qiosk a", cost=-1.0, *, instance="x", seconds=1.0, seed=0):
    return Cell(instance, contender, seconds, seed, cost, seconds, seconds)


@pytest.fixture
def cells(tmp_path):
    return Cells(tmp_path / "quality.jsonl")


@pytest.fixture
def chain():
    """-s0 s1 - s1 s2: best cost -2."""
    terms = CostFunction(ProblemType.ising, np.array([-1.0, -1.0]), np.array([0, 2, 4]), np.array([0, 1, 1, 2]))
    return Instance("chain", terms, -2.0)


def test_runs_are_read_back(cells):
    cells.add(cell(cost=-3.0, seed=1))
    cells.add(cell(cost=None, seed=2))
    again = Cells(cells.path)
    assert ("x", "qiosk a", 1.0, 1) in again
    assert ("x", "qiosk a", 1.0, 3) not in again
    assert list(again) == list(cells)


def test_a_line_cut_off_is_left_out_and_written_over(cells):
    cells.add(cell(seed=1))
    with cells.path.open("a") as file:
        file.write('{"instance": "x", "conten')
    again = Cells(cells.path)
    again.add(cell(seed=2))
    assert [json.loads(line)["seed"] for line in cells.path.read_text().splitlines()] == [1, 2]


def test_dropped_runs_are_forgotten_for_good(cells):
    cells.add(cell("qiosk a"))
    cells.add(cell("peer a"))
    cells.drop(lambda some: some.contender.startswith("qiosk"))
    assert [some.contender for some in Cells(cells.path)] == ["peer a"]


def test_medians_count_runs_without_a_result_as_worst(cells):
    for seed, cost in enumerate((-5.0, None, -1.0)):
        cells.add(cell(cost=cost, seed=seed))
    for seed, cost in enumerate((None, None, -9.0)):
        cells.add(cell("peer a", cost, seed=seed))
    assert cells.medians("x", 1.0) == {"qiosk a": -1.0, "peer a": float("inf")}


def test_best_of_each_takes_settings_of_lowest_median():
    medians = {"p a": 3.0, "p b": 1.0, "p c": 2.0, "q a": 0.0}
    assert best_of_each(medians, ["p", "q", "r"], 2) == {"p b", "p c", "q a"}


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"),
    [(-2.0, -1.0, "win"), (-1.0, -2.0, "loss"), (-1.0, -1.0, "tie"), (0.1 + 0.2, 0.3, "tie"), (1.0, np.inf, "win")],
)
def test_the_lower_cost_wins_unless_they_differ_by_rounding(ours, theirs, expected):
    assert outcome(ours, theirs) == expected


def test_the_table_compares_the_best_setting_of_each_library(cells):
    known = {"x": -4.0, "y": None, "unrun": 0.0}
    for instance, contender, cost in (
        ("x", "qiosk a", -3.0),
        ("x", "qiosk b", -4.0),
        ("x", "peer a", -3.0),
        ("y", "qiosk a", -1.0),
        ("y", "peer a", -2.0),
        ("y", "peer b", -1.5),
    ):
        cells.add(cell(contender, cost, instance=instance))
    table = rows(cells, known, 1.0)
    assert [(row.instance, row.ours.setting, row.best["peer"].cost) for row in table] == [
        ("x", "b", -3.0),
        ("y", "a", -2.0),
    ]
    assert tally(table, "peer") == {"win": 1, "tie": 0, "loss": 1}
    assert [row.reaches_best_known for row in table] == [True, False]
    report = markdown(cells, known, ["peer"])
    assert "peer: 1 wins, 0 ties, 1 losses" in report
    assert "| y |  | -1 | a | -2 (a) **loss** |" in report
    assert "reached by the median run on 1 of 1 instances" in report


def test_medians_that_are_worse_after_more_time_are_named(cells):
    for contender, short, long in (("qiosk a", -3.0, -4.0), ("qiosk b", -4.0, -3.5), ("peer a", -3.0, -2.0)):
        cells.add(cell(contender, short))
        cells.add(cell(contender, long, seconds=10.0))
    cells.add(cell("qiosk c", -1.0))
    assert "10 s worse than 1 s: 1 of 2 medians; b on x" in markdown(cells, {"x": None}, ["peer"])


def test_only_missing_cells_run_and_only_the_best_settings_for_long(monkeypatch, cells, chain):
    runs = []

    def contender(name, spin):
        def search(race, seed):
            runs.append((name, race.seconds, seed))
            race.found(lambda: np.array([1, spin, 1], np.int8))

        return Contender("qubovert", name, lambda instance: True, lambda instance: search)

    monkeypatch.setattr("benchmarks.quality.__main__.ATTEMPTS", 1)
    comparison = Comparison([contender("a", -1), contender("b", 1), contender("c", 1)], cells, lambda name: chain)
    cells.add(cell("qubovert b", -2.0, instance="chain", seconds=0.5))
    comparison.run(["chain"], 0.5, 1, every=False)
    assert [run for run in runs if run[1] == 0.5] == [("a", 0.5, 0), ("c", 0.5, 0)]
    assert cells.medians("chain", 0.5) == {"qubovert a": 2.0, "qubovert b": -2.0, "qubovert c": -2.0}
    runs.clear()
    comparison.run(["chain"], 10.0, 2, every=False)
    assert [run for run in runs if run[1] == 10.0] == [("b", 10.0, 0), ("c", 10.0, 0), ("b", 10.0, 1), ("c", 10.0, 1)]


def test_what_came_late_is_run_again(cells, chain):
    def search(race, seed):
        late.append(race.seconds)
        race.found(lambda: np.ones(3, np.int8), at=2.0 * race.seconds if len(late) < 3 else 0.0)

    late = []
    contender = Contender("qubovert", "a", lambda instance: True, lambda instance: search)
    Comparison([contender], cells, lambda name: chain).run(["chain"], 0.3, 1, every=True)
    assert late[:3] == [0.2, 0.3, 0.3]  # the first is a warm-up
    assert [some.cost for some in cells] == [-2.0]


def test_only_a_run_of_about_that_length_tells_how_late_a_target_is(monkeypatch, chain):
    now, timeouts, set_up = [0.0], [], 1.1

    def run(timeout, seed):
        timeouts.append(timeout)
        now[0] += max(timeout, set_up) + 0.02
        return np.ones(3, np.int8)

    monkeypatch.setattr("benchmarks.contender.time.perf_counter", lambda: now[0])
    target = Target("qiosk.auto", chain, {})
    monkeypatch.setattr(target, "_solve", run)
    for seconds in (0.2, 1.0, 1.0):
        target(Race(seconds), 0)
        set_up = 0.0  # it is kept
    assert timeouts == pytest.approx([0.2, 1.0, 0.98])


def test_a_race_counts_only_what_was_found_in_time(monkeypatch, chain):
    now = [100.0]
    monkeypatch.setattr("benchmarks.contender.time.perf_counter", lambda: now[0])
    race = Race(1.0)
    assert race.best(chain) is None
    now[0] = 101.04
    race.found(lambda: np.array([[1, -1, 1], [1, 1, -1]], np.int8))
    now[0] = 101.06
    race.found(lambda: np.array([1, 1, 1], np.int8))
    assert race.best(chain) == 0.0
    assert race.left < 0


class FakeAnnealer:
    """Takes ``overhead`` and ``pace`` seconds a sweep of a clock that only it moves."""

    def __init__(self, clock, overhead, pace):
        self.clock, self.overhead, self.pace = clock, overhead, pace
        self.calls = []

    def anneal(self, sweeps, reads, seed):
        self.calls.append((sweeps, reads))
        self.clock[0] += self.overhead + self.pace * sweeps * reads
        return len(self.calls)

    def configurations(self, raw):
        return np.ones((1, 3), np.int8)


@pytest.mark.parametrize("search", [LongAnneals, Restarts], ids=["long", "restarts"])
@pytest.mark.parametrize(("overhead", "pace"), [(0.0, 1e-6), (1e-3, 1e-4), (0.1, 1e-3), (0.0, 5e-3)])
def test_searches_fill_the_wall_time_and_do_not_overrun(monkeypatch, chain, search, overhead, pace):
    now = [0.0]
    monkeypatch.setattr("benchmarks.contender.time.perf_counter", lambda: now[0])
    annealer, race = FakeAnnealer(now, overhead, pace), Race(1.0)
    search(annealer)(race, 0)
    assert 0.75 < race.elapsed <= 1.05
    assert race.best(chain) == -2.0
    if search is LongAnneals:
        longest = max(sweeps for sweeps, _ in annealer.calls)
        assert longest * pace > 0.2
    else:
        assert max(sweeps for sweeps, _ in annealer.calls) <= 1000


def test_stored_instances_load_with_what_is_known_of_them():
    known = catalogue()
    assert known["3r3x_48"] == -48
    instance = load("3r3x_48")
    assert instance.problem.n == 48
    assert instance.is_reached(-48.0)
    assert not instance.is_reached(-46.0)
    with pytest.raises(SystemExit, match="instance 'nothing' is unknown"):
        load("nothing")
