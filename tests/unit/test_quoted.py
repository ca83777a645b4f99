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
from qiosk.cli.quoted import BestKnown, best_known, quoted_values
from qiosk.formats.files import read_file, write_file

ROOT = Path(__file__).parents[2]
TRIANGLE = b"3 3\n1 2 1\n2 3 -2\n1 3 4\n"


def document() -> dict[str, list[dict[str, object]]]:
    text = (files("qiosk.cli") / "data" / "best_known.json").read_text("utf-8")
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
            assert value < 0 if family["kind"] == "minimum" else value > 0
            keys.append(name)
    assert len(keys) == len({best_known(key) and key.lower() for key in keys}) > 400


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
        ("a.sparse", b"2 2\n1 1 -3\n1 2 1\n", {"objective": -3}),
        ("a.bqp", b"1\n2 2\n1 1 3\n1 2 -1\n", {"objective": -3}),
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
