"""Claims a second, by claimants, waiting jobs, running jobs and workspaces."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing.synchronize import Barrier

import sqlalchemy as sa

from benchmarks.scale.rows import add_running, add_waiting, remove_all
from benchmarks.scale.server import ServerTime
from qiosk.adapters.sql.databases.database import Database
from qiosk.adapters.sql.jobs import SqlJobStore
from qiosk.adapters.sql.schema import open_database
from qiosk.machine import SystemClock
from qiosk.service.jobs.attempts import claim_next

CLAIMANTS = (1, 2, 4, 8, 16)
LENGTHS = (1_000, 10_000, 100_000, 1_000_000)
RUNNING = (1_000, 16_000)
WORKSPACES = (100, 1_000)


@dataclass(frozen=True)
class ClaimRow:
    """What claims took in one setting: times in ms, of one claim; processor times of all claimants and the server."""

    claimants: int
    waiting: int
    running: int
    workspaces: int
    rate: float
    median_ms: float
    p95_ms: float
    client_ms: float
    server_ms: float
    samples_ms: list[float]

    def line(self) -> str:
        """A line of the table."""
        cells = (self.claimants, self.waiting, self.running, self.workspaces)
        times = (self.median_ms, self.p95_ms, self.client_ms, self.server_ms)
        return "| " + " | ".join([*map(str, cells), f"{self.rate:.0f}", *(f"{t:.2f}" for t in times)]) + " |"


HEADER = (
    "| claimants | waiting | running | workspaces | claims/s | median ms | p95 ms | client CPU ms | server CPU ms |\n"
    + "| --- " * 9
    + "|"
)


def claim_rows(database: Database, seconds: float, longest: int) -> Iterator[ClaimRow]:
    """Measure; queues are no longer than ``longest``."""
    for waiting in (length for length in LENGTHS if length <= longest):
        for claimants in CLAIMANTS if waiting == 10_000 else (1, 16):
            remove_all(database)  # else each claim reads index entries of jobs that were claimed before
            add_waiting(database, waiting)
            yield _measure(database, claimants, seconds, (waiting, 0, 1))
    for running in RUNNING:
        remove_all(database)
        add_running(database, running, worker="other/w")
        add_waiting(database, 10_000)
        yield _measure(database, 1, seconds, (10_000, running, 1))
    for workspaces in WORKSPACES:
        remove_all(database)
        add_waiting(database, 10_000, workspaces=workspaces)
        yield _measure(database, 1, seconds, (10_000, 0, workspaces))
    remove_all(database)


def _measure(database: Database, claimants: int, seconds: float, setting: tuple[int, int, int]) -> ClaimRow:
    waiting, _, _ = setting
    server = ServerTime(database)
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(claimants + 1)
    queue = context.SimpleQueue()
    url = database.url.render_as_string(hide_password=False)
    most = max(1, waiting // 2 // claimants)
    processes = [
        context.Process(target=_claim, args=(url, number, seconds, most, barrier, queue)) for number in range(claimants)
    ]
    for process in processes:
        process.start()
    barrier.wait()
    before, began = server.seconds(), time.perf_counter()
    results = [queue.get() for _ in processes]
    passed = max(ended for _, _, ended in results) - began
    used = server.seconds() - before  # while the claimants' connections are open: those that end take their times away
    barrier.wait()
    for process in processes:
        process.join()
    samples = sorted(1e3 * sample for found, _, _ in results for sample in found)
    client = sum(cpu for _, cpu, _ in results)
    return ClaimRow(
        *(claimants, *setting),
        rate=len(samples) / passed,
        median_ms=statistics.median(samples),
        p95_ms=samples[int(0.95 * (len(samples) - 1))],
        client_ms=1e3 * client / len(samples),
        server_ms=1e3 * used / len(samples),
        samples_ms=samples,
    )


def _claim(url: str, number: int, seconds: float, most: int, barrier: Barrier, queue: object) -> None:
    """One claimant, in a process of its own: at most so many claims, for so long."""
    store, clock = SqlJobStore(open_database(sa.make_url(url))), SystemClock()
    store.waiting(1)
    found = []
    barrier.wait()
    cpu, end = time.process_time(), time.perf_counter() + seconds
    while (began := time.perf_counter()) < end and len(found) < most:
        job = claim_next(store, clock, worker=f"home{number}/w")
        assert job is not None
        found.append(time.perf_counter() - began)
    queue.put((found, time.process_time() - cpu, time.perf_counter()))  # type: ignore[attr-defined]
    barrier.wait()
    store.close()
