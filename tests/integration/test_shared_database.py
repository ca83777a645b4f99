"""Homes whose jobs are in PostgreSQL: one, several, and when the database goes away for a while."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest

import databases
import homes
from proxies import Proxy
from qiosk.adapters.sql.databases.database import parse_url
from qiosk.adapters.sql.jobs import SqlJobStore
from qiosk.adapters.sql.schema import open_database
from qiosk.contract.jobs import JobStatus
from qiosk.errors import ServiceUnavailable
from qiosk.service.jobs.job import JobEvent, JobKey
from qiosk.service.jobs.runs import RunUpdate

TESTS = Path(__file__).parents[1]

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


@pytest.fixture(scope="module", autouse=True)
def _fake_runners_are_importable():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        yield


@pytest.fixture
def url():
    with databases.postgres_schema() as text:
        yield text


@pytest.fixture
def open_home(tmp_path, url):
    """Opens homes over one database and one storage, by name."""
    opened = []

    def make(name: str, **members):
        storage = (tmp_path / "blobs").as_uri()
        opened.append(homes.open_home(tmp_path / name, **{"database": url, "storage": storage, **members}))
        return opened[-1]

    yield make
    for service in opened:
        service.close()
    for path in {path for path in tmp_path.iterdir() if path.name != "blobs"}:
        homes.close_home(path)


def test_jobs_of_a_home_may_be_kept_in_postgresql(open_home, tmp_path):
    service = open_home("one")
    view = homes.finished(service, homes.submit(service, {"chunks": 30}).id)
    assert (view.status, view.attempts, view.has_results) == (JobStatus.SUCCEEDED, 1, True)
    assert json.loads(service.results(view.id))["cost"] == -30
    assert len(service.trace(view.id)) == 30
    assert not (tmp_path / "one" / "jobs.db").exists()


def test_homes_share_the_work_of_one_database(open_home):
    one, two = open_home("one", concurrent_jobs=1), open_home("two", concurrent_jobs=1)
    views = [homes.submit(service, {"chunks": 20}) for service in (one, two) * 4]
    ended = [homes.finished(one, view.id) for view in views]
    assert {(view.status, view.attempts) for view in ended} == {(JobStatus.SUCCEEDED, 1)}
    forks = {json.loads(two.results(view.id))["parent"] for view in views}
    assert len(forks) == 2, "both worked"


def test_a_killed_supervisor_is_replaced_in_its_own_home(open_home, tmp_path):
    one = open_home("one")
    view = homes.submit(one, {"chunks": 150})
    homes.wait_until(one, view.id, lambda seen: seen.progress.sweeps > 0)
    os.kill(homes.supervisor_pid(tmp_path / "one"), signal.SIGKILL)
    ended = homes.finished(one, view.id)
    assert (ended.status, ended.attempts) == (JobStatus.SUCCEEDED, 2)
    assert one._jobs.get(JobKey("default", view.id)).supervisor_deaths == 1


def test_what_another_home_left_behind_is_taken_over_when_its_lease_has_run_out(open_home):
    one = open_home("one", concurrent_jobs=1)
    running = homes.submit(one, {"chunks": 1100})  # holds the only slot meanwhile
    homes.wait_until(one, running.id, lambda seen: seen.status is JobStatus.EXECUTING)
    store, now = one._jobs, one._clock.now()
    for name, ahead_s in (("dead", 600), ("alive", -600)):  # the clocks of the two that claimed them
        view = homes.submit(one, {"chunks": 1}, id=name, priority="High")
        job = store.get(JobKey("default", view.id))
        at = now + timedelta(seconds=ahead_s)
        assert store.swap(job.on(JobEvent.CLAIM, at=at, worker="h/w", lease_expires_at=at), expected=job)

    def has_ended() -> bool:
        store.record(JobKey("default", "alive"), 1, RunUpdate(), lease_expires_at=now - timedelta(seconds=600))
        return one.get("dead").status.is_final

    assert homes.eventually(has_ended)
    ended = one.get("dead")
    assert (ended.status, ended.attempts) == (JobStatus.SUCCEEDED, 2)
    assert (one.get("alive").status, one.get("alive").attempts) == (JobStatus.EXECUTING, 1)


def test_a_job_outlives_the_loss_of_the_database(open_home, url):
    target = parse_url(url, default=Path())
    proxy = Proxy(target.host, target.port or 5432)
    through = target.set(drivername="postgresql", host="127.0.0.1", port=proxy.port)
    direct = SqlJobStore(open_database(target))  # past the proxy, and without a supervisor of its own
    try:
        service = open_home("one", database=through.render_as_string(hide_password=False))
        key = JobKey("default", homes.submit(service, {"chunks": 300}).id)

        def sweeps() -> int:
            return direct.get(key).progress.sweeps

        assert homes.eventually(lambda: sweeps() > 0)
        proxy.cut()
        with pytest.raises(ServiceUnavailable, match="database: "):
            service.get(key.id)
        seen = sweeps()
        time.sleep(1.5)
        assert sweeps() == seen, "nobody could write it down"
        proxy.mend()
        ended = homes.finished(service, key.id)
        assert (ended.status, ended.attempts) == (JobStatus.SUCCEEDED, 1)
        assert [point.sweep for point in service.trace(key.id)] == list(range(1, 301))
    finally:
        proxy.close()
        direct.close()


def test_a_supervisor_waits_for_its_database(open_home, url, tmp_path):
    target = parse_url(url, default=Path())
    proxy = Proxy(target.host, target.port or 5432)
    through = target.set(drivername="postgresql", host="127.0.0.1", port=proxy.port)
    try:
        service = open_home("one", database=through.render_as_string(hide_password=False))
        service._executor.wake()
        assert homes.eventually(lambda: homes.is_supervised(tmp_path / "one"))
        proxy.cut()
        time.sleep(1.0)
        proxy.mend()
        view = homes.finished(service, homes.submit(service, {"chunks": 1}).id)
        assert view.status is JobStatus.SUCCEEDED
    finally:
        proxy.close()
