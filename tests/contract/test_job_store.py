"""What every job store guarantees."""

from __future__ import annotations

import itertools
import random
import string
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from msgspec import structs

import databases
from qiosk.adapters.sql.jobs import SqlJobStore, open_sqlite
from qiosk.contract.jobs import BoundPoint, ErrorData, JobProgress, JobQuery, JobStatus, SubmitJob, TracePoint
from qiosk.contract.logs import MAX_LOG_BYTES, LogLine
from qiosk.contract.paging import ItemOrder
from qiosk.contract.provenance import environment
from qiosk.contract.workspaces import MAX_KEY_BYTES
from qiosk.errors import JobAlreadyExists, JobNotFound
from qiosk.service.jobs.definition import MAX_NAME, MAX_WORD, define_job
from qiosk.service.jobs.job import Job, JobEvent, JobKey, JobState
from qiosk.service.jobs.runs import RunUpdate
from qiosk.service.paging import PAGE_BYTES, Cursor, cursor_of, is_heavy
from qiosk.service.ports import JobStore
from qiosk.testing import MemoryBlobStore, MemoryJobStore

NOW = datetime(2026, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)
LEASE = NOW + timedelta(seconds=30)


def a_job(job_id: str = "j1", *, workspace: str = "default", seconds: float = 0.0, **members) -> Job:
    command = SubmitJob(**{"name": "a", "provider_id": "Microsoft", "target": "t.cpu", "input_data": b"{}", **members})
    at = NOW + timedelta(seconds=seconds)
    return define_job(job_id, command, workspace=workspace, blobs=MemoryBlobStore(), at=at)


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def store(request, tmp_path):
    if request.param == "memory":
        opened: JobStore = MemoryJobStore()
    elif request.param == "sqlite":
        opened = open_sqlite(tmp_path / "jobs.db")
    else:
        database = request.getfixturevalue("postgres")
        databases.empty(database)
        opened = SqlJobStore(database)
    yield opened
    opened.close()


def claim(store: JobStore, seconds: float = 0.0, *, worker: str = "w", **arguments) -> Job | None:
    at = NOW + timedelta(seconds=seconds)
    return store.claim(worker=worker, now=at, lease_expires_at=at + timedelta(seconds=30), **arguments)


def everything(store: JobStore, query: JobQuery, *, limit: int = 3, workspace: str = "default") -> list[str]:
    found: list[Job] = []
    while page := store.page(workspace, query, last(found, query), limit):
        found += page
    return [job.id for job in found]


def last(found: list[Job], query: JobQuery) -> Cursor | None:
    return cursor_of(found[-1], query.order_by) if found else None


def test_a_stored_job_comes_back_with_every_member(store):
    job = replace(
        a_job(
            name="Ünïcode 'quoted'",
            input_params={"params": {"timeout": 100, "x": 0.1, "big": 2**70, "none": None}},
            metadata={"a": "b"},
            tags=("x", "y"),
            priority="High",
            session_id="s",
        ),
        state=JobState.FAILED,
        begun_at=NOW,
        ended_at=LEASE,
        cancelled_at=LEASE,
        error=ErrorData(code="InternalError", message=""),
        fence=3,
        losses=2,
        supervisor_deaths=1,
        worker="w",
        lease_expires_at=LEASE,
        progress=JobProgress(fraction=0.5, sweeps=2**40, best_cost=-1.5, seconds=3.0, activity="…"),
        best_blob="b",
        best_cost=-1.5,
        checkpoint_blob="c",
        output_blob="o",
        submitter="ann@host",
        run_limit=86_400.0,
        provenance=structs.replace(environment(threads=2), seed=2**63 - 1, given={"x": [1.5, None]}, began_at=NOW),
    )
    store.add(job)
    assert replace(store.get(job.key), revision=job.revision) == job


def test_a_key_is_taken_once(store):
    store.add(a_job())
    with pytest.raises(JobAlreadyExists, match="job j1: the id belongs to another job"):
        store.add(a_job(name="b"))
    assert store.get(JobKey("default", "j1")).name == "a"


def test_workspaces_do_not_see_each_other(store):
    store.add(a_job(workspace="one", name="first"))
    store.add(a_job(workspace="two", name="second"))
    assert store.get(JobKey("two", "j1")).name == "second"
    assert [job.name for job in store.page("one", JobQuery(), None, 10)] == ["first"]
    store.delete(JobKey("one", "j1"))
    assert store.get(JobKey("two", "j1")).name == "second"


