"""``python -m benchmarks.service.http [--only NAME]``: the server under load, on this machine.

latency      submit to results of a trivial job, one after the other, on an idle server
submissions  jobs accepted a second, uploads included, from 16 clients at once
drain        1000 jobs that wait: how long the worker was idle between two of them
pages        the first page and later ones with 100 000 jobs stored
memory       resident memory of the server over 10 000 jobs
"""

from __future__ import annotations

import argparse
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import psutil

from benchmarks.service.served import WORKSPACE, Client, QuickClient, server

ONE_WORKER = {"QIOSK_CONCURRENT_JOBS": "1", "QIOSK_THREADS": "1"}


def latency(jobs: int = 200) -> None:
    """Milliseconds from the first request of a submission to the last byte of the results."""
    with server() as (url, _):
        client = Client(url)
        for _ in range(5):  # the supervisor starts, caches fill
            client.follow(client.submit())
        taken: list[float] = []
        for _ in range(jobs):
            begin = time.perf_counter()
            job_id = client.submit()
            assert client.follow(job_id)["status"] == "Succeeded"
            client.call("GET", f"{WORKSPACE}/jobs/{job_id}/results")
            taken.append(1e3 * (time.perf_counter() - begin))
    quantiles = statistics.quantiles(taken, n=100)
    print(f"latency: p50 {quantiles[49]:.1f} ms, p95 {quantiles[94]:.1f} ms, max {max(taken):.1f} ms of {jobs} jobs")


def _submit_for(url: str, seconds: float, threads: int, counted: multiprocessing.Queue[int]) -> None:
    done = [0] * threads
    until = time.monotonic() + seconds

    def work(place: int) -> None:
        client = QuickClient(url)
        while time.monotonic() < until:
            client.submit()
            done[place] += 1

    workers = [threading.Thread(target=work, args=(place,)) for place in range(threads)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    counted.put(sum(done))


def submissions(seconds: float = 10.0, processes: int = 4, threads: int = 4) -> None:
    """Submissions a second of ``processes`` x ``threads`` clients, while one worker runs what they submit."""
    for label, variables in (("one worker runs jobs meanwhile", ONE_WORKER), ("two workers", {})):
        with server(**variables) as (url, _):
            Client(url).submit()
            counted: multiprocessing.Queue[int] = multiprocessing.Queue()
            arguments = (url, seconds, threads, counted)
            clients = [multiprocessing.Process(target=_submit_for, args=arguments) for _ in range(processes)]
            for client in clients:
                client.start()
            total = sum(counted.get() for _ in clients)
            for client in clients:
                client.join()
        print(f"submissions: {total / seconds:.0f} a second from {processes * threads} clients; {label}")


def drain(jobs: int = 1000) -> None:
    """Idle time of the only worker between two jobs while others wait."""
    with server(**ONE_WORKER) as (url, _):
        client = Client(url)
        ids = [client.submit() for _ in range(jobs)]
        client.follow(ids[-1])
        views = [view for view in _all_jobs(client) if view["status"] == "Succeeded"]
    assert len(views) == jobs
    spans = sorted((_time(view["beginExecutionTime"]), _time(view["endExecutionTime"])) for view in views)
    gaps = [1e3 * (begin - end) for (_, end), (begin, _) in pairwise(spans)]
    rate = jobs / (spans[-1][1] - spans[0][0])
    print(f"drain: longest gap {max(gaps):.1f} ms, median {statistics.median(gaps):.1f} ms, {rate:.0f} jobs a second")


def _all_jobs(client: Client) -> list[dict]:
    found: list[dict] = []
    path = f"{WORKSPACE}/jobs?top=1000"
    while path:
        page = client.json("GET", path)
        found += page["value"]
        link = page["nextLink"]
        path = None if link is None else "/" + link.split("/", 3)[3]
    return found


def _time(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def pages(jobs: int = 100_000, repeats: int = 30) -> None:
    """Milliseconds of a page of 100 jobs with many jobs stored, at the beginning and further on."""
    from benchmarks.service.stored import fill

    with tempfile.TemporaryDirectory(prefix="qiosk-bench-", ignore_cleanup_errors=True) as folder:
        home = Path(folder) / "home"
        fill(home, jobs)
        with server(home) as (url, _):
            client = Client(url)
            for order in ("CreationTime desc", "Name asc", "State asc"):
                path = f"{WORKSPACE}/jobs?top=100&orderby={order.replace(' ', '%20')}"
                first = _median_ms(lambda path=path: client.json("GET", path), repeats)
                walked: list[float] = []
                for _ in range(200):
                    begin = time.perf_counter()
                    link = client.json("GET", path)["nextLink"]
                    walked.append(1e3 * (time.perf_counter() - begin))
                    path = "/" + link.split("/", 3)[3]
                late = statistics.median(walked[-20:])
                print(f"pages: {order}: first {first:.1f} ms, 200th {late:.1f} ms of {jobs} jobs")


def _median_ms(work: Callable[[], object], repeats: int) -> float:
    taken = []
    for _ in range(repeats):
        begin = time.perf_counter()
        work()
        taken.append(1e3 * (time.perf_counter() - begin))
    return statistics.median(taken)


def memory(jobs: int = 10_000, clients: int = 8) -> None:
    """Megabytes that the server's process holds after every tenth of the jobs, none of which is run."""
    with server(QIOSK_CONCURRENT_JOBS="1") as (url, pid):
        process = psutil.Process(pid)
        sizes = []
        for _ in range(10):
            workers = [threading.Thread(target=_cycle, args=(url, jobs // 10 // clients)) for _ in range(clients)]
            for worker in workers:
                worker.start()
            for worker in workers:
                worker.join()
            sizes.append(process.memory_info().rss / 2**20)
    print(f"memory: {', '.join(f'{size:.0f}' for size in sizes)} MiB over {jobs} jobs")


def _cycle(url: str, jobs: int) -> None:
    client = Client(url)
    for _ in range(jobs):
        job_id = client.submit()
        client.json("GET", f"{WORKSPACE}/jobs/{job_id}")
        client.call("DELETE", f"{WORKSPACE}/jobs/{job_id}")


MEASUREMENTS = {work.__name__: work for work in (latency, submissions, drain, pages, memory)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", choices=sorted(MEASUREMENTS), action="append")
    for name in parser.parse_args().only or MEASUREMENTS:
        MEASUREMENTS[name]()
