"""A claimant of before a restore can write neither into restored rows nor over the blobs of their new runs."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

import databases
from qiosk.adapters.home.home import Home
from qiosk.adapters.sql.databases.database import parse_url
from qiosk.adapters.sql.jobs import SqlJobStore, open_sqlite
from qiosk.adapters.sql.schema import open_database
from qiosk.bootstrap.backups import _opened, restore_backup, write_backup
from qiosk.contract.jobs import INPUT_BLOB, SubmitJob
from qiosk.machine import SystemClock
from qiosk.service.jobs.attempts import Attempt, claim_next
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.fences import CLAIMS
from qiosk.service.jobs.job import BlobRef, JobKey, JobState
from qiosk.service.jobs.runs import RunOutcome, RunUpdate
from qiosk.service.jobs.views import job_view
from qiosk.service.names import CHECKPOINT_BLOB, OUTPUT_BLOB, blob_name

COMMAND = SubmitJob(name="a", provider_id="Microsoft", target="t.cpu", input_data=b"{}")
IN_CONTAINERS = pytest.mark.parametrize("container", [None, "shared"], ids=["own", "shared"])


class Jobs:
    """The jobs and blobs of a home, or of the database that the environment names, as a supervisor sees them."""

    def __init__(self, place):
        self.jobs = SqlJobStore(place.database)
        self.blobs = place.storage.blobs("default")
        self.clock = SystemClock()

    def add(self, job_id, container):
        job = define_job(job_id, COMMAND, workspace="default", blobs=self.blobs, at=self.clock.now())
        if container is not None:
            job = replace(job, container=container, input=BlobRef(container, blob_name(INPUT_BLOB, job_id, container)))
        self.blobs.put(job.input, b"{}")
        self.jobs.add(job)

    def claim(self, worker):
        return claim_next(self.jobs, self.clock, worker=worker)

    def attempt(self, job):
        return Attempt(job, jobs=self.jobs, blobs=self.blobs, clock=self.clock)

    def store(self, kind, job, data=b"x"):
        """A blob that a run of the job writes."""
        name = blob_name(kind, job.id, job.container, job.fence)
        self.blobs.put(BlobRef(job.container, name), data)
        return name


@pytest.fixture(params=["sqlite", "postgresql"])
def home(request, tmp_path, monkeypatch):
    """A home with a database of its own."""
    with ExitStack() as stack:
        if request.param == "postgresql":
            url = stack.enter_context(databases.postgres_schema())
            monkeypatch.setenv("QIOSK_DATABASE", url)
            open_database(parse_url(url, default=Path())).close()
        else:
            open_sqlite(Home(tmp_path / "home").database).close()
        yield tmp_path / "home"


def restore_there(home, backup):
    """Restore a backup into the same database and storage, which are emptied before."""
    with _opened(home) as place:
        databases.empty(place.database)
    shutil.rmtree(home)
    restore_backup(backup, home)


@IN_CONTAINERS
def test_claims_of_before_a_restore_are_stale(home, container, tmp_path):
    with _opened(home) as place:
        before = Jobs(place)
        before.add("running", container)
        old = before.claim("old/1")
        checkpoint = before.store(CHECKPOINT_BLOB, old)
        before.attempt(old).report(RunUpdate(checkpoint_blob=checkpoint))
        before.add("waiting", container)
        write_backup(tmp_path / "backup", home)
        later = before.claim("old/1")
        assert (old.id, later.id) == ("running", "waiting")
    found = {}
    for _ in range(2):  # the same backup twice: claims of the first restore are stale after the second one
        restore_there(home, tmp_path / "backup")
        with _opened(home) as place:
            after = Jobs(place)
            stale = [old, later, *found.values()]
            assert refused(after, stale)
            found = {job.id: job for job in (after.claim("new/1"), after.claim("new/1"))}
            assert refused(after, stale)
            assert {job_id: job.attempts for job_id, job in found.items()} == {"running": 2, "waiting": 1}
            assert found["running"].checkpoint_blob == checkpoint
            assert not {blob_of(job) for job in found.values()} & {blob_of(job) for job in stale}


def refused(after, stale):
    """Whether the store accepts nothing from these claimants, and all rows stay as they are."""
    keys = [JobKey("default", job_id) for job_id in ("running", "waiting")]
    rows = [after.jobs.get(key) for key in keys]
    for job in stale:
        assert after.attempt(job).report(RunUpdate(best_blob="wrong")) is None
        assert not after.attempt(job).finish(RunOutcome(output_blob="wrong", stop_reason="finished"))
        assert not after.attempt(job).supervisor_lost()
        assert not after.attempt(job).release()
    return rows == [after.jobs.get(key) for key in keys]


def blob_of(job):
    return job.container, blob_name(OUTPUT_BLOB, job.id, job.container, job.fence)


@IN_CONTAINERS
def test_blobs_of_all_runs_go_when_a_restored_job_ends(home, container, tmp_path):
    with _opened(home) as place:
        before = Jobs(place)
        before.add("running", container)
        old = before.claim("old/1")
        before.attempt(old).report(RunUpdate(checkpoint_blob=before.store(CHECKPOINT_BLOB, old)))
    for number in range(2):
        write_backup(tmp_path / f"backup{number}", home)
        restore_there(home, tmp_path / f"backup{number}")
        with _opened(home) as place:
            after = Jobs(place)
            job = after.claim("new/1")
            assert job.fence > CLAIMS
            after.attempt(job).report(RunUpdate(checkpoint_blob=after.store(CHECKPOINT_BLOB, job)))
    with _opened(home) as place:
        after = Jobs(place)
        after.blobs.put(BlobRef(job.container, f"{CHECKPOINT_BLOB}.running2.1"), b"of another job")
        expected = job_view(job, after.blobs.uri).output_data_uri
        output = after.store(OUTPUT_BLOB, job)
        assert expected.endswith(output)
        assert after.attempt(job).finish(RunOutcome(output_blob=output, stop_reason="finished"))
        ended = after.jobs.get(job.key)
        assert (ended.state, ended.attempts, ended.output_blob) == (JobState.SUCCEEDED, 3, output)
        kept = {blob_name(INPUT_BLOB, "running", job.container), output, f"{CHECKPOINT_BLOB}.running2.1"}
        assert set(after.blobs.list(job.container)) == kept
