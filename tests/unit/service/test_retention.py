"""What is old goes, what may be needed stays."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from qiosk.contract.jobs import SubmitJob
from qiosk.contract.sessions import OpenSession, SessionStatus
from qiosk.service.blobs.store import BlobStore
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.job import BlobRef, Job, JobState
from qiosk.service.jobs.retention import ORPHAN_AGE, Pruned, prune
from qiosk.service.sessions.session_service import define_session
from qiosk.testing import MemoryBlobStore, MemoryJobStore, MemorySessionStore

UUID = "0b5e6d9e-3f8b-4a44-8a2e-000000000001"
MONTH = timedelta(days=30)


class Archive:
    """Two workspaces with blobs written just now, to be looked at from a later time."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)
        self.jobs = MemoryJobStore()
        self.sessions = MemorySessionStore(self.jobs)
        self.stores = {"w": MemoryBlobStore(), "v": MemoryBlobStore()}

    def workspaces(self) -> Sequence[str]:
        return sorted(self.stores)

    def blobs(self, workspace: str) -> BlobStore:
        return self.stores[workspace]

    def put(self, container: str, name: str, data: bytes = b"12345", workspace: str = "w") -> None:
        self.stores[workspace].put(BlobRef(container, name), data)

    def has(self, container: str, name: str, workspace: str = "w") -> bool:
        return name in self.stores[workspace].list(container)

    def add(self, job_id: str, state: JobState = JobState.SUCCEEDED, *, workspace: str = "w", **members) -> Job:
        command = SubmitJob(name="a", provider_id="m", target="t", **{"input_data": b"", **members})
        job = define_job(job_id, command, workspace=workspace, blobs=self.stores[workspace], at=self.now)
        job = replace(job, state=state, ended_at=self.now if state.is_final else None, fence=1)
        job = replace(job, output_blob="rawOutputData")
        self.jobs.add(job)
        self.put(job.container, job.input.name, workspace=workspace)
        return job

    def prune(self, after: timedelta, older_than: timedelta = MONTH, **members) -> Pruned:
        return prune(older_than, now=self.now + after, jobs=self.jobs, sessions=self.sessions, storage=self, **members)

    def job_ids(self) -> list[str]:
        return sorted(job.id for job in self.jobs._jobs.values() if job.id != "another")


@pytest.fixture
def archive() -> Archive:
    archive = Archive()
    archive.add("another", JobState.WAITING, workspace="v")
    return archive


def test_where_no_job_is_stored_the_database_may_be_the_wrong_one():
    archive = Archive()
    archive.put("job-gone", "inputData")
    assert archive.prune(2 * MONTH) == Pruned(has_no_jobs=True)
    archive.add("j", JobState.WAITING)
    assert archive.prune(2 * MONTH).blobs == 1


def test_jobs_that_ended_long_ago_go_with_their_data(archive):
    archive.add("old")
    archive.put("job-old", "rawOutputData")
    archive.put("job-old", "attachment")
    archive.add("old", workspace="v")
    archive.add("waits", JobState.WAITING)
    archive.add("runs", JobState.EXECUTING)
    assert archive.prune(MONTH - timedelta(hours=1)) == Pruned()
    assert archive.prune(MONTH + timedelta(hours=1)) == Pruned(jobs=2, blobs=4, size_bytes=20)
    assert archive.job_ids() == ["runs", "waits"]
    assert archive.stores["w"].containers() == ["job-runs", "job-waits"]


def test_a_dry_run_counts_and_removes_nothing(archive):
    archive.add("old")
    archive.put("job-gone", "inputData")
    found = archive.prune(2 * MONTH, is_dry_run=True)
    assert found == Pruned(jobs=1, blobs=2, size_bytes=10)
    assert archive.job_ids() == ["old"]
    assert archive.prune(2 * MONTH) == found


def test_more_jobs_than_a_batch_go(archive):
    for number in range(1201):
        archive.add(f"j{number}")
    assert archive.prune(2 * MONTH, is_dry_run=True).jobs == 1201
    assert archive.prune(2 * MONTH).jobs == 1201


def test_jobs_in_a_shared_container_take_their_own_blobs_with_them(archive):
    for number in (1, 2):
        archive.add(f"j{number}", container_uri="memory://shared")
        archive.put("shared", f"rawOutputData.j{number}")
    archive.put("shared", "notes.txt")
    archive.jobs.delete(("w", "j2"))
    archive.add("j2", JobState.WAITING, container_uri="memory://shared")
    assert archive.prune(2 * MONTH).jobs == 1
    assert set(archive.stores["w"].list("shared")) == {"inputData.j2", "rawOutputData.j2", "notes.txt"}


def test_what_another_job_needs_in_the_container_of_an_old_one_stays(archive):
    archive.add("old")
    for name in ("rawOutputData", "rawOutputData.writes", "checkpoint", "attachment"):
        archive.put("job-old", name)
    archive.add("reads", JobState.WAITING, input_data=None, input_data_uri="memory://job-old/inputData")
    archive.add("writes", JobState.EXECUTING, container_uri="memory://job-old")
    assert archive.prune(2 * MONTH) == Pruned(jobs=1, blobs=2, size_bytes=10)
    assert archive.job_ids() == ["reads", "writes"]
    left = ["attachment", "inputData", "inputData.writes", "rawOutputData.writes"]
    assert archive.stores["w"].list("job-old") == left
    for name in ("reads", "writes"):
        archive.jobs.delete(("w", name))
    archive.prune(2 * MONTH)
    assert not archive.stores["w"].has_container("job-old")


