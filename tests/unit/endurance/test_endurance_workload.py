"""The jobs of an endurance run are the same for a seed, and it knows how each has to end."""

from __future__ import annotations

from collections import Counter
from itertools import islice

import pytest

from endurance.checks import fault_of_result
from endurance.workload import SHARES, planned_jobs
from qiosk.contract.jobs import JobStatus
from qiosk.errors import InvalidInput
from qiosk.formats.registry import read


def some(seed: int, count: int = 400):
    return list(islice(planned_jobs(seed), count))


def test_a_seed_gives_the_same_jobs():
    assert some(3) == some(3)
    assert some(3) != some(4)


def test_all_kinds_occur():
    counts = Counter(job.kind for job in some(1, 2_000))
    assert set(counts) == set(SHARES)
    assert any(job.command.priority for job in some(1))


def test_invalid_jobs_cannot_be_read_and_the_others_can():
    for job in {job.case: job for job in some(1)}.values():
        if job.kind == "invalid":
            with pytest.raises(InvalidInput):
                read(job.command.input_data)
        else:
            assert read(job.command.input_data).n_terms > 0


def test_jobs_end_as_their_kind_and_their_cancellation_say():
    by_kind = {job.kind: job for job in some(1)}
    assert by_kind["tiny"].may_end_as(None) == {JobStatus.SUCCEEDED}
    assert by_kind["invalid"].may_end_as(None) == {JobStatus.FAILED}
    cancelled = by_kind["cancelled"]
    assert cancelled.may_end_as(JobStatus.EXECUTING) == {JobStatus.CANCELLED}
    assert cancelled.may_end_as(JobStatus.SUCCEEDED) == {JobStatus.SUCCEEDED}, "the request came too late"


def test_a_wrong_cost_is_found():
    job = next(job for job in some(1) if job.kind == "tiny")
    variables = read(job.command.input_data).variables.tolist()
    document = {"solutions": [{"configuration": {str(id_): 1 for id_ in variables}, "cost": 10_000.0}]}
    assert "that of its configuration" in fault_of_result(job, document)
