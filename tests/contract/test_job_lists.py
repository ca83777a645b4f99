"""Lists of jobs by several conditions, and jobs that are submitted again, changed and waited for, in both places."""

from __future__ import annotations

import asyncio
import re
from datetime import timedelta
from typing import Any

import pytest

from patience import HANG_S
from qiosk.aio import Workspace as AsyncWorkspace
from qiosk.aio.job import Job as AsyncJob
from qiosk.client.session import Session
from qiosk.client.solvers import Tabu
from qiosk.client.workspace import Workspace
from qiosk.contract.jobs import JobView, SubmitJob
from qiosk.contract.paging import Page
from qiosk.errors import InvalidFilter, InvalidJobDefinition, JobNotFound, SessionNotFound
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
    workspace.wait_for([job, again], timeout_secs=HANG_S)
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
        waited = await job.workspace.wait_for([job, again], timeout_secs=HANG_S)
        assert [each.status for each in waited] == ["Succeeded", "Succeeded"]
        assert (again.details.name, again.details.tags) == ("again", ("b",))
        frame = await job.workspace.list_jobs(as_frame=True, tags="b")
        assert list(frame["id"]) == [again.id]
        with pytest.raises(TimeoutError):
            await job.workspace.wait_for([await job.resubmit()], timeout_secs=0.0)

    asyncio.run(work())


def test_jobs_are_listed_by_their_tags(workspace: Workspace) -> None:
    both, one, _ = (Tabu(workspace, sweeps=1).submit(b"{}", tags=tags) for tags in (["a", "b"], ["a"], []))
    assert {job.id for job in workspace.list_jobs(tags="a")} == {one.id, both.id}
    assert [job.id for job in workspace.list_jobs(tags=["b", "a"], limit=1)] == [both.id]
    assert workspace.list_jobs(tags="c") == []
    assert len(workspace.list_jobs(limit=0)) == 0


