"""Where jobs come from: who submitted them, and what their results were found by, in this process and on a server."""

from __future__ import annotations

import os
import platform
import sqlite3
from contextlib import closing
from pathlib import Path

import httpx
import pytest

from patience import HANG_S
from qiosk import Workspace
from qiosk.adapters.sql.jobs import open_sqlite
from qiosk.bootstrap import open_embedded
from qiosk.client.solvers import Tabu
from qiosk.contract.jobs import SubmitJob
from qiosk.contract.logs import log_line
from qiosk.contract.provenance import environment
from qiosk.errors import JobNotFound
from qiosk.service.accounts.keys import KeyService
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.job import JobKey
from qiosk.testing import ManualClock, MemoryBlobStore
from servers import MemoryParts, listening


def test_a_job_has_a_provenance_as_soon_as_it_has_ended(workspace: Workspace, memory: MemoryParts) -> None:
    job = Tabu(workspace, sweeps=1).submit(b"{}", compress=False)
    assert (job.provenance, job.stop_reason) == (None, None)
    memory.run("default")
    job.wait_until_completed(timeout_secs=HANG_S)
    assert job.provenance is not None
    assert job.provenance.versions == environment().versions
    assert job.provenance.machine.processor
    assert job.stop_reason == "finished"
    assert job.details.as_dict()["provenance"]["stopReason"] == "finished"
    assert "stop reason: finished; " in str(job.details)
    (listed,) = workspace.list_jobs()
    assert listed.provenance == job.provenance


def test_a_job_has_a_log_in_both_places(workspace: Workspace, memory: MemoryParts) -> None:
    job = Tabu(workspace, sweeps=1).submit(b"{}", compress=False)
    assert job.logs() == []
    memory.run("default")
    (line,) = job.logs()
    assert (line.level, line.text, line.time) == ("INFO", "attempt 1 ended: Succeeded", memory.clock.now())
    assert list(job.logs(line.position)) == []
    many = [log_line(line.time, 20, "x" * 60_000)] * 20
    stored = memory.store.get(JobKey("default", job.id))
    assert memory.store.swap(stored, expected=stored, log=many)
    first = job.logs()[0]
    assert (first.level, first.text) == ("WARNING", "lines before this one were dropped")
    job.delete()
    with pytest.raises(JobNotFound):
        job.logs()


def test_a_server_names_the_key_of_the_submitter_and_not_its_secret(memory: MemoryParts) -> None:
    key, secret = KeyService(memory.keys, memory.clock).create("ann's laptop")
    with listening(memory.parts) as url, Workspace(url, api_key=secret) as workspace:
        job = Tabu(workspace, sweeps=1).submit(b"{}", compress=False)
        shown = httpx.get(f"{workspace.api._calls.root}/jobs/{job.id}", headers={"x-ms-quantum-api-key": secret})
    assert job.details.submitter == f"ann's laptop (key {key.id})"
    assert shown.json()["submitter"] == job.details.submitter
    assert secret not in shown.text


def test_an_embedded_workspace_names_the_user_and_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ann")
    service = open_embedded(tmp_path)
    assert service._submitter == f"ann@{platform.node()}"
    monkeypatch.setattr("getpass.getuser", lambda: {}["no such user"])
    assert open_embedded(tmp_path)._submitter == f"{os.getuid()}@{platform.node()}"


def test_a_repeated_submission_keeps_its_first_submitter() -> None:
    memory = MemoryParts()
    command = SubmitJob(id="j", name="n", provider_id="Microsoft", target="microsoft.tabu.cpu", input_data=b"{}")
    assert memory.jobs("w").submitted_by("ann").submit(command).submitter == "ann"
    assert memory.jobs("w").submitted_by("bob").submit(command).submitter == "ann"


def test_a_damaged_provenance_hides_no_job(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    store = open_sqlite(tmp_path / "jobs.db")
    command = SubmitJob(name="a", provider_id="Microsoft", target="t.cpu", input_data=b"{}")
    job = define_job("j", command, workspace="w", blobs=MemoryBlobStore(), at=ManualClock().now())
    store.add(job)
    with closing(sqlite3.connect(tmp_path / "jobs.db")) as connection, connection:
        connection.execute("UPDATE jobs SET provenance = '{\"versions\": 3}'")
    assert store.get(job.key).provenance is None
    assert "its provenance cannot be read" in caplog.text
    store.close()