def test_an_input_in_a_shared_container_stays_as_long_as_another_job_reads_it(archive):
    archive.add("old", container_uri="memory://shared")
    archive.put("shared", "rawOutputData.old")
    archive.add("reads", JobState.WAITING, input_data=None, input_data_uri="memory://shared/inputData.old")
    assert archive.prune(2 * MONTH).jobs == 1
    assert archive.stores["w"].list("shared") == ["inputData.old"]


@pytest.mark.parametrize("container", ["job-nobody", f"job-{UUID}"])
def test_a_container_of_a_job_that_does_not_exist_goes_after_a_day(archive, container):
    archive.put(container, "inputData")
    archive.prune(ORPHAN_AGE - timedelta(hours=1))
    assert archive.has(container, "inputData")
    assert archive.prune(ORPHAN_AGE + timedelta(hours=1)).blobs == 1
    assert container not in archive.stores["w"].containers()


def test_an_empty_container_goes_after_a_day_unless_a_job_is_to_write_there(archive):
    for container in ("job-abandoned", "job-writes-here", "qio-problems"):
        archive.stores["w"].create(container)
    archive.add("j", JobState.WAITING, container_uri="memory://job-writes-here")
    archive.stores["w"].delete(BlobRef("job-writes-here", "inputData.j"))
    archive.add("empty", JobState.WAITING)
    archive.stores["w"].delete(BlobRef("job-empty", "inputData"))
    archive.prune(ORPHAN_AGE - timedelta(hours=1))
    assert archive.stores["w"].has_container("job-abandoned"), "it may be about to be filled"
    archive.prune(ORPHAN_AGE + timedelta(hours=1))
    assert archive.stores["w"].containers() == ["job-empty", "job-writes-here", "qio-problems"]


def test_an_orphan_that_a_job_refers_to_stays(archive):
    archive.put("job-gone", "inputData")
    archive.add("j", JobState.WAITING, input_data=None, input_data_uri="memory://job-gone/inputData")
    archive.prune(2 * MONTH)
    assert archive.has("job-gone", "inputData")


def test_orphans_in_a_shared_container_are_known_by_their_names(archive):
    names = [f"inputData.{UUID}", f"checkpoint.{UUID}.3", "inputData.json", f"notes.{UUID}", "inputData"]
    for name in names:
        archive.put("shared", name)
    assert archive.prune(2 * MONTH).blobs == 2
    assert archive.stores["w"].list("shared") == sorted(names[2:])


def test_leftovers_of_a_final_job_go_at_once(archive):
    archive.add("j")
    archive.add("runs", JobState.EXECUTING)
    for job_id in ("j", "runs"):
        for name in ("rawOutputData", "rawOutputData-2", "checkpoint", "bestSoFar-3", "attachment"):
            archive.put(f"job-{job_id}", name)
    assert archive.prune(timedelta(0)).blobs == 3
    assert archive.stores["w"].list("job-j") == ["attachment", "inputData", "rawOutputData"]
    assert len(archive.stores["w"].list("job-runs")) == 6


def test_uploads_go_only_if_asked_for_and_if_nobody_refers_to_them(archive):
    for name in ("old", "used"):
        archive.put("qio-problems", name)
    archive.put("results", "attachment")
    archive.add(
        "j",
        JobState.WAITING,
        container_uri="memory://results",
        input_data=None,
        input_data_uri="memory://qio-problems/used",
    )
    archive.prune(2 * MONTH)
    assert archive.has("qio-problems", "old")
    assert archive.prune(MONTH - timedelta(hours=1), has_uploads=True).blobs == 0
    assert archive.prune(2 * MONTH, has_uploads=True).blobs == 1
    assert archive.stores["w"].list("qio-problems") == ["used"]
    assert archive.has("results", "attachment")


def test_unfinished_uploads_go(archive):
    writer = archive.stores["w"].block_writer(BlobRef("c", "b"), "AAAA")
    writer.write(b"123")
    writer.commit()
    assert archive.prune(timedelta(hours=1)).unfinished == 0
    assert archive.prune(2 * ORPHAN_AGE).unfinished == 1


def test_sessions_go_once_they_have_no_job(archive):
    for name in ("empty", "full"):
        command = OpenSession(name="a", provider_id="m", target="t")
        session = define_session(name, command, workspace="w", at=archive.now)
        archive.sessions.add(replace(session, status=SessionStatus.SUCCEEDED, ended_at=archive.now))
    archive.add("j", JobState.WAITING, session_id="full")
    assert archive.prune(2 * MONTH).sessions == 1
    assert archive.sessions.get(("w", "full")).status is SessionStatus.SUCCEEDED


def test_an_age_of_zero_removes_everything_that_has_ended(archive):
    archive.add("j")
    archive.put("job-gone", "inputData")
    assert archive.prune(timedelta(seconds=5), timedelta(0)) == Pruned(jobs=1, blobs=2, size_bytes=10)
    assert archive.stores["w"].containers() == []
