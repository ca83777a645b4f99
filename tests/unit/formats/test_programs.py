"""Linear constraints of mathematical programming files: read alike, and made penalties that hold."""

from __future__ import annotations

import itertools
import json
import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

import naive
from qiosk.cli.app import app
from qiosk.errors import InvalidInput, InvalidValue, UnreadableInput
from qiosk.formats.files import read_file, read_program
from qiosk.modeling import Model

LP = b"""maximize
 obj: 6 x0 + 5 x1 + 9 x2 - 2 x0 * 0
subject to
 capacity: 2 x0 + 3 x1
   + 4 x2 <= 6
 x0 + x1 >= 1
 pair: x1 + x2 + x3 = 1
binary
 x0 x1 x2 x3
end
""".replace(b" - 2 x0 * 0", b"")
MPS = b"""NAME tiny
OBJSENSE
 MAX
ROWS
 N obj
 L capacity
 G c1
 E pair
COLUMNS
 x0 obj 6 capacity 2
 x0 c1 1
 x1 obj 5 capacity 3
 x1 c1 1 pair 1
 x2 obj 9 capacity 4
 x2 pair 1
 x3 pair 1
RHS
 RHS capacity 6 c1 1
 RHS pair 1
BOUNDS
 BV B x0
 BV B x1
 BV B x2
 BV B x3
ENDATA
"""
QPLIB = b"""TINY
LBL
maximize
4 # variables
3 # constraints
0 # default linear
3
1 6
2 5
3 9
0 # constant
8 # linear terms in constraints
1 1 2
1 2 3
1 3 4
2 1 1
2 2 1
3 2 1
3 3 1
3 4 1
1e30 # infinity
-1e30 # default left
2
2 1
3 1
1e30 # default right
2
1 6
3 1
0 # default start
0
0
0
"""
FILES = {"a.lp": LP, "a.mps": MPS, "a.qplib": QPLIB}


def is_feasible(x):
    return 2 * x[0] + 3 * x[1] + 4 * x[2] <= 6 and x[0] + x[1] >= 1 and x[1] + x[2] + x[3] == 1


def objective(x):
    return -(6 * x[0] + 5 * x[1] + 9 * x[2])


@pytest.mark.parametrize("name", FILES)
def test_the_same_program_in_every_format(name):
    program = read_program(name, FILES[name])
    assert [column.name for column in program.columns] == ["x0", "x1", "x2", "x3"]
    found = {(tuple(sorted(row.coefficients.items())), row.low, row.high) for row in program.constraints}
    assert found == {
        (((0, 2.0), (1, 3.0), (2, 4.0)), -math.inf, 6.0),
        (((0, 1.0), (1, 1.0)), 1.0, math.inf),
        (((1, 1.0), (2, 1.0), (3, 1.0)), 1.0, 1.0),
    }
    cost_function = replace(program, constraints=()).unconstrained()
    for x in itertools.product((0, 1), repeat=4):
        assert naive.cost(cost_function, dict(enumerate(x))) == objective(x)


@pytest.mark.parametrize("penalty", [None, 100.0])
@pytest.mark.parametrize("name", FILES)
def test_the_least_cost_is_that_of_the_best_feasible_solution(name, penalty):
    cf = Model.from_file(name, FILES[name], penalty=penalty).problem().cost_function()
    best: dict[tuple[int, ...], float] = {}
    for x in naive.configurations(cf):
        own = tuple(x[i] for i in range(4))
        best[own] = min(best.get(own, float("inf")), float(naive.cost(cf, x)))
    for own, cost in best.items():
        if is_feasible(own):
            assert cost == objective(own)
    winner = min(best, key=best.__getitem__)
    assert winner == (1, 0, 1, 0)
    assert all(best[x] > best[winner] for x in best if not is_feasible(x))


