"""``python -m benchmarks.service [--jobs 50]``: what a job costs beside its solving, in milliseconds.

A supervisor is started in a temporary home and stopped at the end. ``warm start`` is the time from a claim to the
first statement of the job's process; ``claim and finish`` is the store alone.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

from qiosk.adapters.home.home import SupervisorLock
from qiosk.adapters.sql.jobs import SqlJobStore, open_sqlite
from qiosk.bootstrap import open_embedded
from qiosk.contract.jobs import JobQuery, JobView, SubmitJob
from qiosk.service.jobs.definition import define_job
from qiosk.service.jobs.job import BlobRef, JobEvent
from qiosk.service.jobs.job_service import JobService
from qiosk.service.jobs.runs import JobSpec
from qiosk.settings import Settings
from qiosk.supervisor.processes.job_process import SOLVER_RUNNER, JobProcess, ProcessOptions, warm_context
from qiosk.testing import MemoryBlobStore

SHIP = {
    "cost_function": {
        "version": "1.0",
        "type": "ising",
        "terms": [{"c": -9, "ids": [0]}, {"c": -3, "ids": [1, 0]}, {"c": 5, "ids": [2, 0]}],
    }
}
TARGET = "microsoft.simulatedannealing-parameterfree.cpu"


def submit(service: JobService) -> JobView:
    data = json.dumps(SHIP).encode()
    return service.submit(
        SubmitJob(name="b", provider_id="Microsoft", target=TARGET, input_data=data, input_params={"params": {}})
    )


def submit_and_wait(service: JobService) -> None:
    view = submit(service)
    while not view.status.is_final:
        view = service.wait(view.id, 60)
    assert view.has_results, view.error_data


def timed(work: Callable[[], object]) -> float:
    """Milliseconds."""
    start = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - start)


def show(name: str, milliseconds: Sequence[float]) -> None:
    ordered = sorted(milliseconds)
    p95 = ordered[int(0.95 * (len(ordered) - 1))]
    print(f"{name:44} {statistics.median(ordered):9.2f} {p95:9.2f} {len(ordered):6}")


def measure_jobs(home: Path, jobs: int) -> None:
    service = open_embedded(settings=Settings(home=home))
    show("submit to results, cold supervisor", [timed(lambda: submit_and_wait(service))])
    show("submit to results, warm", [timed(lambda: submit_and_wait(service)) for _ in range(jobs)])
    start = time.perf_counter()
    submitted = [timed(lambda: submit(service)) for _ in range(jobs)]
    show("submit", submitted)
    while not all(view.status.is_final for view in service.list(JobQuery())):
        time.sleep(0.005)
    print(f"{'jobs/s, all submitted at once':44} {jobs / (time.perf_counter() - start):9.1f}")
    service.close()


def measure_starts(home: Path, runs: int) -> None:
    """From the request for a process to the first statement of its runner; processes share the monotonic clock."""
    from qiosk.adapters.blobs.local import LocalBlobStore

    LocalBlobStore(home, "default").put(BlobRef("c", "inputData"), b"")
    spec = JobSpec(
        workspace="default",
        id="j",
        fence=1,
        container="c",
        input=BlobRef("c", "inputData"),
        target=TARGET,
        input_params=None,
        input_data_format="",
        output_data_format="",
    )
    options = ProcessOptions(storage=home.as_uri(), runner="benchmarks.service.probe:run", memory_limit=0)
    context = warm_context(SOLVER_RUNNER)
    starts = []
    for _ in range(runs + 5):
        asked = time.monotonic()
        process = JobProcess(context, spec, options)
        while process.exit_code() is None:
            time.sleep(0.0005)
        *_, error = process.messages()
        process.close()
        starts.append(1000 * (float(error.message) - asked))
    show("warm start of a job's process", starts[5:])


def measure_store(path: Path, jobs: int) -> None:
    store = open_sqlite(path)
    now = datetime.now(UTC)
    command = SubmitJob(name="b", provider_id="Microsoft", target=TARGET, input_data=b"")
    for number in range(jobs):
        at = now + timedelta(microseconds=number)
        store.add(define_job(f"j{number}", command, workspace="default", blobs=MemoryBlobStore(), at=at))
    show("claim and finish in the store", [timed(lambda: claim_and_finish(store, now)) for _ in range(jobs)])
    show("poll for a change", [timed(store.version) for _ in range(1000)])
    store.close()


def claim_and_finish(store: SqlJobStore, now: datetime) -> None:
    job = store.claim(worker="b", now=now, lease_expires_at=now)
    assert job is not None
    store.swap(job.on(JobEvent.SUCCEED, at=now, output_blob="o"), expected=job)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=50)
    jobs = parser.parse_args().jobs
    print(f"{'':44} {'median ms':>9} {'p95 ms':>9} {'runs':>6}")
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        measure_store(home / "alone.db", 20 * jobs)
        measure_starts(home / "starts", jobs)
        try:
            measure_jobs(home / "home", jobs)
        finally:
            stop_supervisor(home / "home")


def stop_supervisor(home: Path) -> None:
    lock = SupervisorLock(home / "supervisor.lock")
    pid = lock.holder()
    if pid is not None and lock.is_held():
        os.kill(pid, signal.SIGTERM)
        while lock.is_held():
            time.sleep(0.01)


if __name__ == "__main__":
    main()
