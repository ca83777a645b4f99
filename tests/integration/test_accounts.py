"""Sessions and quotas with real jobs in real processes."""

from __future__ import annotations

import sys
from itertools import pairwise
from pathlib import Path

import pytest

import homes
from databases import postgres_schema
from qiosk.bootstrap import open_administration, open_server
from qiosk.contract.jobs import JobStatus
from qiosk.contract.quotas import Dimension
from qiosk.contract.sessions import OpenSession
from qiosk.errors import QuotaExceeded, SessionClosed
from qiosk.service.blobs.store import LEAST_BYTES
from qiosk.settings import Settings

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module", autouse=True)
def _fake_runners_are_importable():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
        yield


@pytest.fixture(params=["sqlite", "postgresql"])
def members(request):
    """Settings that name the database."""
    if request.param == "sqlite":
        yield {}
        return
    with postgres_schema() as url:
        yield {"database": url}


@pytest.fixture
def path(tmp_path):
    yield tmp_path / "home"
    homes.close_home(tmp_path / "home")


def utilization(service, dimension: Dimension) -> float:
    return next(quota.utilization for quota in service.quotas() if quota.dimension == dimension)


def test_a_failed_job_ends_its_session_and_stops_the_others_though_nobody_asks_for_the_session(members, path):
    settings = Settings(home=path, idle_seconds=30.0, concurrent_jobs=2, cancel_seconds=1.0, **members)
    parts = open_server(settings, runner=homes.FAKE)
    jobs = parts.jobs("w")
    sessions = jobs.sessions
    sessions.open(OpenSession(id="s", name="a", provider_id="Microsoft", target=homes.TARGET))
    others = [homes.submit(jobs, {"chunks": 100_000}, session_id="s", name=str(number)) for number in range(3)]
    homes.wait_until(jobs, others[0].id, lambda view: view.status is JobStatus.EXECUTING)
    failed = homes.submit(jobs, {"do": "refuse"}, session_id="s", priority="High")
    jobs.cancel(others[0].id)  # makes room for it
    assert homes.finished(jobs, failed.id).status is JobStatus.FAILED
    assert {homes.finished(jobs, view.id).status for view in others} == {JobStatus.CANCELLED}
    view = sessions.get("s")
    assert (view.status, view.error_data.code) == ("Failed", "JobFailed")
    with pytest.raises(SessionClosed):
        homes.submit(jobs, session_id="s")
    parts.close()


def test_a_workspace_runs_no_more_jobs_at_once_than_it_may(members, path):
    service = homes.open_home(path, concurrent_jobs=4, limit_concurrent_jobs=1, **members)
    views = [homes.submit(service, {"chunks": 20}) for _ in range(3)]
    most = 0
    while not all(service.get(view.id).status.is_final for view in views):
        most = max(most, int(utilization(service, Dimension.CONCURRENT_JOBS)))
    ended = [homes.finished(service, view.id) for view in views]
    assert most == 1
    spans = sorted((view.begin_execution_time, view.end_execution_time) for view in ended)
    assert all(earlier[1] <= later[0] for earlier, later in pairwise(spans))
    used = sum((view.end_execution_time - view.begin_execution_time).total_seconds() for view in ended)
    assert utilization(service, Dimension.JOB_HOURS) == pytest.approx(used / 3600)
    service.close()


def test_a_job_that_waits_for_a_limit_starts_when_it_is_raised(path):
    service = homes.open_home(path, limit_concurrent_jobs=0)
    view = homes.submit(service)
    assert service.wait(view.id, 1.0).status is JobStatus.WAITING
    with open_administration(path) as administration:
        administration.limits.set("default", Dimension.CONCURRENT_JOBS, 1)
    assert homes.finished(service, view.id).status is JobStatus.SUCCEEDED
    service.close()


def test_a_full_queue_refuses_jobs_before_anything_is_stored(path):
    service = homes.open_home(path, limit_concurrent_jobs=0, limit_queued_jobs=2)
    for number in range(2):
        homes.submit(service, id=f"j{number}")
    with pytest.raises(QuotaExceeded, match="queued jobs: at most 2 are allowed, found 2"):
        homes.submit(service, id="j2")
    assert homes.submit(service, id="j1").status is JobStatus.WAITING  # the same again is no new one
    assert service.list_blobs("job-j2") == []
    service.close()


def test_stored_bytes_are_limited_however_they_come(path):
    service = homes.open_home(path, limit_concurrent_jobs=0, limit_stored_bytes=100_000)
    service.put_blob("c", "first", b"x" * 60_000)
    assert utilization(service, Dimension.STORED_BYTES) == 60_000
    with pytest.raises(QuotaExceeded, match="stored bytes: at most 100000 are allowed, found 60000 and 40001 more"):
        service.put_blob("c", "second", b"x" * 40_001)
    with pytest.raises(QuotaExceeded):
        homes.submit(service, {"text": "x" * 50_000}, id="j")
    upload = service.upload_blob("c", "third")
    upload.write(b"x" * (40_000 - LEAST_BYTES))
    with pytest.raises(QuotaExceeded):
        upload.write(b"x")
    upload.abort()
    for empty in (service.container_uri, lambda name: service.put_blob("c", name, b"")):
        with pytest.raises(QuotaExceeded):
            empty("fourth")
    with pytest.raises(QuotaExceeded):
        service.upload_blob("c", "fifth")
    assert service.list_blobs("c") == ["first"]
    assert service.container_uri("c")  # it exists
    service.close()