def test_whatever_is_missing_is_not_found(store):
    missing = JobKey("default", "nope")
    for ask in (store.get, store.delete, lambda key: store.trace(key, 0)):
        with pytest.raises(JobNotFound, match="job nope was not found"):
            ask(missing)
    assert store.record(missing, 1, RunUpdate(), lease_expires_at=LEASE) is None
    assert not store.swap(a_job("nope"), expected=a_job("nope"))


def test_a_swap_against_an_old_revision_changes_nothing(store):
    store.add(a_job())
    old = store.get(JobKey("default", "j1"))
    assert store.swap(replace(old, name="first"), expected=old)
    assert not store.swap(replace(old, name="second"), expected=old)
    assert store.get(old.key).name == "first"


def test_a_claim_does_what_the_event_says(store):
    store.add(a_job())
    waiting = store.get(JobKey("default", "j1"))
    claimed = store.claim(worker="w", now=NOW, lease_expires_at=LEASE)
    expected = waiting.on(JobEvent.CLAIM, at=NOW, worker="w", lease_expires_at=LEASE)
    assert claimed == replace(expected, revision=claimed.revision) == store.get(waiting.key)
    assert claim(store) is None


def test_claims_come_in_order_of_urgency_then_age(store):
    for name, seconds, priority in [("d", 3, None), ("b", 1, "Standard"), ("u", 5, "High"), ("a", 0, None)]:
        store.add(a_job(name, seconds=seconds, priority=priority))
    assert [claim(store).id for _ in range(4)] == ["u", "a", "b", "d"]


def test_workspaces_take_turns(store):
    for number in range(4):
        store.add(a_job(f"a{number}", workspace="many", seconds=number))
    store.add(a_job("b", workspace="one", seconds=9))
    store.add(a_job("c", workspace="another", seconds=8))
    claimed = [claim(store) for _ in range(5)]
    assert [job.id for job in claimed] == ["a0", "c", "b", "a1", "a2"]
    store.swap(claimed[2].on(JobEvent.SUCCEED, at=NOW, output_blob="o"), expected=claimed[2])
    store.add(a_job("d", workspace="one", seconds=10))
    assert claim(store).id == "d"


def test_urgency_counts_within_a_workspace_only(store):
    for number in range(6):
        store.add(a_job(f"h{number}", workspace="hasty", priority="High", seconds=number))
    store.add(a_job("late", workspace="calm", priority="High", seconds=9))
    for number in range(2):
        store.add(a_job(f"c{number}", workspace="calm", seconds=number + 1.5))
    assert [claim(store).id for _ in range(9)] == ["h0", "late", "h1", "c0", "h2", "c1", "h3", "h4", "h5"]


def test_of_workspaces_with_equally_many_running_the_one_whose_next_job_waits_longest_has_its_turn(store):
    store.add(a_job("old", workspace="a", seconds=0))
    store.add(a_job("b", workspace="b", seconds=1))
    store.add(a_job("next", workspace="a", priority="High", seconds=2))
    assert [claim(store).id for _ in range(3)] == ["b", "next", "old"]


def test_a_workspace_at_its_limit_is_passed_over(store):
    for number in range(3):
        store.add(a_job(f"a{number}", workspace="limited", seconds=number, priority="High"))
    store.add(a_job("b", workspace="free", seconds=5))

    def limit_of(workspace: str) -> int | None:
        return 1 if workspace == "limited" else None

    first = claim(store, limit_of=limit_of)
    assert first.id == "a0"
    assert claim(store, limit_of=limit_of).id == "b"
    assert claim(store, limit_of=limit_of) is None
    cancelling = first.on(JobEvent.CANCEL, at=NOW)
    assert store.swap(cancelling, expected=first)
    assert claim(store, limit_of=limit_of) is None, "one that is being cancelled still runs"
    store.swap(store.get(first.key).on(JobEvent.STOP, at=NOW), expected=store.get(first.key))
    assert claim(store, limit_of=limit_of).id == "a1"
    assert claim(store, limit_of=lambda _: 0) is None
    assert claim(store).id == "a2"


def test_the_only_workspace_with_waiting_jobs_keeps_to_its_limit(store):
    for number in range(3):
        store.add(a_job(f"a{number}", workspace="limited", seconds=number))
    assert claim(store, limit_of=lambda _: 2).id == "a0"
    assert claim(store, limit_of=lambda _: 2).id == "a1"
    assert claim(store, limit_of=lambda _: 2) is None
    assert claim(store, limit_of=lambda _: 3).id == "a2"


