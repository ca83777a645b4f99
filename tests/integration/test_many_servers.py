"""Several servers, each with a home of its own, over one PostgreSQL and one storage: any of them serves any job."""

from __future__ import annotations

import json
import signal
import sys
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import pytest

import databases
from patience import HANG_S, eventually
from qiosk.client.session import Session
from qiosk.client.workspace import Workspace
from qiosk.contract.quotas import Dimension
from qiosk.errors import QuotaExceeded
from qiosk.service.jobs.job import JobKey
from served import Served
from servers import WORKSPACE
from together import Together, command

pytestmark = [pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"), pytest.mark.slow]
TESTS = Path(__file__).parents[1]


@pytest.fixture(scope="module", autouse=True)
def _fake_runners_are_importable() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(TESTS))
        yield


@pytest.fixture
def url() -> Iterator[str]:
    with databases.postgres_schema() as text:
        yield text


@pytest.fixture(
    params=[pytest.param("folder", marks=pytest.mark.long), "s3", pytest.param("azure", marks=pytest.mark.long)]
)
def storage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of a storage that all servers reach."""
    if request.param == "folder":
        return (tmp_path / "shared").as_uri()
    for name, value in request.getfixturevalue(f"{request.param}_environment").items():
        monkeypatch.setenv(name, value)
    return f"s3://bucket/{uuid.uuid4()}" if request.param == "s3" else "az://devstoreaccount1"


NAMES = ("one", "two", "three")


@pytest.fixture(scope="module")
def together(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Together]:
    """Three servers that run one job each. Every test has a workspace of its own, some of which are limited."""
    with databases.postgres_schema() as url, Together(tmp_path_factory.mktemp("together"), url) as started:
        for name in NAMES:
            started.start(name)
        started.limits.set("sub/group/running", Dimension.CONCURRENT_JOBS, 2)
        started.limits.set("sub/group/queued", Dimension.QUEUED_JOBS, 0)
        started.limits.set("sub/group/hours", Dimension.JOB_HOURS, 0.1 / 3600)
        started.limits.set("sub/group/bytes", Dimension.STORED_BYTES, 100 << 10)
        yield started


def test_every_job_runs_once_whichever_server_took_it(tmp_path: Path, url: str, storage: str) -> None:
    gate = tmp_path / "gate"
    with Together(tmp_path, url, storage) as together:
        for name in NAMES:
            together.start(name)
        workspaces = together.workspaces()
        with ThreadPoolExecutor(len(NAMES)) as pool:
            submit = pool.map(lambda each: each.submit(command({"chunks": 20, "gate": str(gate)})), workspaces * 5)
            ids = [job.id for job in submit]
        assert len(set(ids)) == len(ids)
        assert eventually(lambda: {home for job_id in ids for home in together.runs(job_id)} == set(NAMES)), (
            "all of them work"
        )
        gate.touch()
        for job_id, workspace in zip(ids, cycle(reversed(workspaces))):
            job = workspace.get_job(job_id)
            job.wait_until_completed(timeout_secs=HANG_S)
            assert json.loads(workspace.api.results(job_id))["cost"] == -20, "read through any server"
            assert (job.details.status, job.details.attempts) == ("Succeeded", 1)
        for workspace in workspaces:
            assert {job.id for job in workspace.list_jobs()} == set(ids)
        runs = {job_id: together.runs(job_id) for job_id in ids}
        assert {len(homes) for homes in runs.values()} == {1}, runs


def test_followers_at_every_server_are_told_what_happens_to_a_job(together: Together, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    workspaces = together.workspaces("followed")
    job = workspaces[0].submit(command({"chunks": 50, "gate": str(gate)}))
    progressed = threading.Barrier(len(workspaces) + 1)

    def follow(workspace: Workspace) -> tuple[int, str]:
        points, has_progressed, status = 0, False, ""
        for update in workspace.watch(job.id, timeout_secs=HANG_S):
            points = update.trace_start + len(update.new_trace)
            status = str(update.status)
            if points >= 50 and not has_progressed:
                has_progressed = True
                progressed.wait(HANG_S)
        return points, status

    with ThreadPoolExecutor(2 * len(workspaces)) as pool:
        followed = [pool.submit(follow, workspace) for workspace in workspaces]
        waits = [workspace.get_job(job.id).wait_until_completed for workspace in workspaces]
        waited = [pool.submit(wait, timeout_secs=HANG_S) for wait in waits]
        progressed.wait(HANG_S)  # all have received the last point, and the job runs on
        gate.touch()
        assert [follower.result(HANG_S) for follower in followed] == [(50, "Succeeded")] * len(workspaces)
        for waiter in waited:
            waiter.result(HANG_S)
    assert len(together.runs(job.id)) == 1


def test_any_server_cancels_a_job_that_another_one_runs(together: Together) -> None:
    one, two, three = together.workspaces("cancelled")
    jobs = [one.submit(command({"chunks": 1_000_000})) for _ in NAMES]  # one in each home
    assert eventually(lambda: {home for job in jobs for home in together.runs(job.id)} == set(NAMES))
    for job, workspace in zip(jobs, (two, three, two), strict=True):
        workspace.cancel_job(job.id)
    for job, workspace in zip(jobs, (three, one, one), strict=True):
        found = workspace.get_job(job.id)
        found.wait_until_completed(timeout_secs=HANG_S)
        assert (found.details.status, found.details.attempts) == ("Cancelled", 1)


def test_a_session_is_the_same_at_every_server(together: Together) -> None:
    one, two, three = together.workspaces("session")
    session = Session(one, name="s", target="microsoft.tabu.cpu", job_failure_policy="Abort").open()
    running = two.submit(command({"chunks": 1_000_000}, session_id=session.id))
    assert eventually(lambda: one.get_job(running.id).details.status == "Executing")
    failing = three.submit(command({"do": "refuse"}, session_id=session.id))
    for workspace in (three, two, one):
        assert {job.id for job in workspace.list_session_jobs(session.id)} == {running.id, failing.id}
        workspace.get_job(running.id).wait_until_completed(timeout_secs=HANG_S)
        assert workspace.get_job(running.id).details.status == "Cancelled"
        assert eventually(lambda seen=workspace: str(seen.get_session(session.id).status) == "Failed")


def test_a_limit_of_running_jobs_holds_over_all_servers(together: Together) -> None:
    workspaces = together.workspaces("running")
    jobs = [workspace.submit(command({"chunks": 30})) for workspace in workspaces * 5]
    most = 0

    def are_done() -> bool:
        nonlocal most
        most = max(most, len(together.jobs_of("running")))
        return all(workspaces[0].get_job(job.id).has_completed() for job in jobs)

    assert eventually(are_done)
    assert most == 2, "of the three that the homes could run"
    assert {workspaces[1].get_job(job.id).details.status for job in jobs} == {"Succeeded"}
    assert {len(together.runs(job.id)) for job in jobs} == {1}


def test_waiting_jobs_and_hours_are_counted_over_all_servers(together: Together) -> None:
    for workspace in together.workspaces("queued"):
        with pytest.raises(QuotaExceeded, match="queued jobs: at most 0"):
            workspace.api.submit(command())
    one, *others = together.workspaces("hours")
    one.submit(command({"chunks": 50})).wait_until_completed(timeout_secs=HANG_S)
    for workspace in (one, *others):  # each one goes by what it has read a few seconds ago

        def is_refused(workspace: Workspace = workspace) -> bool:
            try:
                workspace.api.submit(command({"chunks": 20}))
            except QuotaExceeded as error:
                return error.details["dimension"] == Dimension.JOB_HOURS.value
            return False

        assert eventually(is_refused)


def test_bytes_that_another_server_took_are_counted(together: Together) -> None:
    large = command({"chunks": 1, "filler": "x" * 60_000})
    one, *others = together.workspaces("bytes")
    one.submit(large)
    for workspace in (one, *others):
        with pytest.raises(QuotaExceeded, match="stored bytes: at most 102400"):
            workspace.api.submit(large)


def test_a_server_that_stops_hands_its_jobs_over_at_once(tmp_path: Path, url: str) -> None:
    gate = tmp_path / "gate"
    with Together(tmp_path, url) as together:
        first = together.start("one")
        (one,) = together.workspaces()
        job = one.submit(command({"chunks": 50, "gate": str(gate)}))
        assert eventually(lambda: together.runs(job.id) == ["one"])
        together.start("two")
        first.process.send_signal(signal.SIGTERM)
        assert first.process.wait(HANG_S) == 0
        assert eventually(lambda: together.runs(job.id) == ["one", "two"])
        gate.touch()
        found = together.workspaces()[-1].get_job(job.id)
        found.wait_until_completed(timeout_secs=HANG_S)
        assert (found.details.status, found.details.attempts) == ("Succeeded", 2)
        row = together.store.get(JobKey("sub/group/any", job.id))
        assert (row.losses, row.supervisor_deaths) == (0, 0), "no lease had to run out"


def test_a_link_of_one_server_is_good_at_all_that_have_its_secret(tmp_path: Path, url: str) -> None:
    with Together(tmp_path, url) as together:
        one, two = together.start("one"), together.start("two")

        def link_of(server: Served) -> str:
            path = f"{WORKSPACE}/storage/sasUri"
            answer = httpx.post(f"{server.url}{path}", json={"containerName": "shared"}, timeout=HANG_S)
            return str(answer.json()["sasUri"])

        def put(link: str, server: Served) -> int:
            base, _, query = link.partition("?")
            there = httpx.URL(f"{base}/blob?{query}").copy_with(port=httpx.URL(server.url).port)
            return httpx.put(there, content=b"x", headers={"x-ms-blob-type": "BlockBlob"}, timeout=HANG_S).status_code

        def readiness(server: Served) -> dict[str, Any]:
            return dict(httpx.get(f"{server.url}/readyz", timeout=HANG_S).json())

        assert put(link_of(one), two) == put(link_of(two), one) == 201
        assert eventually(lambda: all(readiness(server)["status"] == "ready" for server in (one, two)))
        other = together.start("other", secret_key="another secret than theirs")
        assert eventually(lambda: "links" in readiness(other).get("reasons", {}))
        assert "set QIOSK_SECRET_KEY to the same value" in readiness(other)["reasons"]["links"]
        assert "the secret of this server does not fit" in other.log.read_text()
        assert put(link_of(other), one) == put(link_of(one), other) == 403
        assert [readiness(server)["status"] for server in (one, two)] == ["ready", "ready"]
