"""The runner of real jobs."""

from __future__ import annotations

import json
import logging

import pytest

from qiosk.errors import InvalidValue, MissingSection
from qiosk.formats.qio import json_codec as qio_json
from qiosk.service.jobs.job import BlobRef
from qiosk.service.jobs.runs import JobSpec
from qiosk.supervisor.processes import solver_runner
from strategies import cost_function

GLASS = cost_function("ising", [(1.0, [i, (3 * i + 1) % 30]) for i in range(1, 30) if (3 * i + 1) % 30 != i])


def run(params, *, resume=None, reports=None, max_seconds=None):
    spec = JobSpec(
        workspace="default",
        id="j",
        fence=1,
        container="job-j",
        input=BlobRef("job-j", "inputData"),
        target="microsoft.simulatedannealing.cpu",
        input_params=params,
        input_data_format="microsoft.qio.v2",
        output_data_format="microsoft.qio-results.v2",
        threads=1,
        max_seconds=max_seconds,
    )
    seen = reports if reports is not None else []
    return solver_runner.run(
        spec,
        qio_json.write(GLASS),
        is_cancelled=lambda: False,
        on_chunk=lambda report: seen.append(report.checkpoint()),
        on_activity=lambda activity: None,
        resume=resume,
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