def test_many_claimants_together_keep_to_the_limit(store):
    for number in range(30):
        store.add(a_job(f"j{number}", workspace=f"w{number % 2}", seconds=number))
    start = threading.Barrier(8)

    def claim_four(_: int) -> int:
        start.wait()
        return sum(claim(store, limit_of=lambda _: 3) is not None for _ in range(4))

    with ThreadPoolExecutor(8) as pool:
        claimed = sum(pool.map(claim_four, range(8)))
    while claim(store, limit_of=lambda _: 3) is not None:
        claimed += 1
    assert claimed == 6
    assert sorted(job.workspace for job in store.running()) == ["w0"] * 3 + ["w1"] * 3


def test_running_jobs_can_be_told_by_home(store):
    for number in range(3):
        store.add(a_job(f"j{number}", seconds=number))
    claim(store, worker="home1/host:1")
    claim(store, worker="home12/host:1", seconds=20)
    assert [job.id for job in store.running(home="home1")] == ["j0"]
    assert [job.id for job in store.running(home="home12")] == ["j1"]
    assert list(store.running(home="home")) == []


def test_claims_are_those_of_running_jobs(store):
    for number in range(3):
        store.add(a_job(f"j{number}", workspace=f"w{number}", seconds=number))
    first, second = claim(store), claim(store)
    assert store.swap(second.on(JobEvent.SUCCEED, at=NOW, output_blob="o"), expected=second)
    before = store.claims()
    assert [(held.key, held.fence) for held in before] == [(first.key, first.fence)]
    store.record(first.key, first.fence, RunUpdate(), lease_expires_at=NOW)
    assert store.claims()[0].revision > before[0].revision


def test_jobs_that_are_being_cancelled_are_told_from_other_running_ones(store):
    for number in range(2):
        store.add(a_job(f"j{number}", seconds=number))
    first, _ = claim(store), claim(store)
    assert list(store.running(is_cancelling=True)) == []
    assert store.swap(first.on(JobEvent.CANCEL, at=NOW), expected=first)
    assert [job.id for job in store.running(is_cancelling=True)] == ["j0"]
    assert [job.id for job in store.running(home="another", is_cancelling=True)] == []


def test_every_report_changes_the_revision_by_which_leases_are_judged(store):
    store.add(a_job())
    before = claim(store).revision
    for update in (RunUpdate(), RunUpdate(trace=[TracePoint(0, 0, 0)], trace_start=0)):
        store.record(a_job().key, 1, update, lease_expires_at=LEASE)
        assert before < store.get(a_job().key).revision
        before = store.get(a_job().key).revision


def test_messages_that_no_database_could_hold_are_kept_readable(store):
    job = replace(a_job(), state=JobState.FAILED, error=ErrorData(code="InternalError", message="a\x00b\ud800"))
    store.add(job)
    assert store.get(job.key).error.message.startswith("a")


def test_eight_threads_claiming_forty_jobs_get_forty_different_ones(store):
    for number in range(40):
        store.add(a_job(f"j{number}", seconds=number))
    start = threading.Barrier(8)

    def claim_until_none(_: int) -> list[str]:
        start.wait()
        claimed = []
        while job := claim(store):
            claimed.append(job.id)
        return claimed

    with ThreadPoolExecutor(8) as pool:
        claimed = [job_id for ids in pool.map(claim_until_none, range(8)) for job_id in ids]
    assert sorted(claimed) == sorted(f"j{number}" for number in range(40))
    assert len(store.running()) == 40
    assert store.waiting(100) == 0


def test_eight_threads_swapping_one_job_lose_no_change(store):
    store.add(a_job())
    key = JobKey("default", "j1")

    def add_tag(number: int) -> None:
        while True:
            job = store.get(key)
            if store.swap(replace(job, tags=(*job.tags, str(number))), expected=job):
                return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add_tag, range(24)))
    assert sorted(store.get(key).tags) == sorted(map(str, range(24)))


