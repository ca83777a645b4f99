"""Sessions of a workspace, in this process and over HTTP."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

from qiosk.aio import Workspace as AsyncWorkspace
from qiosk.client.job import Job
from qiosk.client.session import Session
from qiosk.client.solvers import SimulatedAnnealing, Tabu
from qiosk.client.workspace import Workspace
from qiosk.contract.items import ItemQuery
from qiosk.contract.sessions import OpenSession
from qiosk.errors import (
    InvalidFilter,
    InvalidJobDefinition,
    InvalidTarget,
    SessionAlreadyExists,
    SessionClosed,
    SessionNotFound,
)
from servers import MemoryParts

TARGET = "microsoft.tabu.cpu"
PROBLEM = b"{}"


def fail_a_job(workspace: Workspace, memory: MemoryParts, session: Session) -> Job:
    """A job that has failed: its problem tells the runner of the tests to refuse it."""
    job = Tabu(workspace, sweeps=1).submit(b'{"do": "refuse"}', session_id=session.id, priority="High")
    memory.run("default")
    return job


def test_jobs_of_a_solver_join_the_session_it_has_opened(workspace: Workspace, memory: MemoryParts) -> None:
    solver = Tabu(workspace, sweeps=10)
    with solver.open_session(name="night run", tags=["a", "b"], priority="High") as session:
        assert (session.name, session.status, session.details.target) == ("night run", "Waiting", TARGET)
        assert (session.details.tags, session.details.priority) == (("a", "b"), "High")
        assert session.details.creation_time is not None
        first = solver.submit(PROBLEM)
        memory.clock.sleep(1)
        second = SimulatedAnnealing(workspace, sweeps=3).submit(PROBLEM, session_id=session.id)
        assert first.details.session_id == second.details.session_id == session.id
        assert session.refresh().status == "Executing"
    assert session.is_in_terminal_state()
    assert session.status == "Succeeded"
    assert solver.submit(PROBLEM).details.session_id is None
    assert [job.id for job in session.list_jobs()] == [second.id, first.id]
    assert [job.id for job in workspace.list_session_jobs(session.id, limit=1)] == [second.id]
    assert [job.id for job in workspace.list_jobs(session_id=session.id, target=TARGET)] == [first.id]


def test_a_session_made_by_hand_is_opened_once(workspace: Workspace) -> None:
    session = Session(workspace, target=TARGET, id="by-hand", job_failure_policy="Continue")
    assert session.status is None
    assert (session.name, session.details.provider_id) == ("session-by-hand", "microsoft")
    assert workspace.open_session(session) is session
    assert Session(workspace, target=TARGET, id="by-hand", job_failure_policy="Continue").open().status == "Waiting"
    with pytest.raises(SessionAlreadyExists, match="session by-hand: the id belongs to another session"):
        Session(workspace, target=TARGET, id="by-hand", name="another").open()
    found = workspace.get_session("by-hand")
    assert found.details == session.details
    assert found.details.job_failure_policy == "Continue"
    assert found.close().close().status == "Succeeded"
    with pytest.raises(SessionClosed, match="session by-hand: takes no more jobs, it is Succeeded"):
        Tabu(workspace, sweeps=1).submit(PROBLEM, session_id="by-hand")


def test_a_failed_job_ends_its_session_and_the_session_says_which(workspace: Workspace, memory: MemoryParts) -> None:
    session = Session(workspace, target=TARGET).open()
    failed = fail_a_job(workspace, memory, session)
    session.refresh()
    assert (session.status, session.details.error_data.code) == ("Failed", "JobFailed")
    assert failed.id in session.details.error_data.message
    assert failed.id in session._repr_html_()


def test_a_session_that_continues_fails_when_it_is_closed(workspace: Workspace, memory: MemoryParts) -> None:
    session = Session(workspace, target=TARGET, job_failure_policy="Continue").open()
    fail_a_job(workspace, memory, session)
    assert session.refresh().status == "Failure(s)"
    assert not session.is_in_terminal_state()
    assert [found.id for found in workspace.list_sessions(status="failure(s)")] == [session.id]
    assert session.close().status == "Failed"


def test_a_session_without_new_jobs_times_out(workspace: Workspace, memory: MemoryParts) -> None:
    solver = Tabu(workspace, sweeps=1)
    session = solver.open_session()
    memory.clock.sleep(timedelta(minutes=10).total_seconds())
    with pytest.raises(SessionClosed, match="it is TimedOut"):
        solver.submit(PROBLEM)
    assert session.refresh().status == "TimedOut"
    assert solver.submit(PROBLEM).details.session_id is None


def test_a_solver_closes_its_session_before_it_opens_another(workspace: Workspace) -> None:
    solver = Tabu(workspace)
    first = solver.open_session(id="first")
    second = solver.open_session(id="second")
    assert (first.status, second.status) == ("Succeeded", "Waiting")
    assert solver.get_latest_session_id() == "second"


def test_sessions_are_listed_newest_first_and_filtered(workspace: Workspace, memory: MemoryParts) -> None:
    for number, target in enumerate((TARGET, "microsoft.qmc.cpu", "toshiba.sbm.ising")):
        Session(workspace, target=target, id=f"s-{number}", name=f"run {number}").open()
        memory.clock.sleep(60)
    workspace.get_session("s-0").close()

    def ids(*arguments: str, **conditions: object) -> list[str]:
        return [session.id for session in workspace.list_sessions(*arguments, **conditions)]  # type: ignore[arg-type]

    assert ids() == ["s-2", "s-1", "s-0"]
    assert ids(limit=2) == ["s-2", "s-1"]
    assert ids(limit=0) == []
    assert ids("[01]$") == ["s-1", "s-0"]
    assert ids("run", limit=1) == ["s-2"]
    assert ids(status="Succeeded") == ["s-0"]
    assert ids(provider_id="toshiba") == ids(target="toshiba.sbm.ising") == ["s-2"]
    assert ids(created_after=workspace.get_session("s-1").details.creation_time) == ["s-2", "s-1"]
    with pytest.raises(InvalidFilter, match="status must be one of Waiting, Executing, .*, found 'Ended'"):
        ids(status="Ended")
    with pytest.raises(InvalidFilter, match="limit must not be negative, found -1"):
        ids(limit=-1)


def test_long_lists_come_in_pages(workspace: Workspace, memory: MemoryParts) -> None:
    names = [f"s-{number}" for number in range(5)]
    for name in names:
        workspace.api.sessions.open(OpenSession(id=name, name=name, provider_id="Microsoft", target=TARGET))
        memory.clock.sleep(1)
    query = ItemQuery(name_prefix="s-")
    found: list[str] = []
    token: str | None = None
    while True:
        page = workspace.api.sessions.page(query, top=2, token=token)
        found += [view.id for view in page.items]
        token = page.next
        if token is None:
            break
    assert found == names[::-1]


def test_sessions_and_jobs_without_one_stand_side_by_side(workspace: Workspace, memory: MemoryParts) -> None:
    session = Session(workspace, target=TARGET, id="s").open()
    solver = Tabu(workspace, sweeps=1)
    solver.submit(PROBLEM, session_id="s")
    memory.clock.sleep(1)
    job = solver.submit(PROBLEM, name="alone")
    items = workspace.list_top_level_items()
    assert [(type(item), item.id) for item in items] == [(Job, job.id), (Session, session.id)]
    assert [item.id for item in workspace.list_top_level_items("^alone$")] == [job.id]
    assert [item.id for item in workspace.list_top_level_items(status="Executing")] == [session.id]


def test_unknown_sessions_are_told(workspace: Workspace) -> None:
    unknown = Session(workspace, target=TARGET, id="nope")
    calls = [
        lambda: workspace.get_session("nope"),
        unknown.close,
        unknown.refresh,
        unknown.list_jobs,
        lambda: Tabu(workspace).submit(PROBLEM, session_id="nope"),
    ]
    for call in calls:
        with pytest.raises(SessionNotFound, match="nope"):
            call()
    with pytest.raises(SessionNotFound):
        workspace.get_session("no session at all")


def test_a_session_that_cannot_be_is_refused(workspace: Workspace) -> None:
    with pytest.raises(InvalidTarget, match=r"microsoft\.nothing"):
        Session(workspace, target="microsoft.nothing").open()
    with pytest.raises(InvalidJobDefinition, match="session id"):
        Session(workspace, target=TARGET, id="two words").open()
    with pytest.raises(InvalidJobDefinition, match="job_failure_policy: must be one of Abort, Continue, found 'Retry'"):
        Session(workspace, target=TARGET, job_failure_policy="Retry")
    with pytest.raises(ValueError, match="target is missing"):
        Session(workspace)
    with pytest.raises(ValueError, match="not both"):
        Session(workspace, Session(workspace, target=TARGET).details, name="a")


def test_details_print_one_line_per_property(workspace: Workspace) -> None:
    session = Session(workspace, target=TARGET, name="two\nlines").open()
    lines = str(session.details).splitlines()
    assert len(lines) == len(session.details.as_dict())
    assert session.details.as_dict()["jobFailurePolicy"] == "Abort"
    assert session.details.as_dict()["creationTime"].endswith("Z")
    assert "two lines" in str(session.details)


def test_asyncio_programs_have_sessions_too(workspace: Workspace, memory: MemoryParts) -> None:
    from qiosk.aio.optimization import Tabu as AsyncTabu

    async def work() -> None:
        twin = AsyncWorkspace(api=workspace.api)
        solver = AsyncTabu(twin, sweeps=1)
        async with await solver.open_session(name="async") as session:
            job = await solver.submit(PROBLEM)
            assert job.details.session_id == session.id
            await session.refresh()
            assert session.status == "Executing"
        assert session.is_in_terminal_state()
        assert [found.id for found in await session.list_jobs()] == [job.id]
        assert [found.id for found in await twin.list_session_jobs(session.id)] == [job.id]
        assert [found.name for found in await twin.list_sessions()] == ["async"]
        assert (await twin.get_session(session.id)).status == "Succeeded"
        assert [item.id for item in await twin.list_top_level_items()] == [session.id]

    asyncio.run(work())
