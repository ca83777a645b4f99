"""File formats of the field: each reads what its definition says, gives back what it wrote, and names wrong lines."""

from __future__ import annotations

import gzip

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import naive
from qiosk.errors import InvalidInput, InvalidValue, UnreadableInput
from qiosk.formats import files
from qiosk.formats.files import FORMATS, by_content, by_name, by_suffix, read_file, renumbered, write_file
from qiosk.formats.text import lp, mps, orlib
from strategies import cost_function

NAMES = [form.name for form in FORMATS]
BIQMAC = b"# by hand\n3 3\n1 1 5\n1 2 -3\n3 3 1\n"
QUADRATIC = [name for name in NAMES if name not in ("qio", "wcnf")]

RUDY = b"3 3\n1 2 1\n2 3 -2\n1 3 4\n"
ORLIB = b"2\n2 2\n1 1 5\n1 2 -3\n3 1\n2 3 7\n"
QUBO = b"c made by hand\np qubo 0 3 2 1\n0 0 -1\n2 2 1.5\n0 2 2\n"
COO = b"# vartype=SPIN\n0 0 0.5\n0 1 -1\n"
QPLIB = b"""TINY
QBN
maximize
3 # variables
2 # quadratic terms
1 1 4
2 1 -3
1 # default linear
1
3 5
10 # constant
1e30
0
0
0
"""
WCNF = b"c soft and hard\np wcnf 3 3 10\n10 1 -2 0\n3 2 3 0\n4 -1 0\n"
NEW_WCNF = b"c soft and hard\nh 1 -2 0\n3 2 3 0\n4 -1 0\n"
LP = b"""\\ an objective
Maximize
 obj: 3 x - 2 y + [ 2 x^2 - 4 x * y ] / 2 + 7
Subject To
Bounds
 0 <= x <= 1
Binary
 x y z
End
"""
MPS = b"""NAME tiny
ROWS
 N cost
COLUMNS
 MARKER 'MARKER' 'INTORG'
 a cost 3
 b cost -2
 MARKER 'MARKER' 'INTEND'
RHS
 RHS cost -7
BOUNDS
 BV BND a
 UP BND b 1
QUADOBJ
 a a 2
 a b -4
ENDATA
"""

SAMPLES = {
    "rudy": RUDY,
    "biqmac": BIQMAC,
    "orlib": ORLIB,
    "qubo": QUBO,
    "coo": COO,
    "qplib": QPLIB,
    "wcnf": WCNF,
    "lp": LP,
    "mps": MPS,
}


def costs(problem):
    """Costs of all configurations, by the values of the variables in ascending order."""
    return {tuple(x.values()): float(naive.cost(problem, x)) for x in naive.configurations(problem)}


def bits(n):
    return [tuple(map(int, f"{k:0{n}b}")) for k in range(2**n)]


def test_rudy_is_max_cut():
    found = costs(read_file("G0.rudy", RUDY))
    for s, cost in found.items():
        cut = 1 * (s[0] != s[1]) - 2 * (s[1] != s[2]) + 4 * (s[0] != s[2])
        assert cost == 3 - 2 * cut


def test_rudy_without_weights_and_with_lonely_vertices():
    problem = read_file("G0.rudy", b"4 1\n1 2\n")
    assert problem.variables.tolist() == [0, 1, 2, 3]
    assert costs(problem)[1, 1, -1, 1] == 1


def test_orlib_counts_entries_off_the_diagonal_twice():
    assert costs(orlib.read(ORLIB, instance=1)) == {x: -(5 * x[0] - 6 * x[0] * x[1]) for x in bits(2)}
    assert costs(orlib.read(ORLIB, instance=2)) == {x: -14 * x[1] * x[2] for x in bits(3)}
    with pytest.raises(UnreadableInput, match="2 instances, specify which"):
        orlib.read(ORLIB)
    with pytest.raises(UnreadableInput, match="from 1 to 2, found 3"):
        orlib.read(ORLIB, instance=3)


def test_qubo():
    assert costs(read_file("a.qubo", QUBO)) == {x: -x[0] + 1.5 * x[2] + 2 * x[0] * x[2] for x in bits(3)}