def test_a_report_is_stored_and_extends_the_lease(store):
    store.add(a_job())
    job = claim(store)
    update = RunUpdate(
        progress=JobProgress(
            fraction=0.5,
            sweeps=10,
            best_cost=-3.0,
            seconds=1.0,
            bound=-4.0,
            bounds=(BoundPoint(0.1, -9.0), BoundPoint(0.2, -4.0)),
        ),
        trace=[TracePoint(0.1, 1, -1.0), TracePoint(0.2, 2, -3.0)],
        trace_start=0,
        best_blob="bestSoFar",
        best_cost=-3.0,
        checkpoint_blob="checkpoint",
    )
    assert store.record(job.key, 1, update, lease_expires_at=LEASE) is JobState.EXECUTING
    stored = store.get(job.key)
    assert (stored.progress, stored.best_blob, stored.best_cost) == (update.progress, "bestSoFar", -3.0)
    assert (stored.checkpoint_blob, stored.lease_expires_at) == ("checkpoint", LEASE)
    assert list(store.trace(job.key, 1)) == [TracePoint(0.2, 2, -3.0)]
    assert stored.revision != job.revision
    store.record(job.key, 1, RunUpdate(), lease_expires_at=LEASE)
    assert replace(store.get(job.key), revision=0) == replace(stored, revision=0)


def test_a_report_under_a_stale_fence_is_dropped(store):
    store.add(a_job())
    job = claim(store)
    store.swap(job.on(JobEvent.LOSE, at=NOW), expected=job)
    late = RunUpdate(best_blob="late", trace=[TracePoint(0.0, 0, 0.0)], trace_start=0)
    assert store.record(job.key, 1, late, lease_expires_at=LEASE) is None  # it waits
    assert claim(store).fence == 2
    assert store.record(job.key, 1, late, lease_expires_at=LEASE) is None  # another one runs it
    assert store.get(job.key).best_blob is None
    assert list(store.trace(job.key, 0)) == []


def test_a_report_tells_of_a_cancellation(store):
    store.add(a_job())
    job = claim(store)
    store.swap(job.on(JobEvent.CANCEL, at=NOW), expected=job)
    assert store.record(job.key, 1, RunUpdate(), lease_expires_at=LEASE) is JobState.CANCELLING


def test_a_resumed_run_replaces_the_trace_from_its_checkpoint_on(store):
    store.add(a_job())
    job = claim(store)
    points = [TracePoint(float(i), i, -float(i)) for i in range(5)]
    store.record(job.key, 1, RunUpdate(trace=points, trace_start=0), lease_expires_at=LEASE)
    again = TracePoint(9.0, 9, -9.0)
    store.record(job.key, 1, RunUpdate(trace=[again], trace_start=2), lease_expires_at=LEASE)
    assert list(store.trace(job.key, 0)) == [*points[:2], again]
    for beyond in (3, 2**31, 2**80):
        assert list(store.trace(job.key, beyond)) == []


def test_deleting_a_job_deletes_its_trace(store):
    store.add(a_job())
    job = claim(store)
    store.record(job.key, 1, RunUpdate(trace=[TracePoint(0, 0, 0)], trace_start=0), lease_expires_at=LEASE)
    store.delete(job.key)
    store.add(a_job())
    assert list(store.trace(job.key, 0)) == []


def test_data_that_another_job_needs_are_known(store):
    store.add(a_job("a"))
    store.add(a_job("reads", input_data=None, input_data_uri="memory://job-a/inputData"))
    store.add(a_job("writes", container_uri="memory://job-b"))
    store.add(a_job("both", container_uri="memory://shared"))
    store.add(a_job("own", input_data=None, input_data_uri="memory://job-own/special"))
    store.add(a_job("elsewhere", workspace="another", input_data=None, input_data_uri="memory://job-reads/inputData"))

    def is_needed(job_id: str, *place: str) -> bool:
        return store.is_needed(JobKey("default", job_id), *place)

    assert is_needed("a", "job-a")
    assert is_needed("a", "job-a", "inputData")
    assert not is_needed("a", "job-a", "rawOutputData")
    assert is_needed("reads", "job-a"), "it is a's own"
    assert not is_needed("reads", "job-reads")
    assert is_needed("b", "job-b"), "there need be no such job"
    assert not is_needed("writes", "job-b")
    assert is_needed("b", "job-b", "inputData.writes")
    assert not is_needed("both", "shared")
    assert not is_needed("both", "shared", "inputData.both")
    assert is_needed("a", "shared", "inputData.both")
    assert not is_needed("own", "job-own")
    assert is_needed("a", "job-own", "special")
    assert not is_needed("a", "nowhere")


