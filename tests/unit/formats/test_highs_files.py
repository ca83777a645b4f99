"""LP and MPS files as solvers write them, read by HiGHS; what it or others misread is read rightly or refused."""

from __future__ import annotations

import itertools
import sys
from dataclasses import replace

import pytest

import naive
from qiosk.errors import InvalidInput, InvalidValue, MissingExtra, UnreadableInput
from qiosk.formats.files import read_file, read_program, write_file
from qiosk.modeling import Model
from strategies import cost_function


def lp(constraints: str = "", *sections: str, objective: str = "x + y", sense: str = "minimize") -> bytes:
    return "\n".join([sense, objective, "subject to", constraints, *sections, "end", ""]).encode()


def mps(
    *sections: str, rows: str = " G c1", entries: str = "x obj 1 c1 1\n y obj 2 c1 1", rhs: str = " R c1 1"
) -> bytes:
    head = ["NAME small", "ROWS", " N obj", rows, "COLUMNS", " M 'MARKER' 'INTORG'", f" {entries}"]
    return "\n".join([*head, " M 'MARKER' 'INTEND'", "RHS", rhs, *sections, "ENDATA", ""]).encode()


def bounds(data: bytes, file: str) -> dict[str, tuple[float, float]]:
    return {column.name: (column.low, column.high) for column in read_program(file, data).columns}


INF = float("inf")


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (mps("BOUNDS", " BV B x", " BV B y"), {"x": (0, 1), "y": (0, 1)}),
        (mps(), {"x": (0, 1), "y": (0, 1)}),
        (mps("BOUNDS", " LI B x 2", " LO B y 0"), {"x": (2, INF), "y": (0, INF)}),
        (mps("BOUNDS", " UP B x 7", " UI B y 3"), {"x": (0, 7), "y": (0, 3)}),
        (mps("BOUNDS", " UP B x 2.5", " FX B y 3"), {"x": (0, 2), "y": (3, 3)}),
        (mps("BOUNDS", " MI B x", " LO B y -4", " UP B y -2"), {"x": (-INF, INF), "y": (-4, -2)}),
    ],
)
def test_bounds_of_mps(data: bytes, expected: dict[str, tuple[float, float]]) -> None:
    assert bounds(data, "a.mps") == expected


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (lp("c: x + y >= 1", "bounds", "0 <= x <= 1", "-2 <= y <= 5", "general", "x y"), {"x": (0, 1), "y": (-2, 5)}),
        (lp("c: x + y >= 1", "bounds", "x = 3", "y free", "generals", "x", "y"), {"x": (3, 3), "y": (-INF, INF)}),
        (lp("c: x + y >= 1", "binaries", "x", "integers", "y"), {"x": (0, 1), "y": (0, INF)}),
    ],
)
def test_bounds_of_lp(data: bytes, expected: dict[str, tuple[float, float]]) -> None:
    assert bounds(data, "a.lp") == expected