def test_coo():
    found = costs(read_file("a.coo", COO))
    assert found == {(a, b): 0.5 * a - a * b for a in (-1, 1) for b in (-1, 1)}


def test_qplib_halves_the_diagonal_and_maximizes():
    wanted = {x: -(2 * x[0] - 3 * x[0] * x[1] + x[0] + x[1] + 5 * x[2] + 10) for x in bits(3)}
    assert costs(read_file("a.qplib", QPLIB)) == wanted


def test_biqmac_counts_entries_off_the_diagonal_twice():
    found = costs(read_file("gka1a.sparse", BIQMAC))
    assert found == {x: 5 * x[0] - 6 * x[0] * x[1] + x[2] for x in bits(3)}


@pytest.mark.parametrize("file", ["gka1a.txt", "gka1a.rud"])
def test_what_may_be_a_graph_or_a_program_is_refused(file):
    with pytest.raises(UnreadableInput, match="`--from rudy` .* or `--from biqmac` .*, found '1 1'"):
        read_file(file, BIQMAC)
    assert len(read_file(file, BIQMAC, "biqmac").variables) == 3
    cut = costs(read_file(file, BIQMAC, "rudy"))
    assert cut == {x: 6 - 3 * x[0] * x[1] for x in cut}
    assert len(read_file(file, b"2 1\n1 2 3\n").variables) == 2
    assert len(read_file(file, b"2 2\n1 2 3\n1 2 1\n").variables) == 2, "the sizes may be equal"


@pytest.mark.parametrize("comment", [b"c\n", b"c", b"c \n", b"c\ttext\n", b"cmade by hand\n", b"  c\n"])
def test_comments_of_qbsolv(comment):
    data = comment.removesuffix(b"\n") + b"\n" + QUBO
    assert by_content(data).name == "qubo"
    assert costs(read_file("a.qubo", data)) == costs(read_file("a.qubo", QUBO))
    inside = QUBO.replace(b"0 0 -1\n", b"0 0 -1\nc\nc Links\n")
    assert costs(read_file("a.qubo", inside)) == costs(read_file("a.qubo", QUBO))


SATLIB = b"c This Formular\nc\np cnf 3  3 \n 1 -2 3 0\n-1 2 0\n3 0\n%\n0\n\n"


@pytest.mark.parametrize(
    "data",
    [
        SATLIB,
        b"p cnf 3 3\n1\n-2 3\n0 -1 2 0 3\n0\n",
        b"p cnf 3 3\n1 -2 3 0 -1 2 0 3 0",
        b"p wcnf 3 3\n1 1 -2 3 0 1 -1\n2 0 1 3 0\n",
    ],
    ids=["tail", "lines", "one line", "weights"],
)
def test_clauses_end_with_their_zero(data):
    wanted = {(a, b, c): (not (a or not b or c)) + (not (not a or b)) + (not c) for a, b, c in bits(3)}
    assert costs(read_file("uf.cnf", data)) == wanted
    assert by_content(data).name == "wcnf"


@pytest.mark.parametrize("soft", [3.0, 2.0**60, 1e300, 0.25])
@pytest.mark.parametrize("count", [1, 7])
def test_a_hard_clause_costs_more_than_all_soft_ones(soft, count):
    lines = [f"{int(soft) if soft >= 1 else soft} {i} 0" for i in range(1, count + 1)]
    found = read_file("a.wcnf", "\n".join(["h 1 0", *lines, ""]).encode())
    at_zero = naive.cost(found, dict.fromkeys(range(count), 0))
    hard = at_zero - naive.cost(read_file("a.wcnf", "\n".join([*lines, ""]).encode()), dict.fromkeys(range(count), 0))
    assert hard > count * soft


def test_long_clauses_are_cut_exactly():
    clause = [-1, *range(2, 14)]
    found = read_file("a.wcnf", f"3 {' '.join(map(str, clause))} 0\n".encode())
    auxiliary = found.metadata["auxiliary_variables"]
    assert auxiliary == len(found.variables) - 13 > 0
    assert len(found.coefficients) < 300
    for x in [*(tuple(int(i == k) for i in range(13)) for k in range(13)), (1,) + 12 * (0,), 13 * (0,), 13 * (1,)]:
        least = min(
            float(naive.cost(found, dict(enumerate([*x, *y])))) for y in np.ndindex(*(2 for _ in range(auxiliary)))
        )
        assert least == (3.0 if x == (1, *(12 * (0,))) else 0.0)


