"""Commands on files with constraints: names, the objective, feasibility, and the exit status."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from qiosk.cli.app import app
from qiosk.modeling import Model

FEASIBLE = (
    "Maximize\n obj: 3 x + 2 y + z\nSubject To\n cap: 2 x + 3 y + 4 z <= 5\n one: x + y = 1\nBinary\n x y z\nEnd\n"
)
INFEASIBLE = "Minimize\n obj: x + y + z\nSubject To\n c1: 2 x + 3 y + 7 z = 4\nBinary\n x y z\nEnd\n"


def solve(tmp_path, content, *words, name="problem.lp"):
    path = tmp_path / name
    path.write_text(content)
    return CliRunner().invoke(app, ["solve", str(path), "--timeout", "2", *words])


def rows(text):
    return [line.split(maxsplit=1) for line in text.splitlines() if line]


def test_a_model_is_printed_by_name(tmp_path):
    done = solve(tmp_path, FEASIBLE, "--penalty", "auto")
    assert done.exit_code == 0, done.stderr
    shown = [tuple(row) for row in rows(done.stdout)]
    for row in [("objective", "3"), ("feasible", "yes"), ("values", "x: 1  y: 0  z: 0"), ("status", "optimal")]:
        assert row in shown


def test_an_infeasible_model_exits_with_3_and_names_what_is_violated(tmp_path):
    done = solve(tmp_path, INFEASIBLE, "--penalty", "auto")
    assert done.exit_code == 3
    shown = [tuple(row) for row in rows(done.stdout)]
    assert {("feasible", "no"), ("status", "infeasible"), ("violated", "c1 by 1")} <= set(shown)


def test_json_has_the_model(tmp_path):
    out = tmp_path / "out.json"
    done = solve(tmp_path, INFEASIBLE, "--penalty", "auto", "--json", "-o", str(out))
    assert done.exit_code == 3
    document = json.loads(out.read_text())
    assert document["model"]["violated"] == [{"name": "c1", "violation": 1.0}]
    assert document["model"]["is_feasible"] is False
    assert set(document["model"]["values"]) == {"x", "y", "z"}
    assert document["cost"] >= 1


def test_a_penalty_is_the_cost_of_the_least_violation(tmp_path):
    done = solve(tmp_path, FEASIBLE, "--penalty", "0.1")
    assert done.exit_code == 3
    assert ["violated", "one by 1"] in rows(done.stdout)


@pytest.mark.parametrize("is_feasible", [True, False])
def test_the_problem_of_a_model_is_solved_as_a_model(tmp_path, is_feasible):
    model = Model()
    x = model.bits("x", "ab")
    model.minimize(x["a"] + x["b"])
    model.add(2 * x["a"] + 3 * x["b"] == (3 if is_feasible else 4), "row")
    done = solve(tmp_path, model.problem().to_json(), name="problem.json")
    assert done.exit_code == (0 if is_feasible else 3), done.stderr
    assert ["feasible", "yes" if is_feasible else "no"] in rows(done.stdout)
    if is_feasible:
        assert ["values", "x[a]: 0  x[b]: 1"] in rows(done.stdout)
