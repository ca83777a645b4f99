"""The runner of real jobs."""

from __future__ import annotations

import json
import logging

import pytest

from job_specs import a_spec
from qiosk.errors import InvalidValue, MissingSection
from qiosk.formats.qio import json_codec as qio_json
from qiosk.service.jobs.members import Merge, Part, nodes_of, seed_of
from qiosk.supervisor.processes import solver_runner
from strategies import cost_function

GLASS = cost_function("ising", [(1.0, [i, (3 * i + 1) % 30]) for i in range(1, 30) if (3 * i + 1) % 30 != i])


def run(params, *, resume=None, reports=None, max_seconds=None, part=None, found=None):
    target = "microsoft.simulatedannealing.cpu"
    spec = a_spec(target=target, input_params=params, threads=1, max_seconds=max_seconds, part=part)
    seen = reports if reports is not None else []
    return solver_runner.run(
        spec,
        qio_json.write(GLASS),
        is_cancelled=lambda: False,
        on_chunk=lambda report: seen.append(report.checkpoint()),
        on_activity=lambda activity: None,
        resume=resume,
        found=found or {},
    )


def test_a_job_is_read_solved_and_answered():
    result = run({"params": {"sweeps": 50, "seed": 3}})
    document = json.loads(result.to_json())
    assert document["cost"] == result.cost
    assert document["parameters"]["seed"] == 3


def found_by(result):
    """The results document without its provenance, which contains times."""
    document = json.loads(result.to_json())
    assert document.pop("provenance")["seed"] == document["parameters"]["seed"]
    return document


def test_a_run_continues_from_its_checkpoint():
    saved = []
    whole = run({"params": {"sweeps": 50, "seed": 3}}, reports=saved)
    assert found_by(run({"params": {"sweeps": 50, "seed": 3}}, resume=saved[0])) == found_by(whole)


def test_a_checkpoint_that_cannot_be_read_begins_the_run_anew(caplog):
    with caplog.at_level(logging.WARNING):
        result = run({"params": {"sweeps": 50, "seed": 3}}, resume=b"of another version")
    assert found_by(result) == found_by(run({"params": {"sweeps": 50, "seed": 3}}))
    assert "job j: starts again from the beginning" in caplog.text


def test_mistakes_are_the_job_s():
    with pytest.raises(MissingSection, match="`params`"):
        run(None)
    with pytest.raises(InvalidValue, match="`restarts`: must be greater than 0, found 0"):
        run({"params": {"restarts": 0}})


@pytest.mark.parametrize("timeout", [None, 1e6])
def test_a_run_ends_at_the_longest_time_that_is_allowed_with_its_best(timeout):
    result = run({"params": {"sweeps": 10**18, "restarts": 2, "timeout": timeout}}, max_seconds=0.01)
    assert result.stop_reason == "run_limit"
    assert result.cost < 0


def test_a_shorter_time_out_is_the_reason_to_stop():
    assert run({"params": {"sweeps": 10**18, "timeout": 0.01}}, max_seconds=1e6).stop_reason == "timeout"


@pytest.mark.parametrize("seed", [3, None])
def test_members_that_are_merged_find_what_one_run_finds(seed):
    params = {"sweeps": 20, "restarts": 300, "nodes": 3}
    given = {"params": params if seed is None else {**params, "seed": seed}}
    whole = {"params": {**params, "seed": seed_of("default", "j") if seed is None else seed}}
    found = {index: run(given, part=Part(index, 0)).to_bytes() for index in (2, 0, 1)}
    names = tuple((index, f"member-1-{index}-0-result-finished") for index in range(3))
    merged = found_by(run(given, part=Merge(names), found=found))
    expected = found_by(run(whole))
    assert merged == expected


def test_a_job_says_over_how_many_nodes_it_runs_or_its_run_says_what_is_wrong():
    assert nodes_of({"params": {"nodes": 3}}) == nodes_of({"nodes": 3}) == 3
    for wrong in (0, -1, 1025, True, 2.0, "3", None, [3]):
        assert nodes_of({"params": {"nodes": wrong}}) == 1
    assert nodes_of(None) == nodes_of({"params": None}) == 1