QUERIES = [
    (JobQuery(), "eabcd"),
    (JobQuery(descending=False), "dcbae"),
    (JobQuery(id_prefix="b"), "b"),
    (JobQuery(id_prefix="B"), ""),
    (JobQuery(id_prefix="ab"), ""),
    (JobQuery(id_prefix="e", session_id="s", order_by=ItemOrder.NAME), "e"),
    (JobQuery(tags=["x"]), "eb"),
    (JobQuery(tags=["x", 'a "b", ']), "b"),
    (JobQuery(tags=["X"]), ""),
    (JobQuery(tags=['"x"']), ""),
    (JobQuery(tags=[", "]), "a"),
    (JobQuery(tags=["line\nbreak"]), "a"),
    (JobQuery(tags=["ünï", "x"], statuses=[JobStatus.WAITING]), "e"),
    (JobQuery(name_prefix="my_"), "abd"),
    (JobQuery(name_prefix="MY_J"), "bd"),
    (JobQuery(name_prefix="100%"), "c"),
    (JobQuery(name_prefix=""), "eabcd"),
    (JobQuery(name_prefix="STRASSE"), ""),
    (JobQuery(statuses=[JobStatus.EXECUTING]), "cd"),
    (JobQuery(statuses=[JobStatus.WAITING, JobStatus.EXECUTING]), "eabcd"),
    (JobQuery(statuses=[]), ""),
    (JobQuery(job_types=["unknown"]), "c"),
    (JobQuery(provider_ids=["microsoft"]), "ebc"),
    (JobQuery(targets=["OTHER.cpu", "none"]), "d"),
    (JobQuery(created_after=NOW + timedelta(seconds=2)), "eab"),
    (JobQuery(created_before=NOW + timedelta(seconds=2)), "bcd"),
    (JobQuery(name_prefix="my", created_before=NOW + timedelta(seconds=2)), "bd"),
    (JobQuery(session_id="s"), "ea"),
    (JobQuery(session_id=""), ""),
    (JobQuery(parent_id="d"), "c"),
    (JobQuery(parent_id="D"), ""),
    (JobQuery(parent_id="d", statuses=[JobStatus.EXECUTING], order_by=ItemOrder.NAME), "c"),
    (JobQuery(parent_id="d", session_id="s"), ""),
    (JobQuery(is_top_level=True), "bcd"),
    (JobQuery(order_by=ItemOrder.NAME), "eabdc"),
    (JobQuery(order_by=ItemOrder.NAME, descending=False), "cdbae"),
    (JobQuery(order_by=ItemOrder.NAME, descending=False, name_prefix="My_"), "dba"),
    (JobQuery(order_by=ItemOrder.TARGET, descending=False), "bdcae"),
    (JobQuery(order_by=ItemOrder.TARGET), "eacdb"),
    (JobQuery(order_by=ItemOrder.PROVIDER_ID, descending=False), "dcbea"),
    (JobQuery(order_by=ItemOrder.JOB_TYPE, descending=False), "dbaec"),
    (JobQuery(order_by=ItemOrder.STATE, descending=False), "dcbae"),
    (JobQuery(order_by=ItemOrder.ITEM_TYPE), "eabcd"),
]


def add_five_jobs(store: JobStore) -> None:
    store.add(a_job("d", seconds=0, name="MY_job", target="other.CPU", provider_id="1qbit"))
    store.add(replace(a_job("c", seconds=1, name="100%", job_type="Unknown"), parent_id="d"))
    store.swap((job := claim(store)).on(JobEvent.CANCEL, at=NOW), expected=job)
    claim(store)
    store.add(a_job("b", seconds=2, name="my_job", target="B.cpu", tags=("x", 'a "b", ', ", y")))
    tags = ("line\nbreak", ", ", "break")
    store.add(a_job("a", seconds=3, name="my_other", provider_id="toshiba", session_id="s", tags=tags))
    store.add(a_job("e", seconds=3, name="myXjob", session_id="s", tags=("ünï", "x")))


@pytest.mark.parametrize(("query", "expected"), QUERIES, ids=lambda value: "")
def test_queries_find_what_they_describe_in_order(store, query, expected):
    add_five_jobs(store)
    assert everything(store, query, limit=2) == list(expected)
    assert everything(store, query, limit=100) == list(expected)


