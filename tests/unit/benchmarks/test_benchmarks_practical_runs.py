"""The comparison of solvers on practical problems: processes, what is kept, and the tables."""

from __future__ import annotations

import json
import math
import os
import time

import pytest

import lone_finders
from benchmarks.practical import __main__ as program
from benchmarks.practical.comparison import Comparison, OutOfTimeError
from benchmarks.practical.measured import Measured, equal_cost, gaps, notes, times
from benchmarks.practical.problems.tours import TravellingSalesman
from benchmarks.practical.process import FAILED, MEMORY, SET_UP, STOPPED, Limits, Task, outcomes
from benchmarks.practical.table import BEGIN, END, Known, documented, report
from benchmarks.quality.cells import Cell
from patience import HANG_S

GIB = 2**30
BOTH = [Task(1.0, math.inf), Task(1.0, None)]
PATIENT = Limits(HANG_S, HANG_S)
ONE = "our one-flip tabu"


def tour(name, best_known=10):
    return TravellingSalesman(name, best_known, distances=[[0, 1], [1, 0]])


def results(name, limits, tasks=BOTH):
    return list(outcomes(tour(name), lone_finders.Lone, tasks, 0, limits))


def test_a_solver_in_a_process_gives_an_outcome_for_each_task(capfd):
    before = os.environ.get("OMP_NUM_THREADS")
    first, best = results("plain", PATIENT)
    assert (first.cost, first.wall, first.note) == (12.0, 0.125, "")  # it has one thread
    assert (best.cost, best.wall, best.note) == (10.0, 0.5, "")
    assert os.environ.get("OMP_NUM_THREADS") == before
    assert capfd.readouterr().out == ""


def test_a_run_without_an_answer_took_its_time():
    (found,) = results("finds nothing", PATIENT, BOTH[1:])
    assert (found.cost, found.note) == (None, "")
    assert found.wall > 0


@pytest.mark.parametrize(
    ("name", "limits", "expected"),
    [
        ("slow to set up", Limits(0.0, HANG_S), [SET_UP, SET_UP]),
        ("fails", PATIENT, [f"{FAILED}: KeyError"] * 2),
        ("hangs", Limits(HANG_S, 0.0), ["", STOPPED, STOPPED]),
        ("dies", PATIENT, ["", FAILED, FAILED]),
        ("large", Limits(HANG_S, HANG_S, GIB), ["", MEMORY, MEMORY]),
    ],
)
def test_what_ends_a_solver_ends_only_its_process_and_is_noted(name, limits, expected):
    tasks = [Task(HANG_S, math.inf), Task(0.0, None), Task(0.0, None)][: len(expected)]
    found = results(name, limits, tasks)
    assert [outcome.note for outcome in found] == expected
    assert all(outcome.cost is None for outcome in found if outcome.note)


def test_a_comparison_keeps_its_runs(tmp_path, capsys):
    comparison = Comparison({ONE: lone_finders.Lone}, Measured.of(tmp_path), PATIENT)
    comparison.run(tour("p"), [1.0], 2)
    rows = [json.loads(line) for line in (tmp_path / "practical.gap.jsonl").read_text().splitlines()]
    assert [(row["contender"], row["seed"], row["cost"], row["wall"]) for row in rows] == [
        (ONE, 0, 10.0, 0.5),
        (ONE, 1, 11.0, 0.5),
    ]
    assert all(row["load"] >= 0 and row["share"] >= 0 for row in rows)
    kept = Measured.of(tmp_path)
    assert len([*kept]) == 6
    assert [(cell.cost, cell.target) for cell in kept.equal] == [(12.0, 11.0), (12.0, 11.0)]
    assert capsys.readouterr().out.count("load") == 6
    over = Comparison({ONE: lone_finders.Lone}, kept, PATIENT, until=time.monotonic() - 1)
    over.run(tour("p"), [1.0], 2)  # nothing is missing
    with pytest.raises(OutOfTimeError):
        over.run(tour("p"), [1.0], 3)


def test_equal_costs_are_measured_again_when_more_seeds_change_the_cost(tmp_path):
    comparison = Comparison({ONE: lone_finders.Lone}, Measured.of(tmp_path), PATIENT)
    for seeds, target in ((1, 10.0), (2, 11.0)):
        comparison.run(tour("p"), [1.0], seeds)
        assert [(cell.seed, cell.target) for cell in comparison.measured.equal] == [(k, target) for k in range(seeds)]


def test_only_a_feasible_answer_is_asked_for_where_all_are_equally_good(tmp_path):
    comparison = Comparison({ONE: lone_finders.Lone}, Measured.of(tmp_path), PATIENT)
    comparison.run(tour("p", best_known=0), [1.0], 1)
    assert [cell.cost for cell in comparison.measured] == [12.0]
    assert not [*comparison.measured.gap]


def test_a_solver_that_cannot_be_set_up_is_not_tried_with_every_seed(tmp_path):
    asked = []

    class Counted(dict):
        def __getitem__(self, name):
            asked.append(name)
            return super().__getitem__(name)

    comparison = Comparison(Counted({"slow": lone_finders.Lone}), Measured.of(tmp_path), Limits(0.0, HANG_S))
    comparison.run(tour("slow to set up"), [1.0], 3)
    assert asked == ["slow"]
    assert [cell.note for cell in comparison.measured] == [SET_UP] * 6
    assert notes(comparison.measured.gap, "slow to set up") == {"slow": SET_UP}