def test_a_clause_of_very_many_literals_is_small():
    found = read_file("a.wcnf", b"h " + b" ".join(b"%d" % i for i in range(1, 10_001)) + b" 0\n")
    assert len(found.coefficients) < 120_000
    assert "auxiliary_variables" not in read_file("a.wcnf", b"1 1 2 3 4 5 6 7 8 0\n").metadata


@pytest.mark.parametrize(("data", "hard"), [(WCNF, 8), (NEW_WCNF, 8)], ids=["2006", "2022"])
def test_wcnf_costs_what_is_not_satisfied(data, hard):
    for x, cost in costs(read_file("a.wcnf", data)).items():
        a, b, c = map(bool, x)
        assert cost == hard * (not (a or not b)) + 3 * (not (b or c)) + 4 * a


def test_cnf_has_weight_one_and_drops_tautologies():
    found = costs(read_file("a.cnf", b"p cnf 2 3\n1 -1 0\n1 1 2 0\n-2 0\n"))
    assert found == {x: (not any(x)) + x[1] for x in bits(2)}


@pytest.mark.parametrize("first", [b"Maximize \\ the gain\n", b"Maximize\t", b"MAX\\gain\n"])
def test_the_first_line_of_lp_may_end_with_a_comment_or_go_on(first):
    assert costs(read_file("a.lp", LP.replace(b"Maximize\n", first))) == costs(read_file("a.lp", LP))


def test_lp():
    for x, cost in costs(read_file("a.lp", LP)).items():
        assert cost == -(3 * x[0] - 2 * x[1] + x[0] - 2 * x[0] * x[1] + 7)
    assert read_file("a.lp", LP).metadata["variable_names"] == {"0": "x", "1": "y", "2": "z"}


def test_mps():
    problem = read_file("a.mps", MPS)
    assert problem.name == "tiny"
    for x, cost in costs(problem).items():
        assert cost == 3 * x[0] - 2 * x[1] + x[0] - 4 * x[0] * x[1] + 7
    full = MPS.replace(b"QUADOBJ\n a a 2\n a b -4", b"QMATRIX\n a a 2\n a b -4\n b a -4")
    assert costs(read_file("a.mps", full)) == costs(problem)


def test_mps_maximizes_if_told():
    problem = read_file("a.mps", MPS.replace(b"ROWS", b"OBJSENSE\n MAX\nROWS"))
    assert costs(problem)[0, 0] == -7


@pytest.mark.parametrize("form", [lp, mps], ids=["lp", "mps"])
def test_names_survive(form):
    named = lp.read(LP)
    assert form.read(form.write(named)).metadata["variable_names"] == named.metadata["variable_names"]


@pytest.mark.parametrize(
    ("data", "name"),
    [
        *((data, name) for name, data in SAMPLES.items() if name != "biqmac"),
        (NEW_WCNF, "wcnf"),
        (b'  {"cost_function": {}}', "qio"),
    ],
)
def test_content_tells_the_format(data, name):
    assert by_content(data).name == name
    assert by_content(data.replace(b"\n", b"\r\n")).name == name


def test_content_that_tells_nothing():
    with pytest.raises(UnreadableInput, match="cannot be detected"):
        by_content(b"hello")


@pytest.mark.parametrize("form", FORMATS, ids=NAMES)
def test_suffixes_tell_the_format(form):
    for suffix in form.suffixes:
        assert by_suffix(f"some.problem{suffix.upper()}.gz") is form
    assert by_name(form.name.upper()) is form


def test_unknown_formats_are_refused():
    with pytest.raises(InvalidValue, match="must be one of qio"):
        by_name("xlsx")
    with pytest.raises(InvalidValue, match="file name"):
        write_file("problem.xlsx", cost_function("pubo", []))


coefficients = st.integers(-50, 50).map(lambda i: i / 4)


