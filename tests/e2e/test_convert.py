"""``qiosk convert``, and solving what is not in JSON."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from qiosk.cli.app import app

TRIANGLE = "3 3\n1 2 1\n2 3 1\n1 3 1\n"


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "triangle.rud").write_text(TRIANGLE)
    return lambda *words, **options: CliRunner().invoke(app, list(words), **options)


def test_to_json_and_back(run, tmp_path):
    assert run("convert", "triangle.rud", "t.json.gz").exit_code == 0
    assert run("convert", "t.json.gz", "again.rud").exit_code == 0
    assert sorted((tmp_path / "again.rud").read_text().split("\n")) == sorted(["3 3", "1 2 1", "1 3 1", "2 3 1", ""])


def test_pipes_need_a_format(run):
    done = run("convert", "-", "-", "--to", "qubo", input=TRIANGLE)
    assert done.exit_code == 0
    assert done.stdout.startswith("c constant 3\np qubo")
    assert "file name: must end in" in run("convert", "triangle.rud", "-").stderr


def test_constants_are_dropped_aloud(run):
    assert "no place for a constant" in run("convert", "triangle.rud", "t.bqp").stderr
    done = run("convert", "triangle.rud", "t.bqp", "--drop-constant")
    assert done.exit_code == 0
    assert "left out the constant 3" in done.stderr
    assert run("convert", "t.bqp", "u.qubo", "--instance", "1").exit_code == 0
    assert run("convert", "triangle.rud", "u.qubo", "--instance", "1").exit_code == 2


def test_gaps_are_closed_if_told(run, tmp_path):
    terms = [{"c": 1, "ids": [4, 9]}]
    document = {"cost_function": {"version": "1.0", "type": "ising", "terms": terms}}
    (tmp_path / "gaps.json").write_text(json.dumps(document))
    assert "renumber" in run("convert", "gaps.json", "g.rud").stderr
    assert run("convert", "gaps.json", "g.rud", "--renumber").exit_code == 0
    assert (tmp_path / "g.rud").read_text() == "2 1\n1 2 1\n"


def test_solve_reads_them(run):
    done = run("solve", "triangle.rud", "--json", "--timeout", "1")
    assert done.exit_code == 0
    assert json.loads(done.stdout)["cost"] == -1
