"""Continuous columns of files that rows or the objective make integers."""

from __future__ import annotations

import itertools

import pytest

from qiosk.errors import InvalidValue
from qiosk.formats.files import read_program
from qiosk.formats.programs.implied_integers import with_implied_integers
from qiosk.modeling import Model, Status


def lp(objective, *rows, bounds=(), general=()):
    lines = ["minimize", f" {objective}", "subject to", *(f" {row}" for row in rows)]
    return "\n".join([*lines, "bounds", *bounds, "general", " ".join(general), "end", ""]).encode()


def integers(data):
    program = with_implied_integers(read_program("a.lp", data))
    return {column.name: (column.low, column.high) for column in program.columns if column.is_integer}


def test_the_slack_of_a_range():
    data = lp("- x - 2 y", "r: x - y - slack = 1", bounds=["x <= 3", "y <= 3", "-2 <= slack <= 0"], general="xy")
    assert integers(data)["slack"] == (-2, 0)
    answer = Model.from_file("a.lp", data).solve(seed=1)
    assert (answer["x"], answer["y"], answer["slack"], answer.status) == (3, 3, -1, Status.OPTIMAL)


def test_the_end_of_a_schedule():
    rows = ["a: last - x >= 2", "b: last - 2 y >= 3", "c: x + y >= 4"]
    data = lp("last", *rows, bounds=["last <= 20", "x <= 7", "y <= 7"], general="xy")
    assert integers(data)["last"] == (0, 20)
    best = min(max(x + 2, 2 * y + 3) for x, y in itertools.product(range(8), repeat=2) if x + y >= 4)
    assert Model.from_file("a.lp", data).solve(seed=1, timeout=1).objective == best


def test_sums_of_sums_by_equalities():
    rows = ["a: s - x - y = 0", "b: t - 3 s - 6 x = 3", "c: 2 t + 4 s >= 1"]
    found = integers(lp("t", *rows, bounds=["x <= 1", "y <= 1", "0.5 <= s <= 1.5", "t <= 9.5"], general="xy"))
    assert found == {"x": (0, 1), "y": (0, 1), "s": (1, 1), "t": (0, 9)}


@pytest.mark.parametrize(
    ("objective", "rows", "bounds"),
    [
        ("c", ["a: 2 c - x >= 1"], ["c <= 5"]),
        ("c", ["a: c - 0.5 x >= 1"], ["c <= 5"]),
        ("c", ["a: c - x >= 0.5"], ["c <= 5"]),
        ("c", ["a: c - x >= 1"], ["0.5 <= c <= 5"]),
        ("c", ["a: c - x - d >= 1"], ["c <= 5", "d <= 1"]),
        ("c + [ c ^ 2 ] / 2", ["a: c - x >= 1"], ["c <= 5"]),
        ("c", ["a: c - x >= 1", "b: c + [ x ^ 2 ] >= 0"], ["c <= 5"]),
        ("c", ["a: c - x - f >= 1"], ["c <= 5", "f = 0.5"]),
    ],
)
def test_others_stay_continuous(objective, rows, bounds):
    data = lp(objective, *rows, bounds=["x <= 3", *bounds], general="x")
    assert "c" not in integers(data)
    with pytest.raises(InvalidValue, match="variable `c`: is continuous"):
        Model.from_file("a.lp", data)


def test_nothing_else_changes():
    program = read_program("a.lp", lp("c", "a: c - x >= 1", bounds=["c <= 5", "x <= 3", "f = 0.5"], general="x"))
    found = with_implied_integers(program)
    assert [(column.name, column.low, column.high) for column in found.columns] == [
        (column.name, column.low, column.high) for column in program.columns
    ]
    assert found.constraints == program.constraints
