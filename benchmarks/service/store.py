"""``python -m benchmarks.service.store [--jobs 100000] [--database URL]``: the job store when it is full.

A database is filled with jobs of ten workspaces, most of them ended, and then used: claims by one thread and by four,
claims that also finish, every order of pages from the first to the last, and looks for a change. Without ``--database``
a SQLite file in a temporary folder is used; a PostgreSQL URL gets a schema of its own, dropped at the end.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import sqlalchemy as sa

from qiosk.adapters.sql.databases.database import Database, parse_url
from qiosk.adapters.sql.jobs import SqlJobStore
from qiosk.adapters.sql.schema import open_database
from qiosk.adapters.sql.tables import jobs, to_row
from qiosk.contract.jobs import JobQuery, JobStatus, SubmitJob
from qiosk.contract.paging import ItemOrder
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.job import JobEvent, JobState
from qiosk.service.paging import cursor_of
from qiosk.testing import MemoryBlobStore

WORKSPACES = 10
CLAIMS = 2000
PAGE = 100
START = datetime(2026, 1, 1, tzinfo=UTC)


@contextmanager
def a_schema(text: str) -> Iterator[sa.URL]:
    """An empty schema of PostgreSQL, which is dropped afterwards."""
    url = parse_url(text, default=Path())
    name = f"qiosk_bench_{uuid.uuid4().hex}"
    engine = sa.create_engine(url, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool)
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
    try:
        yield url.update_query_dict({"options": f"-csearch_path={name}"})
    finally:
        with engine.connect() as connection:
            connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")


@contextmanager
def a_database(text: str) -> Iterator[Database]:
    """An empty one, which is gone afterwards."""
    with ExitStack() as stack:
        if text:
            url = stack.enter_context(a_schema(text))
        else:
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            url = parse_url("", default=Path(folder) / "jobs.db")
        database = open_database(url)
        yield database
        database.close()


def fill(database: Database, number_of_jobs: int, waiting: int) -> None:
    """Half of the jobs belong to the first workspace; the last ``waiting`` ones wait."""
    blobs = MemoryBlobStore()
    for first in range(0, number_of_jobs, 5000):
        rows = []
        for number in range(first, min(first + 5000, number_of_jobs)):
            at = START + timedelta(seconds=number)
            command = SubmitJob(
                name=f"job {number * 7919 % number_of_jobs}",
                provider_id="Microsoft",
                target=("microsoft.tabu.cpu", "microsoft.qmc.cpu")[number % 2],
                input_data=b"",
            )
            workspace = f"w{number % WORKSPACES if number % 2 else 0}"
            job = define_job(f"job-{number:09}", command, workspace=workspace, blobs=blobs, at=at)
            row = to_row(job)
            if number < number_of_jobs - waiting:
                state = JobState.SUCCEEDED if number % 5 else JobState.FAILED
                row |= {"state": state.value, "ended_at": row["created_at"], "fence": 1}
            rows.append(row)
        with database.write() as tx:
            tx.execute(jobs.insert(), rows)
    if not database.is_sqlite:
        with database.write() as tx:
            tx.exec_driver_sql("ANALYZE")


def claim(store: SqlJobStore, *, finish: bool) -> bool:
    now = datetime.now(UTC)
    job = store.claim(worker="h/w", now=now, lease_expires_at=now + timedelta(seconds=30))
    if job is not None and not finish and job.id.endswith("00"):
        end_running(store)  # no host runs thousands of jobs at once
    if job is not None and finish:
        assert store.swap(job.on(JobEvent.SUCCEED, at=now, output_blob="o"), expected=job)
    return job is not None


def rates(work: Callable[[], object], times: int, threads: int) -> tuple[float, float]:
    """Calls a second, by the clock and by this process's CPU time: a busy machine has little influence on that."""
    start, cpu_start = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(threads) as pool:
        done = list(pool.map(lambda _: work(), range(times)))
    assert all(done)
    return times / (time.perf_counter() - start), times / (time.process_time() - cpu_start)


def measure_claims(store: SqlJobStore) -> None:
    claim(store, finish=True)
    for finish in (False, True):
        for threads in (1, 4):
            by_clock, by_cpu = rates(lambda finish=finish: claim(store, finish=finish), CLAIMS, threads)
            name = "claim and finish" if finish else "claim"
            print(f"{name + f', {threads} threads':48} {by_clock:8.0f} /s {by_cpu:8.0f} /CPU s")
            end_running(store)


def end_running(store: SqlJobStore) -> None:
    """What was only claimed would count as running in the next measurement."""
    with store._database.write() as tx:
        tx.execute(jobs.update().where(jobs.c.state == "Executing").values(state="Succeeded"))


def page_times(store: SqlJobStore, query: JobQuery) -> tuple[list[float], float]:
    """Milliseconds of every page by the clock, and the median by this process's CPU time."""
    times, cpu_times, after = [], [], None
    while True:
        start, cpu_start = time.perf_counter(), time.process_time()
        page = store.page("w0", query, after, PAGE)
        times.append(1000 * (time.perf_counter() - start))
        cpu_times.append(1000 * (time.process_time() - cpu_start))
        if len(page) < PAGE:
            return times, statistics.median(cpu_times)
        after = cursor_of(page[-1], query.order_by)


def measure_pages(store: SqlJobStore) -> None:
    title = f"pages of {PAGE}, of the largest workspace [ms]"
    print(f"{title:48} {'first':>8} {'median':>8} {'last 10':>8} {'CPU':>8} {'pages':>6}")
    queries = [(f"by {order}", JobQuery(order_by=order)) for order in ItemOrder]
    queries += [
        ("by CreationTime, oldest first", JobQuery(descending=False)),
        ("State eq Failed", JobQuery(statuses=[JobStatus.FAILED])),
        ("startswith(Name, 'job 99')", JobQuery(name_prefix="job 99")),
        ("startswith(Name, 'nothing')", JobQuery(name_prefix="nothing")),
        ("Target eq qmc", JobQuery(targets=["microsoft.qmc.cpu"])),
    ]
    for name, query in queries:
        store.page("w0", query, None, PAGE)
        times, cpu = page_times(store, query)
        last = statistics.median(times[-10:])
        median = statistics.median(times)
        print(f"{name:48} {times[0]:8.2f} {median:8.2f} {last:8.2f} {cpu:8.2f} {len(times):6}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--database", default="", metavar="URL")
    given = parser.parse_args()
    with a_database(given.database) as database:
        store = SqlJobStore(database)
        start = time.perf_counter()
        fill(database, given.jobs, waiting=6 * CLAIMS)
        print(f"{given.jobs} jobs, filled in {time.perf_counter() - start:.1f} s, {database.url.get_backend_name()}")
        measure_claims(store)
        measure_pages(store)
        looks, _ = rates(lambda: store.version() is not None, CLAIMS, 1)
        print(f"{'look for a change':48} {1000 / looks:8.3f} ms")


if __name__ == "__main__":
    main()
