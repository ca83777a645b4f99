"""A workspace that is used after a fork, by parent and child at once."""

from __future__ import annotations

import asyncio
import gc
import multiprocessing
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import pytest

import databases
from forking import Child, in_child
from homes import close_home, eventually, finished, open_home, submit
from patience import HANG_S
from qiosk import Workspace, aio
from qiosk.adapters.home.home import Home, ServerPresence, SupervisorLock
from qiosk.adapters.sql.databases.database import Database, parse_url
from qiosk.bootstrap.storage import open_storage
from qiosk.client.remote.connection import Connection
from qiosk.client.remote.jobs import HttpJobs
from qiosk.client.remote.transport import RetryPolicy
from qiosk.contract.api import JobsApi
from qiosk.contract.jobs import JobStatus
from qiosk.errors import QioskError
from qiosk.forks import PerProcess
from qiosk.kernels import compiler
from qiosk.optimization import StreamingProblem, Term
from qiosk.service.jobs.job import BlobRef
from qiosk.solvers.targets.parameters import new_seed
from qiosk.testing import MemoryJobStore
from served import served
from storages import ACCOUNT, azure_environment

FORK = multiprocessing.get_context("fork")
ROUNDS = 60


@contextmanager
def opened(kind: str, folder: Path) -> Iterator[JobsApi]:
    home = folder / "home"
    if kind == "http":
        with served(home) as server:
            yield HttpJobs(Connection(url=server.url))
        return
    with databases.postgres_schema() if kind == "postgresql" else nullcontext() as url:
        api = open_home(home, idle_seconds=1.0, database=url)
        try:
            yield api
        finally:
            api.close()
            close_home(home)


@pytest.fixture(params=["sqlite", "postgresql", "http"])
def api(request, tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))  # where processes of jobs find the fake runner
    with opened(request.param, tmp_path) as api:
        yield api


def ask_for(api: JobsApi, job_id: str) -> set[str]:
    return {api.get(job_id).id for _ in range(ROUNDS)}


def order(kind: str) -> dict:
    # a server runs real solvers, other homes the fake runner
    terms = [{"c": 1.0, "ids": [0, 1]}, {"c": -1.0, "ids": [1, 2]}]
    return {"cost_function": {"type": "ising", "version": "1.1", "terms": terms}} if kind == "http" else {}


def test_parent_and_child_get_the_jobs_that_they_ask_for(api, request):
    kind = request.node.callspec.params["api"]
    mine, others = submit(api, order(kind), name="parent"), submit(api, order(kind), name="other")
    children = [Child(lambda: ask_for(api, others.id)) for _ in range(2)]
    assert ask_for(api, mine.id) == {mine.id}
    assert [child.result() for child in children] == [{others.id}] * 2


def test_a_job_that_a_child_submits_is_not_lost(api, request):
    kind = request.node.callspec.params["api"]
    finished(api, submit(api, order(kind)).id)
    child_id, own_id = (
        in_child(lambda: submit(api, order(kind), name="child", input_params={"params": {}}).id),
        submit(api, order(kind)).id,
    )
    assert (view := finished(api, child_id)).name == "child"
    assert view.status is JobStatus.SUCCEEDED, view.error_data
    assert len({child_id, own_id, in_child(lambda: submit(api, order(kind)).id)}) == 3


def test_a_child_that_lives_longer_than_its_parents_connections_loses_nothing(tmp_path):
    database = Database(parse_url("", default=tmp_path / "a.db"))
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE numbers (n INTEGER)")
    has_written, is_closed = FORK.Event(), FORK.Event()

    def write_twice() -> None:
        for n in (1, 2):
            with database.write() as connection:
                connection.exec_driver_sql("INSERT INTO numbers VALUES (?)", (n,))
            has_written.set()
            is_closed.wait()

    child = Child(write_twice)
    has_written.wait()
    database.close()
    is_closed.set()
    child.result()
    assert count(database) == 2


def count(database: Database) -> int:
    with database.read() as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM numbers").scalar_one())


def test_threads_may_write_while_others_fork(tmp_path):
    database = Database(parse_url("", default=tmp_path / "a.db"))
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE numbers (n INTEGER)")

    def write(times: int) -> None:
        for n in range(times):
            with database.write() as connection:
                connection.exec_driver_sql("INSERT INTO numbers VALUES (?)", (n,))

    threads = [threading.Thread(target=write, args=(100,)) for _ in range(3)]
    for thread in threads:
        thread.start()
    children = [Child(lambda: write(10)) for _ in range(10)]
    for child in children:
        child.result()
    for thread in threads:
        thread.join()
    assert count(database) == 3 * 100 + 10 * 10


def test_a_fork_amid_a_transaction_gives_a_child_that_refuses(tmp_path, monkeypatch):
    database = Database(parse_url("", default=tmp_path / "a.db"))
    with database.write() as connection:
        connection.exec_driver_sql("CREATE TABLE numbers (n INTEGER)")
        child = Child(lambda: error_of(lambda: count(database)))
        connection.exec_driver_sql("INSERT INTO numbers VALUES (1)")
    assert child.result() == ("ServiceUnavailable", True)
    assert count(database) == 1
    assert in_child(lambda: count(database)) == 1


def error_of(action: Callable[[], object]) -> tuple[str, bool]:
    """The class of the error that is raised, and whether its message names the fork."""
    with pytest.raises(QioskError) as caught:
        action()
    return type(caught.value).__name__, "forked" in str(caught.value)


def test_locks_that_another_thread_holds_are_free_in_a_child():
    cell = PerProcess(threading.Lock)
    is_held, is_done = threading.Event(), threading.Event()

    def hold() -> None:
        with cell.get():
            is_held.set()
            is_done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    is_held.wait()
    assert in_child(lambda: cell.get().acquire(blocking=False))
    assert not cell.get().acquire(blocking=False)
    is_done.set()
    thread.join()


