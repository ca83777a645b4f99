"""The life of a session, on stores in memory."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from qiosk.contract.api import SessionsApi
from qiosk.contract.items import ItemQuery, ItemType
from qiosk.contract.jobs import ErrorData, JobQuery, JobStatus, SubmitJob
from qiosk.contract.paging import ItemOrder
from qiosk.contract.sessions import OpenSession, SessionStatus
from qiosk.errors import (
    IllegalTransition,
    InvalidFilter,
    InvalidJobDefinition,
    InvalidTarget,
    JobNotFound,
    SessionAlreadyExists,
    SessionClosed,
    SessionNotFound,
)
from qiosk.service.jobs.attempts import Attempt, claim_next
from qiosk.service.jobs.job import JobKey, JobState
from qiosk.service.jobs.job_service import JobService
from qiosk.service.paging import PAGE_BYTES
from qiosk.service.sessions.session import ABORT_WATCH, TIMEOUT, TRANSITIONS, SessionEvent, sweep
from qiosk.service.sessions.session_service import define_session
from qiosk.solvers.targets.catalogue import Catalogue
from qiosk.testing import ManualClock, MemoryBlobStore, MemoryJobStore, MemorySessionStore

TARGET = "microsoft.simulatedannealing.cpu"


class Nobody:
    """An executor that runs nothing."""

    def wake(self) -> None: ...

    def ensure(self) -> None: ...


class World:
    """Sessions and jobs of one workspace, and the ports behind them."""

    def __init__(self) -> None:
        self.jobs = MemoryJobStore()
        self.blobs = MemoryBlobStore()
        self.sessions = MemorySessionStore(self.jobs)
        self.clock = ManualClock()
        ids = iter(f"id-{number}" for number in range(10**6))
        shared = {"workspace": "w", "targets": Catalogue(), "clock": self.clock, "new_id": lambda: next(ids)}
        ports = {"jobs": self.jobs, "blobs": self.blobs, "executor": Nobody(), "sessions": self.sessions}
        self.job_service = JobService(**ports, **shared)
        self.service = self.job_service.sessions

    def open(self, session_id: str = "s", **members) -> None:
        given = {"name": "a", "provider_id": "Microsoft", "target": TARGET}
        return self.service.open(OpenSession(**{**given, **members, "id": session_id}))

    def submit(self, job_id: str, session_id: str | None = "s", **members) -> None:
        given = {"name": job_id, "provider_id": "Microsoft", "target": TARGET, "input_data": b"{}"}
        self.job_service.submit(SubmitJob(**{**given, **members, "id": job_id, "session_id": session_id}))

    def fail_next(self) -> None:
        job = claim_next(self.jobs, self.clock, worker="w")
        attempt = Attempt(job, jobs=self.jobs, blobs=self.blobs, clock=self.clock)
        assert attempt.fail(ErrorData(code="InternalError", message="it broke"))

    def status(self, session_id: str = "s") -> SessionStatus:
        return self.service.get(session_id).status

    def job_status(self, job_id: str) -> JobStatus:
        return self.job_service.get(job_id).status


@pytest.fixture
def world() -> World:
    return World()


def test_every_pair_of_state_and_event_is_listed_or_refused(world):
    opened = define_session(
        "s", OpenSession(name="a", provider_id="m", target="t"), workspace="w", at=world.clock.now()
    )
    for status, event in product(SessionStatus, SessionEvent):
        session = replace(opened, status=status)
        if (status, event) in TRANSITIONS:
            assert session.on(event, at=world.clock.now()).status is TRANSITIONS[status, event]
        else:
            with pytest.raises(IllegalTransition, match=f"session s: {event} is impossible while it is"):
                session.on(event, at=world.clock.now())


@given(events=st.lists(st.sampled_from(SessionEvent), max_size=8))
def test_times_are_in_order_and_final_states_stay(events):
    clock = ManualClock()
    session = define_session("s", OpenSession(name="a", provider_id="m", target="t"), workspace="w", at=clock.now())
    for event in events:
        clock.sleep(1)
        try:
            after = session.on(event, at=clock.now())
        except IllegalTransition:
            continue
        assert not session.status.is_final
        session = after
    assert (session.ended_at is not None) == session.status.is_final
    if session.begun_at is not None and session.ended_at is not None:
        assert session.created_at <= session.begun_at <= session.ended_at


def test_the_service_is_a_sessions_api(world):
    api: SessionsApi = world.service
    view = api.open(OpenSession(name="Ship", provider_id="Microsoft", target=TARGET, tags=["t"], priority="High"))
    assert (view.id, view.name, view.status) == ("id-0", "Ship", SessionStatus.WAITING)
    assert (view.item_type, view.job_failure_policy, view.tags, view.priority) == ("Session", "Abort", ("t",), "High")
    assert api.get("id-0") == view


def test_the_first_job_makes_a_session_execute_and_closing_makes_it_succeed(world):
    world.open()
    world.submit("j")
    view = world.service.get("s")
    assert (view.status, view.begin_execution_time) == (SessionStatus.EXECUTING, world.clock.now())
    world.clock.sleep(5)
    assert world.service.close("s").status is SessionStatus.SUCCEEDED
    assert world.service.get("s").end_execution_time == world.clock.now()
    assert world.job_status("j") is JobStatus.WAITING  # its jobs run on


def test_a_session_without_jobs_succeeds_on_close(world):
    world.open()
    assert world.service.close("s").status is SessionStatus.SUCCEEDED


def test_closing_twice_changes_nothing(world):
    world.open()
    first = world.service.close("s")
    world.clock.sleep(1000)
    assert world.service.close("s") == first == world.service.get("s")


def test_a_failed_job_aborts_its_session_and_the_other_jobs(world):
    world.open()
    for name in ("a", "b", "c"):
        world.submit(name)
        world.clock.sleep(1)
    world.submit("alone", None)
    world.fail_next()
    assert claim_next(world.jobs, world.clock, worker="w").id == "b"
    view = world.service.get("s")
    assert view.status is SessionStatus.FAILED
    assert (view.error_data.code, view.error_data.message) == ("JobFailed", "job a failed: it broke")
    assert world.job_status("c") is JobStatus.CANCELLED
    assert world.job_service.get("b").is_cancelling
    assert world.job_status("alone") is JobStatus.WAITING
    with pytest.raises(SessionClosed, match="session s: takes no more jobs, it is Failed"):
        world.submit("d")


def test_an_abort_cancels_more_jobs_than_a_page_holds(world):
    world.open()
    for number in range(250):
        world.submit(f"j{number}")
    world.fail_next()
    world.status()
    assert len(list(world.job_service.list(JobQuery(statuses=[JobStatus.CANCELLED])))) == 249


def test_a_job_that_slips_in_while_its_session_is_aborted_is_cancelled_by_the_sweep(world):
    world.open()
    world.submit("a")
    world.fail_next()
    sweep(world.sessions, world.jobs, world.clock.now())
    late = world.jobs.get(("w", "a"))
    world.jobs.add(replace(late, id="late", state=JobState.WAITING, error=None, ended_at=None))
    sweep(world.sessions, world.jobs, world.clock.now())
    assert world.job_status("late") is JobStatus.CANCELLED
    assert world.sessions.due(world.clock.now() - TIMEOUT, 10)
    world.clock.sleep(ABORT_WATCH.total_seconds())
    sweep(world.sessions, world.jobs, world.clock.now())
    assert not world.sessions.due(world.clock.now() - TIMEOUT, 10)


def test_a_session_that_continues_takes_jobs_after_a_failure_and_fails_on_close(world):
    world.open(job_failure_policy="Continue")
    world.submit("a")
    world.submit("b")
    world.fail_next()
    assert world.status() == "Failure(s)"
    world.submit("c")
    assert world.job_status("b") is JobStatus.WAITING
    assert world.service.close("s").status is SessionStatus.FAILED
    assert world.job_status("c") is JobStatus.WAITING


def test_a_failure_that_nobody_has_seen_counts_on_close(world):
    world.open()
    world.submit("a")
    world.submit("b")
    world.fail_next()
    assert world.service.close("s").status is SessionStatus.FAILED
    assert world.job_status("b") is JobStatus.CANCELLED


@pytest.mark.parametrize("has_job", [False, True])
def test_ten_minutes_without_a_new_job_time_a_session_out(world, has_job):
    world.open()
    if has_job:
        world.clock.sleep(300)
        world.submit("a")
    world.clock.sleep(TIMEOUT.total_seconds() - 1)
    assert not world.status().is_final
    world.clock.sleep(1)
    assert world.status() is SessionStatus.TIMED_OUT
    with pytest.raises(SessionClosed, match="it is TimedOut"):
        world.submit("b")
    assert world.service.close("s").status is SessionStatus.TIMED_OUT


def test_the_sweep_times_out_what_nobody_looks_at(world):
    world.open()
    world.clock.sleep(TIMEOUT.total_seconds())
    sweep(world.sessions, world.jobs, world.clock.now())
    assert world.sessions.get(("w", "s")).status is SessionStatus.TIMED_OUT


def expected_status(history: list[str], policy: str) -> str:
    """What a session is after a history, by a rule that looks at it as a whole."""
    n_jobs, since_job = 0, 0.0
    has_failed = False
    for event in history:
        if event == "wait":
            since_job += 300.0
        elif event == "submit":
            n_jobs, since_job = n_jobs + 1, 0.0
        elif event == "fail":
            has_failed = True
            if policy == "Abort":
                return "Failed"
        elif event == "close":
            return "Failed" if has_failed else "Succeeded"
        if since_job >= 600.0:
            return "TimedOut"
    if has_failed:
        return "Failure(s)"
    return "Executing" if n_jobs else "Waiting"


@given(
    events=st.lists(st.sampled_from(["submit", "submit", "fail", "cancel", "wait", "close", "look"]), max_size=12),
    policy=st.sampled_from(["Abort", "Continue"]),
    looks=st.booleans(),
)
def test_a_session_is_what_its_history_makes_it_whoever_looks_in_between(events, policy, looks):
    world = World()
    world.open(job_failure_policy=policy)
    history: list[str] = []
    for number, event in enumerate(events):
        waiting = [j.id for j in world.job_service.list(JobQuery(statuses=[JobStatus.WAITING]))]
        if (event in ("fail", "cancel") and not waiting) or expected_status(history, policy) in FINAL:
            continue
        history.append(event)
        if event == "submit":
            world.submit(f"j{number}")
        elif event == "fail":
            world.fail_next()
        elif event == "cancel":
            world.job_service.cancel(waiting[0])
        elif event == "wait":
            world.clock.sleep(300)
        elif event == "close":
            world.service.close("s")
        if looks or event in ("look", "fail", "wait"):  # in between a sweep looks at least once
            sweep(world.sessions, world.jobs, world.clock.now())
    assert world.status() == expected_status(history, policy)
    if world.status() is SessionStatus.FAILED and policy == "Abort":
        assert not [job for job in world.job_service.list(JobQuery()) if job.status is JobStatus.WAITING]


FINAL = ("Failed", "Succeeded", "TimedOut")


def test_an_unknown_session_is_not_found_and_takes_no_job(world):
    for ask in (world.service.get, world.service.close, lambda name: world.submit("j", name)):
        with pytest.raises(SessionNotFound, match="session nope was not found"):
            ask("nope")
    assert not list(world.job_service.list(JobQuery()))
    assert world.blobs.list("job-j") == []


@pytest.mark.parametrize("name", ["", "\x00", "\ud800", "../up", "x" * 10_000], ids=range(5))
def test_what_cannot_be_an_id_is_not_found_without_asking_a_database(world, name):
    for ask in (world.service.get, world.service.close):
        with pytest.raises(SessionNotFound, match="was not found"):
            ask(name)
    for ask in (world.job_service.get, world.job_service.cancel, world.job_service.delete, world.job_service.trace):
        with pytest.raises(JobNotFound, match="was not found"):
            ask(name)


def test_a_repeated_submission_is_accepted_after_its_session_has_closed(world):
    world.open()
    world.submit("a")
    world.service.close("s")
    world.submit("a")
    assert [job.id for job in world.job_service.list(JobQuery())] == ["a"]
    with pytest.raises(SessionClosed, match="takes no more jobs"):
        world.submit("b")


def test_the_same_session_is_opened_once(world):
    first = world.open()
    world.clock.sleep(5)
    assert world.open() == first
    with pytest.raises(SessionAlreadyExists, match="session s: the id belongs to another session"):
        world.open(name="other")
    assert world.service.get("s") == first


@pytest.mark.parametrize(
    ("members", "error", "message"),
    [
        ({"target": "none"}, InvalidTarget, "none"),
        ({"session_id": "../up"}, InvalidJobDefinition, "session id: 1 to 100 letters"),
        ({"name": None}, InvalidJobDefinition, "name: must be a string, found None"),
        ({"job_failure_policy": "Shrug"}, InvalidJobDefinition, "must be one of Abort, Continue, found 'Shrug'"),
        ({"priority": "Low"}, InvalidJobDefinition, "priority: "),
        ({"tags": "abc"}, InvalidJobDefinition, "tags: "),
        ({"tags": ["x" * 8192]}, InvalidJobDefinition, "tags: must have at most 8192 bytes as JSON, found 8196"),
        ({"name": "x" * 1025}, InvalidJobDefinition, "name: must have at most 1024 characters, found 1025"),
    ],
)
def test_a_wrong_session_is_refused(world, members, error, message):
    with pytest.raises(error, match=message):
        world.open(**members)
    assert not world.service.page(ItemQuery()).items


def everything(list_page, query: ItemQuery, top: int) -> list[str]:
    page = list_page(query, top=top)
    found = [item.id for item in page.items]
    while page.next is not None:
        page = list_page(query, top=top, token=page.next)
        found += [item.id for item in page.items]
    return found


@pytest.mark.parametrize("descending", [True, False])
@pytest.mark.parametrize("order", ItemOrder)
@pytest.mark.parametrize("top", [1, 2, 3, 100])
def test_sessions_and_top_level_jobs_are_listed_in_one_order(world, order, descending, top):
    for number, name in enumerate(["b", "A", "c"]):
        world.open(f"s{number}", name=name)
        world.submit(f"in{number}", f"s{number}")
        world.submit(f"j{number}", None, name=name)  # at the same time as the session
        world.clock.sleep(number)
    world.service.close("s1")
    query = ItemQuery(order_by=order, descending=descending)
    keys = {
        ItemOrder.NAME: lambda item: item.name.casefold(),
        ItemOrder.ITEM_TYPE: lambda item: item.item_type,
        ItemOrder.JOB_TYPE: lambda item: getattr(item, "job_type", ""),
        ItemOrder.STATE: lambda item: item.status.value,
    }
    everybody = world.service.items(ItemQuery()).items
    assert {item.id for item in everybody} == {"s0", "s1", "s2", "j0", "j1", "j2"}
    key = keys.get(order, lambda item: "")
    expected = sorted(everybody, key=lambda i: (key(i), i.creation_time, i.id), reverse=descending)
    assert everything(world.service.items, query, top) == [item.id for item in expected]
    skipped = [item.id for item in world.service.items(query, skip=2, top=3).items]
    assert skipped == [item.id for item in expected[2:5]]


@pytest.mark.parametrize("skip", [0, 2, 5])
def test_large_jobs_make_a_page_of_items_end_early(world, skip):
    for number in range(6):
        world.open(f"s{number}")
        world.clock.sleep(1)
        world.submit(f"j{number}", None)
        job = world.jobs.get(JobKey("w", f"j{number}"))
        world.jobs.swap(replace(job, input_params="x" * (PAGE_BYTES // 2)), expected=job)
        world.clock.sleep(1)
    expected = [f"{kind}{number}" for number in range(6) for kind in "sj"]
    query = ItemQuery(descending=False)
    first = world.service.items(query, skip=skip, top=100)
    assert sum(item.item_type == "Job" for item in first.items) in (1, 2)
    assert first.next is not None
    assert everything(world.service.items, query, 100) == expected
    assert [item.id for item in first.items] == expected[skip : skip + len(first.items)]


def test_a_job_and_a_session_in_one_place_are_both_listed(world):
    world.open("same")
    world.submit("same", None)
    for descending in (True, False):
        query = ItemQuery(descending=descending)
        assert everything(world.service.items, query, 1) == ["same", "same"]


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"item_types": (ItemType.SESSION,)}, {"s"}),
        ({"item_types": (ItemType.JOB,)}, {"j"}),
        ({"job_types": ("optimization",)}, {"j"}),
        ({"statuses": ("Executing",)}, {"s"}),
        ({"statuses": ("TimedOut",)}, set()),
        ({"name_prefix": "se"}, {"s"}),
        ({"provider_ids": ("MICROSOFT",)}, {"s", "j"}),
        ({"targets": ("other",)}, set()),
    ],
)
def test_items_are_filtered(world, members, expected):
    world.open(name="Session")
    world.submit("inside")
    world.submit("j", None)
    assert {item.id for item in world.service.items(ItemQuery(**members)).items} == expected


@pytest.mark.parametrize(
    ("arguments", "message"), [({"top": 0}, "top: "), ({"skip": -1}, "skip: "), ({"token": "x"}, "token")]
)
def test_a_wrong_window_is_refused(world, arguments, message):
    for ask in (world.service.page, world.service.items):
        with pytest.raises(InvalidFilter, match=message):
            ask(ItemQuery(), **arguments)