def test_ids_that_begin_alike_are_found_page_by_page(store):
    ids = ["7a1f", "7a1f-", "7a1f0", "7a1fzz", "7a1", "7a1e", "7a2", "7A1f", "8"]
    for second, job_id in enumerate(ids):
        store.add(a_job(job_id, seconds=second))
        store.add(a_job(job_id, workspace="other"))
    assert everything(store, JobQuery(id_prefix="7a1f"), limit=1) == ["7a1fzz", "7a1f0", "7a1f-", "7a1f"]
    query = JobQuery(id_prefix="7a1f", order_by=ItemOrder.STATE, descending=False)
    assert everything(store, query, limit=3) == ["7a1f", "7a1f-", "7a1f0", "7a1fzz"]


@hypothesis_settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(tags=st.lists(st.text('a"\\ ,[]\n', max_size=4), max_size=4), tag=st.text('a"\\ ,[]\n', max_size=4))
def test_exactly_the_jobs_that_have_a_tag_are_found(store, tags, tag):
    workspace = f"w{store.version()}-{len(tags)}-{time.monotonic_ns()}"
    store.add(a_job(workspace=workspace, tags=tuple(tags)))
    found = everything(store, JobQuery(tags=[tag]), workspace=workspace)
    assert bool(found) is (tag in tags)
    assert everything(store, JobQuery(tags=tags), workspace=workspace) == ["j1"]


def test_changed_tags_are_found(store):
    store.add(job := a_job(tags=("x",)))
    assert store.swap(replace(store.get(job.key), tags=("y", "z")), expected=store.get(job.key))
    assert [everything(store, JobQuery(tags=[tag])) for tag in "xyz"] == [[], ["j1"], ["j1"]]


def test_a_page_may_begin_further_on(store):
    add_five_jobs(store)
    query = JobQuery()
    first = store.page("default", query, None, 2, skip=1)
    assert [job.id for job in first] == ["a", "b"]
    assert [job.id for job in store.page("default", query, last(list(first), query), 5, skip=1)] == ["d"]
    assert list(store.page("default", query, None, 2, skip=10**12)) == []


