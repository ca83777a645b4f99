"""Jobs that go on where others have ended, in this process and on a server."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest
from typer.testing import CliRunner

from qiosk import Job, Workspace, aio
from qiosk.cli.app import app
from qiosk.client.solvers import SimulatedAnnealing, Tabu
from qiosk.client.solvers.oneqbit import TabuSearch
from qiosk.client.solvers.toshiba import SimulatedBifurcationMachine
from qiosk.contract.jobs import ExtendJob
from qiosk.contract.quotas import Dimension
from qiosk.errors import Conflict, Forbidden, InvalidValue, JobAlreadyExists, JobNotFound, QuotaExceeded
from qiosk.service.accounts.keys import KeyService
from qiosk.service.accounts.quotas import CACHE_S
from qiosk.service.jobs.job import BlobRef, JobKey
from servers import MemoryParts, listening


def cut(workspace: Workspace, memory: MemoryParts, chunks: int = 3, ends: str = "timeout", **properties) -> Job:
    """A job that a time limit has ended after so many chunks."""
    data = json.dumps({"chunks": chunks, "ends": ends}).encode()
    job = Tabu(workspace, timeout=5, seed=1).submit(data, compress=False, **properties)
    memory.run("default")
    job.refresh()
    return job


def resumed(job: Job) -> int:
    return job.get_results()["resumed"]


def test_a_job_goes_on_as_a_new_one_that_names_it(workspace: Workspace, memory: MemoryParts) -> None:
    job = cut(workspace, memory, name="cut", tags=["a"])
    assert (job.details.can_extend, job.details.parent_id) == (True, None)
    longer = job.extend(timeout=2.5)
    assert longer.id != job.id
    assert longer.details.parent_id == job.id
    assert longer.details.as_dict()["parentId"] == job.id
    assert longer.details.input_params["params"] == {"timeout": 2.5, "seed": 1, **_others(job)}
    for same in ("name", "target", "tags", "input_data_format", "output_data_format"):
        assert getattr(longer.details, same) == getattr(job.details, same)
    assert workspace.api.locate(longer.details.input_data_uri) == workspace.api.locate(job.details.input_data_uri)
    memory.run("default")
    assert resumed(longer) == 3
    assert {each.id: each.details.parent_id for each in workspace.list_jobs()} == {job.id: None, longer.id: job.id}


def _others(job: Job) -> dict:
    given = dict(job.details.input_params["params"])
    return {name: value for name, value in given.items() if name not in ("timeout", "seed")}


def test_a_job_is_extended_twice_and_its_extension_is_extended(workspace: Workspace, memory: MemoryParts) -> None:
    job = cut(workspace, memory)
    first, second = job.extend(1), job.extend(1)
    assert first.id != second.id
    memory.run("default")
    assert (resumed(first), resumed(second)) == (3, 3)
    first.refresh()
    third = first.extend(1)
    memory.run("default")
    assert (third.details.parent_id, resumed(third)) == (first.id, 3)


def test_the_extensions_of_a_job_are_listed(workspace: Workspace, memory: MemoryParts) -> None:
    job = cut(workspace, memory, name="it's cut")
    first, second = job.extend(1), job.extend(1)
    memory.run("default")
    third = first.extend(1)
    for parent_id in (job.id, job.id[:8], job.id[:8].upper()):
        assert {each.id for each in workspace.list_jobs(parent_id=parent_id)} == {first.id, second.id}
    assert [each.id for each in workspace.list_jobs("cut", "Waiting", parent_id=first.id)] == [third.id]
    assert workspace.list_jobs(parent_id="it's") == []
    with pytest.raises(JobNotFound):
        workspace.list_jobs(parent_id="00000000")
    job.delete()
    assert len(workspace.list_jobs(parent_id=job.id)) == 2


def test_an_extension_needs_neither_its_parent_nor_its_checkpoint(workspace: Workspace, memory: MemoryParts) -> None:
    job = cut(workspace, memory)
    longer = job.extend(1)
    job.delete()
    memory.run("default")
    assert resumed(longer) == 3
    longer.delete()
    blobs = memory.storage.blobs("default")
    assert [name for each in blobs.containers() for name in blobs.list(each) if name != "inputData"] == []


@pytest.mark.parametrize("ends", ["finished", "converged", "target"])
def test_a_job_that_ended_by_itself_is_not_extended(workspace: Workspace, memory: MemoryParts, ends: str) -> None:
    job = cut(workspace, memory, ends=ends)
    assert not job.details.can_extend
    with pytest.raises(Conflict, match=f"no time limit ended it: it is Succeeded, its stop reason is {ends}"):
        job.extend(1)
    assert len(workspace.list_jobs()) == 1


def test_jobs_that_cannot_go_on_are_refused(workspace: Workspace, memory: MemoryParts) -> None:
    job = Tabu(workspace, timeout=5).submit(b'{"chunks": 1, "ends": "timeout"}', compress=False)
    with pytest.raises(Conflict, match="has not ended, it is Waiting"):
        job.extend(1)
    job.cancel()
    with pytest.raises(Conflict, match="has no checkpoint to go on from"):
        job.extend(1)
    failed = Tabu(workspace, timeout=5).submit(b"no JSON", compress=False)
    memory.run("default")
    with pytest.raises(Conflict, match="no time limit ended it: it is Failed"):
        failed.extend(1)
    job = cut(workspace, memory)
    memory.storage.blobs("default").delete(BlobRef(job.container_name, "checkpoint"))
    with pytest.raises(Conflict, match="its checkpoint was removed"):
        job.extend(1)
    job.delete()
    with pytest.raises(JobNotFound):
        job.extend(1)


@pytest.mark.parametrize("timeout", [0, -1.0])
def test_a_wrong_time_is_refused(workspace: Workspace, memory: MemoryParts, timeout: float) -> None:
    job = cut(workspace, memory)
    with pytest.raises(InvalidValue, match="timeout: must be a number of seconds above 0"):
        job.extend(timeout)


def test_repeating_the_command_makes_no_second_job(workspace: Workspace, memory: MemoryParts) -> None:
    job = cut(workspace, memory)
    command = ExtendJob(timeout=1.0, id="longer")
    assert workspace.api.extend(job.id, command).id == workspace.api.extend(job.id, command).id == "longer"
    assert len(workspace.list_jobs()) == 2
    with pytest.raises(JobAlreadyExists):
        workspace.api.extend(job.id, ExtendJob(timeout=2.0, id="longer"))
    with pytest.raises(JobAlreadyExists):
        workspace.api.extend(job.id, ExtendJob(timeout=2.0, id=job.id))


def test_quotas_hold(workspace: Workspace, memory: MemoryParts) -> None:
    job = cut(workspace, memory)
    memory.limits.set("default", Dimension.QUEUED_JOBS, 0)
    memory.clock.sleep(CACHE_S)
    with pytest.raises(QuotaExceeded, match="queued jobs"):
        job.extend(1)
    memory.limits.set("default", Dimension.QUEUED_JOBS, None)
    memory.limits.set("default", Dimension.STORED_BYTES, 1)
    memory.clock.sleep(CACHE_S)
    with pytest.raises(QuotaExceeded, match="stored bytes"):
        job.extend(1)
    assert len(workspace.list_jobs()) == 1


def test_read_only_keys_extend_nothing(memory: MemoryParts) -> None:
    keys = KeyService(memory.keys, memory.clock)
    secrets = {name: keys.create(name, is_read_only=name == "reader")[1] for name in ("owner", "reader")}
    with listening(memory.parts) as url:
        with Workspace(url, api_key=secrets["owner"]) as workspace:
            job = cut(workspace, memory)
        with Workspace(url, api_key=secrets["reader"]) as workspace, pytest.raises(Forbidden):
            workspace.get_job(job.id).extend(1)
        with Workspace(url, api_key=secrets["owner"]) as workspace:
            path = f"{workspace.api._calls.root}/jobs/{job.id}:extend"
            headers = {"x-ms-quantum-api-key": secrets["owner"]}
            assert httpx.post(path, json={"timeout": "long"}, headers=headers).status_code == 400
            assert httpx.post(path, json={}, headers=headers).status_code == 400
            done = httpx.post(path, json={"timeout": 1}, headers=headers)
            assert (done.status_code, done.json()["parentId"]) == (200, job.id)


def test_the_extension_of_a_child_workspace_stays_there(memory: MemoryParts) -> None:
    path = "/subscriptions/s/resourceGroups/g/providers/Microsoft.Quantum/workspaces/child"
    with listening(memory.parts) as url, Workspace(url, resource_id=path) as workspace:
        job = Tabu(workspace, timeout=5).submit(b'{"chunks": 3, "ends": "timeout"}', compress=False)
        memory.run(workspace.key)
        longer = job.extend(1)
        memory.run(workspace.key)
        assert resumed(longer) == 3
        assert memory.store.get(JobKey(workspace.key, longer.id)).parent_id == job.id
        with Workspace(url) as other, pytest.raises(JobNotFound):
            other.api.extend(job.id, ExtendJob(timeout=1.0))


def test_asyncio_programs_and_the_command_extend_jobs_too(
    workspace: Workspace, memory: MemoryParts, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = cut(workspace, memory)

    async def main() -> str:
        found = await aio.Workspace(api=workspace.api).get_job(job.id)
        return (await found.extend(1)).id

    longer = asyncio.run(main())
    monkeypatch.setattr("qiosk.cli.commands.jobs.open_workspace", lambda *named: workspace)
    monkeypatch.setattr(workspace, "close", lambda: None)
    done = CliRunner().invoke(app, ["jobs", "extend", job.id, "--timeout", "2"])
    assert done.exit_code == 0, done.stderr
    shown = CliRunner().invoke(app, ["jobs", "extend", job.id, "--timeout", "2", "--json"])
    assert json.loads(shown.stdout[shown.stdout.index("{\n") :])["parentId"] == job.id
    refused = CliRunner().invoke(app, ["jobs", "extend", job.id, "--timeout", "0"])
    assert refused.exit_code == 2
    assert "must be a number of seconds above 0" in refused.stderr
    listed = CliRunner().invoke(app, ["jobs", "list", "--parent", job.id[:8], "--json"])
    assert {each["parentId"] for each in json.loads(listed.stdout[listed.stdout.index("[\n") :])} == {job.id}
    ids = {each.id for each in workspace.list_jobs()}
    assert {longer, done.stdout.split()[-1]} <= ids
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("solver", "given", "timeout"),
    [
        (SimulatedAnnealing, {"timeout": 5}, 2.0),
        (TabuSearch, {"timeout": 5000}, 2000.0),
        (SimulatedBifurcationMachine, {"timeout": 5}, 2.0),
    ],
)
def test_a_target_gets_the_time_in_its_own_unit(
    workspace: Workspace, memory: MemoryParts, solver: type, given: dict, timeout: float
) -> None:
    job = solver(workspace, **given).submit(b'{"chunks": 1, "ends": "timeout"}', compress=False)
    memory.run("default")
    params = job.extend(2).details.input_params
    assert float(params.get("params", params)["timeout"]) == timeout


def test_a_time_that_the_target_does_not_allow_is_refused(workspace: Workspace, memory: MemoryParts) -> None:
    job = SimulatedBifurcationMachine(workspace, timeout=5).submit(b'{"chunks": 1, "ends": "timeout"}', compress=False)
    memory.run("default")
    with pytest.raises(InvalidValue, match="`timeout`: must be at least 0 and at most 360"):
        job.extend(1000)
