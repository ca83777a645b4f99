"""What every store of sessions, keys and limits guarantees."""

from __future__ import annotations

import threading
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import count

import pytest

import databases
from qiosk.adapters.sql.jobs import SqlJobStore
from qiosk.adapters.sql.keys import SqlKeyStore
from qiosk.adapters.sql.quotas import SqlLimitStore
from qiosk.adapters.sql.schema import open_sqlite_database
from qiosk.adapters.sql.sessions import SqlSessionStore
from qiosk.contract.items import ItemQuery
from qiosk.contract.jobs import ErrorData, JobQuery, SubmitJob
from qiosk.contract.paging import ItemOrder
from qiosk.contract.quotas import Dimension
from qiosk.contract.sessions import JobFailurePolicy, OpenSession, SessionStatus
from qiosk.errors import KeyNotFound, SessionAlreadyExists, SessionClosed, SessionNotFound
from qiosk.machine import SystemClock
from qiosk.service.accounts.keys import ApiKey, KeyStore
from qiosk.service.accounts.quotas import LimitStore
from qiosk.service.jobs.attempts import Attempt, claim_next
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.job import JobState
from qiosk.service.jobs.job_service import JobService
from qiosk.service.paging import Cursor
from qiosk.service.ports import JobStore
from qiosk.service.sessions.session import Session, SessionKey, SessionStore, place_of, sweep
from qiosk.service.sessions.session_service import define_session
from qiosk.solvers.targets.catalogue import Catalogue
from qiosk.testing import MemoryBlobStore, MemoryJobStore, MemoryKeyStore, MemoryLimitStore, MemorySessionStore

NOW = datetime(2026, 5, 1, 12, 30, 15, 123456, tzinfo=UTC)


@dataclass
class Stores:
    jobs: JobStore
    sessions: SessionStore
    keys: KeyStore
    limits: LimitStore


@pytest.fixture(params=["memory", "sqlite", "postgresql"])
def stores(request, tmp_path):
    if request.param == "memory":
        jobs = MemoryJobStore()
        yield Stores(jobs, MemorySessionStore(jobs), MemoryKeyStore(), MemoryLimitStore())
        return
    if request.param == "sqlite":
        database = open_sqlite_database(tmp_path / "jobs.db")
    else:
        database = request.getfixturevalue("postgres")
        databases.empty(database)
    yield Stores(SqlJobStore(database), SqlSessionStore(database), SqlKeyStore(database), SqlLimitStore(database))
    database.close()


def a_session(session_id: str = "s", *, workspace: str = "w", seconds: float = 0.0, **members) -> Session:
    given = {"name": "a", "provider_id": "Microsoft", "target": "T.cpu"}
    at = NOW + timedelta(seconds=seconds)
    return define_session(session_id, OpenSession(**{**given, **members}), workspace=workspace, at=at)


def a_job(job_id: str, session_id: str | None, state: JobState = JobState.WAITING, *, workspace: str = "w"):
    command = SubmitJob(name="a", provider_id="m", target="t", input_data=b"", session_id=session_id)
    job = define_job(job_id, command, workspace=workspace, blobs=MemoryBlobStore(), at=NOW)
    return replace(job, state=state)


def put(stores: Stores, session: Session, **members) -> Session:
    stores.sessions.add(session)
    if members:
        assert stores.sessions.swap(replace(session, **members), expected=stores.sessions.get(session.key))
    return stores.sessions.get(session.key)


def test_a_stored_session_comes_back_with_every_member(stores):
    session = replace(
        a_session(name="Ünïcode 'quoted'", tags=("x", "y"), priority="High"),
        policy=JobFailurePolicy.CONTINUE,
        status=SessionStatus.FAILURES,
        active_at=NOW + timedelta(seconds=1),
        begun_at=NOW + timedelta(seconds=2),
        ended_at=NOW + timedelta(seconds=3),
        error=ErrorData(code="JobFailed", message=""),
        is_settled=False,
    )
    stores.sessions.add(session)
    assert replace(stores.sessions.get(session.key), revision=session.revision) == session
    with pytest.raises(SessionAlreadyExists, match="session s: the id belongs to another session"):
        stores.sessions.add(session)
    stores.sessions.add(replace(session, workspace="v"))
    with pytest.raises(SessionNotFound, match="session nope was not found"):
        stores.sessions.get(SessionKey("w", "nope"))


def test_a_swap_against_an_old_revision_changes_nothing(stores):
    old = put(stores, a_session())
    assert stores.sessions.swap(replace(old, name="first"), expected=old)
    assert not stores.sessions.swap(replace(old, name="second"), expected=old)
    assert stores.sessions.get(old.key).name == "first"
    missing = a_session("nope")
    assert not stores.sessions.swap(missing, expected=missing)


def test_eight_threads_swapping_one_session_lose_no_change(stores):
    key = put(stores, a_session()).key

    def add_tag(number: int) -> None:
        while True:
            session = stores.sessions.get(key)
            if stores.sessions.swap(replace(session, tags=(*session.tags, str(number))), expected=session):
                return

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(add_tag, range(24)))
    assert sorted(stores.sessions.get(key).tags) == sorted(map(str, range(24)))


