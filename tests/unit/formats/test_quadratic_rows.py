"""Quadratic constraints in files: the same in every format, and solved exactly."""

from __future__ import annotations

import itertools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.errors import InvalidInput, InvalidValue, UnreadableInput
from qiosk.formats.files import read_program
from qiosk.modeling import Model, Status

LP = b"""\\ a product in the objective [ is HiGHS's to read
minimize
 obj: x + 2 y + n + [ 2 x * y ] / 2
Subject To
 c1: x + [ 2 x * y - n ^ 2 \\ a remark [
   + 3 y*n ] >= -2
 c2: - [ x * n + y ^2 ] + y <= -1
 c3: x - y >= -1
bounds
 n <= 3
binary
 x y
general
 n
end
"""
MPS = b"""NAME rows
ROWS
 N obj
 G c1
 L c2
 L c3
COLUMNS
 M1 'MARKER' 'INTORG'
 x obj 1 c1 1
 x c3 1
 y obj 2 c2 1
 y c3 -1
 n obj 1
 M2 'MARKER' 'INTEND'
RHS
 RHS c1 -2 c2 -1
 RHS c3 1
RANGES
 RNG c3 2
BOUNDS
 BV BND x
 BV BND y
 UP BND n 3
QUADOBJ
 y x 1
QCMATRIX c1
 x y 1
 y x 1
 n n -1
 y n 1.5
 n y 1.5
QCMATRIX c2
 x n -0.5
 n x -0.5
 y y -1
ENDATA
"""
QPLIB = b"""ROWS      a name
QGQ       and a type, with remarks
minimize
3 # variables
3 # constraints
1
2 1 1 this is x * y
0
3
1 1 remark
2 2
3 1
0
5 # quadratic terms
1 2 1 2
1 3 3 -2
1 3 2 3
2 3 1 -1
2 2 2 -2
4 # linear terms
1 1 1
2 2 1
3 1 1
3 2 -1
1e30
-1e30
2
1 -2
3 -1
1e30
2
2 -1
3 1
0 # lower
0
9 # upper
1
3 3
2 # binary
1
3 1
0
0
0
"""
FILES = {"a.lp": LP, "a.mps": MPS, "a.qplib": QPLIB}


def is_feasible(x, y, n):
    return x + 2 * x * y - n * n + 3 * y * n >= -2 and -(x * n + y * y) + y <= -1 and abs(x - y) <= 1


def costs():
    every = itertools.product((0, 1), (0, 1), range(4))
    return {(x, y, n): x + 2 * y + n + x * y for x, y, n in every if is_feasible(x, y, n)}


@pytest.mark.parametrize("name", FILES)
def test_the_same_rows_in_every_format(name):
    program = read_program(name, FILES[name])
    assert [(c.low, c.high, c.is_integer) for c in program.columns] == [(0, 1, True), (0, 1, True), (0, 3, True)]
    found = {(frozenset(r.coefficients.items()), frozenset(r.products.items()), r.low) for r in program.constraints}
    assert found == {
        (frozenset({(0, 1.0)}), frozenset({((0, 1), 2.0), ((2, 2), -1.0), ((1, 2), 3.0)}), -2.0),
        (frozenset({(1, 1.0)}), frozenset({((0, 2), -1.0), ((1, 1), -1.0)}), -math.inf),
        (frozenset({(0, 1.0), (1, -1.0)}), frozenset(), -1.0),
    }