def test_a_child_of_a_process_that_compiles_can_compile():
    is_held, is_done = threading.Event(), threading.Event()

    def compile_long() -> None:
        with compiler.global_compiler_lock:
            is_held.set()
            is_done.wait()

    def can_compile() -> bool:
        thread = threading.Thread(target=compiler.global_compiler_lock.acquire, daemon=True)
        thread.start()
        thread.join(HANG_S)
        return not thread.is_alive()

    compiling = threading.Thread(target=compile_long)
    compiling.start()
    is_held.wait()
    threading.Timer(0.1, is_done.set).start()
    assert in_child(can_compile)
    compiling.join()


def test_stores_in_memory_that_another_thread_uses_can_be_used_in_a_child():
    store = MemoryJobStore()
    is_held, is_done = threading.Event(), threading.Event()

    def hold() -> None:
        with store._lock.get():
            is_held.set()
            is_done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    is_held.wait()
    assert in_child(lambda: len(store.all())) == 0
    is_done.set()
    thread.join()


@pytest.mark.parametrize("environment", [azure_environment])
def test_parent_and_child_use_an_object_store_at_once(environment, monkeypatch):
    with environment() as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        blobs = open_storage(f"az://{ACCOUNT}").blobs("forks")
        blobs.create("files")
        blobs.put(BlobRef("files", "shared"), b"parent")

        def use(name: str) -> list[bytes]:
            for _ in range(ROUNDS):
                blobs.put(BlobRef("files", name), name.encode())
                assert blobs.get(BlobRef("files", name)) == name.encode()
            return [blobs.get(BlobRef("files", key)) for key in (name, "shared")]

        children = [Child(lambda name=name: use(name)) for name in ("a", "b")]
        assert use("c") == [b"c", b"parent"]
        assert [child.result() for child in children] == [[b"a", b"parent"], [b"b", b"parent"]]


def test_a_child_neither_finalizes_nor_uses_what_its_parent_made():
    finalized = []

    class Socket:
        def __del__(self) -> None:
            finalized.append(os.getpid())

    cell = PerProcess(Socket)
    parents = id(cell.get())

    def look() -> tuple[bool, list[int]]:
        its_own = cell.get()
        gc.collect()
        return id(its_own) == parents, list(finalized)

    assert in_child(look) == (False, [])
    assert id(cell.get()) == parents


@pytest.mark.parametrize("hold", [ServerPresence, lambda home: SupervisorLock(home.lock).acquire()])
def test_a_lock_of_the_home_ends_with_its_holder_though_children_live(tmp_path, hold):
    home = Home(tmp_path)
    is_over = FORK.Event()
    holder = Child(lambda: (hold(home), Child(is_over.wait).pid)[1])  # which exits before its own child
    holder.result()
    # the grandchild leaves its copy of the lock behind when it first runs, which may be a moment later
    assert eventually(lambda: not home.is_served())
    assert eventually(lambda: not SupervisorLock(home.lock).is_held())
    is_over.set()


@pytest.mark.parametrize("api", ["sqlite", "http"], indirect=True)
def test_an_upload_belongs_to_the_process_that_began_it(api):
    api.container_uri("files")
    upload = api.upload_blob("files", "a")
    upload.write(b"parent")
    assert in_child(lambda: error_of(lambda: upload.write(b"child"))) == ("Conflict", True)
    assert in_child(lambda: error_of(upload.commit)) == ("Conflict", True)
    in_child(upload.abort)
    upload.commit()
    assert api.get_blob("files", "a") == b"parent"
    assert in_child(lambda: api.get_blob("files", "a")) == b"parent"


@pytest.mark.parametrize("api", ["sqlite", "http"], indirect=True)
def test_a_streamed_problem_belongs_to_the_process_that_began_it(api):
    workspace = Workspace(api=api)
    problem = StreamingProblem(workspace, terms=[Term(c=1, indices=[0, 1])], upload_terms_threshold=1)
    problem.add_term(c=1, indices=[1, 2])
    assert in_child(lambda: error_of(problem.upload)) == ("Conflict", True)
    problem.upload()
    assert problem.download().terms[0].c == 1


def test_a_child_goes_on_with_a_stream_of_events(tmp_path):
    with served(tmp_path / "home") as server:
        api = HttpJobs(Connection(url=server.url))
        job_id = submit(api, {**order("http")}, input_params={"params": {"timeout": 3600}}).id
        updates = api.updates(job_id)
        next(updates)

        def follow() -> str:
            api.cancel(job_id)
            return [update.view.id for update in updates][-1]

        assert in_child(follow) == job_id
        assert [update.view.status.is_final for update in updates][-1]


def test_asyncio_programs_may_fork(tmp_path):
    api = open_home(tmp_path, idle_seconds=1.0)

    async def names() -> list[str]:
        return [job.id for job in await aio.Workspace(api=api).list_jobs()]

    try:
        job_id = submit(api).id
        assert asyncio.run(names()) == [job_id]
        assert in_child(lambda: asyncio.run(names())) == [job_id]
    finally:
        close_home(tmp_path)


def test_seeds_ids_and_keys_differ_in_children(monkeypatch):
    monkeypatch.setattr(time, "time_ns", lambda: 1)
    seeds = [new_seed(), *(in_child(new_seed) for _ in range(3))]
    pauses = [in_child(lambda: RetryPolicy().pause_s(1)) for _ in range(3)]
    assert len(set(seeds)) == 4
    assert len(set(pauses)) == 3