@pytest.mark.parametrize(
    ("file", "data", "message"),
    [
        (
            "a.lp",
            lp("c: x + y >= 1", "binary", "x y", "lazy constraints", "z"),
            "`lazy` occurs in no term and no bound",
        ),
        ("a.lp", lp("c: x + y >= 1", "binary", "x y", "pwlobj"), "`pwlobj` occurs in no term .* section"),
        ("a.lp", lp("c: x + y >= 1", "binary", "x y", "bounds", "x <= 5"), "`x` is binary, but has the bounds 0 and 5"),
        ("a.lp", lp("c: x >= 1", "bounds", "x <= 9", "semi-continuous", "x", objective="x"), "`x` is semi-continuous"),
        ("a.lp", lp("c: x + y >= 1", "sos", "s1: S1:: x:1 y:2"), "line 5: SOS constraints are not supported"),
        (
            "a.lp",
            lp("c: x >= 0", "bounds", "3 <= x <= 1", "general", "x"),
            "`x` has no value between its bounds 3 and 1",
        ),
        (
            "a.lp",
            lp("c: x >= 0", "bounds", "0.2 <= x <= 0.8", "general", "x"),
            "has no value between its bounds 1 and 0",
        ),
        ("a.lp", lp("c: x >= 0", "binary", "x", objective="1e400 x"), "must be finite numbers"),
        ("a.lp", lp("c: 1e-13 x >= 0", "binary", "x", objective="x"), "at/below tolerance"),
        ("a.lp", lp("c: x = 1 -> y <= 0", "binary", "x y"), "line 4: "),
        ("a.lp", b"minimize\n x\x00\nend\n", "contains NUL"),
        ("a.lp", b"minimize\n x\xff\nend\n", "not a text in UTF-8"),
        ("a.mps", mps("BOUNDS", " BV B x", " UP B x 0"), "duplicate upper bound"),
        ("a.mps", mps(rows=" G c1\n L c2", rhs=" R1 c1 1\n R2 c2 5"), "a second set in RHS, after `R1`"),
        ("a.mps", mps(rhs=" R1 c1 1\n R2 c1 5"), "a second set in RHS, after `R1`"),
        ("a.mps", mps("BOUNDS", " UP B1 x 3", " UP B2 y 4"), "a second set in BOUNDS, after `B1`"),
        ("a.mps", mps("RANGES", " A c1 3", " B c1 4"), "a second set in RANGES"),
        ("a.mps", mps().replace(b"ROWS", b"OBJSENSE\n SIDEWAYS\nROWS"), "line 3: the sense must be MIN or MAX"),
        ("a.mps", mps().replace(b"ROWS", b"OBJSENSE SIDEWAYS\nROWS"), "line 2: the sense must be MIN or MAX"),
        ("a.mps", mps(rows=" N other\n G c1").replace(b"ROWS", b"OBJNAME\n other\nROWS"), "must be the first free row"),
        ("a.mps", mps(entries="x obj one\n y obj 2 c1 1"), "`one` is no number"),
        ("a.mps", mps(rhs=" R c1 much"), "`much` is no number"),
        ("a.mps", mps("BOUNDS", " UP B x all"), "`all` is no number"),
        ("a.mps", mps("QUADOBJ", " x y q"), "`q` is no number"),
        ("a.mps", mps("BOUNDS", " BV B q"), "column `q` occurs in the bounds only"),
        ("a.mps", mps("BOUNDS", " SC B x 7"), "`x` is semi-continuous"),
        ("a.mps", mps("BOUNDS", " UP B x -1"), "`x` has no value between its bounds 0 and -1"),
        ("a.mps", mps("QMATRIX", " x y 4"), "not symmetric"),
        ("a.mps", mps(entries="x obj 1 c1 1\n x c1 2\n y obj 2"), "duplicate nonzero"),
        ("a.mps", mps(entries="x obj 1 c9 1\n y obj 2"), "is not defined"),
        ("a.mps", mps(rhs=" R c9 1"), "is not defined"),
        ("a.mps", mps(rows=" G c1\n L c1"), "same name"),
        ("a.mps", mps(entries="x obj 1\n\ny obj 2"), "line 9: a line that begins without a blank must be a section"),
        ("a.mps", mps("BOUNDS", " BVx B"), "must begin with one of UP, LO"),
        ("a.mps", mps(rows=" Gc1"), "line 4: must begin with one of N, E, L, G"),
        ("a.mps", mps(entries="x obj"), "line 7: a column must have a name"),
        ("a.mps", mps()[:-8], "mps: HiGHS cannot read the file$"),
    ],
)
def test_what_would_be_misread_is_refused(file: str, data: bytes, message: str) -> None:
    with pytest.raises(UnreadableInput, match=message):
        read_program(file, data)