@pytest.mark.parametrize("name", FILES)
def test_their_best_solution_is_found(name):
    answer = Model.from_file(name, FILES[name]).solve(seed=1)
    known = costs()
    assert known[tuple(answer.values.values())] == answer.objective == min(known.values())
    assert answer.status is Status.OPTIMAL


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("a.lp", LP.replace(b"2 x * y - n", b"2 x * - n"), "line 5: brackets must have terms such as"),
        ("a.lp", LP.replace(b"2 x * y - n", b"2 x y - n"), "line 5: brackets must have terms such as"),
        ("a.lp", LP.replace(b"3 y*n ] >=", b"3 y*n ] / 2 >="), "line 5: the brackets of a constraint must not be"),
        ("a.lp", LP.replace(b"y ^2 ]", b"y ^2"), "AZQ105: lp"),
        ("a.mps", MPS.replace(b"QCMATRIX c2", b"QCMATRIX c1"), "a row must have one QCMATRIX"),
        ("a.mps", MPS.replace(b"QCMATRIX c2", b"QCMATRIX"), "QCMATRIX must name one row"),
        ("a.mps", MPS.replace(b"QCMATRIX c2", b"QCMATRIX obj"), "must name rows with a bound and columns, found `obj`"),
        ("a.mps", MPS.replace(b" n n -1", b" n z -1"), "must name rows with a bound and columns, found `z`"),
        ("a.mps", MPS.replace(b" n n -1", b" n n one"), "`one` is no number"),
        ("a.mps", MPS.replace(b" n n -1", b" n n inf"), "coefficients of products must be finite, found 'inf'"),
        ("a.mps", MPS.replace(b" n n -1", b" n n"), "must be two columns and a number"),
        ("a.qplib", QPLIB.replace(b"1 3 3 -2", b"4 3 3 -2"), "a constraint must be an integer from 1 to 3, found 4"),
        ("a.qplib", QPLIB.replace(b"1 3 3 -2", b"1 3 5 -2"), "a variable must be an integer from 1 to 3, found 5"),
        ("a.qplib", QPLIB.replace(b"\n3 1\n0\n0", b"\n3 7\n0\n0"), "a variable type must be an integer from 0 to 2"),
    ],
)
def test_what_is_wrong_is_named(name, data, message):
    with pytest.raises(UnreadableInput, match=message):
        read_program(name, data)


def test_continuous_variables_are_refused_by_name_unless_on_a_grid():
    data = QPLIB.replace(b"\n3 1\n0\n0", b"\n3 0\n0\n0")
    with pytest.raises(InvalidValue, match="variable `x2`: is continuous"):
        Model.from_file("a.qplib", data)
    answer = Model.from_file("a.qplib", data, grid=0.5).solve(seed=1)
    assert answer.is_feasible


@given(data=st.data())
@pytest.mark.parametrize("name", FILES)
def test_broken_rows_raise_nothing_but_invalid_input(name, data):
    words = FILES[name].split(b" ")
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(words) - 1))
        odd = st.sampled_from(
            [b"[", b"]", b"*", b"^ 2", b"-1", b"1e400", b"nan", b"\\", b"x", b"\nQCMATRIX c1\n", b"0"]
        )
        words[at] = data.draw(odd | st.binary(max_size=6))
    try:
        Model.from_file(name, b" ".join(words)).problem().cost_function()
    except InvalidInput:
        return


def test_programs_of_docplex():
    docplex = pytest.importorskip("docplex.mp.model")
    made = docplex.Model(name="products")
    x, y, n = made.binary_var("x"), made.binary_var("y"), made.integer_var(0, 3, "n")
    made.add_constraint(x + 2 * x * y - n * n + 3 * y * n >= -2, "c1")
    made.add_constraint(y - (x * n + y * y) <= -1, "c2")
    made.minimize(x + 2 * y + n + x * y)
    answer = Model.from_file("a.lp", made.export_as_lp_string().encode()).solve(seed=1)
    assert (answer.objective, answer.status) == (min(costs().values()), Status.OPTIMAL)


def test_columns_that_occur_in_brackets_only():
    rows = "".join(f" r{k}: [ a * b + 2 b * c - {k} a ^ 2 ] >= -{k}\n" for k in range(1, 31))
    program = read_program(
        "a.lp", f"minimize\n obj: a\nsubject to\n{rows}bounds\n 0 <= c <= 1\ngeneral\n c\nend\n".encode()
    )
    assert [(column.name, column.is_integer) for column in program.columns] == [("a", False), ("b", False), ("c", True)]
    assert all(
        row.products == {(0, 1): 1.0, (1, 2): 2.0, (0, 0): -1.0 - k} for k, row in enumerate(program.constraints)
    )
