"""What people quote of files of public collections, and the table of best known values."""

from __future__ import annotations

import json
from importlib.resources import files
from pathlib import Path

import pytest
from typer.testing import CliRunner

import naive
from qiosk.cli.app import app
from qiosk.cli.commands.demo import BEST_KNOWN_CUT, GRAPH, max_cut
from qiosk.formats import quoted
from qiosk.formats.files import read_file, write_file
from qiosk.formats.quoted import BestKnown, best_known, best_known_cost, quoted_values

ROOT = Path(__file__).parents[3]
TRIANGLE = b"3 3\n1 2 1\n2 3 -2\n1 3 4\n"
PATH = b"4 2\n1 2 3\n2 3 5\n"  # vertex 4 has no edges
NEGATIVE = b"3 2\n1 2 -1\n2 3 -4\n"
SPARSE = b"2 2\n1 1 -3\n1 2 1\n"
POSITIVE = b"2 2\n1 1 3\n2 2 1\n"
ORLIB = b"1\n2 2\n1 1 3\n1 2 -1\n"
# maximize 2 + 3 x1 - 2 x1 x2
MAXIMIZED = b"toy QBN maximize 2 1 2,1,-2 0 1 1,3 2".replace(b" ", b"\n").replace(b",", b" ")
# minimize x1 + 2 x2 - 4 x1 x2, {a} x1 + {b} x2 = {sum}
CONSTRAINED = "toy QBL minimize 2 1 1 2,1,-4 0 2 1,1 2,2 0 2 1,1,{a} 1,2,{b} 1e30 {sum} 0 {sum} 0"


def document() -> dict[str, list[dict[str, object]]]:
    text = (files("qiosk.formats") / "data" / "best_known.json").read_text("utf-8")
    found: dict[str, list[dict[str, object]]] = json.loads(text)
    return found


def test_every_family_has_a_source_and_every_instance_a_name_of_its_own() -> None:
    keys = []
    for family in document()["families"]:
        assert family["kind"] in ("cut", "minimum", "maximum")
        assert len(str(family["source"])) > 20
        instances = family["instances"]
        assert isinstance(instances, dict)
        for name, (variables, value) in instances.items():
            assert best_known(name) == BestKnown(str(family["kind"]), variables, value)
            assert variables > 1
            assert value > 0 or family["kind"] == "minimum"
            keys.append(name)
    assert len(keys) == len({best_known(key) and key.lower() for key in keys}) > 470


def test_the_table_agrees_with_the_benchmark_instances() -> None:
    assert best_known(GRAPH) == BestKnown("cut", 1000, BEST_KNOWN_CUT)
    rows = json.loads((ROOT / "benchmarks" / "instances" / "index.json").read_text())
    known = {row["name"]: row for row in rows if best_known(row["name"]) is not None}
    assert {"G1", "G22", "G43", "bqp500-1", "gka4f"} <= set(known)
    for name, row in known.items():
        found = best_known(name)
        assert found is not None
        assert found.variables == row["variables"]
        edges = {"G1": 19176, "G22": 19990, "G43": 9990}  # all of weight 1
        assert row["best_known"] == (edges[name] - 2 * found.value if found.kind == "cut" else found.value)


@pytest.mark.parametrize(
    "file", ["G43", "g43.rud", "a/b/G43.txt", "G43.mc.gz", "be100.1.sparse", "bqp50_1.sparse", "bqp50.1"]
)
def test_instances_are_recognized_by_the_names_of_their_files(file: str) -> None:
    assert best_known(file) is not None
    assert best_known(f"my{Path(file).name}") is None


def test_a_cut_of_a_known_graph_has_a_gap() -> None:
    data = write_file("G43.rud", max_cut().cost_function())
    problem = read_file("G43.rud", data)
    one_side = float(problem.coefficients.sum())
    assert quoted_values("G43.rud", data, None, problem, one_side) == {"cut": 0, "best_known": 6660, "gap_percent": 100}
    best = quoted_values("G43.rud", data, None, problem, one_side - 2 * 6660)
    assert best == {"cut": 6660, "best_known": 6660, "gap_percent": 0}
    assert quoted_values("other.rud", data, None, problem, one_side) == {"cut": 0}


def test_another_graph_of_the_same_name_has_none() -> None:
    problem = read_file("G43.rud", TRIANGLE)
    for spins in ((1, 1, 1), (1, -1, -1), (1, 1, -1)):
        value = naive.cost(problem, dict(enumerate(spins)))
        cut = sum(w for (i, j, w) in ((0, 1, 1), (1, 2, -2), (0, 2, 4)) if spins[i] != spins[j])
        assert quoted_values("G43.rud", TRIANGLE, None, problem, float(value)) == {"cut": cut}


