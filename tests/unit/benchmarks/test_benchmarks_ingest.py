"""The benchmark of formats measures every one, and writes what it found."""

from __future__ import annotations

import json

from benchmarks.ingest import formats
from benchmarks.ingest.problems import medians, quadratic


def test_every_format_is_measured_and_written(tmp_path):
    rows = list(formats.measure(300, "integer", 1))
    assert [row.form for row in rows] == ["JSON", "JSON.gz", "JSON.zst", "protobuf", "columns"]
    assert all(min(row.read_s, row.start_s, row.parser_s) > 0 for row in rows)
    formats.write(tmp_path, rows)
    assert (tmp_path / "ingest.md").read_text().count("| integer |") == 5
    assert json.loads((tmp_path / "ingest.json").read_text())[0]["terms"] == 300


def test_problems_have_pairs_of_different_variables():
    problem = quadratic(50, "normal")
    pairs = problem.ids.reshape(-1, 2)
    assert len(pairs) == 50
    assert (pairs[:, 0] != pairs[:, 1]).all()


def test_jobs_run_once_before_they_are_timed():
    runs = []
    found = medians({"a": lambda: runs.append("a"), "b": lambda: runs.append("b")}, 2)
    assert runs == ["a", "b", "a", "b", "a", "b"]
    assert set(found) == {"a", "b"}
