"""The use cases over jobs, on stores in memory."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

import fake_runners
from qiosk.contract.api import JobsApi
from qiosk.contract.jobs import ErrorData, JobQuery, JobStatus, PatchJob, SubmitJob, TracePoint
from qiosk.contract.paging import ItemOrder, Page
from qiosk.contract.sessions import OpenSession
from qiosk.errors import (
    BlobAlreadyExists,
    BlobNotFound,
    Conflict,
    InvalidFilter,
    InvalidJobDefinition,
    InvalidTarget,
    InvalidValue,
    JobAlreadyExists,
    JobNotFound,
    ProviderNotFound,
)
from qiosk.service.jobs.attempts import Attempt, claim_next
from qiosk.service.jobs.job import BlobRef, Job, JobKey
from qiosk.service.jobs.job_service import DELETE_PATIENCE_S, JobService
from qiosk.service.jobs.runs import RunOutcome, RunUpdate
from qiosk.service.paging import Cursor, decode_token, encode_token
from qiosk.service.ports import Executor
from qiosk.solvers.targets.catalogue import Catalogue
from qiosk.testing import InlineExecutor, ManualClock, MemoryBlobStore, MemoryJobStore, MemorySessionStore

TARGET = "microsoft.simulatedannealing.cpu"
START = datetime(2026, 1, 1, tzinfo=UTC)


class Nobody:
    """An executor that only counts."""

    def __init__(self) -> None:
        self.woken = 0
        self.ensured = 0

    def wake(self) -> None:
        self.woken += 1

    def ensure(self) -> None:
        self.ensured += 1


class World:
    """A service, and the ports behind it."""

    def __init__(self, executor: Executor | None = None, *, workspace: str = "default") -> None:
        self.jobs = MemoryJobStore()
        self.blobs = MemoryBlobStore()
        self.clock = ManualClock()
        self.executor = executor or InlineExecutor(self.jobs, self.blobs, self.clock, fake_runners.run)
        ids = iter(f"id-{number}" for number in range(10**6))
        self.service = JobService(
            workspace=workspace,
            jobs=self.jobs,
            sessions=MemorySessionStore(self.jobs),
            blobs=self.blobs,
            targets=Catalogue(),
            executor=self.executor,
            clock=self.clock,
            new_id=lambda: next(ids),
        )

    def claim(self) -> Attempt:
        job = claim_next(self.jobs, self.clock, worker="w")
        assert job is not None
        return Attempt(job, jobs=self.jobs, blobs=self.blobs, clock=self.clock)

    def stored(self, job_id: str) -> Job:
        return self.jobs.get(JobKey("default", job_id))


@pytest.fixture
def world() -> World:
    return World(Nobody())


def command(order: dict | None = None, **members) -> SubmitJob:
    given = {"name": "a", "provider_id": "Microsoft", "target": TARGET}
    if "input_data_uri" not in members:
        given["input_data"] = json.dumps(order or {}).encode()
    return SubmitJob(**{**given, **members})


def test_the_service_is_a_jobs_api(world):
    api: JobsApi = world.service
    assert {target.id for target in api.targets()} >= {TARGET}


def test_a_submitted_job_shows_every_property():
    world = World(Nobody())
    world.service.sessions.open(OpenSession(id="s", name="a", provider_id="Microsoft", target=TARGET))
    view = world.service.submit(
        command(
            id="my-job",
            name="Ship",
            provider_id="MICROSOFT",
            input_params={"params": {"timeout": 100, "x": [1, 2.5, None]}},
            metadata={"a": "b"},
            tags=["t"],
            priority="High",
            session_id="s",
        )
    )
    assert (view.id, view.name, view.provider_id, view.target) == ("my-job", "Ship", "MICROSOFT", TARGET)
    assert view.container_uri == "memory://job-my-job"
    assert view.input_data_uri == "memory://job-my-job/inputData"
    assert view.output_data_uri == "memory://job-my-job/rawOutputData"
    assert view.input_params == {"params": {"timeout": 100, "x": [1, 2.5, None]}}
    assert (view.metadata, view.tags, view.priority, view.session_id) == ({"a": "b"}, ("t",), "High", "s")
    assert (view.status, view.attempts, view.has_results) == (JobStatus.WAITING, 0, False)
    assert view.creation_time == world.clock.now()
    assert world.blobs.get(BlobRef("job-my-job", "inputData")) == b"{}"
    assert world.service.get("my-job") == view


def test_submitting_wakes_the_executor(world):
    world.service.submit(command())
    assert world.executor.woken == 1


def test_whoever_sees_an_unfinished_job_ensures_that_it_is_run(world):
    view = world.service.submit(command())
    for look in (world.service.get, world.service.cancel):
        before = world.executor.ensured
        look(view.id)
        assert world.executor.ensured >= before + (look == world.service.get)
    before = world.executor.ensured
    world.service.get(view.id)  # cancelled by now
    list(world.service.list(JobQuery()))
    assert world.executor.ensured == before


def test_the_same_submission_is_the_same_job(world):
    first = world.service.submit(command(id="j", input_params={"b": 1, "a": 2}))
    again = world.service.submit(command(id="j", input_params={"a": 2, "b": 1}))
    assert first == again
    assert len(list(world.service.list(JobQuery()))) == 1


def test_the_same_submission_after_the_end_starts_no_second_run():
    world = World()
    first = world.service.submit(command({"chunks": 1}, id="j"))
    again = world.service.submit(command({"chunks": 1}, id="j"))
    assert again.status is JobStatus.SUCCEEDED
    assert (again.attempts, again.creation_time) == (1, first.creation_time)


@pytest.mark.parametrize(
    "change",
    [
        {"name": "b"},
        {"input_data": b"[]"},
        {"input_params": {"seed": 1}},
        {"input_params": {"seed": 1.5}},
        {"tags": ["x"]},
        {"target": "microsoft.paralleltempering.cpu"},
        {"metadata": {"a": "b"}},
        {"output_data_format": "other"},
    ],
    ids=str,
)
def test_another_submission_under_a_used_id_is_refused_and_changes_nothing(world, change):
    first = world.service.submit(command(id="j", input_params={"seed": 2}))
    with pytest.raises(JobAlreadyExists, match="job j: the id belongs to another job"):
        world.service.submit(command(**{"id": "j", "input_params": {"seed": 2}, **change}))
    assert world.service.get("j") == first
    assert world.service.get_blob("job-j", "inputData") == b"{}"


def test_data_that_lies_in_a_jobs_place_is_not_overwritten(world):
    world.service.put_blob("job-j", "inputData", b"other")
    with pytest.raises(JobAlreadyExists, match="memory://job-j/inputData already holds other data"):
        world.service.submit(command(id="j"))
    with pytest.raises(JobNotFound):
        world.service.get("j")
    world.service.put_blob("job-j", "inputData", b"{}")
    assert world.service.submit(command(id="j")).status is JobStatus.WAITING


def test_a_page_of_large_jobs_ends_early_and_leads_to_the_next(world):
    for _ in range(40):
        world.service.submit(command(input_params="x" * 250_000))
    sizes = []
    page = world.service.page(JobQuery(), top=1000)
    while page.next is not None:
        sizes.append(len(page.items))
        page = world.service.page(JobQuery(), top=1000, token=page.next)
    assert [*sizes, len(page.items)] == [17, 17, 6]
    world.service.delete(world.service.submit(command()).id)
    assert world.service.page(JobQuery(), top=17).next is not None
    for view in list(world.service.list(JobQuery()))[17:]:
        world.service.delete(view.id)
    assert world.service.page(JobQuery(), top=1000).next is None


@pytest.mark.parametrize(
    ("members", "error", "message"),
    [
        ({"provider_id": "nobody"}, ProviderNotFound, "nobody"),
        ({"target": "microsoft.none.cpu"}, InvalidTarget, "microsoft.none.cpu"),
        ({"id": ""}, InvalidJobDefinition, "job id: 1 to 100 letters, digits, '-' or '_' are allowed, found ''"),
        ({"id": "../up"}, InvalidJobDefinition, "job id: "),
        ({"id": "x" * 101}, InvalidJobDefinition, "job id: "),
        ({"name": None}, InvalidJobDefinition, "name: must be a string, found None"),
        ({"name": "\ud800"}, InvalidJobDefinition, "name: must be valid Unicode"),
        ({"name": "a\x00"}, InvalidJobDefinition, "name: must be valid Unicode without NUL"),
        ({"job_type": "x" * 101}, InvalidJobDefinition, "job_type: must have at most 100 characters, found 101"),
        ({"name": "x" * 1025}, InvalidJobDefinition, "name: must have at most 1024 characters, found 1025"),
        ({"input_data_format": "x" * 101}, InvalidJobDefinition, "input_data_format: must have at most 100"),
        ({"session_id": 3}, InvalidJobDefinition, "session_id: must be a string, found 3"),
        ({"priority": "Urgent"}, InvalidJobDefinition, "priority: must be one of Standard, High, found 'Urgent'"),
        ({"tags": "abc"}, InvalidJobDefinition, "tags: must be a list of strings, found 'abc'"),
        ({"tags": [1]}, InvalidJobDefinition, "tags: must be strings, found 1"),
        ({"metadata": {"a": 1}}, InvalidJobDefinition, "metadata: keys and values must be strings, found 'a': 1"),
        ({"input_params": float("nan")}, InvalidJobDefinition, "`input_params`: must be finite"),
        ({"input_params": {1, 2}}, InvalidJobDefinition, "`input_params`: must be a JSON value"),
        (
            {"input_params": [[]] * 65537},
            InvalidJobDefinition,
            "input_params: must have at most 262144 bytes as JSON, found 262148",
        ),
        (
            {"metadata": {"a": "x" * 65536}},
            InvalidJobDefinition,
            "metadata: must have at most 65536 bytes as JSON, found 65545",
        ),
        (
            {"tags": ["x"] * 1639},
            InvalidJobDefinition,
            "tags: must have at most 8192 bytes as JSON, found 8195",
        ),
        ({"input_data": "{}"}, InvalidJobDefinition, "input_data: must be bytes, found str"),
        ({"input_data": None}, InvalidJobDefinition, "exactly one of input_data and input_data_uri"),
        ({"input_data": b"", "input_data_uri": "memory://c/a"}, InvalidJobDefinition, "found both"),
        ({"input_data_uri": "https://host/c/a"}, InvalidJobDefinition, "input_data_uri: blob uri: must begin"),
        ({"input_data_uri": "memory://c"}, InvalidJobDefinition, "input_data_uri: must name a blob"),
        ({"container_uri": "memory://c/a"}, InvalidJobDefinition, "container_uri: must name a container"),
    ],
    ids=lambda value: "",
)
def test_a_malformed_submission_is_refused_before_anything_is_stored(world, members, error, message):
    with pytest.raises(error) as caught:
        world.service.submit(command(**members))
    assert message in str(caught.value)
    assert list(world.service.list(JobQuery())) == []
    assert world.executor.woken == 0


def test_input_may_lie_in_another_container(world):
    uri = world.service.put_blob("qio-problems", "mine", b'{"chunks": 1}')
    view = world.service.submit(command(input_data_uri=uri))
    assert view.input_data_uri == uri
    assert world.claim().spec(threads=1).input == BlobRef("qio-problems", "mine")
    world.service.cancel(view.id)


def test_jobs_that_share_a_container_do_not_share_blobs():
    world = World()
    uri = world.service.container_uri("shared")
    one = world.service.submit(command({"chunks": 1}, container_uri=uri))
    two = world.service.submit(command({"chunks": 2}, container_uri=uri))
    assert [json.loads(world.service.results(view.id))["cost"] for view in (one, two)] == [-1, -2]
    world.service.put_blob("shared", "attachment", b"")
    world.service.delete(one.id)
    assert [name for name in world.service.list_blobs("shared") if one.id in name] == []
    assert json.loads(world.service.results(two.id))["cost"] == -2
    assert "attachment" in world.service.list_blobs("shared")


def test_a_job_runs_to_its_results():
    world = World()
    view = world.service.get(world.service.submit(command({"chunks": 3})).id)
    assert (view.status, view.has_results, view.attempts) == (JobStatus.SUCCEEDED, True, 1)
    assert view.begin_execution_time is not None
    assert view.begin_execution_time <= view.end_execution_time
    assert json.loads(world.service.results(view.id))["cost"] == -3
    assert world.service.best(view.id) == world.service.results(view.id)
    assert [point.cost for point in world.service.trace(view.id)] == [-1, -2, -3]
    assert [point.cost for point in world.service.trace(view.id, after=2)] == [-3]
    assert (view.progress.fraction, view.progress.best_cost) == (1.0, -3)


@pytest.mark.parametrize(
    ("deed", "code", "message"),
    [
        ("refuse", "InvalidInputData", "_AZQ107 parameter `x`: must be greater than 0, found -1"),
        ("bug", "InternalError", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_job_that_fails_says_why(deed, code, message, capsys):
    world = World()
    view = world.service.get(world.service.submit(command({"do": deed})).id)
    assert (view.status, view.error_data) == (JobStatus.FAILED, ErrorData(code=code, message=message))
    assert None not in (view.begin_execution_time, view.end_execution_time)
    assert view.output_data_uri is None
    with pytest.raises(BlobNotFound, match=f"job {view.id}: has no results, it is Failed"):
        world.service.results(view.id)


def test_a_missing_input_fails_the_job():
    world = World()
    view = world.service.get(world.service.submit(command(input_data_uri="memory://c/nothing")).id)
    assert view.status is JobStatus.FAILED
    assert view.error_data == ErrorData(code="InvalidInputData", message="input data: blob c/nothing was not found")


def test_a_waiting_job_is_cancelled_at_once(world):
    view = world.service.submit(command())
    cancelled = world.service.cancel(view.id)
    assert (cancelled.status, cancelled.has_results) == (JobStatus.CANCELLED, False)
    assert cancelled.cancellation_time is not None
    assert world.service.cancel(view.id) == cancelled


def test_a_running_job_is_asked_to_stop_and_keeps_its_best(world):
    view = world.service.submit(command())
    attempt = world.claim()
    world.blobs.put(BlobRef("job-id-0", "bestSoFar"), b"best")
    attempt.report(RunUpdate(best_blob="bestSoFar", best_cost=-1.0))
    assert world.service.best(view.id) == b"best"
    asked = world.service.cancel(view.id)
    assert (asked.status, asked.is_cancelling) == (JobStatus.EXECUTING, True)
    attempt.process_lost("killed", max_losses=20)
    ended = world.service.cancel(view.id)
    assert (ended.status, ended.is_cancelling, ended.has_results) == (JobStatus.CANCELLED, False, True)
    assert world.service.results(view.id) == b"best"


def test_a_final_job_does_not_change_when_it_is_cancelled():
    world = World()
    view = world.service.get(world.service.submit(command()).id)
    assert world.service.cancel(view.id) == view


def test_whatever_is_missing_is_not_found(world):
    for ask in (
        world.service.get,
        world.service.cancel,
        world.service.delete,
        world.service.results,
        world.service.best,
        world.service.trace,
        lambda job_id: world.service.wait(job_id, 1),
        lambda job_id: world.service.update(job_id, PatchJob()),
    ):
        with pytest.raises(JobNotFound, match="job nope was not found"):
            ask("nope")


def test_deleting_a_job_leaves_the_input_of_others():
    world = World()
    one = world.service.submit(command())
    uri = one.input_data_uri
    two = world.service.submit(command(input_data_uri=uri))
    world.service.delete(one.id)
    assert world.service.list_blobs(f"job-{one.id}") == ["inputData"]
    world.service.delete(two.id)
    with pytest.raises(JobNotFound):
        world.service.get(two.id)


def test_deleting_a_job_deletes_its_data():
    world = World()
    view = world.service.submit(command())
    world.service.put_blob(f"job-{view.id}", "attachment", b"")
    world.service.delete(view.id)
    assert list(world.service.list_blobs(f"job-{view.id}")) == []
    with pytest.raises(JobNotFound):
        world.service.get(view.id)


def test_deleting_a_running_job_waits_until_it_has_stopped(world):
    view = world.service.submit(command())
    world.claim()
    with pytest.raises(Conflict, match=f"job {view.id}: still running 60 s after it was cancelled"):
        world.service.delete(view.id)
    assert world.clock.monotonic() >= DELETE_PATIENCE_S
    assert world.service.get(view.id).is_cancelling


def test_descriptive_members_can_be_changed(world):
    view = world.service.submit(command(tags=["a"]))
    changed = world.service.update(view.id, PatchJob(name="b", priority="High"))
    assert changed == structs.replace(view, name="b", priority="High")
    assert world.service.update(view.id, PatchJob(tags=[])).tags == ()
    with pytest.raises(InvalidJobDefinition, match="priority: must be one of Standard, High, found 'x'"):
        world.service.update(view.id, PatchJob(priority="x"))
    for patch in (PatchJob(name="x" * 1025), PatchJob(tags=["x" * 8192])):
        with pytest.raises(InvalidJobDefinition, match="must have at most"):
            world.service.update(view.id, patch)


def test_listing_pages_through_all_jobs_newest_first(world):
    for _ in range(250):
        world.service.submit(command())
        world.clock.sleep(1)
    ids = [view.id for view in world.service.list(JobQuery())]
    assert ids == [f"id-{number}" for number in reversed(range(250))]
    assert next(iter(world.service.list(JobQuery(descending=False)))).id == "id-0"


@pytest.mark.parametrize("order", ItemOrder)
@pytest.mark.parametrize("descending", [True, False])
def test_pages_lead_from_one_to_the_next(world, order, descending):
    for number in range(7):
        world.service.submit(command(name=f"n{number % 3}"))
        world.clock.sleep(1)
    query = JobQuery(order_by=order, descending=descending)
    page = world.service.page(query, top=3)
    ids = [view.id for view in page.items]
    assert len(ids) == 3
    while page.next is not None:
        assert re.fullmatch("[A-Za-z0-9_-]+", page.next)
        page = world.service.page(query, top=3, token=page.next)
        ids += [view.id for view in page.items]
    assert ids == [view.id for view in world.service.list(query)]
    assert sorted(ids) == [f"id-{number}" for number in range(7)]
    assert [view.id for view in world.service.page(query, top=2, skip=4).items] == ids[4:6]


def test_a_full_last_page_is_known_to_be_the_last(world):
    for _ in range(3):
        world.service.submit(command())
    assert world.service.page(JobQuery(), top=3).next is None
    assert world.service.page(JobQuery(), top=2).next is not None
    assert world.service.page(JobQuery(name_prefix="other")) == Page((), None)


@pytest.mark.parametrize(
    ("token", "message"),
    [
        ("", "page token: must be the token of a page, found ''"),
        ("ü", "must be the token of a page"),
        ("A" * 10**6, "must be the token of a page"),
        ("WzFd", "must be the token of a page"),
        (encode_token(Cursor("a\x00", START, "x"), ItemOrder.CREATION_TIME, descending=True), "the token of a page"),
        (encode_token(Cursor("\ud800", START, "x"), ItemOrder.CREATION_TIME, descending=True), "the token of a page"),
        (encode_token(Cursor("a", START, "x"), ItemOrder.NAME, descending=True), "made for, 'Name', found 'Creation"),
        (encode_token(Cursor("", START, "x"), ItemOrder.CREATION_TIME, descending=False), "direction it was made for"),
    ],
)
def test_a_token_that_no_page_came_with_is_refused(world, token, message):
    with pytest.raises(InvalidFilter, match=message):
        world.service.page(JobQuery(), token=token)


@given(token=st.text(max_size=60) | st.binary(max_size=60).map(lambda data: base64.urlsafe_b64encode(data).decode()))
def test_no_text_breaks_the_reader_of_tokens(token):
    with pytest.raises(InvalidFilter):
        decode_token(token, ItemOrder.NAME, descending=True)


@pytest.mark.parametrize(
    ("query", "window", "message"),
    [
        (JobQuery(), {"top": 0}, "top: must be at least 1, found 0"),
        (JobQuery(), {"skip": -1}, "skip: must be at least 0, found -1"),
        (JobQuery(name_prefix="x" * 201), {}, "name prefix: must have at most 200 characters, found 201"),
        (JobQuery(targets=["a\x00"]), {}, "filter: must be valid Unicode without NUL, found 'a"),
        (JobQuery(session_id="\ud800"), {}, "filter: must be valid Unicode without NUL"),
    ],
)
def test_what_cannot_be_listed_is_said(world, query, window, message):
    with pytest.raises(InvalidFilter, match=message):
        world.service.page(query, **window)


def test_a_page_has_a_largest_size(world, monkeypatch):
    monkeypatch.setattr("qiosk.service.paging.MAX_PAGE", 2)
    for _ in range(3):
        world.service.submit(command())
    assert len(world.service.page(JobQuery(), top=100).items) == 2


def test_a_time_without_a_zone_is_no_filter(world):
    with pytest.raises(InvalidFilter, match="creation time: must have a time zone, found 2026-01-01T00:00:00"):
        world.service.list(JobQuery(created_after=datetime(2026, 1, 1)))


def test_waiting_ends_with_the_time_out(world):
    view = world.service.submit(command())
    assert world.service.wait(view.id, 3.0).status is JobStatus.WAITING
    assert world.clock.monotonic() == pytest.approx(3.0)
    assert world.executor.ensured > 10


def test_updates_end_with_the_final_state_and_carry_each_best_once(world):
    view = world.service.submit(command())
    following = world.service.updates(view.id)
    assert next(following).status is JobStatus.WAITING
    attempt = world.claim()
    attempt.report(RunUpdate(trace=(TracePoint(0.1, 1, 5.0), TracePoint(0.2, 2, 4.0)), trace_start=0))
    update = next(following)
    assert (update.status, update.trace_start, [p.cost for p in update.new_trace]) == ("Executing", 0, [5.0, 4.0])
    world.service.cancel(view.id)
    attempt.process_lost("killed", max_losses=20)
    assert [(u.status, u.trace_start, len(u.new_trace)) for u in following] == [("Cancelled", 2, 0)]
    (late,) = world.service.updates(view.id, after=1)
    assert (late.trace_start, [p.cost for p in late.new_trace]) == (1, [4.0])


def test_updates_tell_of_bests_that_an_interrupted_run_found_anew(world):
    view = world.service.submit(command())
    following = world.service.updates(view.id)
    next(following)
    attempt = world.claim()
    attempt.report(RunUpdate(trace=(TracePoint(0.1, 1, 5.0), TracePoint(0.2, 2, 4.0)), trace_start=0))
    next(following)
    attempt.process_lost("killed", max_losses=20)
    next(following)
    anew = (TracePoint(0.1, 1, 5.0), TracePoint(7.2, 2, 4.0), TracePoint(7.3, 3, 3.0))
    world.claim().report(RunUpdate(trace=anew, trace_start=0))
    update = next(following)
    assert (update.trace_start, tuple(update.new_trace)) == (0, anew)


def test_updates_end_with_the_time_out_and_unknown_jobs_have_none(world):
    view = world.service.submit(command())
    following = world.service.updates(view.id, timeout_s=2.5)
    assert next(following).status is JobStatus.WAITING
    with pytest.raises(TimeoutError, match=r"not completed after 2\.5 s, status is Waiting"):
        next(following)
    assert world.clock.monotonic() == pytest.approx(2.5)
    with pytest.raises(JobNotFound):
        next(world.service.updates("unknown"))


def test_waiting_ends_with_the_first_change(world, monkeypatch):
    view = world.service.submit(command())
    sleep = world.clock.sleep

    def sleep_and_claim(seconds: float) -> None:
        sleep(seconds)
        if world.clock.monotonic() > 0.5 and world.jobs.waiting(1):
            world.claim()

    monkeypatch.setattr(world.clock, "sleep", sleep_and_claim)
    assert world.service.wait(view.id, 5.0).status is JobStatus.EXECUTING
    assert world.clock.monotonic() < 0.6


def test_waiting_for_a_final_job_takes_no_time():
    world = World()
    view = world.service.submit(command())
    assert world.service.wait(view.id, 5.0).status is JobStatus.SUCCEEDED


def test_blobs_are_reached_through_the_service(world):
    uri = world.service.put_blob("c", "dir/a", b"1")
    assert uri == "memory://c/dir/a"
    assert world.service.get_blob("c", "dir/a") == b"1"
    assert world.service.locate(f"{uri}?sig=1") == ("c", "dir/a")
    with pytest.raises(InvalidValue, match="must name a container and a blob"):
        world.service.locate(world.service.container_uri("c"))
    with pytest.raises(InvalidValue, match="blob uri: must begin with"):
        world.service.locate("file:///elsewhere/c/dir/a")
    assert list(world.service.list_blobs("c")) == ["dir/a"]
    with pytest.raises(BlobAlreadyExists):
        world.service.put_blob("c", "dir/a", b"2", overwrite=False)


def test_an_ended_attempt_removes_what_nobody_will_read(world):
    view = world.service.submit(command())
    for _ in range(2):
        world.claim().release()
    for name in ("bestSoFar", "checkpoint", "checkpoint-2", "rawOutputData", "rawOutputData-3", "mine"):
        world.service.put_blob(f"job-{view.id}", name, b"")
    assert world.claim().finish(RunOutcome(output_blob="rawOutputData-3", stop_reason="finished"))
    assert list(world.service.list_blobs(f"job-{view.id}")) == ["inputData", "mine", "rawOutputData-3"]


def test_an_attempt_that_lost_its_job_changes_nothing(world):
    view = world.service.submit(command())
    stale = world.claim()
    stale.release()
    current = world.claim()
    before = world.stored(view.id)
    outcome = RunOutcome(output_blob="late", stop_reason="finished")
    error = ErrorData(code="InternalError", message="late")
    assert not stale.finish(outcome)
    assert not stale.fail(error)
    assert not stale.process_lost("late", max_losses=1)
    assert not stale.release()
    assert stale.report(RunUpdate(best_blob="late")) is None
    assert world.stored(view.id) == before
    assert current.finish(replace(outcome, output_blob="rawOutputData-2"))
    assert not current.fail(error)
    world.service.delete(view.id)
    assert not current.finish(outcome)


def test_a_job_whose_process_keeps_vanishing_fails(world):
    view = world.service.submit(command())
    for _ in range(2):
        assert world.claim().process_lost("signal SIGKILL", max_losses=3)
    world.claim().release()  # the supervisor's death is not the job's fault
    assert world.service.get(view.id).status is JobStatus.WAITING
    assert world.claim().process_lost("signal SIGKILL", max_losses=3)
    ended = world.service.get(view.id)
    assert (ended.status, ended.attempts) == (JobStatus.FAILED, 4)
    assert ended.error_data.message == "the job's process vanished 3 times, at last: signal SIGKILL"


def test_leases_last_half_a_minute_from_the_last_report(world):
    view = world.service.submit(command())
    attempt = world.claim()
    assert world.stored(view.id).lease_expires_at == world.clock.now() + timedelta(seconds=30)
    world.clock.sleep(20)
    attempt.report(RunUpdate())
    assert world.stored(view.id).lease_expires_at == world.clock.now() + timedelta(seconds=30)


@pytest.mark.parametrize("job_id", ["", "a\x00b", "\ud800", "../up", "x" * 10**6])
def test_an_id_that_no_job_can_have_is_not_found(world, job_id):
    with pytest.raises(JobNotFound):
        world.service.get(job_id)