@pytest.mark.parametrize(
    ("file", "data", "quoted"),
    [
        ("a.sparse", SPARSE, {"objective": -3}),
        ("a.bqp", ORLIB, {"objective": 3}),
        ("a.qplib", MAXIMIZED, {"objective": 5}),
        ("a.rud", TRIANGLE, {"cut": 5}),
        ("a.qubo", b"p qubo 0 2 1 0\n0 0 -1\n", {}),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_prints_them(
    tmp_path: Path, file: str, data: bytes, quoted: dict[str, float], as_json: bool
) -> None:
    (tmp_path / file).write_bytes(data)
    done = CliRunner().invoke(app, ["solve", str(tmp_path / file), "--seed", "1", *(["--json"] if as_json else [])])
    assert done.exit_code == 0, done.output
    if as_json:
        found = json.loads(done.stdout)
        assert {name: found[name] for name in ("cut", "objective", "best_known") if name in found} == quoted
        return
    lines = dict(line.split(maxsplit=1) for line in done.stdout.splitlines() if line.split()[0] in ("cut", "objective"))
    assert {name: float(value) for name, value in lines.items()} == quoted


def solved(folder: Path, file: str, data: bytes, *options: str, exit_code: int = 0) -> dict[str, object]:
    (folder / file).write_bytes(data)
    done = CliRunner().invoke(app, ["solve", str(folder / file), "--seed", "1", "--json", *options])
    assert done.exit_code == exit_code, done.output
    found: dict[str, object] = json.loads(done.stdout)
    return {name: found[name] for name in ("cut", "objective", "best_known", "gap_percent") if name in found}


def know(monkeypatch: pytest.MonkeyPatch, kind: str, variables: int, value: float) -> None:
    monkeypatch.setattr(quoted, "_table", lambda: {"toy": BestKnown(kind, variables, value)})


@pytest.mark.parametrize(
    ("file", "data", "known", "expected"),
    [
        # the best cut of a graph whose weights are below 0 is empty
        ("toy.rud", NEGATIVE, ("cut", 3, 1), {"cut": 0, "best_known": 1, "gap_percent": 100}),
        ("toy.rud", NEGATIVE, ("cut", 3, 0), {"cut": 0, "best_known": 0, "gap_percent": 0}),
        ("toy.rud", PATH, ("cut", 4, 10), {"cut": 8, "best_known": 10, "gap_percent": 20}),
        ("toy.rud", PATH, ("cut", 4, 4), {"cut": 8, "best_known": 4, "gap_percent": -100}),
        ("toy.rud", PATH, ("cut", 3, 10), {"cut": 8}),
        ("toy.rud", PATH, ("maximum", 4, 10), {"cut": 8}),
        (
            "toy.sparse",
            SPARSE,
            ("minimum", 2, -4),
            {"objective": -3, "best_known": -4, "gap_percent": 25},
        ),
        (
            "toy.sparse",
            POSITIVE,
            ("minimum", 2, -4),
            {"objective": 0, "best_known": -4, "gap_percent": 100},
        ),
        ("toy.sparse", SPARSE, ("minimum", 3, -4), {"objective": -3}),
        (
            "toy.bqp",
            ORLIB,
            ("minimum", 2, -4),
            {"objective": 3, "best_known": 4, "gap_percent": 25},
        ),
        ("toy.qplib", MAXIMIZED, ("maximum", 2, 10), {"objective": 5, "best_known": 10, "gap_percent": 50}),
        ("toy.qplib", MAXIMIZED, ("minimum", 2, -5), {"objective": 5}),
        ("toy.qplib", MAXIMIZED, ("maximum", 2, 0), {"objective": 5, "best_known": 0}),
    ],
)
def test_gaps_are_right_for_what_is_minimized_and_for_what_is_maximized(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    file: str,
    data: bytes,
    known: tuple[str, int, float],
    expected: dict[str, object],
) -> None:
    know(monkeypatch, *known)
    assert solved(tmp_path, file, data) == expected


@pytest.mark.parametrize(
    ("file", "data", "known", "cost"),
    [
        ("toy.rud", PATH, ("cut", 4, 8), -8),
        ("toy.sparse", SPARSE, ("minimum", 2, -3), -3),
        ("toy.bqp", ORLIB, ("minimum", 2, -3), -3),
        ("toy.qplib", MAXIMIZED, ("maximum", 2, 5), -5),
        ("toy.qplib", MAXIMIZED, ("minimum", 2, 5), None),
        ("other.rud", PATH, ("cut", 4, 8), None),
    ],
)
def test_the_cost_of_the_best_known_value(
    monkeypatch: pytest.MonkeyPatch, file: str, data: bytes, known: tuple[str, int, float], cost: float | None
) -> None:
    know(monkeypatch, *known)
    problem = read_file(file, data)
    assert best_known_cost(file, data, None, problem) == cost
    if cost is not None:
        assert min(naive.cost(problem, x) for x in naive.configurations(problem)) == cost


def test_a_feasible_answer_of_a_model_has_a_gap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    know(monkeypatch, "minimum", 2, 0.5)
    data = CONSTRAINED.replace(" ", "\n").replace(",", " ")
    one = data.format(a=1, b=1, sum=1).encode()
    assert solved(tmp_path, "toy.qplib", one, "--penalty", "auto") == {"best_known": 0.5, "gap_percent": 100}
    assert solved(tmp_path, "other.qplib", one, "--penalty", "auto") == {}
    know(monkeypatch, "minimum", 3, 0.5)
    assert solved(tmp_path, "toy.qplib", one, "--penalty", "auto") == {}
    know(monkeypatch, "minimum", 2, 0.5)
    assert solved(tmp_path, "toy.qplib", data.format(a=2, b=3, sum=4).encode(), "--penalty", "auto", exit_code=3) == {}
    maximized = solved(tmp_path, "toy.qplib", MAXIMIZED, "--penalty", "auto")
    assert maximized == {}  # its known value is of a minimum
    know(monkeypatch, "maximum", 2, 10)
    assert solved(tmp_path, "toy.qplib", MAXIMIZED, "--penalty", "auto") == {"best_known": 10, "gap_percent": 50}