def test_unnamed_rows_get_names_that_no_other_has() -> None:
    data = lp("x + y >= 1\n c1: x - y <= 0\n r3: y <= 1\n x <= 1\n c4: x >= 0\n c4: y >= 0", "binary", "x y")
    names = [row.name for row in read_program("a.lp", data).constraints]
    assert len(set(names)) == len(names) == 6
    assert names[1] == "c1"
    assert len(Model.from_file("a.lp", data).constraints) == 6
    data = data.replace(b"r3", b"HiGHS_R3")
    assert len({row.name for row in read_program("a.lp", data).constraints}) == 6


def test_blank_lines_before_names_with_blanks_do_not_hang() -> None:
    with pytest.raises(UnreadableInput):
        read_program("a.mps", mps(rows=" N costRHS\n\n  \n", entries="a cost 3\n b cost 1"))


def test_remarks_in_lines_of_mps() -> None:
    data = mps(entries="x obj 1 $ remark\n x c1 1 obj 0 $1 more\n y obj 2 c1 1", rhs=" R c1 1 $x")
    data = data.replace(b" obj 0", b"").replace(b"ROWS", b"* all of it\nROWS")
    assert naive.cost(replace(read_program("a.mps", data), constraints=()).unconstrained(), {0: 1, 1: 1}) == 3


@pytest.mark.parametrize("sense", ["MAX", "MAXIMIZE", "maximise", "Max"])
@pytest.mark.parametrize("line", ["OBJSENSE {}", "OBJSENSE\n    {}"])
def test_the_sense_of_mps(sense: str, line: str) -> None:
    program = read_program("a.mps", mps().replace(b"ROWS", line.format(sense).encode() + b"\nROWS"))
    assert program.is_maximized
    assert not read_program("a.mps", mps()).is_maximized


def test_free_rows_restrict_nothing() -> None:
    data = mps(rows=" N other\n N more", entries="x obj 1 other 1\n y more 3 obj 2", rhs=" R obj -7")
    program = read_program("a.mps", data)
    assert all(row.is_free for row in program.constraints)
    assert {
        x: naive.cost(program.unconstrained(), dict(enumerate(x))) for x in itertools.product((0, 1), repeat=2)
    } == {(a, b): 7 + a + 2 * b for a, b in itertools.product((0, 1), repeat=2)}


def test_ranges_are_two_constraints() -> None:
    model = Model.from_file("a.mps", mps("RANGES", " R c1 3"))
    assert [(c.name, c.condition.sense.value, c.condition.bound) for c in model.constraints] == [
        ("c1 low", ">=", 1.0),
        ("c1 high", "<=", 4.0),
    ]


@pytest.mark.parametrize(
    ("file", "data"),
    [
        ("a.lp", lp("", "binary", "x y", objective="x + [ 2 x^2 - 4 x * y + 6 y ^ 2 ] / 2 - 3")),
        ("a.lp", lp("", "binary", "x y", objective="x + [ x^2 - 2 x * y + 3 y ^ 2 ] - 3")),
        (
            "a.lp",
            lp("", "binary", "x y", objective="- x - [ 2 x^2 - 2 y * x - 2 x * y + 6 y ^ 2 ] / 2 + 3", sense="max"),
        ),
        ("a.mps", mps("QUADOBJ", " x x 2", " x y -2", " y y 6", rows="", entries="x obj 1\n y obj 0", rhs=" R obj 3")),
        ("a.mps", mps("QUADOBJ", " y y 6", " y x -2", " x x 2", rows="", entries="x obj 1\n y obj 0", rhs=" R obj 3")),
        (
            "a.mps",
            mps(
                "QMATRIX",
                " x x 2",
                " x y -2",
                " y x -2",
                " y y 6",
                rows="",
                entries="x obj 1\n y obj 0",
                rhs=" R obj 3",
            ),
        ),
    ],
)
def test_quadratic_objectives(file: str, data: bytes) -> None:
    found = read_file(file, data)
    for x, y in itertools.product((0, 1), repeat=2):
        assert naive.cost(found, {0: x, 1: y}) == x + x * x - 2 * x * y + 3 * y * y - 3