@pytest.mark.parametrize("order", [ItemOrder.CREATION_TIME, ItemOrder.NAME])
def test_large_jobs_make_a_page_end_early(store, order):
    large = "x" * (PAGE_BYTES // 3)
    for number in range(7):
        store.add(replace(a_job(f"j{number}", seconds=number), input_params=large if number % 2 else None))
    query = JobQuery(order_by=order, descending=False)
    first = store.page("default", query, None, 10)
    assert [job.id for job in first] == [f"j{number}" for number in range(6)]
    assert is_heavy(first)
    assert not is_heavy(first[:5])
    assert everything(store, query, limit=10) == [f"j{number}" for number in range(7)]
    store.add(replace(a_job("huge", seconds=-1, name="A"), input_params=2 * PAGE_BYTES * "x"))
    assert [job.id for job in store.page("default", query, None, 10)] == ["huge"]


def test_a_page_of_many_jobs_is_complete(store):
    for number in range(300):
        store.add(a_job(f"j{number:03}", seconds=number % 7))
    query = JobQuery()
    found = store.page("default", query, None, 290, skip=5)
    assert len(found) == 290
    assert [job.id for job in found] == everything(store, query, limit=50)[5:295]


@pytest.mark.parametrize(
    ("key", "descending", "expected"),
    [("Job", True, "bcd"), ("Session", True, "eabcd"), ("Session", False, ""), ("Item", False, "dcbae")],
)
def test_in_a_list_of_several_types_jobs_lie_before_or_behind_the_others(store, key, descending, expected):
    add_five_jobs(store)
    query = JobQuery(order_by=ItemOrder.ITEM_TYPE, descending=descending)
    after = Cursor(key, NOW + timedelta(seconds=3), "a")
    assert [job.id for job in store.page("default", query, after, 10)] == list(expected)


def test_the_longest_names_can_be_stored_and_sorted_by(store):
    rng = random.Random(0)  # nothing that an index could compress
    workspace = "".join(rng.choices(string.ascii_letters, k=MAX_KEY_BYTES))
    name = "".join(chr(rng.randrange(0x1F300, 0x1F600)) for _ in range(MAX_NAME))
    job = a_job("x" * 100, workspace=workspace, name=name, job_type="".join(chr(0x1F300 + k) for k in range(MAX_WORD)))
    store.add(job)
    for order in ItemOrder:
        assert everything(store, JobQuery(order_by=order), workspace=workspace) == [job.id]


def test_letter_case_counts_nowhere_in_names(store):
    store.add(a_job("s", name="Straße " + "x" * 1000))
    assert everything(store, JobQuery(name_prefix="STRASSE XX")) == ["s"]
    assert everything(store, JobQuery(name_prefix="straße " + "X" * 192)) == ["s"]


@hypothesis_settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_paging_yields_every_job_once_while_others_come_and_go(store, data):
    workspace = f"w{store.version()}-{data.draw(st.integers(0, 10**9))}"
    seconds = data.draw(st.lists(st.integers(0, 4), min_size=1, max_size=12))
    for number, second in enumerate(seconds):
        store.add(a_job(f"keep{number}", workspace=workspace, seconds=second, name=f"n{second % 3}"))
    order = data.draw(st.sampled_from([ItemOrder.CREATION_TIME, ItemOrder.NAME, ItemOrder.ITEM_TYPE]))
    query = JobQuery(order_by=order, descending=data.draw(st.booleans()))
    limit = data.draw(st.integers(1, 5))
    found: list[Job] = []
    extra = 0
    while page := store.page(workspace, query, last(found, query), limit):
        found += page
        if found[-1].id.startswith("extra") and data.draw(st.booleans()):
            store.delete(found[-1].key)
        if extra < 5:
            store.add(a_job(f"extra{extra}", workspace=workspace, seconds=data.draw(st.integers(0, 4))))
            extra += 1
    kept = [job.id for job in found if job.id.startswith("keep")]
    assert sorted(kept) == sorted(f"keep{number}" for number in range(len(seconds)))
    assert len({job.id for job in found}) == len(found)


def test_the_version_changes_with_every_change(store):
    seen = [store.version()]
    is_alone = isinstance(store, MemoryJobStore) or store._database.is_sqlite  # others use the same server

    def changed() -> bool:
        seen.append(store.version())
        return seen[-1] != seen[-2]

    assert not (changed() and is_alone)
    store.add(a_job())
    assert changed()
    job = claim(store)
    assert changed()
    store.record(job.key, 1, RunUpdate(), lease_expires_at=LEASE)
    assert changed()
    store.get(job.key)
    assert not (changed() and is_alone)
    assert claim(store) is None
    store.delete(job.key)
    assert changed()


def test_waiting_jobs_are_counted_up_to_the_limit(store):
    for number in range(5):
        store.add(a_job(f"j{number}", workspace=f"w{number}"))
    assert [store.waiting(limit) for limit in (1, 4, 10)] == [1, 4, 5]


def test_waiting_jobs_of_one_workspace_are_counted(store):
    for number in range(5):
        store.add(a_job(f"j{number}", workspace="many" if number else "one"))
    assert [store.waiting(limit, workspace="many") for limit in (1, 3, 10)] == [1, 3, 4]
    assert store.waiting(10, workspace="none") == 0


def end(store: JobStore, job: Job, seconds: float, event: JobEvent = JobEvent.SUCCEED) -> None:
    assert store.swap(job.on(event, at=NOW + timedelta(seconds=seconds), output_blob="o"), expected=job)


def test_the_time_a_job_ran_is_booked_once_in_the_month_in_which_it_ended(store):
    for number in range(3):
        store.add(a_job(f"j{number}", seconds=number))
    month = 31 * 86_400
    end(store, claim(store, 10), 15)
    end(store, claim(store, 10), 12.5)
    assert store.run_seconds("default", "2026-05") == 7.5
    job = store.get(JobKey("default", "j0"))
    assert store.swap(replace(job, name="renamed"), expected=job)
    assert not store.swap(replace(job, name="again"), expected=job)
    store.delete(JobKey("default", "j1"))
    end(store, claim(store, 20), 20 + month)
    assert (store.run_seconds("default", "2026-05"), store.run_seconds("default", "2026-06")) == (7.5, month)
    assert store.run_seconds("other", "2026-05") == 0.0


def test_a_swap_that_fails_books_nothing(store):
    store.add(a_job())
    job = claim(store, 0)
    end(store, job, 5)
    assert not store.swap(job.on(JobEvent.SUCCEED, at=NOW + timedelta(seconds=9), output_blob="o"), expected=job)
    assert store.run_seconds("default", "2026-05") == 5.0


def test_jobs_that_ended_are_found_oldest_first_in_all_workspaces(store):
    for number in range(6):
        store.add(a_job(f"j{number}", workspace="ab"[number % 2], seconds=number))
    jobs = [claim(store, 10) for _ in range(5)]
    for number, job in enumerate(jobs):
        end(store, job, 100 + number // 2)
    ended = [job.key for job in sorted(jobs, key=lambda job: (jobs.index(job) // 2, job.workspace, job.id))]
    late = NOW + timedelta(seconds=1000)
    assert [job.key for job in store.ended_before(late, 10)] == ended
    assert [job.key for job in store.ended_before(NOW + timedelta(seconds=102), 10)] == ended[:4]
    found: list[Job] = []
    while page := store.ended_before(late, 2, after=found[-1] if found else None):
        found += page
    assert [job.key for job in found] == ended


def test_two_stores_on_one_file_see_each_other(tmp_path):
    one, two = open_sqlite(tmp_path / "jobs.db"), open_sqlite(tmp_path / "jobs.db")
    before = two.version()
    one.add(a_job())
    assert two.version() != before
    assert claim(two).id == "j1"
    assert one.get(JobKey("default", "j1")).state is JobState.EXECUTING
    one.close()
    two.close()


def test_many_stores_may_open_a_new_file_at_once(tmp_path):
    def open_and_add(number: int) -> None:
        store = open_sqlite(tmp_path / "jobs.db")
        store.add(a_job(f"j{number}"))
        store.close()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(open_and_add, range(16)))
    store = open_sqlite(tmp_path / "jobs.db")
    assert store.waiting(100) == 16
    store.close()


def a_line(text: str, **members) -> LogLine:
    return LogLine(**{"time": NOW, "level": "INFO", "text": text, **members})


def test_a_log_grows_by_what_claimants_and_others_report(store):
    job = a_job()
    store.add(job)
    assert store.log(job.key, 0) == []
    claimed = claim(store)
    lines = (a_line("Ünïcode\nin two lines"), a_line("second", level="WARNING", time=LEASE))
    store.record(job.key, claimed.fence, RunUpdate(log=lines), lease_expires_at=LEASE)
    assert store.record(job.key, claimed.fence - 1, RunUpdate(log=lines), lease_expires_at=LEASE) is None
    ended = store.get(job.key)
    assert not store.swap(ended.on(JobEvent.LOSE, at=NOW), expected=claimed, log=[a_line("too late")])
    assert store.swap(ended.on(JobEvent.LOSE, at=NOW), expected=ended, log=[a_line("third")])
    found = store.log(job.key, 0)
    assert [(line.text, line.level, line.time) for line in found] == [
        ("Ünïcode\nin two lines", "INFO", NOW),
        ("second", "WARNING", LEASE),
        ("third", "INFO", NOW),
    ]
    assert [line.position for line in found] == list(itertools.accumulate(line.size for line in found))
    assert store.log(job.key, found[0].position) == found[1:]
    assert store.log(job.key, 2**70) == []


def test_of_a_log_the_latest_lines_are_kept(store):
    store.add(a_job())
    job = claim(store)
    for number in range(3):
        many = tuple(a_line(f"{number} {k} {'x' * 40}") for k in range(500))
        store.record(job.key, job.fence, RunUpdate(log=many), lease_expires_at=LEASE)
    found = store.log(job.key, 0)
    assert sum(line.size for line in found[1:]) <= MAX_LOG_BYTES
    assert found[-1].text.startswith("2 499 ")
    assert found[0].position - found[0].size > 0
    assert found[-1].position > 3 * 500 * 64


def test_the_log_of_a_removed_job_is_gone(store):
    store.add(a_job())
    job = claim(store)
    store.record(job.key, job.fence, RunUpdate(log=(a_line("first"),)), lease_expires_at=LEASE)
    store.delete(job.key)
    with pytest.raises(JobNotFound):
        store.log(job.key, 0)
    store.add(a_job())
    assert store.log(job.key, 0) == []


@pytest.mark.parametrize("prefix", ["a", "a\ud7ff", "a\U0010ffff", "\U0010ffff", "\ue000"])
def test_names_begin_with_a_prefix_whatever_its_last_character(store: JobStore, prefix: str) -> None:
    last = chr(sys.maxunicode)
    names = [prefix, f"{prefix}{last}{last}", f"{prefix}b", f"{prefix[:-1]}{last}{last}{last}", "\ud7fe", "B", last]
    for number, name in enumerate(names):
        store.add(a_job(str(number), name=name))
    expected = {str(number) for number, name in enumerate(names) if name.casefold().startswith(prefix)}
    assert set(everything(store, JobQuery(name_prefix=prefix))) == expected
