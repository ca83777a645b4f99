"""Lists of jobs by several conditions, and jobs that are submitted again, changed and waited for, in both places."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from qiosk.aio import Workspace as AsyncWorkspace
from qiosk.aio.job import Job as AsyncJob
from qiosk.client.solvers import Tabu
from qiosk.client.workspace import Workspace
from qiosk.errors import InvalidFilter, InvalidJobDefinition
from servers import MemoryParts


def test_jobs_are_listed_by_several_states_and_between_times(workspace: Workspace, memory: MemoryParts) -> None:
    solver = Tabu(workspace, sweeps=1)
    first = solver.submit(b"{}", compress=False)
    memory.run("default")
    memory.clock.sleep(10)
    second = solver.submit(b"{}", compress=False)
    memory.clock.sleep(10)
    third = solver.submit(b"{}", compress=False)
    third.cancel()
    ids = [job.id for job in workspace.list_jobs(status=["Succeeded", "waiting"])]
    assert ids == [second.id, first.id]
    assert workspace.list_jobs(status=[]) == []
    at = second.details.creation_time
    assert at is not None
    assert [job.id for job in workspace.list_jobs(created_before=at)] == [second.id, first.id]
    later = at + timedelta(seconds=1)
    assert [job.id for job in workspace.list_jobs(created_after=at, created_before=later.isoformat())] == [second.id]
    with pytest.raises(InvalidFilter, match="status must be one of"):
        workspace.list_jobs(status=["Succeeded", "Nope"])


def test_a_job_is_submitted_again_with_changes(workspace: Workspace, memory: MemoryParts) -> None:
    job = Tabu(workspace, sweeps=1).submit(b"{}", compress=False, name="n", tags=["a"], metadata={"k": "v"})
    again = job.resubmit(name="m", input_params={"params": {"sweeps": 2}}, tags=["b"])
    memory.run("default")
    workspace.wait_for([job, again], timeout_secs=60)
    assert (job.status, again.status) == ("Succeeded", "Succeeded")
    assert again.id != job.id
    details = again.details
    assert (details.name, details.tags, details.metadata) == ("m", ("b",), {"k": "v"})
    assert details.input_params == {"params": {"sweeps": 2}}
    assert again.container_name == f"job-{again.id}"
    assert again.download_data(details.input_data_uri) == b"{}"
    with pytest.raises(TypeError, match="sweps"):
        job.resubmit(sweps=2)


def test_waiting_for_jobs_ends_with_the_time(workspace: Workspace) -> None:
    job = Tabu(workspace, sweeps=1).submit(b"{}", compress=False)
    with pytest.raises(TimeoutError):
        workspace.wait_for([job], timeout_secs=0.0)


def test_names_tags_and_priorities_can_be_changed(workspace: Workspace) -> None:
    job = Tabu(workspace, sweeps=1).submit(b"{}", name="n", tags=["a"])
    job.update(tags=["b", "c"])
    assert (job.details.name, job.details.tags) == ("n", ("b", "c"))
    job.update(name="m", tags=[], priority="High")
    found = workspace.get_job(job.id).details
    assert (found.name, found.tags, found.priority) == ("m", (), "High")
    with pytest.raises(InvalidJobDefinition, match="^tags"):
        job.update(tags="abc")


def test_asyncio_programs_do_the_same(workspace: Workspace, memory: MemoryParts) -> None:
    async def work() -> None:
        job = AsyncJob(
            AsyncWorkspace(api=workspace.api), Tabu(workspace, sweeps=1).submit(b"{}", compress=False).details
        )
        again = await job.resubmit(name="again")
        await again.update(tags=["b"])
        memory.run("default")
        waited = await job.workspace.wait_for([job, again], timeout_secs=60)
        assert [each.status for each in waited] == ["Succeeded", "Succeeded"]
        assert (again.details.name, again.details.tags) == ("again", ("b",))

    asyncio.run(work())


def test_jobs_are_listed_by_their_tags(workspace: Workspace) -> None:
    both, one, _ = (Tabu(workspace, sweeps=1).submit(b"{}", tags=tags) for tags in (["a", "b"], ["a"], []))
    assert {job.id for job in workspace.list_jobs(tags="a")} == {one.id, both.id}
    assert [job.id for job in workspace.list_jobs(tags=["b", "a"], limit=1)] == [both.id]
    assert workspace.list_jobs(tags="c") == []
    assert len(workspace.list_jobs(limit=0)) == 0