@st.composite
def quadratic(draw, kind, linear=True):
    n = draw(st.integers(2, 5))
    members = st.lists(st.integers(0, n - 1), min_size=0 if linear else 2, max_size=2, unique=True)
    terms = draw(st.lists(st.tuples(coefficients, members), max_size=8))
    return cost_function(kind, [*terms, *((0.0, [i]) for i in range(n))])


@pytest.mark.parametrize("name", QUADRATIC)
@pytest.mark.parametrize("kind", ["ising", "pubo"])
@given(data=st.data())
def test_round_trips(name, kind, data):
    problem = data.draw(quadratic(kind, linear=name != "rudy"))
    if name == "rudy" and kind == "pubo":
        problem = cost_function("pubo", [])  # pairs of bits are linear in spins
    if name in ("orlib", "biqmac"):
        from qiosk.model.domain import to_bits

        problem, _ = files.without_constant(to_bits(problem))
    back = read_file(f"a.{name}", write_file("a.gz", problem, name), name)
    assert back.variables.tolist() == problem.variables.tolist()
    as_it_was = {tuple((v + 1) // 2 for v in x): cost for x, cost in costs(problem).items()}
    if not problem.problem_type.is_ising:
        as_it_was = costs(problem)
    found = {tuple(max(v, 0) for v in x): cost for x, cost in costs(back).items()}
    assert found == pytest.approx(as_it_was, abs=1e-9)


@given(st.lists(st.tuples(coefficients, st.lists(st.integers(0, 3), max_size=4, unique=True)), max_size=6))
def test_wcnf_holds_any_locality(terms):
    problem = cost_function("pubo", [*terms, *((0.0, [i]) for i in range(4))])
    assert costs(by_name("wcnf").read(by_name("wcnf").write(problem))) == pytest.approx(costs(problem), abs=1e-9)


@pytest.mark.parametrize(
    ("name", "data", "message"),
    [
        ("rudy", b"3 2\n1 2 1\n2 x 1\n", "line 3: must be an edge"),
        ("rudy", b"3 2\n1 2 1\n", "2 lines of an edge are announced, found 1"),
        ("rudy", b"3 1\n1 4 1\n", "a vertex must be an integer from 1 to 3, found 4"),
        ("rudy", b"3 1\n1 2 1\n1 3 1\n", "line 3: must be the end"),
        ("rudy", b"999999999999 0\n", "at most 134217728 variables"),
        ("rudy", b"", "the file ends where numbers of vertices"),
        ("rudy", b"\xff\xfe", "not a text in UTF-8"),
        ("qubo", b"p qubo 0 2 1\n", "line 1: must be `p qubo 0"),
        ("qubo", b"p qubo 0 2 2 0\n0 0 1\n", "2 entries are announced, found 1"),
        ("qubo", b"p qubo 0 2 1 0\n0 0 nan\n", "line 2"),
        ("coo", b"0 0 1\n", "must state the domain, found none"),
        ("qplib", QPLIB.replace(b"QBN", b"QCL"), "line 2: the problem type"),
        ("qplib", QPLIB.replace(b"maximize", b"sideways"), "line 3: must be minimize or maximize"),
        ("wcnf", b"p wcnf 2 1\n1 3 0\n", "line 2: the header announces 2 variables"),
        ("wcnf", b"p wcnf 2 1\n1 2\n", "line 2: a clause must end with 0"),
        ("wcnf", b"p wcnf 2 1\n-1 2 0\n", "line 2: a clause must begin with its weight"),
        ("wcnf", b"p wcnf 2 3\n1 1 0\n1 2\n1 -2 0\n", "3 clauses are announced, found 2: is a 0 missing"),
        ("wcnf", b"p cnf 2 1\n1 0\n%\n0\n2 0\n", "line 5: only a 0 may come after `%`"),
        ("wcnf", b"1e308 1 0\n1e308 2 0\n", "sum of all weights"),
        ("biqmac", b"2 1\n1 2 1\n2 2 1\n", "line 3: must be the end"),
        (
            "lp",
            LP.replace(b"Subject To", b"Subject To\n c1: x + y <= 1"),
            "constraints must be turned into penalties .* found 1, the first is `c1`",
        ),
        ("lp", LP.replace(b"x y z", b"x z"), "variable `y` must be binary"),
        ("lp", LP.replace(b"x^2", b"x^3"), "line 3: expected `2`, found `3`"),
        ("lp", LP.replace(b"0 <= x <= 1", b"2 <= x <= 9"), "variable `x` is binary, but has the bounds 2 and 9"),
        ("lp", b"Minimize\n 3 + + [ x\nBinary\n x\nEnd\n", r"line 3: expected `\^` or `\*`, found `Binary`"),
        (
            "mps",
            MPS.replace(b" N cost", b" N cost\n L row"),
            "constraints must be turned into penalties .* found 1, the first is `row`",
        ),
        ("mps", MPS.replace(b"BV BND a", b"UP BND a 4"), "variable `a` must be binary"),
        (
            "mps",
            MPS.replace(b"a cost 3", b"a cost three"),
            "line 6: must have names and numbers, and `three` is no number",
        ),
        ("mps", b"NAME\nCOLUMNS\n a cost 1\n", "mps: Row name"),
    ],
)
def test_what_is_wrong_is_named(name, data, message):
    with pytest.raises(UnreadableInput, match=message):
        by_name(name).read(data)


@pytest.mark.parametrize(
    ("name", "problem", "message"),
    [
        ("qubo", cost_function("pubo", [(1.0, [0, 1, 2])]), "at most 2 variables in this format, found 3"),
        ("qubo", cost_function("pubo", [(1.0, [0, 5])]), "without gaps, found 2 variables with ids up to 5"),
        ("rudy", cost_function("ising", [(1.0, [0])]), "no place for linear terms, found 1"),
        ("orlib", cost_function("pubo", [(2.0, [])]), "no place for a constant, found 2"),
        ("wcnf", cost_function("pubo", [(2.0, [3])]), "without gaps"),
    ],
)
def test_what_a_format_cannot_hold_is_refused(name, problem, message):
    with pytest.raises(InvalidValue, match=message):
        by_name(name).write(problem)


def test_renumbering_keeps_costs():
    problem = cost_function("ising_grouped", [(2.0, [3, 70])], [(1.0, [(1.0, 9), (2.0, None)])])
    again = renumbered(problem)
    assert again.variables.tolist() == [0, 1, 2]
    assert costs(again) == costs(problem)


def test_gzip_files():
    assert gzip.decompress(write_file("x.qubo.gz", read_file("x.qubo", QUBO))).startswith(b"p qubo 0 3")


@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.data())
def test_broken_files_give_errors_only(name, data):
    sample = SAMPLES[name]
    cut = data.draw(st.integers(0, len(sample)))
    new = data.draw(st.binary(max_size=6) | st.sampled_from([b"1e400", b"-1", b" 0 ", b"\n", b"999999999999999999999"]))
    skip = data.draw(st.integers(0, 5))
    broken = sample[:cut] + new + sample[cut + skip :]
    try:
        problem = by_name(name).read(broken)
    except InvalidInput:
        return
    assert np.isfinite(problem.coefficients).all()


@pytest.mark.parametrize("name", SAMPLES)
@given(data=st.binary(max_size=200))
def test_arbitrary_bytes_give_errors_only(name, data):
    try:
        problem = by_name(name).read(data)
    except InvalidInput:
        return
    assert len(problem.variables) < 1000


@pytest.mark.parametrize(
    "line", [b"\n", b" \n", b"\r\n", b"c\n", b"c x\n", b"#\n", b"! x\n", b"* x\n", b"\\ x\n", b"\t"]
)
def test_no_beginning_of_a_file_takes_long_to_recognize(line):
    with pytest.raises(UnreadableInput, match="cannot be detected"):
        by_content(4000 * line + b"nothing")  # a pattern that matches blank lines in several ways takes for ever


def test_formats_are_recognized_after_blank_lines_and_comments():
    blank = 20 * b" \r\n\n"
    for head, name in (
        (b"p qubo 0 2 1 1\n", "qubo"),
        (b"c x\np wcnf 2 1 10\n", "wcnf"),
        (b"* x\nNAME x\n", "mps"),
        (b"\\ x\n \\ y\n Minimize\n", "lp"),
        (b"# x\n# vartype=SPIN\n", "coo"),
    ):
        assert by_content(blank + head).name == name