def test_the_service_finds_the_jobs_and_the_client_gets_no_others(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    solver = Tabu(workspace, sweeps=1)
    session = Session(workspace, target="microsoft.tabu.cpu").open()
    for number in range(5):
        solver.submit(b"{}", name=f"other {number}", tags=["b"])
    wanted = solver.submit(b"{}", name="it's 1.5", tags=["a'b", "b"], session_id=session.id)
    page, got = workspace.api.page, []

    def noted(*args: Any, **kwargs: Any) -> Page[JobView]:
        found = page(*args, **kwargs)
        got.extend(view.id for view in found.items)
        return found

    monkeypatch.setattr(workspace.api, "page", noted)
    assert [job.id for job in workspace.list_jobs(tags=["a'b", "b"])] == [wanted.id]
    assert [job.id for job in workspace.list_jobs(session_id=session.id, tags="b")] == [wanted.id]
    assert [job.id for job in workspace.list_jobs("^it.*5$")] == [wanted.id]
    assert workspace.get_job(wanted.id[:8]).id == wanted.id
    assert got == [wanted.id] * 4
    assert len(workspace.list_jobs("^other|1.5")) == 6
    assert workspace.list_jobs(session_id="nope") == []


@pytest.mark.parametrize("name_match", ["^ab*", "^ab?", "^ab+$", "^abb|^b", "^a{0}b", "(?i)^ab", "b", r"^\w+", "^a b"])
def test_names_are_matched_as_regular_expressions(workspace: Workspace, name_match: str) -> None:
    names = {"a", "ab", "abb", "b", "ABC", "a b"}
    for name in names:
        Tabu(workspace, sweeps=1).submit(b"{}", name=name)
    found = {job.details.name for job in workspace.list_jobs(name_match)}
    assert found == {name for name in names if re.search(name_match, name)}
    assert found


def test_short_ids_name_sessions_and_jobs_of_one_workspace(workspace: Workspace) -> None:
    ids = [f"7a1f{number:04}-0000-4000-8000-000000000000" for number in range(3)]
    for job_id in ids:
        command = SubmitJob(id=job_id, name="", provider_id="Microsoft", target="microsoft.tabu.cpu", input_data=b"{}")
        workspace.submit(command)
    Session(workspace, target="microsoft.tabu.cpu", id=ids[0]).open()
    assert workspace.get_session("7A1F").id == ids[0]
    assert workspace.get_job("7a1f0001-").id == ids[1]
    with pytest.raises(InvalidFilter, match="several ids begin so: 7a1f0002"):
        workspace.get_job("7a1f")
    for missing in ("7a1e", "7a1f0003", "abc", "7a1f0001-0000-4000-8000-000000000001", "%27%27a"):
        with pytest.raises(JobNotFound):
            workspace.get_job(missing)


def test_jobs_are_listed_by_the_short_id_of_their_session(workspace: Workspace) -> None:
    solver = Tabu(workspace, sweeps=1)
    solver.submit(b"{}", compress=False)
    with solver.open_session(name="s") as session:
        job = solver.submit(b"{}", compress=False)
    for session_id in (session.id, session.id[:8], session.id[:8].upper()):
        assert [found.id for found in workspace.list_jobs(session_id=session_id)] == [job.id]
        assert [found.id for found in workspace.list_session_jobs(session_id)] == [job.id]
    assert workspace.list_jobs(session_id="00000000-0000-4000-8000-000000000000") == []
    with pytest.raises(SessionNotFound):
        workspace.list_jobs(session_id="00000")


def test_the_jobs_of_a_session_are_listed_as_a_frame(workspace: Workspace) -> None:
    pytest.importorskip("pandas")
    solver = Tabu(workspace, sweeps=1)
    with solver.open_session(name="s") as session:
        job = solver.submit(b"{}", compress=False)
    assert list(workspace.list_session_jobs(session.id, as_frame=True)["id"]) == [job.id]
    assert list(session.list_jobs(as_frame=True)["id"]) == [job.id]

    async def work() -> None:
        other = await AsyncWorkspace(api=workspace.api).get_session(session.id[:8])
        assert list((await other.list_jobs(as_frame=True))["id"]) == [job.id]
        assert [found.id for found in await other.list_jobs()] == [job.id]

    asyncio.run(work())


def test_jobs_are_listed_as_a_frame(workspace: Workspace, memory: MemoryParts) -> None:
    pandas = pytest.importorskip("pandas")
    empty = workspace.list_jobs(as_frame=True)
    solver = Tabu(workspace, sweeps=1)
    failed = solver.submit(b'{"do": "refuse"}', compress=False, name="a", tags=["x", "y"])
    memory.clock.sleep(1)
    done = solver.submit(b"{}", compress=False, name="b")
    memory.run("default")
    solver.submit(b"{}", name="c")
    frame = workspace.list_jobs("^[ab]", as_frame=True)
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["id"]) == [done.id, failed.id]
    assert list(frame["status"]) == ["Succeeded", "Failed"]
    assert list(frame["tags"]) == [(), ("x", "y")]
    assert frame["error_code"].isna().tolist() == [True, False]
    assert (frame["end_execution_time"] >= frame["creation_time"]).all()
    assert str(frame["begin_execution_time"].dt.tz) == "UTC"
    assert list(frame.columns) == list(empty.columns)
    assert (empty.dtypes["creation_time"], len(empty)) == (frame.dtypes["creation_time"], 0)
    assert not [name for name in frame.columns if "uri" in name]


def test_the_last_day_is_listed_whole(workspace: Workspace) -> None:
    job = Tabu(workspace, sweeps=1).submit(b"{}")
    at = job.details.creation_time
    assert at is not None
    day = at.astimezone().date()
    for last in (day, day.isoformat(), f" {day:%Y%m%d} "):
        assert [found.id for found in workspace.list_jobs(created_after=last, created_before=last)] == [job.id]
    assert workspace.list_jobs(created_before=day - timedelta(days=1)) == []
    assert workspace.list_jobs(created_after=day + timedelta(days=1)) == []