def everything(stores: Stores, query: ItemQuery, limit: int) -> list[str]:
    found: list[Session] = []
    while True:
        after = place_of(found[-1], query.order_by) if found else None
        page = stores.sessions.page("w", query, after, limit)
        found += page
        if len(page) < limit:
            return [session.id for session in found]


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("order", ItemOrder)
def test_sessions_are_paged_in_every_order(stores, order, descending):
    names = {"a": "b", "b": "A", "c": "é", "d": "b", "e": "Z"}
    for number, (session_id, name) in enumerate(names.items()):
        session = a_session(session_id, name=name, seconds=number // 2, target="xy"[number % 2])
        put(stores, session, status=[SessionStatus.WAITING, SessionStatus.TIMED_OUT][number % 2])
    stores.sessions.add(a_session("f", workspace="other"))
    query = ItemQuery(order_by=order, descending=descending)
    expected = sorted((stores.sessions.get(SessionKey("w", i)) for i in names), key=lambda s: place_of(s, order))
    ids = [session.id for session in (reversed(expected) if descending else expected)]
    for limit in (1, 2, 10):
        assert everything(stores, query, limit) == ids
    assert [s.id for s in stores.sessions.page("w", query, None, 2, skip=1)] == ids[1:3]


@pytest.mark.parametrize("order", [ItemOrder.ITEM_TYPE, ItemOrder.JOB_TYPE])
def test_sessions_find_their_place_among_jobs(stores, order):
    put(stores, a_session())
    of_a_job = Cursor({ItemOrder.ITEM_TYPE: "Job", ItemOrder.JOB_TYPE: "Optimization"}[order], NOW, "j")
    is_behind = order is ItemOrder.ITEM_TYPE  # Job < Session, and no type < Optimization
    for descending in (False, True):
        found = stores.sessions.page("w", ItemQuery(order_by=order, descending=descending), of_a_job, 5)
        assert bool(found) is (is_behind != descending)


QUERIES = [
    (ItemQuery(id_prefix="a"), {"a"}),
    (ItemQuery(id_prefix="A"), set()),
    (ItemQuery(tags=["x"]), {"a", "c"}),
    (ItemQuery(tags=["x", "y"], id_prefix="c"), {"c"}),
    (ItemQuery(name_prefix="MY_"), {"a"}),
    (ItemQuery(name_prefix="100%"), {"b"}),
    (ItemQuery(statuses=("TimedOut", "Succeeded")), {"b"}),
    (ItemQuery(statuses=()), set()),
    (ItemQuery(provider_ids=("MICROSOFT",)), {"a", "b"}),
    (ItemQuery(targets=("t.CPU",)), {"a", "b", "c"}),
    (ItemQuery(created_after=NOW + timedelta(seconds=1)), {"b", "c"}),
    (ItemQuery(created_before=NOW + timedelta(seconds=1)), {"a", "b"}),
]


@pytest.mark.parametrize(("query", "expected"), QUERIES, ids=range(len(QUERIES)))
def test_queries_find_what_they_describe(stores, query, expected):
    put(stores, a_session("a", name="my_session", tags=("x",)))
    put(stores, a_session("b", name="100%", seconds=1), status=SessionStatus.TIMED_OUT)
    put(stores, a_session("c", name="myXsession", seconds=2, provider_id="1qbit", tags=("y", "x")))
    assert {s.id for s in stores.sessions.page("w", query, None, 10)} == expected


def test_sessions_are_due_that_are_idle_or_have_failed_or_are_not_settled(stores):
    put(stores, a_session("fresh", seconds=100), status=SessionStatus.EXECUTING)
    put(stores, a_session("idle"), status=SessionStatus.FAILURES)
    put(stores, a_session("broken", seconds=100), status=SessionStatus.EXECUTING)
    put(stores, a_session("noted", seconds=100), status=SessionStatus.FAILURES)
    put(stores, a_session("ended"), status=SessionStatus.SUCCEEDED, ended_at=NOW)
    put(stores, a_session("aborted"), status=SessionStatus.FAILED, ended_at=NOW, is_settled=False)
    put(stores, a_session("idle", workspace="other"))
    put(stores, a_session("broken", workspace="other", seconds=100), status=SessionStatus.EXECUTING)
    for number, name in enumerate(["broken", "noted", "ended", None]):
        stores.jobs.add(a_job(f"j{number}", name, JobState.FAILED))
    stores.jobs.add(a_job("k", "fresh", JobState.SUCCEEDED))
    due = stores.sessions.due(NOW, 10)
    assert {(s.workspace, s.id) for s in due} == {("w", "idle"), ("w", "broken"), ("w", "aborted"), ("other", "idle")}
    assert {s.id for s in stores.sessions.due(NOW, 10, workspace="other")} == {"idle"}
    assert len(stores.sessions.due(NOW, 2)) == 2


def test_open_sessions_are_counted_up_to_a_limit(stores):
    for name in ("a", "b", "c"):
        put(stores, a_session(name))
    put(stores, a_session("over"), status=SessionStatus.SUCCEEDED, ended_at=NOW)
    put(stores, a_session("a", workspace="other"))
    counts = [stores.sessions.count_open("w", limit) for limit in (0, 2, 3, 10)]
    assert counts == [0, 2, 3, 3]
    assert stores.sessions.count_open("none", 10) == 0


def test_old_sessions_without_jobs_are_removed(stores):
    over = {"status": SessionStatus.SUCCEEDED, "ended_at": NOW}
    put(stores, a_session("old"), **over)
    put(stores, a_session("full"), **over)
    put(stores, a_session("young"), **{**over, "ended_at": NOW + timedelta(seconds=1)})
    put(stores, a_session("open"))
    put(stores, a_session("aborted"), **over, is_settled=False)
    stores.jobs.add(a_job("j", "full"))
    assert stores.sessions.delete_ended(NOW) == 0
    assert stores.sessions.delete_ended(NOW + timedelta(seconds=1)) == 1
    left = {session.id for session in stores.sessions.page("w", ItemQuery(), None, 10)}
    assert left == {"full", "young", "open", "aborted"}


class Nobody:
    """An executor that runs nothing."""

    def wake(self) -> None: ...

    def ensure(self) -> None: ...


def test_no_job_of_an_aborted_session_is_left_whoever_submits_meanwhile(stores):
    clock, blobs = SystemClock(), MemoryBlobStore()
    shared = {"workspace": "w", "targets": Catalogue(), "clock": clock, "new_id": lambda: str(uuid.uuid4())}
    service = JobService(jobs=stores.jobs, blobs=blobs, executor=Nobody(), sessions=stores.sessions, **shared)
    target = "microsoft.tabu.cpu"
    stores.sessions.add(replace(a_session(target=target), created_at=clock.now(), active_at=clock.now()))
    command = SubmitJob(name="a", provider_id="Microsoft", target=target, input_data=b"{}", session_id="s")
    service.submit(command)
    start = threading.Barrier(5)

    def submit_until_refused(_: int) -> int:
        start.wait()
        for accepted in count():
            try:
                service.submit(command)
            except SessionClosed:
                return accepted
            time.sleep(0.001)
        raise AssertionError

    def fail_one() -> None:
        start.wait()
        time.sleep(0.02)
        job = claim_next(stores.jobs, clock, worker="w")
        error = ErrorData(code="InternalError", message="it broke")
        assert Attempt(job, jobs=stores.jobs, blobs=blobs, clock=clock).fail(error)

    with ThreadPoolExecutor(5) as pool:
        failing = pool.submit(fail_one)
        accepted = list(pool.map(submit_until_refused, range(4)))
        failing.result()
    sweep(stores.sessions, stores.jobs, clock.now())
    assert stores.sessions.get(SessionKey("w", "s")).status is SessionStatus.FAILED
    states = Counter(view.status.value for view in service.list(JobQuery(session_id="s")))
    assert states == {"Failed": 1, "Cancelled": sum(accepted)}


def a_key(key_id: str = "k", **members) -> ApiKey:
    given = {"name": "a", "workspace": "w", "is_read_only": False, "digest": "d", "created_at": NOW}
    return ApiKey(**{**given, **members, "id": key_id})


def test_a_stored_key_comes_back_with_every_member(stores):
    assert stores.keys.is_empty()
    late = NOW + timedelta(days=1)
    keys = [
        a_key("b", name="Ünï", workspace=None, expires_at=late),
        a_key("a", is_read_only=True, created_at=late, revoked_at=late),
    ]
    for key in reversed(keys):
        stores.keys.add(key)
    assert [stores.keys.get(key.id) for key in keys] == keys == list(stores.keys.list())
    assert not stores.keys.is_empty()
    for ask in (stores.keys.get, lambda key_id: stores.keys.revoke(key_id, NOW)):
        with pytest.raises(KeyNotFound, match="API key nope was not found"):
            ask("nope")


def test_the_first_revocation_counts(stores):
    stores.keys.add(a_key())
    assert stores.keys.revoke("k", NOW).revoked_at == NOW
    assert stores.keys.revoke("k", NOW + timedelta(days=1)) == stores.keys.get("k") == a_key(revoked_at=NOW)


def test_workspaces_have_limits_of_their_own(stores):
    assert stores.limits.all() == {}
    stores.limits.set("w", Dimension.JOB_HOURS, 2.5)
    stores.limits.set("w", Dimension.QUEUED_JOBS, 3)
    stores.limits.set("v", Dimension.STORED_BYTES, None)
    stores.limits.set("w", Dimension.JOB_HOURS, 1.5)
    assert stores.limits.all() == {
        "w": {Dimension.JOB_HOURS: 1.5, Dimension.QUEUED_JOBS: 3},
        "v": {Dimension.STORED_BYTES: None},
    }
    stores.limits.unset("v", Dimension.STORED_BYTES)
    stores.limits.unset("nobody", Dimension.STORED_BYTES)
    assert set(stores.limits.all()) == {"w"}