def test_integers_with_products() -> None:
    data = lp(
        "c: x + y <= 5", "bounds", "-2 <= x <= 3", "y <= 4", "general", "x y", objective="[ 2 x^2 - 2 x*y ]/2 + y"
    )
    model = Model.from_file("a.lp", data)
    costs = {(x, y): x * x - x * y + y for x in range(-2, 4) for y in range(5)}
    for (x, y), cost in costs.items():
        found = model.decode(model.configuration({"x": x, "y": y}))
        assert found.objective == cost
        assert found.is_feasible is (x + y <= 5)
    answer = model.solve(seed=1)
    assert answer.objective == min(cost for (x, y), cost in costs.items() if x + y <= 5)


def test_maximized_objectives_are_reported_as_they_are() -> None:
    model = Model.from_file("a.lp", lp("c: x + y <= 1", "binary", "x y", objective="3 x + 4 y + 1", sense="maximize"))
    assert model.solve(seed=1).objective == 5.0


@pytest.mark.parametrize("name", ["__ObjOffset", "@@ObjOffset", "~~objconst"])
def test_fixed_columns_are_constants(name: str) -> None:
    data = lp(" c: x#1 + x#2 >= 1", "Bounds", "0 <= x#1 <= 1", "0 <= x#2 <= 1", f"{name} = 1", "Generals", "x#1 x#2")
    data = data.replace(b"x + y", f"2 x#1 + 3 x#2 + 5 {name}".encode())
    model = Model.from_file("a.lp", data)
    assert model.solve(seed=1).objective == 7.0
    free = read_file("a.lp", data.replace(b" c: x#1 + x#2 >= 1", b""))
    assert naive.cost(free, {0: 1, 1: 1}) == 10
    assert free.metadata["variable_names"] == {"0": "x#1", "1": "x#2"}


@pytest.mark.parametrize("file", ["a.lp", "a.mps"])
def test_continuous_columns_are_refused_by_name_or_put_on_a_grid(file: str) -> None:
    data = {
        "a.lp": lp("c: x + y >= 1", "bounds", "0 <= y <= 1.75", "binary", "x", objective="3 x + y"),
        "a.mps": mps("BOUNDS", " BV B x").replace(b" M 'MARKER' 'INTEND'\n", b" M 'MARKER' 'INTEND'\n y obj 1 c1 1\n"),
    }[file]
    if file == "a.mps":
        data = data.replace(b"x obj 1 c1 1\n y obj 2 c1 1", b"x obj 3 c1 1")
        data = data.replace(b" BV B x", b" BV B x\n UP B y 1.75")
    with pytest.raises(InvalidValue, match="`y`: is continuous; put it on a grid"):
        Model.from_file(file, data)
    answer = Model.from_file(file, data, grid=0.25).solve(seed=1)
    assert answer.values == {"x": 0, "y": 1.0}
    model = Model.from_file(file, data, grid=0.25)
    for y in (0.0, 0.75, 1.75):
        assert model.decode(model.configuration({"x": 0, "y": y}))["y"] == y
    with pytest.raises(InvalidValue, match="grid: must be greater than 0, found -1"):
        Model.from_file(file, data, grid=-1)


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ("c: 3 x + 4 y + s = 9", (0, 9)),
        ("c: 3 x + 4 y - 2 s >= -5", (0, 6)),
        ("c: t - 3 x = 0\n d: s - 2 t <= 1", (0, 7)),
        ("c: x + y - 2 s = 0\n d: s + y <= 100", (0, 1)),
    ],
)
def test_rows_bound_slack_variables(rows: str, expected: tuple[int, int]) -> None:
    extra = "t" if "t" in rows else ""
    data = lp(rows, "binary", "x y", "general", f"s {extra}", objective="x + y + s")
    variable = Model.from_file("a.lp", data).variables["s"]
    assert (variable.offset, variable.offset + sum(variable.weights)) == expected


