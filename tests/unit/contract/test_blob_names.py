"""Which blob belongs to which job and run."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.contract.jobs import own_container
from qiosk.service.names import RUN_BLOBS, blob_name, is_job_blob, is_run_blob, receipt_name

job_ids = st.from_regex(r"[ab12][ab12_-]{0,4}", fullmatch=True)
fences = st.integers(1, 12)


@pytest.mark.parametrize(
    ("name", "is_run"),
    [
        ("rawOutputData", True),
        ("rawOutputData-2", True),
        ("checkpoint-13", True),
        ("bestSoFar", True),
        ("inputData", False),
        ("rawOutputData-x", False),
        ("myrawOutputData", False),
        ("rawOutputData/a", False),
    ],
)
def test_blobs_of_runs_are_told_from_others(name, is_run):
    assert is_run_blob(name, "j", "job-j") == is_run


@given(data=st.data(), container=st.sampled_from(["shared", "job-a"]))
def test_no_two_runs_share_a_blob(data, container):
    kind = data.draw(st.sampled_from(RUN_BLOBS))
    one, two = ((data.draw(job_ids), data.draw(fences)) for _ in range(2))
    names = [blob_name(kind, job_id, container, fence) for job_id, fence in (one, two)]
    assert (names[0] == names[1]) == (one == two)


@given(owner=job_ids, fence=fences, asker=job_ids, kind=st.sampled_from(RUN_BLOBS))
def test_a_blob_in_a_shared_container_belongs_to_one_job(owner, fence, asker, kind):
    name = blob_name(kind, owner, "shared", fence)
    assert is_run_blob(name, asker, "shared") == is_job_blob(name, asker) == (asker == owner)


@given(owner=job_ids, fence=fences, kind=st.sampled_from(RUN_BLOBS))
def test_runs_recognise_their_blobs_in_a_container_of_their_own(owner, fence, kind):
    container = own_container(owner)
    assert is_run_blob(blob_name(kind, owner, container, fence), owner, container)


@given(owner=job_ids, fence=fences, container=st.sampled_from(["shared", "job-a"]))
def test_the_receipt_is_beside_the_results_of_the_same_run(owner, fence, container):
    output, receipt = (blob_name(kind, owner, container, fence) for kind in ("rawOutputData", "receipt"))
    assert receipt_name(output) == receipt
    assert receipt_name(blob_name("bestSoFar", owner, container, fence)) is None


def test_input_in_a_shared_container_is_the_jobs_and_no_runs():
    name = blob_name("inputData", "j1", "shared")
    assert is_job_blob(name, "j1")
    assert not is_run_blob(name, "j1", "shared")