@pytest.mark.parametrize("name", FILES)
def test_without_being_asked_such_a_file_is_refused(name):
    with pytest.raises(UnreadableInput, match="constraints must be turned into penalties .*--penalty auto"):
        read_file(name, FILES[name])


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.lp", LP.replace(b"<= 6", b"<> 6"), "line 5: expected a number, found `>`"),
        ("a.lp", LP.replace(b"<= 6", b"<= x"), "line 5: expected a number, found `x`"),
        ("a.lp", LP.replace(b"x0 + x1 >=", b"[ x0 ^ 3 ] >="), r"line 6: brackets must have terms .*found 'x0 \^ 3'"),
        ("a.lp", LP.replace(b"x0 + x1 >=", b"[ x0 ^ 2 ] / 2 >="), "constraint must not be divided"),
        ("a.lp", LP.replace(b"= 1\nbinary", b"\nbinary"), "expected a comparison, found `binary`"),
        ("a.mps", MPS.replace(b"x3 pair 1", b"x3 nothing 1"), 'Row name "nothing" in COLUMNS section is not defined'),
        ("a.mps", MPS.replace(b" E pair", b" E c1"), 'same name "c1"|Row name'),
        ("a.qplib", QPLIB.replace(b"3 4 1\n", b"4 4 1\n"), "a constraint must be an integer from 1 to 3, found 4"),
        ("a.qplib", QPLIB.replace(b"LBL", b"LXL"), "the problem type must be one letter of LDCQ, one of CBMIG"),
        ("a.qplib", QPLIB[: QPLIB.index(b"1e30 # default right")], "the file ends where the default right-hand side"),
        ("a.rud", b"2 1\n1 2 1\n", "constraints are read from qplib, mps, lp, found 'rudy'"),
    ],
)
def test_what_is_wrong_is_named(name, data, message):
    with pytest.raises(InvalidInput, match=message):
        read_program(name, data)


def test_penalties_are_positive():
    with pytest.raises(InvalidValue, match="penalty: must be greater than 0, found -1"):
        Model.from_file("a.lp", LP, penalty=-1.0)


def test_constraints_that_cannot_hold_are_named():
    with pytest.raises(InvalidValue, match="constraint `pair`: can never hold"):
        Model.from_file("a.lp", LP.replace(b"= 1\nbinary", b"= 7\nbinary")).problem()


def test_the_command(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.lp").write_bytes(LP)
    run = CliRunner().invoke
    assert "--penalty auto" in run(app, ["convert", "a.lp", "a.json"]).stderr
    for penalty in ("auto", "25"):
        done = run(app, ["convert", "a.lp", "a.json", "--penalty", penalty])
        assert done.exit_code == 0, done.output
        assert json.loads((tmp_path / "a.json").read_text())["cost_function"]["type"].startswith("pubo")
    assert run(app, ["convert", "a.lp", "a.json", "--penalty", "much"]).exit_code == 2


def test_files_with_constraints_are_solved_and_submitted(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.lp").write_bytes(LP)
    run = CliRunner().invoke
    refused = run(app, ["solve", "a.lp"])
    assert (refused.exit_code, "--penalty auto" in refused.stderr) == (2, True)
    for penalty in ("auto", "25"):
        done = run(app, ["solve", "a.lp", "--penalty", penalty, "--json", "--seed", "1"])
        assert json.loads(done.stdout)["solutions"][0]["cost"] == -15  # x0 and x2: 6 + 9
    for command in ("solve", "submit"):
        wrong = run(app, [command, "a.lp", "--penalty", "much"])
        assert (wrong.exit_code, "must be a number or auto, found 'much'" in wrong.stderr) == (2, True)


@pytest.mark.parametrize("name", FILES)
@given(data=st.data())
def test_broken_programs_raise_nothing_but_invalid_input(name, data):
    words = FILES[name].split(b" ")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(words) - 1))
        odd = st.sampled_from([b"-1", b"1e400", b"nan", b"<=", b":", b"x9", b"]", b"\n", b"RHS\n", b"E", b"0"])
        words[at] = data.draw(odd | st.binary(max_size=6))
    try:
        Model.from_file(name, b" ".join(words)).problem().cost_function()
    except InvalidInput:
        return