def example(folder):
    measured = Measured.of(folder)
    for seed, (ours, theirs) in enumerate([(101, 110), (100, 105), (103, None)]):
        measured.gap.add(Cell("p", "qiosk default", 1.0, seed, ours, 1.0, 1.0, "", 2.0, 0.5))
        measured.gap.add(Cell("p", "dwave-samplers tabu", 1.0, seed, theirs, 1.0, 1.0))
        measured.gap.add(Cell("p", "dwave-samplers SA", 1.0, seed, 120, 1.0, 1.0))
        measured.gap.add(Cell("p", "HiGHS", 1.0, seed, None, 1.0, 1.0, STOPPED if seed else ""))
        measured.gap.add(Cell("p", "qiosk default", 10.0, seed, 100, 1.0, 1.0))
        measured.equal.add(Cell("p", "qiosk default", 1.0, seed, 105, 0.01 * (seed + 1), 1.0))
        measured.feasible.add(Cell("p", "qiosk default", 1.0, seed, 200, 0.2, 1.0))
        measured.feasible.add(Cell("p", "dwave-samplers tabu", 1.0, seed, None, 9.0, 4.5))
    return measured


KNOWN = {"p": Known("tour", 100.0), "unmeasured": Known("tour", 1.0)}


def test_medians_are_taken_over_the_seeds(tmp_path):
    measured = example(tmp_path)
    assert equal_cost(measured.gap, "p", 1.0) == 110
    assert gaps(measured.gap, "p", 1.0, 100.0) == {
        "qiosk default": 0.01,
        "dwave-samplers tabu": 0.1,
        "dwave-samplers SA": 0.2,
        "HiGHS": math.inf,
    }
    assert times(measured.feasible, "p") == {"qiosk default": 0.2, "dwave-samplers tabu": math.inf}
    assert times(measured.equal, "p") == {"qiosk default": 0.02}
    assert notes(measured.gap, "p") == {"HiGHS": STOPPED}


def test_the_report_has_a_column_for_every_setting(tmp_path):
    text = report(example(tmp_path), KNOWN)
    assert "| problem | qiosk default | dwave-samplers tabu | dwave-samplers SA | HiGHS |" in text
    assert "| p, tour | 1 %, 0 | 10 %, – | 20 %, – | stopped, – |" in text
    assert "| p, tour | 0.2 s | none |  |  |" in text
    assert "| p, tour | 20 ms |  |  |  |" in text
    assert "unmeasured" not in text


def test_the_page_has_the_best_setting_of_every_library_and_the_conditions(tmp_path):
    measured = example(tmp_path)
    measured.note_machine({"Qiosk": "1.0"})
    text = documented(measured, KNOWN, f"before\n{BEGIN}\nold\n{END}\nafter\n")
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"\n{END}\nafter\n")
    assert "old" not in text
    assert "| p, tour | 1 %, 0 |  |  |  | 10 %, – |  |  | stopped, – |" in text
    assert "3 seeds" in text
    assert "Qiosk 1.0" in text
    assert "Load of the machine: 2.0 to 2.0" in text
    assert "A solver had 0.50 of a CPU (median), 0.50 to 0.50." in text
    assert documented(measured, KNOWN, text) == text
    with pytest.raises(ValueError, match="needs two lines"):
        documented(measured, KNOWN, "no marks")
    with pytest.raises(ValueError, match="no runs in"):
        documented(Measured.of(tmp_path / "empty"), KNOWN, text)


def test_runs_can_be_forgotten(tmp_path):
    example(tmp_path).forget(lambda cell: cell.contender == "qiosk default")
    assert {cell.contender for cell in Measured.of(tmp_path)} == {"dwave-samplers tabu", "dwave-samplers SA", "HiGHS"}


def test_runs_that_were_ended_are_made_again_if_asked_for(tmp_path, monkeypatch, capsys):
    example(tmp_path)
    options = ["--results", str(tmp_path), "--only", "^none$", "--solvers", "CP-SAT"]
    monkeypatch.setattr("sys.argv", ["practical", *options])
    program.main()
    assert any(cell.note for cell in Measured.of(tmp_path))
    monkeypatch.setattr("sys.argv", ["practical", *options, "--retry"])
    program.main()
    assert not any(cell.note for cell in Measured.of(tmp_path))
    assert "load" in capsys.readouterr().out
    assert len(Measured.of(tmp_path).machines()) == 2
    monkeypatch.setattr("sys.argv", ["practical", *options, "--fresh-ours", "--solvers", "qiosk"])
    program.main()
    assert {cell.contender for cell in Measured.of(tmp_path)} == {"dwave-samplers tabu", "dwave-samplers SA", "HiGHS"}


def test_problems_and_solvers_are_listed(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr("sys.argv", ["practical", "--list", "--results", str(tmp_path)])
    program.main()
    lines = capsys.readouterr().out.splitlines()
    assert "nug30        assignment" in lines
    assert "qiosk default" in lines
    assert not any(tmp_path.iterdir())


def test_the_page_of_the_documentation_can_be_written(tmp_path, monkeypatch, capsys):
    example(tmp_path)
    page = tmp_path / "page.md"
    page.write_text(program.PAGE.read_text())
    monkeypatch.setattr("sys.argv", ["practical", "--table", "--results", str(tmp_path), "--page", str(page)])
    program.main()
    assert BEGIN in page.read_text()
    assert "## Measurements" in page.read_text()
    assert (tmp_path / "practical.md").exists()
    assert str(page) in capsys.readouterr().out