def test_rows_bound_both_sides() -> None:
    data = lp("c: s + x >= -3\n d: s - x <= 4", "bounds", "s free", "binary", "x", "general", "s", objective="x + s")
    variable = Model.from_file("a.lp", data).variables["s"]
    assert (variable.offset, variable.offset + sum(variable.weights)) == (-4, 5)


def test_integers_without_bounds_are_refused_by_name() -> None:
    with pytest.raises(InvalidValue, match="variable `y`: must have two bounds, found 0 to inf"):
        Model.from_file("a.lp", lp("c: x + y >= 1", "binary", "x", "general", "y"))


def test_nothing_is_printed(capfd: pytest.CaptureFixture[str]) -> None:
    read_file("a.lp", lp("", "binary", "x y"))
    with pytest.raises(UnreadableInput):
        read_file("a.lp", b"minimize\n ]\nend\n")
    assert capfd.readouterr() == ("", "")


def test_without_the_extra_the_error_tells_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "highspy._core", None)
    with pytest.raises(MissingExtra, match=r"lp files: the extra `lp` is not installed"):
        read_file("a.lp", lp("", "binary", "x y"))


KEYWORDS = [
    "free",
    "end",
    "binary",
    "bounds",
    "st",
    "inf",
    "general",
    "subject",
    "max",
    "sos1",
    "semi-continuous",
    "int",
]
KEYWORDS += [
    "ENDATA",
    "RHS",
    "MARKER",
    "'MARKER'",
    "INTORG",
    "BOUNDS",
    "NAME",
    "*x",
    "$x",
    "1e5",
    "e5",
    "x[1]",
    "x 1",
    "-x",
]


@pytest.mark.parametrize("form", ["lp", "mps"])
@pytest.mark.parametrize("name", KEYWORDS)
def test_names_that_are_keywords_are_written_so_that_they_are_read(form: str, name: str) -> None:
    problem = cost_function("pubo", [(1.5, [0]), (-2.0, [0, 1]), (3.0, []), (0.0, [2])])
    problem.metadata.update({"variable_names": {"0": name, "1": "plain", "2": "unused"}})
    back = read_file(f"a.{form}", write_file(f"a.{form}", problem))
    for x in itertools.product((0, 1), repeat=3):
        assert naive.cost(back, dict(enumerate(x))) == naive.cost(problem, dict(enumerate(x)))


def test_what_docplex_writes_is_read() -> None:
    data = b"""\\ This file has been generated by DOcplex
\\ ENCODING=ISO-8859-1
\\Problem name: docplex_model1

Minimize
 obj: x_0 - x_1 + [ 2 x_0^2 - 4 x_0*x_1 ]/2
Subject To
 c0: x_0 + x_1 >= 1

Bounds
 0 <= x_0 <= 1
       x_1 <= 7

Binaries
 x_0

Generals
 x_1
End
"""
    answer = Model.from_file("a.lp", data).solve(seed=1)
    assert answer.objective == min(a - b + a - 2 * a * b for a in (0, 1) for b in range(8) if a + b >= 1)


def test_integers_of_qplib() -> None:
    data = b"""SMALL
QIL
maximize
2 # variables
1 # constraints
1 # quadratic terms
2 1 3
0 # default linear
1
1 1
4 # constant
2 # terms of constraints
1 1 1
1 2 1
1e30 # infinity
-1e30 # default left
0
4 # default right
0
-1 # default lower bound
0
3 # default upper bound
1
2 5
0 # start
0
0
0
"""
    model = Model.from_file("a.qplib", data)
    best = max(3 * a * b + a + 4 for a in range(-1, 4) for b in range(-1, 6) if a + b <= 4)
    assert model.solve(seed=1).objective == best
    with pytest.raises(InvalidInput, match="number of other lower bounds"):
        read_program("a.qplib", data[: data.index(b"3 # default upper")].replace(b"# default lower bound\n0", b"\nx"))
